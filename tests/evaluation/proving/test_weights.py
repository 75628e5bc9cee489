"""Weights fitted to candidates whose truth is known, and written as the detectors read them."""

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput
from evaluation.proving import paper
from evaluation.proving.case import Case, Known
from evaluation.proving.weights.model import Weights, cross_validated, figures, fit
from evaluation.proving.weights.weighed import FALSE, MODELS, TRUE, UNKNOWN, Sample, sample
from evaluation.proving.weights.written import write
from kinora.errors import UsageError

from .conftest import FPS, HEIGHT, WIDTH, footage, scene

NAMES = ("more", "less", "chance")


def clips(count: int, of: int = 8) -> list[Sample]:
    """Return clips of candidates; of failing ones, one is told by much of `more` and little of `less`.

    Another in its place and time is said to be true and is not: it looks as those of faultless clips do.
    """
    rng, made = np.random.default_rng(0), []
    for number in range(count):
        values, truth = rng.normal(0, 1, (of, 3)) * [1, 10, 100], np.zeros(of, int)
        if number % 2:
            values[0, :2], truth[:2] = [2.5, -25], TRUE
            truth[2:] = UNKNOWN
        measured = tuple(dict(zip(NAMES, row, strict=True)) for row in values.tolist())
        made.append(Sample("paper", f"base {number // 2}", bool(number % 2), measured, truth))
    return made


def test_what_tells_true_candidates_gets_weight_by_its_own_unit_and_chance_none():
    weights = fit(clips(200), NAMES, ridge=3, true_share=1).of
    assert weights["more"] > 0.5
    assert weights["less"] == pytest.approx(-weights["more"] / 10, rel=0.35)  # the same in units ten times as small
    assert abs(weights["chance"]) * 100 < 0.2 * weights["more"]


def test_every_family_counts_alike_however_many_clips_it_has():
    few = clips(100)
    other = [
        replace(one, family="clay", measured=tuple({**m, "more": -m["more"]} for m in one.measured)) for one in few
    ]
    alone, both = (fit(some, ["more"], ridge=3, true_share=1).of["more"] for some in (few, [*few, *other * 10]))
    assert alone > 0.5
    assert abs(both) < 0.05 * alone  # what is told by more of it in one is told by less in the other


def test_clips_are_judged_by_weights_fitted_to_others():
    area, found = figures(made := clips(200), cross_validated(made, NAMES, 3, 1))
    assert area > 0.95
    assert found > 0.6
    shuffled = [replace(one, measured=other.measured) for one, other in zip(made, made[1:] + made[:1], strict=True)]
    assert figures(shuffled, cross_validated(shuffled, NAMES, 3, 1))[0] < 0.65  # each has the candidates of another


def test_too_few_clips_to_judge_on_others_are_refused():
    with pytest.raises(UsageError, match="make more cases"):
        cross_validated(clips(2), NAMES, 3, 1)


@pytest.mark.parametrize("name", MODELS)
def test_a_written_file_is_formatted_and_says_the_same_odds(name, tmp_path, monkeypatch):
    model, rng = MODELS[name], np.random.default_rng(0)
    names = list(model.present[1])
    weights = Weights(-3.21, dict(zip(names, rng.normal(0, 2, len(names)).tolist(), strict=True)))
    file = write(model, weights, 40, tmp_path)
    subprocess.run([sys.executable, "-m", "ruff", "format", "--check", "--line-length=120", file], check=True)
    spec = importlib.util.spec_from_file_location("written", file)
    written = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "written", written)
    spec.loader.exec_module(written)
    assert list(written.WEIGHTS) == names
    values = rng.normal(0, 1, (5, len(names)))
    measured = tuple(dict(zip(names, row, strict=True)) for row in values.tolist())
    one = Sample("paper", "base", True, measured, np.full(5, TRUE))
    rounding = (0.005 if Path(model.file).name == Path(model.module.__file__).name else 0.0005) * (
        1 + np.abs(values).sum(axis=1).max()
    )
    assert np.allclose(Weights(written.BIAS, written.WEIGHTS).odds(one), weights.odds(one), atol=rounding)
    assert np.ptp(weights.odds(one)) > 20 * rounding


@pytest.fixture(scope="module")
def drawn():
    """A faultless paper clip in which every model has something to weigh, and its evidence."""
    case = next(paper.cases(1, 0, faultless=True))
    return case, gather(case.clip)


@pytest.mark.parametrize("name", MODELS)
def test_every_measure_has_a_weight_or_is_said_to_have_none(drawn, name):
    model = MODELS[name]
    found = sample(model, *drawn)
    assert {frozenset(measured) for measured in found.measured} == {frozenset(model.present[1])}
    assert (found.truth == FALSE).all()


def test_candidates_are_true_at_the_time_and_place_of_a_failure_that_the_model_is_for():
    frames = footage()
    still = scene() + np.random.default_rng(1).normal(0, 1, (20, HEIGHT, WIDTH, 1))
    frames[20:] = np.clip(still, 0, 255).round()  # the disc, at (80, 45), is gone
    known = Known("disappearance", 20, 20, (60, 30, 100, 60), "gross")
    case = Case(ClipInput("made up", frames, FPS), "paper", "made up", "is gone", known, frozenset())
    evidence, model = gather(case.clip), MODELS["vanishing"]

    def truth(**changes):
        return sample(model, replace(case, failure=replace(known, **changes)), evidence).truth

    true = truth() == TRUE
    assert true.any()
    assert not true.all()
    assert (truth(type="appearance")[true] == FALSE).all()  # what vanishes there does not appear
    assert set(truth(start_frame=5, end_frame=5)) == {UNKNOWN}
    assert set(truth(box=(0, 70, 20, 90))) == {UNKNOWN}
    assert sample(model, replace(case, failure=replace(known, type="gravity")), evidence) is None
    assert set(sample(model, replace(case, failure=None), evidence).truth) == {FALSE}
