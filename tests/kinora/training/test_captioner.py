"""Training the captioner: it learns, goes on where it stopped, and captions a dataset."""

import dataclasses

import numpy as np
import pytest
import torch

from cli.main import main
from kinora.captioning.caption import CaptionGenerator, caption_dataset
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.simulated import SimulatedClips, write_worlds
from kinora.data.stored_clip import store_clip
from kinora.models.captioner import Captioner, CaptionerConfig
from kinora.training import captioner as module
from kinora.training.captioner import CaptionerTraining, train_captioner
from kinora.training.log import MEASURED, read_rows
from kinora.worlds import WorldsConfig, parse

WORLDS = WorldsConfig(sizes=((32, 32), (40, 24)), held_out=32)
CLIPS = SimulatedClips(videos=48, images=16, captioned=0.6)
SMALL = CaptionerTraining(
    model=CaptionerConfig(channels=8, keypoints=16, width=32, depth=1),
    steps=6,
    batch_size=8,
    warmup_steps=2,
    examples=16,
    save_every=2,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_worlds(WORLDS, CLIPS, tmp_path_factory.mktemp("worlds") / "clips")


def course(out):
    """Return the log without what differs between two runs."""
    return [
        {name: value for name, value in row.items() if name not in MEASURED}
        for row in read_rows(out / "training.jsonl")
    ]


def test_it_learns_to_tell_colours_and_backgrounds(tmp_path):
    worlds = dataclasses.replace(
        WORLDS, sizes=((32, 32),), colours=("red", "blue"), backgrounds=("grey", "black"),
        held_out=8,
    )  # fmt: skip
    config = dataclasses.replace(
        SMALL,
        model=CaptionerConfig(channels=16, keypoints=32, width=64, depth=1),
        steps=150,
        batch_size=16,
        warmup_steps=20,
    )
    dataset = write_worlds(worlds, SimulatedClips(videos=150, images=50, captioned=1.0), tmp_path / "clips")
    metrics = train_captioner(dataset, tmp_path / "captioner", config, worlds=worlds).metrics
    assert metrics["accuracy_colour"] > 0.9
    assert metrics["accuracy_background"] > 0.9
    assert metrics["simulated_examples"] == 0


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
    assert course(tmp_path / "whole") == course(tmp_path / "again")
    html = (tmp_path / "again" / "report.html").read_text()  # with what was sampled before the interruption
    assert all(text in html for text in ("Before the first step:", "After 4 steps:", "After 6 steps:"))
    assert not list((tmp_path / "checkpoints").iterdir())


def test_a_dataset_is_captioned_where_captions_are_missing(dataset, tmp_path, capsys):
    result = train_captioner(dataset, tmp_path / "captioner", SMALL, worlds=WORLDS)
    assert result.metrics["measured_colour"] >= 8
    captioned, page, figures = caption_dataset(dataset, tmp_path / "captioner", tmp_path / "captioned")
    before, after = dataset.clips, captioned.clips
    had = before["caption"] != ""
    assert (after.loc[had, "caption"] == before.loc[had, "caption"]).all()
    assert (after.loc[~had, "caption_source"] == "captioner").all()
    assert (after["caption"] != "").all()
    assert (after["short_caption"] != "").all()
    assert figures["captioned"] == figures["measured_colour"] == (~had).sum()
    assert figures["kept"] == had.sum()
    clip_id = after["clip_id"].iloc[0]
    assert np.array_equal(captioned.frames(clip_id), dataset.frames(clip_id))
    assert captioned.state(clip_id) == dataset.state(clip_id)
    html = page.write(tmp_path / "report.html").read_text()
    assert "measured on" in html
    arguments = ["caption", str(dataset.path), "--captioner", str(tmp_path / "captioner"), "--out"]
    assert main([*arguments, str(tmp_path / "commanded")]) == 0
    assert "captions written" in capsys.readouterr().out
    assert main(["caption", str(dataset.path), "--captioner", str(tmp_path), "--out", str(tmp_path / "no")]) == 1
    assert "no captioner" in capsys.readouterr().err


def test_a_folder_without_captions_learns_from_simulated_worlds(tmp_path):
    chance = np.random.default_rng(0)
    clips = [chance.integers(0, 256, (9, 48, 96, 3), dtype=np.uint8) for _ in range(2)]
    media = tmp_path / "real" / "media"
    rows = [store_clip(media, clip, 24.0, source=f"{i}.mp4", split="train") for i, clip in enumerate(clips)]
    dataset = ClipDataset.write(tmp_path / "real", table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})
    metrics = train_captioner(dataset, tmp_path / "captioner", SMALL, worlds=WORLDS).metrics
    assert metrics["simulated_examples"] == metrics["examples"] == SMALL.examples
    assert metrics["measured_colour"] == module.UNSEEN
    captioned, page, figures = caption_dataset(dataset, tmp_path / "captioner", tmp_path / "captioned")
    assert (captioned.clips["caption_source"] == "captioner").all()
    assert figures["measured_colour"] == 0
    assert "could not be measured" in page.write(tmp_path / "report.html").read_text()


def test_captions_of_people_are_learned_too(dataset, tmp_path):
    people = dataset.clips.assign(caption="A small thing wobbles.", caption_source="human")
    derived = dataset.derive(tmp_path / "people", people, dataset.quarantine, {})
    config = dataclasses.replace(SMALL, steps=40)
    train_captioner(derived, tmp_path / "captioner", config, worlds=WORLDS)
    writer = CaptionGenerator.load(tmp_path / "captioner")
    written = writer.caption([dataset.frames(dataset.clips["clip_id"].iloc[0])], 8.0)
    assert written == ["A small thing wobbles."]
    assert parse(written[0]) is None
