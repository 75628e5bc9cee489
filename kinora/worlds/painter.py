"""A brush that leaves a stroke of its colour, which stays: permanence in a world that something acts on."""

import numpy as np

from kinora.worlds import shading
from kinora.worlds.drawing import Planar
from kinora.worlds.figures import HANDLE, capsule_distance
from kinora.worlds.language import BRUSH
from kinora.worlds.scene import PALETTE, TIME, VX, VY, Body, Brief, Scene, X, Y, blank_states

SIZE = 0.1  # radius of the tip
STROKE = 0.75  # half the stroke's width, in radii of the tip
MARGIN = 0.14  # kept to the frame's edge by the line
TURN = 0.25  # of the line from its direction at most, radians
DONE = (0.85, 0.95)  # when the line ends, as a share of the clip
LONGEST_S = 4.0  # that a line takes
DIRECTIONS = {"paint right": (1, 0), "paint left": (-1, 0), "paint up": (0, 1), "paint down": (0, -1)}


class Painter(Planar):
    """A brush paints a straight line at even speed and then rests at its end; `event_s` is when."""

    motions: tuple[str, ...] = tuple(DIRECTIONS)
    speeds: tuple[str | None, ...] = (None,)
    things: int | None = 1
    shapes: tuple[str, ...] | None = (BRUSH,)
    shortest_s = 1.0

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw a line through most of the frame, near its middle."""
        ((colour, _),) = brief.things
        frame = np.array([brief.width, brief.height])
        along = np.array(DIRECTIONS[brief.motion], dtype=float)
        across = along[::-1]
        handle = np.array([0.0, HANDLE[1][1] * SIZE])  # kept in the frame as far as it is above the line
        middle = (frame - handle) / 2 + across * (frame - handle - 2 * MARGIN) * rng.uniform(-0.35, 0.35)
        half = (frame @ np.abs(along) - 2 * MARGIN - handle @ np.abs(along)) / 2 * rng.uniform(0.85, 1.0)
        way = 2 * half * along
        way = way + across * abs(way @ along) * np.tan(rng.uniform(-TURN, TURN)) * 0.5
        seconds = min(brief.seconds, LONGEST_S) * rng.uniform(*DONE)
        start, velocity = middle - way / 2, way / seconds
        body = Body(colour, BRUSH, SIZE, float(start[0]), float(start[1]), float(velocity[0]), float(velocity[1]))
        size = brief.width, brief.height
        return Scene("painter", brief.motion, None, brief.background, *size, (body,), event_s=float(seconds))

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return the states of the brush."""
        assert scene.event_s is not None
        (body,) = scene.bodies
        states = blank_states(frames, 1, fps)
        t = np.arange(frames) / fps
        painted = np.minimum(t, scene.event_s)
        states[:, 0, X], states[:, 0, Y] = body.x + body.vx * painted, body.y + body.vy * painted
        states[:, 0, VX], states[:, 0, VY] = np.outer((body.vx, body.vy), t < scene.event_s)
        return states

    def furnish(self, scene: Scene, states: np.ndarray, canvas: np.ndarray) -> None:
        """Draw the stroke as far as it is painted."""
        distance, unit = stroke_distance(scene, states, canvas.shape[2], canvas.shape[1])
        alpha = np.clip(0.5 - distance * unit, 0, 1)[..., None]
        colour: np.ndarray = np.array(PALETTE[scene.bodies[0].colour], dtype=np.float32)
        if scene.look == "shaded":
            ridge = np.clip(-distance / (STROKE * SIZE), 0, 1)[..., None]  # 0 at its edge, 1 in its middle
            colour = colour * (0.78 + 0.2 * ridge**0.5)
        canvas += alpha * (colour - canvas)


def stroke_distance(scene: Scene, states: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how far pixels `[T, height, width]` lie outside the stroke painted so far, in world units, and pixels a
    world unit `[T, 1, 1]`: a pixel with a distance below -0.5 / unit is painted, wholly, and stays so."""
    (body,) = scene.bodies
    times = states[:, 0, TIME]
    path = Planar().camera(scene, times)
    x, y = shading.world_of_pixels(scene, path, width, height)
    start = np.array([body.x, body.y], dtype=np.float32)[:, None, None, None]
    end = states[:, 0, [X, Y]].T.astype(np.float32)[:, :, None, None]
    dx, dy = x.astype(np.float32)[:, None, :], y.astype(np.float32)[:, :, None]
    return capsule_distance(dx, dy, start, end) - STROKE * SIZE, (min(width, height) * path[:, 2])[:, None, None]
