"""The form of the report, and the simulator's clips judged right."""

import json

import cv2
import numpy as np
import pytest

from evaluation.evaluator import BLURRED, DETECTORS, GRADIENT, OF_OUTLINES, evaluate_clips
from evaluation.findings import TYPES, ClipInput
from evaluation.loading import read_clip
from kinora import recipes
from kinora.media import write_clip
from kinora.worlds import draw_sample
from tests.evaluation.softening import softened


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(11)
    return [draw_sample(recipes.get("tiny").ingest.worlds, rng, held_out=False) for _ in range(24)]


@pytest.fixture(scope="module")
def clips(samples):
    return [ClipInput(f"clip {i}", s.frames, 8.0, s.caption) for i, s in enumerate(samples)]


def test_the_report_has_the_form_of_the_design(clips):
    report = json.loads(json.dumps(evaluate_clips(clips[:3])))
    assert set(report["evaluator"]) >= {"version", "digest"}
    for record in report["clips"]:
        assert set(record) >= {"clip", "measurable", "scores", "failures"}
        assert set(record["measurable"]) == set(DETECTORS) <= set(TYPES)
        assert all(0 <= score <= 1 for score in record["scores"].values())
        assert set(record["scores"]) == {kind for kind, yes in record["measurable"].items() if yes}
        assert set(record["not_measurable"]) == set(record["measurable"]) - set(record["scores"])
    assert set(report["evaluator"]["not_detected"]) == set(TYPES) - set(DETECTORS)


@pytest.mark.parametrize("way", [lambda frames: frames, softened], ids=["as drawn", "blurred"])
def test_the_simulators_clips_are_right(clips, way):
    report = evaluate_clips([ClipInput(c.name, way(c.frames), c.fps, c.prompt) for c in clips])
    assert {metric: value for metric, value in report["summary"]["rates"].items() if value < 0.97} == {}
    assert [f for record in report["clips"] for f in record["failures"]] == []


def test_noise_loses_and_is_not_excused(clips):
    rng = np.random.default_rng(0)
    noise = [ClipInput(c.name, rng.integers(0, 256, c.frames.shape).astype(np.uint8), 8.0, c.prompt) for c in clips[:4]]
    report = evaluate_clips(noise)
    assert report["summary"]["rates"]["overall"] < 0.25
    assert report["summary"]["types"]["disappearance"] == {
        "clips": 4,
        "measurable": 0,
        "due_but_not_measurable": 4,
        "failed": 4,
        "mean_score": None,
    }


def test_a_clip_that_shows_nothing_is_not_excused(clips):
    empty = [ClipInput(c.name, np.full_like(c.frames, c.frames[0, 0, 0]), 8.0, c.prompt) for c in clips[:4]]
    assert evaluate_clips(empty)["summary"]["rates"]["overall"] < 0.3


def test_mush_is_not_excused(clips):
    blurs = [np.stack([cv2.GaussianBlur(frame, (0, 0), 2.5) for frame in c.frames]) for c in clips[:3]]
    for prompted in (True, False):
        mush = [ClipInput(c.name, f, 8.0, c.prompt if prompted else None) for c, f in zip(clips, blurs, strict=False)]
        report = evaluate_clips(mush)
        assert report["summary"]["without_failure"]["count"] == 0
        for record in report["clips"]:
            assert record["not_measurable"].keys() & set(record["due"]) == OF_OUTLINES
            assert {record["not_measurable"][kind] for kind in OF_OUTLINES} == {BLURRED}
    still = evaluate_clips([ClipInput("a picture", blurs[0][:1], 1.0)])
    assert still["clips"][0]["due"] == ["incoherence"]


def test_a_gradient_is_said_to_have_nothing_in_it_to_follow(tmp_path):
    y, x = np.mgrid[:48, :64] / 64
    waves = [[127 + 120 * np.sin(2 * np.pi * (x / 2 + t / 120 + p / 3) + y) for p in range(3)] for t in range(12)]
    frames = np.stack([np.stack(planes, axis=-1) for planes in waves]).round().astype(np.uint8)
    write_clip(tmp_path / "hue.gif", frames, 12.5)
    write_clip(tmp_path / "hue.webp", frames, 12.5)
    for name in ("hue.gif", "hue.webp"):
        (record,) = evaluate_clips([read_clip(tmp_path / name, name)])["clips"]
        assert {record["not_measurable"][kind] for kind in OF_OUTLINES} == {GRADIENT}
        assert not OF_OUTLINES & set(record["due"])
        assert not record["failures"]
    asked = evaluate_clips([ClipInput("asked", frames, 12.5, "A dog barks at a red car.")])["clips"][0]
    assert set(asked["due"]) >= OF_OUTLINES  # it shows nothing of what was asked for


def test_the_digest_follows_what_decides(monkeypatch, clips):
    from evaluation import evaluator

    before = evaluator.evaluator()["digest"]
    assert before == evaluator.evaluator()["digest"]
    monkeypatch.setattr(evaluator.worlds, "GRAVITY", 9.0)
    assert evaluator.evaluator()["digest"] != before
