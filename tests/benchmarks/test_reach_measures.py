"""What `benchmarks.reach` measures of frames, and the intervals of its figures."""

import json

import numpy as np
import pytest

from benchmarks.reach.figures import markdown, mean, share, write
from benchmarks.reach.measures import looks, psnr, step_between, steps

RAMP = np.tile(np.arange(0, 50, 10, dtype=np.uint8)[:, None, None, None], (1, 8, 8, 3))


def test_steps_are_mean_absolute_differences():
    assert steps(RAMP) == pytest.approx([10.0] * 4)
    assert step_between(RAMP[-1], RAMP[0]) == 40.0


def test_psnr_is_of_the_known_pixels():
    off = RAMP.copy()
    off[:, :4] += 5
    known = np.ones((8, 8), dtype=bool)
    assert psnr(off, RAMP) == pytest.approx(10 * np.log10(255**2 / 12.5))
    known[:4] = False
    assert psnr(off, RAMP, known) == 99.0


def test_looks_tell_colour_brightness_and_sharpness_apart():
    stripes = np.zeros((2, 8, 8, 3), np.uint8)
    stripes[:, :, ::4] = stripes[:, :, 1::4] = 100
    red = stripes.copy()
    red[..., 0] += 50
    assert looks(stripes)["red"] == pytest.approx(0)
    assert looks(red)["red"] > 20
    assert looks(stripes)["sharpness"] > looks(np.full_like(stripes, 50))["sharpness"] == 0
    assert looks(stripes)["brightness"] == pytest.approx(50)


def test_a_share_has_wilson_s_interval():
    figure = share("right", [True] * 19 + [False], at_least=0.9)
    assert (figure.value, figure.reached) == (0.95, True)
    assert (figure.low, figure.high) == pytest.approx((0.7639, 0.9911), abs=1e-3)
    assert share("right", [True] * 4).high == pytest.approx(1.0)


def test_a_mean_has_the_interval_of_its_bootstrap():
    values = np.random.default_rng(1).normal(5, 1, 100)
    figure = mean("drift", values, at_most=4.0)
    assert figure.reached is False
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * values.std() / 10, rel=0.15)


def test_figures_are_written_as_a_table_and_as_json(tmp_path):
    figures = [share("right", [True, False], 0.5), mean("one", [3.0], "dB")]
    write(tmp_path / "x.json", "x", figures, {"seed": 0})
    rows = json.loads((tmp_path / "x.json").read_text())["figures"]
    assert rows[0]["reached"] is True
    assert rows[1]["low"] is None
    assert "| right | 50.0% |" in markdown("X", figures)
