"""Clips that are no clips of a world."""

import numpy as np
import pytest


@pytest.fixture
def noise():
    """Return a clip of independent noise."""
    return np.random.default_rng(0).integers(0, 256, (17, 32, 32, 3)).astype(np.uint8)
