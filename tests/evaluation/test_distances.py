"""Distances between sets of clips: formulas that are known, no bias where clips are few, and files that stay whole."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from evaluation import distances as measured
from evaluation.distances import FLOOR, LARGEST, describe_by_latents, describe_by_network, distances
from kinora.models.autoencoder import load_autoencoder


def drawn(seed, clips=12, features=20, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (clips, features))


def test_the_frechet_distance_is_its_formula():
    """Of many clips of few features, where nothing has to be shrunk, it is that of NumPy's and SciPy's moments."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20_000, 3)) @ rng.normal(size=(3, 3)), rng.normal(0.5, 2, (20_000, 3))
    a, b = np.cov(x.T), np.cov(y.T)
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real)
    ones = np.ones(len(x))
    assert measured._frechet(x, y, ones, ones) == pytest.approx(expected, rel=0.01)


def test_of_few_clips_the_kernel_distance_of_equals_is_zero_on_average_and_the_frechet_distance_is_not():
    files = [f"{n}" for n in range(12)]
    found = [distances(drawn(2 * n), {"same": drawn(2 * n + 1)}, files) for n in range(30)]
    kernel = np.array([one["kernel"]["same"]["value"] for one in found])
    floor = np.array([one["kernel"][FLOOR]["value"] for one in found])
    assert abs(kernel.mean()) < 3 * kernel.std() / np.sqrt(30)
    assert abs(floor.mean()) < 3 * floor.std() / np.sqrt(30)
    assert min(one["frechet"]["same"]["value"] for one in found) > 1
    inside = [one["kernel"]["same"]["low"] <= 0 <= one["kernel"]["same"]["high"] for one in found]
    assert np.mean(inside) > 0.8


def test_what_is_farther_is_farther_and_its_interval_says_so():
    files, truth = [f"{n}" for n in range(12)], drawn(0)
    near, far = truth + drawn(1) * 0.1, drawn(2, shift=2.0)
    found = distances(truth, {"near": near, "far": far}, files)
    for kind in ("kernel", "frechet"):
        assert found[kind]["near"]["high"] < found[kind]["far"]["low"]
    assert found["kernel"][FLOOR]["high"] < found["kernel"]["far"]["low"]


def test_a_file_continued_twice_is_no_second_file():
    """Copies of the same clips say nothing new: the value stays, and the interval does not shrink."""
    truth, made, files = drawn(0), drawn(1), [f"{n}" for n in range(12)]
    once = distances(truth, {"made": made}, files)
    twice = distances(np.tile(truth, (2, 1)), {"made": np.tile(made, (2, 1))}, files * 2)
    assert twice["kernel"]["made"] == pytest.approx(once["kernel"]["made"])
    assert (once["files"], twice["files"], twice["clips"]) == (12, 12, 24)


def test_too_few_files_have_no_distance():
    assert "3 files are too few" in distances(drawn(0, 3), {"made": drawn(1, 3)}, ["a", "b", "c"])["reason"]


def test_clips_that_move_differ_from_what_stands_still(model_folders):
    describe = describe_by_latents(load_autoencoder(model_folders / "vae"))
    rng = np.random.default_rng(0)
    still = np.repeat(rng.integers(0, 256, (1, 24, 24, 3)).astype(np.uint8), 13, axis=0)
    moving = np.stack([np.roll(still[0], 2 * t, axis=1) for t in range(13)])
    a, b = describe(still), describe(moving)
    steps = slice(2 * len(a) // 3, None)
    assert len(a) <= LARGEST
    assert (b[steps] > 2 * a[steps]).all()


def test_a_vision_network_describes_clips_in_no_more_than_the_most_features(tmp_path):
    t = pytest.importorskip("transformers")
    small = {"hidden_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    t.ViTModel(t.ViTConfig(**small, image_size=32, patch_size=8)).save_pretrained(tmp_path)
    t.ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    describe = describe_by_network(f"hf:{tmp_path}")
    frames = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    found = describe(frames)
    assert found.shape == (LARGEST,)
    assert np.allclose(found, describe(frames))
    assert np.linalg.norm(found - describe(255 - frames)) > 1e-3
