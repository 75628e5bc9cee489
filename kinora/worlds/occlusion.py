"""A thing that passes behind a wall, is hidden for a while and comes out on the other side."""

import numpy as np

from kinora.worlds.drawing import Planar
from kinora.worlds.language import WALL
from kinora.worlds.motion import fly, place, reach
from kinora.worlds.scene import Body, Brief, Scene

SIZE = 0.13
WALL_WIDTH = 0.36  # wider than the thing, which is hidden completely
SPEED = (0.36, 0.40)  # world units per second: from one side of the wall to the other in two seconds


class Occlusion(Planar):
    """Even motion behind a wall that stands still; the second thing of a brief gives the wall's colour."""

    motions: tuple[str, ...] = ("behind right", "behind left")
    leaving: tuple[str, ...] = ("behind right", "behind left")
    speeds: tuple[str | None, ...] = (None,)
    things: int | None = 2
    shortest_s = 1.5

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw a scene in which the thing is behind the middle of the wall halfway through."""
        (colour, shape), (wall_colour, _) = brief.things
        direction = 1 if brief.motion == "behind right" else -1
        speed = rng.uniform(*SPEED)
        wall_x = brief.width / 2 + rng.uniform(-0.03, 0.03)
        body = Body(colour, shape, SIZE, 0.0, 0.0)
        y = place(rng, np.zeros(1), brief.height, *reach(body, 1))
        x = wall_x - direction * speed * min(brief.seconds, 2.0) / 2
        mover = Body(colour, shape, SIZE, float(x), y, vx=float(direction * speed))
        w, h = WALL_WIDTH / 2, brief.height  # taller than the frame, so that no end of it shows
        corners = ((-w, -h), (w, -h), (w, h), (-w, h))
        wall = Body(wall_colour, WALL, w, float(wall_x), brief.height / 2, points=corners)
        touching = (abs(wall_x - x) - w - max(reach(body, 0))) / speed
        return Scene(
            "occlusion", brief.motion, None, brief.background, brief.width, brief.height, (mover, wall), 0.0,
            max(0.0, float(touching)),
        )  # fmt: skip

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return the states; `visible` stays 1 behind the wall, where the thing is and is not seen."""
        return fly(scene, frames, fps)
