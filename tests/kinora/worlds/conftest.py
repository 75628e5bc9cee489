"""Scenes for the tests of the worlds."""

from dataclasses import replace

import numpy as np
import pytest

from kinora.worlds import WORLDS, Brief


@pytest.fixture(scope="session")
def scene_of():
    """Return a function that draws a scene of a motion, with a brief's values overridden."""

    def draw(motion, seed=0, **changes):
        name, world = next((n, w) for n, w in WORLDS.items() if motion in w.motions)
        values = {
            "motion": motion,
            "speed": world.speeds[0],
            "things": (("red", (world.shapes or ("circle",))[0]), ("blue", "square"))[: world.things or 1],
            "background": "grey",
            "width": 1.0,
            "height": 1.0,
            "seconds": 2.0,
        }
        scene = world.sample(np.random.default_rng(seed), Brief(**(values | changes)))
        assert scene.world == name
        return scene

    return draw


@pytest.fixture(scope="session")
def staged():
    """Return a function that gives a scene the shaded look, and a camera that moves for two seconds."""
    return lambda scene, camera="still": replace(scene, look="shaded", texture=4, camera=camera, seconds=2.0)
