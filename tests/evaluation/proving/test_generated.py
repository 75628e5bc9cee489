"""Clips of the packaged model, with failures edited in."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.proving import generated, shards
from evaluation.proving.edits.making import UNTOUCHED
from evaluation.proving.run import Plan, run
from kinora.errors import UsageError
from kinora.generation.reference import PLACE

(VERSION,) = (path.parent for path in PLACE.glob("*/lineage.json"))


@pytest.fixture(scope="module")
def made():
    """All cases of two short clips."""
    prompts = [replace(prompt, frames=17) for prompt in generated.prompts_of(VERSION, 2, seed=3)]
    return list(generated.cases(VERSION, prompts, failures=2, seed=0))


def test_an_edited_clip_is_its_twin_until_it_fails(made):
    clips = {case.clip.name: case.clip for case in made if case.failure is None and case.way != generated.UNTRAINED}
    edited = [case for case in made if case.failure is not None]
    assert len(edited) >= 3
    for case in edited:
        frames, twin = (clip.frames.astype(float) for clip in (case.clip, clips[case.twin]))
        apart = np.abs(frames - twin).mean(axis=(1, 2, 3))
        # What comes gradually begins a little before it is a failure, and what appears is there in no frame before.
        start = 0 if case.failure.type == "appearance" else case.failure.start_frame
        assert apart[start : case.failure.end_frame + 1].max() > 1.5 * apart[:start].max(initial=0.4)
        assert case.clip.prompt == clips[case.twin].prompt


def test_the_model_before_training_makes_other_clips_of_the_same_prompts(made):
    own = {case.clip.name: case.clip for case in made if case.way == UNTOUCHED}
    before = {case.clip.name: case.clip for case in made if case.way == generated.UNTRAINED}
    assert own.keys() == before.keys()
    for name, clip in before.items():
        assert clip.prompt == own[name].prompt
        assert clip.frames.std() < 0.7 * own[name].frames.std()  # it knows no thing yet


def test_clips_of_a_model_are_never_counted_as_faultless(made, monkeypatch):
    monkeypatch.setattr(generated, "cases", lambda *asked: iter(made))
    rows = shards.judged(shards.Generated(VERSION, (), 2, 0)).rows
    assert {row["group"] for row in rows} == {shards.AS_MADE, shards.EDITED, shards.NULL}
    assert {row["family"] for row in rows} == {"generated"}
    assert all((row["twin"] != "") == (row["group"] == shards.EDITED) for row in rows)


def test_without_a_model_none_is_judged(tmp_path):
    with pytest.raises(UsageError, match="no model version"):
        run(Plan(("generated",), model=None), tmp_path)
