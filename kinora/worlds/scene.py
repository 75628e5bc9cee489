"""What a simulated world is made of. World units: lengths in shorter sides of the frame, y upward, seconds, radians."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

# Far apart from each other and from every background, so that a blurred or mixed edge is no other colour.
PALETTE: dict[str, tuple[int, int, int]] = {
    "red": (228, 38, 38),
    "green": (44, 190, 66),
    "blue": (50, 108, 246),
    "yellow": (248, 210, 40),
    "purple": (172, 56, 214),
    "white": (246, 246, 246),
}
BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "grey": (114, 114, 118),
    "black": (14, 14, 16),
    "brown": (108, 62, 26),
    "navy": (20, 30, 96),
}
SHAPES = ("circle", "square", "triangle")
GRAVITY = 0.36  # world units per second squared, downward: in two seconds a fall of 0.72 of the shorter side

LEFT_S = 2.75  # after which things that leave the frame have left it
LOOKS = ("flat", "shaded")
X, Y, ANGLE, VISIBLE, VX, VY, TIME = range(7)
STATE_COLUMNS = ("x", "y", "angle", "visible", "vx", "vy", "time")


@dataclass(frozen=True)
class Body:
    """One thing in a scene, as it starts.

    `size` is the radius of a circle; a square has half-sides of 0.89 of it (the same area) and a triangle corners at
    1.45 of it. `points`, if any, are the corners of a convex figure about its centre, anticlockwise, which is
    then drawn instead. Bodies that captions speak of are `named`.
    """

    colour: str
    shape: str
    size: float
    x: float
    y: float
    vx: float = 0.0
    vy: float = 0.0
    angle: float = 0.0
    spin: float = 0.0
    points: tuple[tuple[float, float], ...] = ()
    named: bool = True


@dataclass(frozen=True)
class Scene:
    """A start from which a world's laws tell every later moment; later bodies are in front of earlier ones.

    `width` and `height` are the frame's, in world units; `gravity` is the downward acceleration. `look` is a name in
    `LOOKS`, whose textures `texture` is the seed of; `camera` is 'still' or a name in `kinora.worlds.language.CAMERAS`,
    and moves during the first `seconds`.
    """

    world: str
    motion: str
    speed: str | None
    background: str
    width: float
    height: float
    bodies: tuple[Body, ...]
    gravity: float = 0.0
    event_s: float | None = None  # when something sudden happens, in worlds where it does
    look: str = "flat"
    texture: int = 0
    camera: str = "still"
    seconds: float = 0.0


@dataclass(frozen=True)
class Brief:
    """What a scene must show; everything else is left to chance. `things` are (colour, shape), at least one."""

    motion: str
    speed: str | None
    things: tuple[tuple[str, str], ...]
    background: str
    width: float
    height: float
    seconds: float
    spin: float = 0.0  # highest turning rate in radians a second, where the world leaves turning open


def blank_states(frames: int, bodies: int, fps: float) -> np.ndarray:
    """Return states `[frames, bodies, STATE_COLUMNS]` of bodies that are in sight, with the times filled in."""
    states = np.zeros((frames, bodies, len(STATE_COLUMNS)))
    states[:, :, TIME] = (np.arange(frames) / fps)[:, None]
    states[:, :, VISIBLE] = 1
    return states


class World(Protocol):
    """Laws of motion. Adding a world is writing this and naming it in the registry.

    `motions` are the names of what can be seen in it and `speeds` those told apart, (None,) if none; `things` is how
    many objects a scene has, None if any number; `shapes` are those of the first, None if any of `SHAPES`; a clip
    shorter than `shortest_s` seconds would not show the motion. The motions in `fixed` are seen by a camera at rest
    only; those in `leaving` have little left in the frame after `LEFT_S` seconds. `camera_columns` name what `camera`
    returns. `kinora.worlds.drawing.Planar` has what all worlds in the plane share.
    """

    motions: tuple[str, ...]
    speeds: tuple[str | None, ...]
    things: int | None
    shapes: tuple[str, ...] | None
    shortest_s: float
    fixed: tuple[str, ...]
    leaving: tuple[str, ...]
    camera_columns: tuple[str, ...]

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw a scene that shows what the brief asks for."""
        ...

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return the states `float64 [frames, bodies, STATE_COLUMNS]` of every body, frame t at t / fps seconds."""
        ...

    def camera(self, scene: Scene, times: np.ndarray) -> np.ndarray:
        """Return where the camera is `[T, camera_columns]` at `times` seconds `[T]`."""
        ...

    def draw(self, scene: Scene, states: np.ndarray, width: int, height: int) -> np.ndarray:
        """Draw the states as frames `uint8 [T, height, width, 3]`."""
        ...
