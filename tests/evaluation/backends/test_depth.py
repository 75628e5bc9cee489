"""How near things are by a Depth-Anything, and parallax that a scene's views do not agree on without it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from evaluation.backends.depth import nearness
from evaluation.consistency.cells import Cells
from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput
from kinora.errors import KinoraError
from kinora.models.hf_depth import InverseDepth
from kinora.models.hf_pixels import DEVIATION, MEAN
from kinora.recipes.backends import Backends
from tests.evaluation.backends.conftest import BLUE, RED, disc, painted


def test_it_is_what_the_network_says(depth):
    from transformers import DepthAnythingForDepthEstimation

    frames = np.random.default_rng(0).integers(0, 256, (2, 28, 56, 3)).astype(np.uint8)
    told = InverseDepth(f"hf:{depth}")(frames, 8)
    shown = torch.from_numpy(((frames / 255 - MEAN) / DEVIATION).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = DepthAnythingForDepthEstimation.from_pretrained(depth)(pixel_values=shown).predicted_depth
    assert told.shape == (2, 28, 56)
    np.testing.assert_allclose(told, expected, atol=1e-4)


def test_metres_are_turned_over(depth, tmp_path):
    from transformers import DepthAnythingForDepthEstimation

    network = DepthAnythingForDepthEstimation.from_pretrained(depth, depth_estimation_type="metric", max_depth=20)
    network.save_pretrained(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (1, 56, 56, 3)).astype(np.uint8)
    shown = torch.from_numpy(((frames / 255 - MEAN) / DEVIATION).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        metres = network(pixel_values=shown).predicted_depth
    assert metres.max() <= 20
    np.testing.assert_allclose(InverseDepth(f"hf:{tmp_path}")(frames, 8), 1 / metres.clamp_min(0.02), rtol=1e-3)


def test_a_network_that_was_taught_that_red_is_near_and_blue_is_far_says_so_of_some_frames(depth):
    near, far = disc(18, 32, 10), disc(46, 32, 10)
    frames = np.stack([painted([near, far], [RED, BLUE], np.random.default_rng(t)) for t in range(4)])
    told = nearness(gather(ClipInput("clip", frames, 8.0), Backends(depth=f"hf:{depth}", calibration="none")), [1, 3])
    assert told.shape == (2, 64, 64)
    assert np.median(told, axis=(1, 2)) == pytest.approx([0, 0], abs=1e-6)
    assert told[:, near].mean() > 0.4
    assert told[:, far].mean() < -0.2


def test_what_a_moving_camera_shifts_by_its_nearness_is_its_motion_and_what_goes_its_own_way_is_left():
    """The truth is the rule of a pinhole camera: places move by its turn, and by its way over their depth."""
    height, width = 72, 128
    luma = np.zeros((2, height, width), np.float32)
    cells = Cells(SimpleNamespace(luma=luma, noise=1.0))
    chance = np.random.default_rng(0)
    near = chance.uniform(-1, 1, (6, 8)).repeat(12, axis=0).repeat(16, axis=1)
    x, y = cells._points.T
    place = (cells._points - [width / 2, height / 2]) / width
    turned = np.array([2.0, -1.0]) + 0.5 * place
    parallax = near[y, x, None] * (np.array([3.0, 1.0]) + 4 * place)
    strays = (x > 40) & (x < 60) & (y > 20) & (y < 44)
    motion = turned + parallax + strays[:, None] * np.array([0.0, 2.5])
    everywhere = np.ones(len(x), bool)
    known, left, _ = cells.beside(motion, everywhere, near)
    blind = cells.beside(motion, everywhere)[1]
    hit = np.array([strays[of[of >= 0]].mean() for of in cells._members])
    assert known.all()
    assert left[hit == 1] == pytest.approx(np.tile([0.0, 2.5], ((hit == 1).sum(), 1)), abs=0.2)
    assert np.abs(left[hit == 0]).max() < 0.2
    assert np.abs(blind[hit == 0]).max() > 2


def test_what_is_no_depth_network_is_refused_in_one_sentence(vision, tmp_path):
    with pytest.raises(KinoraError, match="cannot be read: it is dinov2, not Depth-Anything"):
        InverseDepth(f"hf:{vision('dinov2')}")
    with pytest.raises(KinoraError, match="cannot be read"):
        InverseDepth(f"hf:{tmp_path}")
