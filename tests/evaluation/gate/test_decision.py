"""Which candidates the gate promotes, serves on trial, or keeps out, and what it says."""

import numpy as np
import pytest

from evaluation.gate.decision import already_deployed, decide
from evaluation.gate.page import decision_page
from kinora.errors import KinoraError
from kinora.generation.registry import Promotion
from kinora.recipes.recipe import GatePlan

PLAN = GatePlan()
ATTRIBUTES = ("colour_right", "shape_right", "background_right", "motion_right", "exactly_prompted")


def evaluation(faultless, *, kinds=("teleport", "flicker"), seeds=1, name="a model", digest="a", **rates):
    """Return an evaluation whose clips fail in the first type where `faultless [prompts, seeds]` is 0."""
    clips = []
    for prompt, some in enumerate(np.reshape(faultless, (-1, seeds))):
        for seed, good in enumerate(some):
            scores = dict.fromkeys(kinds, 0.0) | {kinds[0]: 1.0 - float(good)}
            clips.append(
                {
                    "asked": {"prompt": f"prompt {prompt}", "seed": seed},
                    "measurable": dict.fromkeys(kinds, True),
                    "scores": scores, "failures": [], "due": [],
                    "rates": dict.fromkeys(ATTRIBUTES, 1.0) | {"overall": 0.5} | rates,
                }
            )  # fmt: skip
    return {"name": name, "evaluator": {"digest": digest}, "clips": clips}


def drawn(share, n=80, seed=0):
    return (np.random.default_rng(seed).random(n) < share).astype(float)


BAD, GOOD, EQUAL = drawn(0.3), drawn(0.8, seed=1), drawn(0.3, seed=2)


def test_a_clearly_better_candidate_is_promoted():
    decision = decide(evaluation(GOOD), evaluation(BAD), PLAN)
    assert (decision.outcome, decision.promote) == ("better", True)
    assert decision.reason.startswith("Better than the deployed model: 7")
    first = decision.primary[0]
    assert first.difference == pytest.approx(GOOD.mean() - BAD.mean())
    assert first.low > 0.3
    assert first.chance < 0.001


def test_one_decides_and_not_the_average_of_everything():
    """A higher overall score is no reason where no more clips are without a failure, unless the recipe says so."""
    ours, theirs = evaluation(BAD, overall=0.9), evaluation(BAD, overall=0.5)
    assert not decide(ours, theirs, PLAN).promote
    assert decide(ours, theirs, GatePlan(measure="overall")).promote


@pytest.mark.parametrize("candidate", [EQUAL, BAD, drawn(0.1, seed=3)])
def test_equal_or_worse_keeps_what_is_deployed(candidate):
    decision = decide(evaluation(candidate), evaluation(BAD), PLAN)
    assert (decision.outcome, decision.promote) == ("kept", False)
    assert decision.reason.endswith("The deployed model stays.")


def test_a_candidate_that_is_worse_is_called_so():
    assert decide(evaluation(BAD), evaluation(GOOD), PLAN).reason.startswith("Worse than the deployed model")


def test_too_few_prompts_are_inconclusive_and_it_says_how_many_it_takes():
    slight = decide(evaluation(drawn(0.45, 30)), evaluation(drawn(0.4, 30, seed=1)), PLAN)
    assert slight.reason.startswith("Inconclusive")
    assert slight.needed > 100
    assert f"It takes about {slight.needed:,} prompts" in slight.reason
    few = decide(evaluation([1.0] * 9), evaluation([0.0] * 9), PLAN)
    assert not few.promote
    assert "9 prompts to decide by prove nothing" in few.reason


def test_with_prompts_enough_it_says_that_there_is_no_such_gain():
    same = drawn(0.5, 400)
    flipped = same.copy()
    flipped[:10] = 1 - flipped[:10]
    decision = decide(evaluation(flipped), evaluation(same), PLAN)
    assert decision.reason.startswith("Not better than the deployed model")
    assert "would most likely have been seen" in decision.reason


