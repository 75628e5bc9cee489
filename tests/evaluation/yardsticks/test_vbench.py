"""VBench's dimensions against their formulas, and in the order that they must have."""

import cv2
import numpy as np
import pytest

from evaluation.findings import ClipInput
from evaluation.yardsticks import vbench
from kinora.errors import KinoraError
from kinora.models.hf_vision import VisionFeatures


@pytest.fixture(scope="module")
def picture():
    rough = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.float32)
    return cv2.GaussianBlur(cv2.resize(rough, (480, 320), interpolation=cv2.INTER_CUBIC), (0, 0), 3).clip(0, 255)


def panned(picture, places):
    """Return 64x64 windows whose left edges are at `places`, which may be fractions of pixels."""
    return np.stack([cv2.getRectSubPix(picture, (64, 64), (100.0 + x, 150.0)) for x in places]).astype(np.uint8)


def test_flickering_is_the_mean_absolute_difference():
    frames = np.full((9, 32, 32, 3), 100, np.uint8)
    assert vbench.temporal_flickering(frames) == 1
    frames[1::2] += 10
    assert vbench.temporal_flickering(frames) == pytest.approx((255 - 10) / 255)


def test_even_motion_is_smoother_than_uneven_and_a_still_clip_than_both(picture):
    even = vbench.motion_smoothness(panned(picture, 2.0 * np.arange(17)))
    uneven = vbench.motion_smoothness(panned(picture, 2.0 * np.arange(17) + 3.0 * (np.arange(17) % 2)))
    assert vbench.motion_smoothness(panned(picture, np.zeros(17))) == 1
    assert even > 0.98
    assert uneven < even - 0.01


def test_halfway_is_where_a_moving_picture_is_then(picture):
    before, between, after = panned(picture, [0.0, 2.0, 4.0])
    inner = np.s_[8:-8, 8:-8]
    made = np.abs(vbench.halfway(before, after).astype(int) - between)[inner].mean()
    blend = np.abs((before.astype(int) + after) // 2 - between)[inner].mean()
    assert made < 0.5 * blend


@pytest.mark.parametrize(("pixels", "moves"), [(0.0, False), (0.8, False), (2.5, True)])
def test_what_moves_more_than_six_pixels_in_256_at_8_frames_a_second_is_dynamic(picture, pixels, moves):
    """In 64 pixels the limit is 1.5."""
    frames = panned(picture, pixels * np.arange(16))
    assert vbench.is_dynamic(frames, 8.0) == moves
    slowly = panned(picture, pixels / 3 * np.arange(48))
    assert vbench.is_dynamic(slowly, 24.0) == moves


def test_only_still_clips_have_a_flickering(picture):
    still = vbench.course(ClipInput("still", panned(picture, np.zeros(9)), 8.0))
    moving = vbench.course(ClipInput("moving", panned(picture, 3.0 * np.arange(9)), 8.0))
    assert (still.temporal_flickering, still.dynamic) == (1, False)
    assert (moving.temporal_flickering, moving.dynamic) == (None, True)
    means = vbench.means([still, moving])
    assert means["dynamic degree"] == (0.5, 2)
    assert means["temporal flickering"] == (1, 1)
    assert means["subject consistency"] == (None, 0)


@pytest.mark.parametrize("shape", [(1, 16, 16, 3), (2, 16, 16, 3), (3, 16, 250, 3), (5, 8, 8, 3)])
def test_tiny_clips_are_measured_as_far_as_they_can_be(shape):
    course = vbench.course(ClipInput("tiny", np.zeros(shape, np.uint8), 8.0))
    assert (course.motion_smoothness is None) == (shape[0] < 3)
    assert (course.dynamic is None) == (shape[0] < 2)


def test_consistency_is_the_mean_of_the_cosines_with_the_first_frame_and_the_last_before():
    features = np.array([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])
    # The second: cosines 0 and 0. The third: 0 with the one before, -1 with the first, which counts as 0.
    assert vbench.consistency(features) == 0
    assert vbench.consistency(np.array([[1.0, 0.0], [1.0, 1.0]])) == pytest.approx(0.5**0.5)
    assert vbench.consistency(np.ones((4, 3))) == pytest.approx(1)


@pytest.fixture(scope="module")
def vision(tmp_path_factory):
    """Return `hf:` sources of a tiny ViT and a tiny CLIP."""
    t = pytest.importorskip("transformers")
    root = tmp_path_factory.mktemp("vision")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    t.ViTModel(t.ViTConfig(**small, image_size=32, patch_size=8)).save_pretrained(root / "vit")
    t.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(root / "vit")
    config = t.CLIPConfig(
        text_config={**small, "vocab_size": 20},
        vision_config={**small, "image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    t.CLIPModel(config).save_pretrained(root / "clip")
    t.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        root / "clip"
    )
    return {name: f"hf:{root / name}" for name in ("vit", "clip")}


@pytest.mark.parametrize(("name", "width"), [("vit", 16), ("clip", 12)])
def test_networks_of_transformers_judge_consistency(vision, picture, name, width):
    features = VisionFeatures(vision[name])
    still, moving = panned(picture, np.zeros(3)), panned(picture, 60.0 * np.arange(3))
    assert features(still).shape == (3, width)
    assert vbench.consistency(features(still)) == pytest.approx(1, abs=1e-5)
    assert vbench.consistency(features(moving)) < 1 - 1e-5


def test_a_network_that_is_not_there_is_said(tmp_path):
    with pytest.raises(KinoraError, match="cannot be read"):
        VisionFeatures(f"hf:{tmp_path}")
