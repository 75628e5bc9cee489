"""The worlds there are, and drawing a scene of any of them."""

import numpy as np

from kinora.worlds.collision import Collision
from kinora.worlds.game import Game
from kinora.worlds.motion import Ballistics, Uniform
from kinora.worlds.occlusion import Occlusion
from kinora.worlds.orbit import Orbit
from kinora.worlds.painter import Painter
from kinora.worlds.scene import TIME, Scene, World
from kinora.worlds.shatter import Shatter

PIXELS_AT_ONCE = 2**21

WORLDS: dict[str, World] = {
    "uniform": Uniform(),
    "ballistics": Ballistics(),
    "collision": Collision(),
    "occlusion": Occlusion(),
    "shatter": Shatter(),
    "painter": Painter(),
    "orbit": Orbit(),
    "game": Game(),
}


def simulate(scene: Scene, frames: int, fps: float) -> np.ndarray:
    """Return the states `float64 [frames, bodies, STATE_COLUMNS]` of a scene, frame t at t / fps seconds."""
    return WORLDS[scene.world].simulate(scene, frames, fps)


def render(scene: Scene, states: np.ndarray, width: int, height: int) -> np.ndarray:
    """Draw states as frames `uint8 [T, height, width, 3]`, antialiased; the shorter side is one world unit."""
    at_once = max(1, PIXELS_AT_ONCE // (width * height))  # so that a minute takes no more memory than some frames
    parts = [states[start : start + at_once] for start in range(0, len(states), at_once)]
    return np.concatenate([WORLDS[scene.world].draw(scene, part, width, height) for part in parts])


def camera_of(scene: Scene, states: np.ndarray) -> np.ndarray:
    """Return where the camera is in every frame of the states, `[T, camera_columns of the world]`."""
    return WORLDS[scene.world].camera(scene, states[:, 0, TIME])


def world_of(motion: str) -> str:
    """Return the name of the world in which a motion is seen."""
    return next(name for name, world in WORLDS.items() if motion in world.motions)