def test_many_seeds_of_one_prompt_count_as_one():
    """Ten prompts of twenty seeds each are not two hundred: a prompt that goes wrong goes wrong in all of them."""
    better, worse = np.repeat([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], 20), np.repeat([0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 20)
    decision = decide(evaluation(better, seeds=20), evaluation(worse, seeds=20), PLAN)
    assert decision.clusters == 10
    assert not decision.promote
    assert decide(evaluation(better), evaluation(worse), PLAN).promote


def test_a_failure_that_gets_more_frequent_blocks_whatever_gets_better():
    ours, theirs = evaluation(GOOD), evaluation(BAD)
    for record in ours["clips"][:16]:
        record["scores"]["flicker"] = 1.0
    decision = decide(ours, theirs, PLAN)
    assert not decision.promote
    assert "but worse in this: flicker" in decision.reason
    for record in ours["clips"][1:16]:
        record["scores"]["flicker"] = 0.0
    assert decide(ours, theirs, PLAN).promote  # one of eighty is no ten points


def test_an_attribute_that_gets_rarer_blocks_and_what_nobody_asks_for_does_not():
    ours, theirs = evaluation(GOOD, motion_right=None), evaluation(BAD, motion_right=None)
    assert decide(ours, theirs, PLAN).promote
    for record in ours["clips"][::4]:
        record["rates"]["colour_right"] = 0.0
    decision = decide(ours, theirs, PLAN)
    assert not decision.promote
    assert "colour right" in decision.reason


def test_what_was_due_and_could_not_be_measured_counts_as_failed():
    ours, theirs = evaluation(GOOD), evaluation(BAD)
    for record in ours["clips"]:
        record["measurable"]["flicker"], record["due"] = False, ["flicker"]
        del record["scores"]["flicker"]
    assert decide(ours, theirs, PLAN).primary[0].ours == 0.0


def test_few_clusters_leave_a_guard_open_and_the_decision_with_it():
    decision = decide(evaluation([1.0] * 14), evaluation([0.0] * 14), PLAN)
    assert decision.primary[0].holds
    assert not decision.promote
    assert "maybe worse by 10 percentage points or more" in decision.reason
    assert decide(evaluation([1.0] * 14), evaluation([0.0] * 14), GatePlan(margin=0.3)).promote


def test_the_first_model_is_served_on_trial_and_never_called_better_than_it_is():
    better = decide(evaluation(GOOD), evaluation(BAD), PLAN, role="untrained")
    assert better.outcome == "better"
    assert better.reason.startswith("Better than the untrained checkpoint")
    for candidate in (EQUAL, drawn(0.0)):
        trial = decide(evaluation(candidate), evaluation(BAD), PLAN, role="untrained")
        assert (trial.outcome, trial.promote) == ("trial", True)
        assert trial.reason.startswith("On trial: served because nothing was deployed before, not because")


def test_what_was_chosen_on_the_same_clips_proves_nothing():
    decision = decide(evaluation(GOOD), evaluation(BAD), PLAN, chosen_on_these=True)
    assert not decision.promote
    assert "chosen on the same prompt" in decision.reason


def test_later_attempts_need_more():
    ours, theirs = evaluation(drawn(0.55)), evaluation(drawn(0.35, seed=1))
    chance = decide(ours, theirs, PLAN).primary[0].chance
    assert 0.0005 < chance < 0.0125
    assert decide(ours, theirs, PLAN).primary[0].holds
    late = decide(ours, theirs, PLAN, attempt=20)
    assert not late.primary[0].holds
    assert late.primary[0].needed > decide(ours, theirs, PLAN).primary[0].needed


@pytest.mark.parametrize(
    ("rival", "why"),
    [
        (evaluation(BAD, digest="b"), "different versions of the evaluator"),
        (evaluation(BAD[:79]), "different prompts, sizes or seeds"),
    ],
)
def test_what_cannot_be_compared_is_refused(rival, why):
    with pytest.raises(KinoraError, match=why):
        decide(evaluation(GOOD), rival, PLAN)


def test_order_of_the_prompts_does_not_matter():
    shuffled = evaluation(BAD)
    shuffled["clips"] = shuffled["clips"][::-1]
    assert decide(evaluation(GOOD), shuffled, PLAN) == decide(evaluation(GOOD), evaluation(BAD), PLAN)


@pytest.mark.parametrize(
    ("candidate", "role", "title"),
    [
        (GOOD, "incumbent", "Promoted: better"),
        (BAD, "untrained", "Promoted on trial"),
        (BAD, "incumbent", "Not promoted"),
    ],
)
def test_the_page_shows_the_verdict_the_guards_and_the_error_spent(tmp_path, candidate, role, title):
    decision = decide(evaluation(candidate), evaluation(BAD), PLAN, role=role, attempt=3)
    html = decision_page(decision).write(tmp_path / "decision.html").read_text()
    assert f"<h1>{title}" in html
    assert "no flicker" in html
    assert "This is attempt 3 since the last promotion that was earned" in html
    assert "<svg" in html


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
