"""A model that is right scores like the simulator, and models of different quality are told apart."""

import json
from dataclasses import replace

import numpy as np
import pytest

from evaluation.checkpoint import evaluate_checkpoint
from evaluation.gate.decision import decide
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.stored_clip import store_clip
from kinora.errors import KinoraError
from kinora.recipes.recipe import GatePlan
from kinora.worlds import Attributes, WorldsConfig, evaluation_prompts, simulate_prompt
from tests.evaluation.softening import softened

WORLDS = WorldsConfig()


class Worlds:
    """Makes the simulator's own clips, blurred; with `empty`, a share of them shows nothing."""

    def __init__(self, prompts, empty=0.0):
        self.prompts, self.empty = {p.seed: p for p in prompts}, empty

    def generate(self, requests):
        clips = []
        for index, request in enumerate(requests):
            frames = softened(simulate_prompt(self.prompts[request.seed], WORLDS))
            assert frames.shape == (request.frames, request.height, request.width, 3)
            clips.append(np.full_like(frames, 90) if index < self.empty * len(requests) else frames)
        return clips


@pytest.fixture(scope="module")
def prompts():
    return evaluation_prompts(WORLDS, 12, seed=5)


def test_a_right_model_scores_like_the_simulator(tmp_path, prompts):
    evaluation = evaluate_checkpoint(Worlds(prompts), prompts, tmp_path, name="step-000100", worlds=WORLDS)
    assert evaluation["rates"]["overall"] > 0.97
    assert evaluation["reference"]["rates"]["overall"] > 0.97
    # Of one thing before a plain ground an eye can judge no meeting, and no views; nothing due is missed.
    judged = set(evaluation["measurable"]) - {"interpenetration", "momentum", "view_inconsistency", "state_change"}
    assert min(evaluation["measurable"][kind] for kind in judged) >= 0.9
    assert {row["due_but_not_measurable"] for row in evaluation["summary"]["types"].values()} == {0}
    assert json.loads((tmp_path / "evaluation.json").read_text()) == json.loads(json.dumps(evaluation))
    assert [clip["asked"]["seed"] for clip in evaluation["clips"]] == [prompt.seed for prompt in prompts]
    assert len(list((tmp_path / "clips").glob("*.mp4"))) == 12
    page = (tmp_path / "report.html").read_text()
    assert "step-000100" in page
    assert page.count("<video") == 12


def test_the_gate_tells_models_apart(tmp_path, prompts):
    right = evaluate_checkpoint(Worlds(prompts), prompts, tmp_path / "a")
    half = evaluate_checkpoint(Worlds(prompts, empty=0.5), prompts, tmp_path / "b")
    nothing = evaluate_checkpoint(Worlds(prompts, empty=1.0), prompts, tmp_path / "c")
    assert nothing["rates"]["overall"] < 0.3
    assert nothing["rates"]["exactly_prompted"] == 0
    plan = GatePlan(margin=0.5)  # twelve prompts prove no smaller one
    assert decide(right, nothing, plan).outcome == "better"
    assert not decide(half, right, plan).promote
    assert not decide(right, right, plan).promote


def test_other_prompts_cannot_be_compared(tmp_path, prompts):
    one = evaluate_checkpoint(Worlds(prompts), prompts, tmp_path / "a")
    others = evaluation_prompts(WORLDS, 12, seed=6)
    other = evaluate_checkpoint(Worlds(others), others, tmp_path / "b")
    assert "other" not in one
    with pytest.raises(KinoraError, match="different prompts"):
        decide(one, other, GatePlan())


def test_prompts_in_a_persons_own_words_are_judged_by_physics_and_consistency(tmp_path, prompts):
    free = [replace(prompt, prompt="Something happens", attributes=Attributes(())) for prompt in prompts]
    evaluation = evaluate_checkpoint(Worlds(prompts), free, tmp_path)
    assert evaluation["measurable"]["prompt_mismatch"] == 0
    assert evaluation["rates"]["fidelity"] == 0
    assert evaluation["rates"]["overall"] > 0.9


def test_the_clips_as_a_whole_are_compared_with_held_out_ones(tmp_path, prompts):
    clips = [simulate_prompt(prompt, WORLDS) for prompt in prompts]
    rows = [
        store_clip(tmp_path / "media", frames, 8.0, source=f"{n}", split="validation", caption_source="simulator")
        for n, frames in enumerate(clips)
    ]
    dataset = ClipDataset.write(tmp_path, table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})
    evaluation = evaluate_checkpoint(Worlds(prompts, empty=1.0), prompts, tmp_path / "out", dataset=dataset)
    assert evaluation["drift"]["drifted_share"] > 0.3
    assert "drifted" in (tmp_path / "out" / "report.html").read_text()


def test_no_prompts_is_an_error(tmp_path):
    with pytest.raises(KinoraError, match="no prompts"):
        evaluate_checkpoint(Worlds([]), [], tmp_path)
