"""A captioner speaks only where it is right as often as it promises, of clips like those that it knows."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import binom

from kinora.captioning.abstention import (
    CALIBRATION,
    AbstentionConfig,
    Familiar,
    calibrate,
    error_bound,
    load_abstention,
    save_abstention,
    silent,
)
from kinora.config import read_json, write_json
from kinora.errors import KinoraError, UsageError
from kinora.models.origin import Origin

CONFIG = AbstentionConfig(risk=0.1, certainty=0.95)
NONE = np.zeros(2)  # strangeness


def drawn(generator, count):
    """Captions whose confidence is how likely each of them is right."""
    confidence = 1 - 0.7 * generator.random(count) ** 3
    return confidence, generator.random(count) > confidence


def test_the_bound_is_where_so_few_errors_are_unlikely():
    for wrong, count in ((0, 50), (3, 100), (20, 60)):
        bound = error_bound(wrong, count, 0.05)
        assert binom.cdf(wrong, count, bound) == pytest.approx(0.05)
    assert error_bound(0, 59, 0.05) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert error_bound(5, 5, 0.05) == 1.0


def test_of_all_that_it_says_no_more_is_wrong_than_it_promises():
    generator = np.random.default_rng(0)
    kept, said = 0, []
    for _ in range(200):
        found = calibrate(*drawn(generator, 600), np.zeros((600, 2)), CONFIG)
        confidence, wrong = drawn(generator, 4000)
        spoken = np.array([found.speaks(value, NONE) for value in confidence])
        said.append(spoken.mean())
        kept += not spoken.any() or wrong[spoken].mean() <= CONFIG.risk
    assert kept >= 0.95 * 200, f"the promise was kept {kept} times in 200"
    assert np.mean(said) > 0.05, "it says hardly anything"


def test_a_captioner_that_is_right_speaks_of_all_that_it_knows():
    strangeness = np.stack([np.arange(100.0), -np.arange(100.0)], axis=1)
    found = calibrate([0.9] * 100, [False] * 100, strangeness, CONFIG)
    assert found.least_confidence == 0.9
    assert found.coverage == pytest.approx(0.98), "of each kind the strangest in a hundred is too strange"
    assert (found.clips, found.wrong, found.silence) == (100, 0.0, "")
    assert found.bound <= CONFIG.risk
    assert found.speaks(0.9, np.array([50.0, -50.0]))
    assert not found.speaks(0.89, np.array([50.0, -50.0]))
    assert not found.speaks(1.0, np.array([99.0, -50.0])), "far from what it knows"
    assert not found.speaks(1.0, np.array([50.0, 0.0])), "foreign"


@pytest.mark.parametrize(
    ("confidences", "wrong", "reason"),
    [
        ([], [], "no held-out caption"),
        ([0.99] * 40, [False] * 40, "on 40 held-out captions"),  # right, but too few to be certain
        (list(np.linspace(0, 1, 500)), [False, True] * 250, "on 5"),  # wrong half of the time
    ],
)
def test_where_nothing_can_be_promised_it_never_speaks(confidences, wrong, reason):
    found = calibrate(confidences, wrong, np.zeros((len(wrong), 2)), CONFIG)
    assert reason in found.silence
    assert not found.speaks(1.0, NONE)


def test_clips_of_another_kind_are_far_away(tmp_path):
    generator = np.random.default_rng(0)
    scales = np.array([0.01, 1, 100, 1])
    known = generator.normal(1, 1, (200, 4)) * scales
    known[:, 3] = 7  # one feature that never changes
    familiar = Familiar.of(known, Origin())
    like = generator.normal(1, 1, (50, 4)) * scales
    like[:, 3] = 7
    for feature in range(4):
        unlike = like.copy()
        unlike[:, feature] += 10 * scales[feature]
        assert familiar.distances(like).max() < familiar.distances(unlike).min(), "every feature counts, on its scale"
    assert familiar.distances(known) == pytest.approx(np.zeros(200), abs=0.01)
    assert not np.isfinite(Familiar.of(np.zeros((0, 4)), Origin()).distances(known)).any()
    assert len(familiar.distances(np.zeros((0, 4)))) == 0
    found = calibrate([0.9] * 100, [False] * 100, np.zeros((100, 2)), CONFIG)
    save_abstention(tmp_path, found, familiar)
    calibration, again = load_abstention(tmp_path)
    assert calibration == found
    frames = list(generator.integers(0, 256, (200, 2, 16, 16, 3), dtype=np.uint8))
    assert np.array_equal(again.strangeness(known, frames), familiar.strangeness(known, frames))


def test_without_a_calibration_it_never_speaks_and_a_damaged_one_is_refused(tmp_path):
    calibration, familiar = load_abstention(tmp_path)
    assert "without a calibration" in calibration.silence
    assert not calibration.speaks(1.0, familiar.strangeness(np.ones((1, 8)), [np.zeros((1, 16, 16, 3), np.uint8)])[0])
    save_abstention(tmp_path, silent("it is shy", CONFIG), Familiar.of(np.ones((3, 8)), Origin()))
    assert load_abstention(tmp_path)[0].silence == "it is shy"
    (tmp_path / "familiar.safetensors").unlink()
    with pytest.raises(KinoraError, match="damaged"):
        load_abstention(tmp_path)
    save_abstention(tmp_path, silent("it is shy", CONFIG), Familiar.of(np.ones((3, 8)), Origin()))
    before = read_json(tmp_path / CALIBRATION)
    write_json(tmp_path / CALIBRATION, before | {"largest_distance": before.pop("limits")[0]})
    with pytest.raises(KinoraError, match="of an earlier version"):
        load_abstention(tmp_path)


@pytest.mark.parametrize("name", ["risk", "certainty"])
def test_impossible_promises_are_refused(name):
    for value in (0.0, 1.0):
        with pytest.raises(UsageError, match=name):
            dataclasses.replace(CONFIG, **{name: value})
