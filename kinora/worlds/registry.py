"""The worlds there are, and drawing a scene of any of them."""

import numpy as np

from kinora.worlds.collision import Collision
from kinora.worlds.motion import Ballistics, Uniform
from kinora.worlds.occlusion import Occlusion
from kinora.worlds.scene import Scene, World
from kinora.worlds.shatter import Shatter

WORLDS: dict[str, World] = {
    "uniform": Uniform(),
    "ballistics": Ballistics(),
    "collision": Collision(),
    "occlusion": Occlusion(),
    "shatter": Shatter(),
}


def simulate(scene: Scene, frames: int, fps: float) -> np.ndarray:
    """Return the states `float64 [frames, bodies, STATE_COLUMNS]` of a scene, frame t at t / fps seconds."""
    return WORLDS[scene.world].simulate(scene, frames, fps)


def render(scene: Scene, states: np.ndarray, width: int, height: int) -> np.ndarray:
    """Draw states as frames `uint8 [T, height, width, 3]`, antialiased; the shorter side is one world unit."""
    return WORLDS[scene.world].draw(scene, states, width, height)


def world_of(motion: str) -> str:
    """Return the name of the world in which a motion is seen."""
    return next(name for name, world in WORLDS.items() if motion in world.motions)
