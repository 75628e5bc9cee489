"""Which candidates the gate promotes, keeps out, or calls incomparable."""

import numpy as np
import pytest
from scipy import stats

from evaluation.gate import already_deployed, bootstrap_interval, decide, decision_page
from evaluation.rates import METRICS
from kinora.errors import KinoraError
from kinora.generation.registry import Promotion


def evaluation(scores, *, digest="a", seed=0):
    clips = [
        {"asked": {"prompt": f"prompt {i}", "seed": seed + i}, "rates": dict.fromkeys(METRICS, float(score))}
        for i, score in enumerate(scores)
    ]
    return {"evaluator": {"digest": digest}, "clips": clips}


@pytest.fixture
def scores():
    return np.random.default_rng(1).uniform(0.3, 0.7, 64)


def test_a_clearly_better_candidate_is_promoted(scores):
    decision = decide(evaluation(scores + 0.1), evaluation(scores))
    assert decision.promote
    assert decision.interval == pytest.approx((0.1, 0.1))
    assert "beats the incumbent" in decision.reason


def test_pairing_finds_a_small_gain_that_unpaired_scores_would_hide(scores):
    jitter = np.random.default_rng(2).normal(0, 0.01, 64)
    assert stats.ttest_ind(scores + 0.02 + jitter, scores).pvalue > 0.05
    assert decide(evaluation(scores + 0.02 + jitter), evaluation(scores)).promote


def test_inconclusive_keeps_the_incumbent(scores):
    jitter = np.random.default_rng(3).normal(0, 0.1, 64)
    decision = decide(evaluation(scores + jitter - jitter.mean() + 0.005), evaluation(scores))
    assert not decision.promote
    assert decision.reason.startswith("Inconclusive")
    assert decision.interval[0] < 0 < decision.interval[1]


@pytest.mark.parametrize("change", [0.0, -0.1])
def test_equal_or_worse_keeps_the_incumbent(scores, change):
    assert not decide(evaluation(scores + change), evaluation(scores)).promote


def test_too_few_pairs_are_inconclusive():
    decision = decide(evaluation([1.0] * 4), evaluation([0.0] * 4))
    assert not decision.promote
    assert "too few" in decision.reason


@pytest.mark.parametrize(
    ("rival", "why"),
    [
        (evaluation([0.1] * 64, digest="b"), "different versions of the evaluator"),
        (evaluation([0.1] * 64, seed=5), "different prompts, sizes or seeds"),
        (evaluation([0.1] * 63), "different prompts, sizes or seeds"),
    ],
)
def test_incomparable_evaluations_keep_the_incumbent_and_say_why(rival, why):
    decision = decide(evaluation([0.9] * 64), rival)
    assert not decision.promote
    assert why in decision.reason
    assert decision.interval is None


def test_order_of_the_prompts_does_not_matter(scores):
    shuffled = evaluation(scores)
    shuffled["clips"] = shuffled["clips"][::-1]
    assert decide(evaluation(scores + 0.1), shuffled).interval == pytest.approx((0.1, 0.1))


def test_without_an_incumbent_the_untrained_checkpoint_is_the_rival(scores):
    decision = decide(evaluation(scores + 0.1), None, evaluation(scores))
    assert decision.promote
    assert decision.rival == "untrained"
    assert not decide(evaluation(scores), None, evaluation(scores)).promote


def test_an_incumbent_goes_before_the_untrained_checkpoint(scores):
    decision = decide(evaluation(scores), evaluation(scores + 0.2), evaluation(scores - 0.3))
    assert not decision.promote
    assert decision.rival == "incumbent"


def test_no_rival_at_all_is_an_error(scores):
    with pytest.raises(KinoraError, match="untrained checkpoint"):
        decide(evaluation(scores), None)


def test_bootstrap_interval_agrees_with_the_normal_interval(scores):
    low, high = bootstrap_interval(scores)
    half = 1.96 * scores.std() / np.sqrt(len(scores))
    assert (low, high) == pytest.approx((scores.mean() - half, scores.mean() + half), abs=0.1 * half)


@pytest.mark.parametrize("gain", [0.1, -0.1, 0.0])
def test_the_page_shows_every_kind_of_decision(tmp_path, scores, gain):
    page = decision_page(decide(evaluation(scores + gain), evaluation(scores))).write(tmp_path / "decision.html")
    text = page.read_text()
    assert ("Promoted" in text) == (gain > 0)
    assert "exactly prompted" in text


def test_an_incomparable_decision_has_a_page_too(tmp_path):
    decision = decide(evaluation([0.9] * 64), evaluation([0.1] * 64, digest="b"))
    assert "cannot be compared" in decision_page(decision).write(tmp_path / "decision.html").read_text()


@pytest.mark.parametrize(("run", "who"), [("2026-11-21-110203", "Run 2026-11-21-110203"), ("", "A person")])
def test_what_is_deployed_already_says_since_when_by_what_and_why(tmp_path, run, who):
    promotion = Promotion("2026-11-21T11:12:00+00:00", "promotion", "3f9a", None, "The candidate beats it.", run)
    decision = already_deployed(promotion)
    assert not decision.promote
    assert decision.reason.startswith("Already deployed since 21 November 2026, 11:12 UTC, promoted by ")
    assert decision.reason.endswith("because: The candidate beats it.")
    html = decision_page(decision).write(tmp_path / "decision.html").read_text()
    assert "Already deployed" in html
    assert "Not promoted" not in html
    assert f"{who} promoted it on 21 November 2026, 11:12 UTC, because: The candidate beats it." in html
