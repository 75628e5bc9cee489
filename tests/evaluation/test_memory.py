"""However many clips are judged, few are held at once."""

import gc
import weakref

import numpy as np
import pytest

from evaluation import checkpoint, clips, footage_evaluation
from evaluation.checkpoint import evaluate_checkpoint
from evaluation.clips import evaluate_path
from evaluation.evaluator import judge
from evaluation.footage import held_out_videos, tasks_of
from evaluation.generating import BATCH
from evaluation.report import SHOWN_CLIPS
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.grid import Grid
from kinora.data.stored_clip import store_clip
from kinora.media import write_video
from kinora.models.autoencoder import load_autoencoder
from kinora.worlds import WorldsConfig, evaluation_prompts, simulate_prompt

MANY, FEWER = SHOWN_CLIPS + 12, 2 * BATCH + 4
WORLDS = WorldsConfig(frames=(13,), sizes=((32, 32),))


class Held:
    """Counts the clips that something still holds."""

    def __init__(self):
        self.now, self.most, self.seen = 0, 0, 0

    def watch(self, frames: np.ndarray) -> np.ndarray:
        self.now, self.seen = self.now + 1, self.seen + 1
        self.most = max(self.most, self.now)
        weakref.finalize(frames, self._gone)
        return frames

    def _gone(self):
        self.now -= 1


@pytest.fixture
def held():
    gc.collect()
    return Held()


@pytest.fixture
def judged_once(monkeypatch):
    """Judging is what takes long, and not what this is about: one clip is judged, and its findings stand for all."""
    found = {}

    def quick(clip, *arguments, **named):
        if not found:
            found.update(judge(clip))
        return dict(found)

    for module in (clips, footage_evaluation):
        monkeypatch.setattr(module, "judge", quick)


def test_clips_of_files_are_read_one_at_a_time(tmp_path, monkeypatch, judged_once, held):
    rng = np.random.default_rng(0)
    (tmp_path / "clips").mkdir()
    for number in range(MANY):
        write_video(
            tmp_path / "clips" / f"{number:03d}.mp4", rng.integers(0, 256, (6, 16, 16, 3)).astype(np.uint8), 8.0
        )
    read = clips.read_clip

    def watched(*arguments):
        clip = read(*arguments)
        held.watch(clip.frames)
        return clip

    monkeypatch.setattr(clips, "read_clip", watched)
    report = evaluate_path(tmp_path / "clips", tmp_path / "out")
    assert len(report["clips"]) == MANY
    assert held.seen == MANY + SHOWN_CLIPS  # those that are shown are read again
    assert held.most <= 2
    assert f"{MANY - SHOWN_CLIPS} more clips are in report.json" in (tmp_path / "out" / "report.html").read_text()


def test_a_checkpoint_is_asked_for_a_few_clips_at_a_time(tmp_path, monkeypatch, held):
    prompts = evaluation_prompts(WORLDS, MANY, seed=1)
    record = []

    def quick(clip, prompt, backends):
        if not record:
            record.append(real(clip, prompt, backends))
        return record[0] | {"clip": clip.name}

    real = checkpoint.prompt_record
    monkeypatch.setattr(checkpoint, "prompt_record", quick)

    class Worlds:
        def generate(self, requests):
            assert len(requests) <= BATCH
            return [held.watch(simulate_prompt(prompts[0], WORLDS).copy()) for _ in requests]

    evaluation = evaluate_checkpoint(Worlds(), prompts, tmp_path)
    assert len(evaluation["clips"]) == held.seen == MANY
    assert held.most <= BATCH + 1
    assert len(list((tmp_path / "clips").glob("*.mp4"))) == MANY
    assert f"{MANY - SHOWN_CLIPS} more clips are in evaluation.json" in (tmp_path / "report.html").read_text()


def test_footage_is_continued_a_few_clips_at_a_time(tmp_path, judged_once, held, model_folders):
    rng = np.random.default_rng(0)
    rows = [
        store_clip(
            tmp_path / "media", rng.integers(0, 256, (9, 16, 16, 3)).astype(np.uint8), 8.0, source=f"{number}.mp4",
            split="validation", caption="", caption_source="",
        )
        for number in range(FEWER)
    ]  # fmt: skip
    dataset = ClipDataset.write(tmp_path, table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})

    class Still:
        vae = load_autoencoder(model_folders / "vae")

        def generate(self, requests):
            assert len(requests) <= BATCH
            return [held.watch(np.repeat(request.image[None], 9, axis=0)) for request in requests]

    tasks = tasks_of(held_out_videos(dataset), Grid(8, 4), 8.0, FEWER, seed=1)
    evaluation = evaluate_checkpoint(Still(), tasks, tmp_path / "out", dataset=dataset)
    assert evaluation["compared"]["continuations"] == held.seen == FEWER
    assert held.most <= BATCH + 1
