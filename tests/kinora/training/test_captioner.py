"""Training the captioner: it learns what captions say, goes on where it stopped, and speaks only where it may."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from kinora.captioning.abstention import CALIBRATION, AbstentionConfig
from kinora.captioning.trained import TrainedWriter, draft
from kinora.captioning.writers import Written
from kinora.config import read_json
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.data.stored_clip import store_clip
from kinora.files import folder_digest
from kinora.media import open_video
from kinora.models.captioner import Captioner, CaptionerConfig, sample_frames
from kinora.training import captioner as module
from kinora.training import captioner_clips
from kinora.training.captioner import CaptionerTraining, learned_vocabulary, train_captioner
from kinora.training.captioner_clips import UNSEEN, unseen_examples
from kinora.training.log import MEASURED, read_rows
from kinora.worlds import WorldsConfig

WORLDS = WorldsConfig(sizes=((32, 32), (40, 24)), held_out=32)
CLIPS = SimulatedClips(videos=48, images=16, captioned=0.6)
SMALL = CaptionerTraining(
    model=CaptionerConfig(channels=8, keypoints=16, grid=2, width=32, depth=1),
    steps=6,
    batch_size=8,
    warmup_steps=2,
    examples=16,
    save_every=2,
)
EASY = WorldsConfig(
    worlds=("uniform",), motions=("right", "left"), shapes=("circle",), sizes=((32, 32),), frames=(9,), held_out=8
)  # fmt: skip
LEARNING = dataclasses.replace(
    SMALL,
    model=CaptionerConfig(channels=16, keypoints=32, grid=2, width=64, depth=1),
    steps=80,
    batch_size=16,
    warmup_steps=10,
    abstention=AbstentionConfig(risk=0.2, least_captions=100),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return ingest("worlds", tmp_path_factory.mktemp("worlds") / "clips", IngestConfig(WORLDS, CLIPS))


@pytest.fixture(scope="module")
def easy(tmp_path_factory):
    """A dataset that is easily learned, and what a captioner makes of it."""
    root = tmp_path_factory.mktemp("easy")
    config = IngestConfig(EASY, SimulatedClips(videos=0, images=360, captioned=1.0))
    clips = ingest("worlds", root / "clips", config)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captioner_clips, "UNSEEN", 0)  # no videos beside its own images
        return clips, train_captioner(clips, root / "captioner", LEARNING, worlds=EASY)


def course(out):
    """Return the log without what differs between two runs."""
    return [
        {name: value for name, value in row.items() if name not in MEASURED}
        for row in read_rows(out / "training.jsonl")
    ]


def pictures(seed, count):
    """Images of no simulated world: random patches."""
    patches = np.random.default_rng(seed).integers(0, 256, (count, 1, 8, 8, 3), dtype=np.uint8)
    return list(patches.repeat(4, axis=2).repeat(4, axis=3))


def test_it_learns_what_the_captions_say_and_speaks_of_it(easy):
    clips, result = easy
    assert result.metrics["simulated_examples"] == 0
    assert result.metrics["speaks"] == 1
    for name in ("colour", "background"):
        assert result.metrics[f"measured_{name}"] > 20
        assert result.metrics[f"accuracy_{name}"] > 0.95
    assert result.metrics["coverage"] > 0.5
    assert result.metrics["spoken_wrong"] <= LEARNING.abstention.risk
    writer = TrainedWriter(result.path)
    assert (writer.source, writer.model, writer.prompt) == ("captioner", folder_digest(result.path), "")
    rows = clips.clips[clips.clips["split"] == "validation"]
    written = writer.write(list(clips.read(rows["clip_id"])), list(rows["fps"]))
    said = [(one.caption, row) for one, row in zip(written, rows["caption"], strict=True) if one.caption]
    assert len(said) > len(rows) / 2
    assert np.mean([caption == truth for caption, truth in said]) > 0.8
    assert all(0 < one.confidence <= 1 for one in written if one.caption)
    assert writer.write([], []) == []
    html = (result.path / "report.html").read_text()
    assert all(text in html for text in ("It speaks where", "calibrated on", "measured on others"))


def test_of_pictures_like_none_that_it_learned_from_it_says_nothing(easy):
    writer, clips = TrainedWriter(easy[1].path), pictures(0, 20)
    drafts = draft(writer.captioner, [sample_frames(clip, 0.0, writer.captioner.config) for clip in clips])
    assert all("circle" in one.caption for one in drafts), "the network itself knows nothing else"
    assert writer.write(clips, [0.0] * 20) == [Written("", 0.0)] * 20


def test_of_real_clips_it_says_no_shape(easy, shared_media):
    writer, clips = TrainedWriter(easy[1].path), []
    for path in sorted((shared_media / "natural").glob("*.mp4")):
        with open_video(path) as video:
            frame = next(iter(video.frames())).rgb()
        scale = 48 / max(frame.shape[:2])
        clips.append(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[None])
    assert len(clips) > 50
    assert writer.write(clips, [0.0] * len(clips)) == [Written("", 0.0)] * len(clips)


def test_interrupted_training_ends_as_if_it_had_not_been(dataset, tmp_path, monkeypatch):
    train_captioner(dataset, tmp_path / "whole", SMALL, tmp_path / "whole-checkpoints", worlds=WORLDS)
    step, count = module.CaptionerTrainer.step, iter(range(100))

    def stop_at_five(*arguments):
        if next(count) == 4:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(module.CaptionerTrainer, "step", stop_at_five)
    with pytest.raises(KeyboardInterrupt):
        train_captioner(dataset, tmp_path / "again", SMALL, tmp_path / "checkpoints", worlds=WORLDS)
    assert not (tmp_path / "again").exists()
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("*/step-*"))
    assert kept == ["step-000002", "step-000004"]
    train_captioner(dataset, tmp_path / "again", SMALL, tmp_path / "checkpoints", worlds=WORLDS)
    assert next(count) == 7, "it did not go on from step 4"
    one, other = (Captioner.load(tmp_path / name).state_dict() for name in ("whole", "again"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    for name in (CALIBRATION, "familiar.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert course(tmp_path / "whole") == course(tmp_path / "again")
    html = (tmp_path / "again" / "report.html").read_text()  # with what was sampled before the interruption
    assert all(text in html for text in ("Before the first step:", "After 4 steps:", "After 6 steps:"))
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_simulated_dataset_with_few_captions_gets_more_of_the_same(dataset, tmp_path):
    config = dataclasses.replace(SMALL, steps=1, examples=100)
    metrics = train_captioner(dataset, tmp_path / "captioner", config, worlds=WORLDS).metrics
    assert metrics["examples"] == 100
    assert 0 < metrics["simulated_examples"] < 100
    assert metrics["measured_colour"] == UNSEEN


def test_a_folder_without_captions_makes_a_captioner_that_never_speaks(tmp_path):
    chance = np.random.default_rng(0)
    clips = [chance.integers(0, 256, (9, 48, 96, 3), dtype=np.uint8) for _ in range(2)]
    media = tmp_path / "real" / "media"
    rows = [store_clip(media, clip, 24.0, source=f"{i}.mp4", split="train") for i, clip in enumerate(clips)]
    dataset = ClipDataset.write(tmp_path / "real", table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})
    result = train_captioner(dataset, tmp_path / "captioner", SMALL, worlds=WORLDS)
    assert result.metrics["simulated_examples"] == result.metrics["examples"] == result.metrics["steps"] == 0
    assert result.metrics["speaks"] == 0
    assert len(Captioner.load(result.path).config.vocabulary) == 4, "it knows no word that nobody brought"
    writer = TrainedWriter(result.path)
    assert "captions of 0 inputs" in writer.silence
    assert writer.write(clips, [24.0, 24.0]) == [Written("", 0.0)] * 2
    assert "never speaks" in (result.path / "report.html").read_text()


def test_captions_of_people_are_learned_alone_and_too_few_are_not_spoken_by(dataset, tmp_path):
    people = dataset.clips.assign(caption="A small thing wobbles.", caption_source="human")
    derived = dataset.derive(tmp_path / "people", people, dataset.quarantine, {})
    config = dataclasses.replace(SMALL, steps=40, examples=1000)
    few = train_captioner(derived, tmp_path / "few", config, worlds=WORLDS)
    assert few.metrics["simulated_examples"] == 0
    assert few.metrics["examples"] == (people["split"] == "train").sum()
    assert set(Captioner.load(few.path).config.vocabulary[4:]) == {"a", "small", "thing", "wobbles", "."}
    assert few.metrics["word_precision"] == few.metrics["word_recall"] == 1
    assert "to learn from" in TrainedWriter(few.path).silence
    frames = dataset.frames(dataset.clips["clip_id"].iloc[0])
    captioner = Captioner.load(few.path)
    sample = sample_frames(frames, 8.0, captioner.config)
    assert [one.caption for one in draft(captioner, [sample])] == ["A small thing wobbles."]
    enough = dataclasses.replace(config, abstention=AbstentionConfig(least_captions=10))
    result = train_captioner(derived, tmp_path / "enough", enough, worlds=WORLDS)
    assert "held-out captions" in TrainedWriter(result.path).silence, "right, but on too few to promise it"
    assert read_json(result.path / CALIBRATION)["clips"] == result.metrics["calibrated_on"] > 0


def test_clips_of_one_source_are_calibrated_on_or_measured_on(dataset, tmp_path):
    held = dataset.clips.assign(split="validation", caption="", caption_source="human")
    held["source"] = [f"{index // 4}.mp4" for index in range(len(held))]
    held["caption"] = [f"Caption of {source}, {index}" for index, source in enumerate(held["source"])]
    derived = dataset.derive(tmp_path / "people", held, dataset.quarantine, {})
    calibrating, unseen = unseen_examples(derived, WORLDS)

    def sources(examples):
        return [example.caption.split(",")[0] for example in examples]

    assert set(sources(calibrating)) | set(sources(unseen)) == {f"Caption of {s}" for s in set(held["source"])}
    assert not set(sources(calibrating)) & set(sources(unseen))
    assert len(set(sources(calibrating))) == len(calibrating) > 0, "clips of one source are wrong together"
    assert len(unseen) == 4 * len(set(sources(unseen)))
    assert all(example.truth is None for example in [*calibrating, *unseen])


def test_a_word_that_is_used_once_is_never_said():
    words = learned_vocabulary(["A dog on a sofa.", "A dog in an armchair."])
    assert set(words[4:]) == {"a", "dog", "."}
