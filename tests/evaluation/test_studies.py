"""The arithmetic of studies, against what is known beforehand."""

import numpy as np
import pytest

from evaluation.findings import ClipInput
from evaluation.framing import share_in_view
from evaluation.scaling import fit_power_law, flops_per_token
from evaluation.study import Spread, better, by_setting
from kinora import recipes
from kinora.data.clips import ClipDataset
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.dataset import ingest
from kinora.data.squares import centre_square, crop_to_squares


def test_a_power_law_is_found_again():
    compute = np.repeat([1e12, 4e12, 32e12], 2)
    exact = fit_power_law(compute, 3.0 * compute**-0.1)
    assert exact.exponent == pytest.approx(-0.1)
    assert exact.coefficient == pytest.approx(3.0)
    noisy = fit_power_law(compute, 3.0 * compute**-0.1 * (1 + 0.02 * np.tile([-1, 1], 3)))
    assert noisy.interval[0] < -0.1 < noisy.interval[1]
    assert noisy.interval[1] - noisy.interval[0] > 0.01


def test_better_is_more_than_the_seeds_differ():
    assert better(Spread((0.9, 0.8)), Spread((0.5, 0.6)))
    assert not better(Spread((0.9, 0.6)), Spread((0.5, 0.6)))  # its worst seed is no better
    assert not better(Spread((0.9, 0.61)), Spread((0.55, 0.6)))  # the seeds differ by as much
    assert better(Spread((0.1, 0.11)), Spread((0.2, 0.22)), lower=True)
    assert by_setting({"4x-seed-0": 1.0, "4x-seed-1": 3.0, "1x-seed-0": 2.0}) == {
        "4x": Spread((1.0, 3.0)), "1x": Spread((2.0,))
    }  # fmt: skip


def test_training_takes_six_operations_a_weight_and_more():
    tiny = recipes.get("tiny")
    blocks = 12 * tiny.transformer.model.width**2 * tiny.transformer.model.depth
    assert 6 * blocks < flops_per_token(tiny) < 18 * blocks


def test_a_subject_at_the_edge_is_not_whole():
    frames = np.full((4, 32, 32, 3), 60, dtype=np.uint8)
    frames[:, 10:20, 10:20] = (220, 40, 40)
    assert share_in_view(ClipInput("", frames, 8.0)) == 1.0
    frames[2:] = 60
    frames[2:, 10:20, :5] = (220, 40, 40)
    assert share_in_view(ClipInput("", frames, 8.0)) == 0.5
    assert share_in_view(ClipInput("", np.full_like(frames, 60), 8.0)) == 0.0


def test_square_crops_keep_everything_but_the_sides(tmp_path):
    smoke = recipes.get("smoke", "ingest.simulated.videos=3 ingest.simulated.images=2")
    assert isinstance(smoke.ingest, IngestConfig)
    whole = ingest("worlds", tmp_path / "whole", smoke.ingest, smoke.grid)
    crop_to_squares(whole, tmp_path / "squares")
    squares = ClipDataset.open(tmp_path / "squares")
    assert (squares.clips["width"] == squares.clips["height"]).all()
    for name in ("caption", "split", "frames", "fps", "kind"):
        assert squares.clips[name].tolist() == whole.clips[name].tolist()
    for before, after in zip(whole.clips["clip_id"], squares.clips["clip_id"], strict=True):
        expected = centre_square(whole.frames(before)).astype(int)
        assert np.abs(squares.frames(after).astype(int) - expected).mean() < 3
