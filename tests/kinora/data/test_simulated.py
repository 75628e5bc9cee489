"""The dataset of simulated clips: what is held out, what has a caption, and that it comes out the same again."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from kinora.config import from_dict, read_json, to_dict
from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.errors import KinoraError, UsageError
from kinora.worlds import (
    GRAVITY,
    WORLDS,
    Attributes,
    WorldsConfig,
    evaluation_prompts,
    parse,
    simulate_prompt,
)
from kinora.worlds.language import CAMERAS
from kinora.worlds.sampling import split_combinations

CONFIG = WorldsConfig(seed=3)
CLIPS = SimulatedClips(videos=40, images=20, captioned=0.5)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return ingest("worlds", tmp_path_factory.mktemp("worlds") / "clips", IngestConfig(CONFIG, CLIPS))


def test_the_dataset_holds_what_was_asked_for(dataset):
    clips = dataset.clips
    assert (clips["kind"] == "video").sum() == 40
    assert (clips["kind"] == "image").sum() == 20
    assert clips["clip_id"].is_unique
    assert set(zip(clips["width"], clips["height"], strict=True)) <= set(CONFIG.sizes)
    validation = clips[clips["split"] == "validation"]
    assert set(validation["kind"]) == {"video", "image"}
    assert (validation["caption_source"] == "simulator").all()
    train = clips[clips["split"] == "train"]
    assert 0.25 < (train["caption"] != "").mean() < 0.75
    for row in clips.itertuples():
        assert dataset.frames(row.clip_id).shape == (row.frames, row.height, row.width, 3)


def test_records_agree_with_captions_and_the_held_out_never_trains(dataset):
    held = {tuple(combination) for combination in split_combinations(CONFIG)[1]}
    for row in dataset.clips.itertuples():
        record = dataset.state(row.clip_id)
        truth = from_dict(Attributes, record["attributes"])
        assert parse(record["caption"]) == truth
        if row.caption:
            assert row.caption == record["caption"]
            assert row.short_caption == record["short_caption"]
        assert len(record["states"]) == row.frames
        assert record["gravity"] == (GRAVITY if record["world"] == "ballistics" else 0.0)
        (colour, shape), scene = truth.objects[0], record["scene"]
        combination = (colour, shape, scene["background"], scene["motion"])
        assert (combination in held) == (row.split == "validation")


def test_records_of_every_world_tell_the_camera_and_the_rate(tmp_path):
    config = WorldsConfig(
        worlds=tuple(WORLDS), sizes=((24, 24),), frames=(17,), rates=(10.0,), look="shaded", cameras=("still", *CAMERAS)
    )
    dataset = ingest(
        "worlds", tmp_path / "clips", IngestConfig(config, SimulatedClips(videos=24, images=6, captioned=1.0))
    )
    videos = dataset.clips[dataset.clips["kind"] == "video"]
    assert set(videos["fps"]) == {8.0, 10.0}
    for row in dataset.clips.itertuples():
        record = dataset.state(row.clip_id)
        assert record["fps"] == row.fps or row.kind == "image"
        assert len(record["camera"]) == len(record["states"]) == row.frames
        assert {len(pose) for pose in record["camera"]} == {len(record["camera_columns"])}
        assert parse(row.caption) == from_dict(Attributes, record["attributes"])
        moving = len({tuple(pose) for pose in record["camera"]}) > 1
        assert moving == (row.kind == "video" and "camera" in row.caption.lower())


def test_the_same_configuration_writes_the_same_clips(dataset, tmp_path):
    again = ingest("worlds", tmp_path / "again", IngestConfig(CONFIG, CLIPS))
    assert again.digest == dataset.digest
    other = ingest("worlds", tmp_path / "other", IngestConfig(dataclasses.replace(CONFIG, seed=4), CLIPS))
    assert not set(other.clips["clip_id"]) & set(dataset.clips["clip_id"])


def test_held_out_combinations_are_spread_evenly():
    train, held = split_combinations(WorldsConfig(held_out=64))
    assert not set(train) & set(held)
    assert len(set(held)) == 64
    for place in range(4):
        counts = Counter(combination[place] for combination in held)
        assert max(counts.values()) - min(counts.values()) <= 4


def test_evaluation_prompts_are_held_out_balanced_and_repeatable():
    config = WorldsConfig()
    prompts = evaluation_prompts(config, 64, seed=7)
    assert prompts == evaluation_prompts(config, 64, seed=7)
    assert prompts != evaluation_prompts(config, 64, seed=8)
    held = set(split_combinations(config)[1])
    assert {(*p.attributes.objects[0], p.attributes.background, p.attributes.motion) for p in prompts} == held
    sizes = Counter((p.width, p.height) for p in prompts)
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert len({p.seed for p in prompts}) == 64
    for prompt in prompts[:6]:
        assert parse(prompt.prompt) == prompt.attributes
        clip = simulate_prompt(prompt, config)
        assert clip.shape == (17, prompt.height, prompt.width, 3)
        assert np.array_equal(clip, simulate_prompt(prompt, config))


def test_several_objects_do_not_overlap(tmp_path):
    dataset = ingest(
        "worlds",
        tmp_path / "clips",
        IngestConfig(WorldsConfig(objects=(2, 3)), SimulatedClips(videos=12, images=0, captioned=1.0)),
    )
    for row in dataset.clips.itertuples():
        record = dataset.state(row.clip_id)
        states = np.array(record["states"])
        sizes = [body["size"] for body in record["scene"]["bodies"]]
        assert len(sizes) in (2, 3)
        for i in range(len(sizes)):
            for j in range(i):
                apart = np.linalg.norm(states[:, i, :2] - states[:, j, :2], axis=-1).min()
                assert apart > 0.9 * (sizes[i] + sizes[j])


def test_no_clips_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="no videos"):
        ingest("worlds", tmp_path / "clips", IngestConfig(CONFIG, SimulatedClips(videos=0, images=0)))
    assert not (tmp_path / "clips").exists()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"worlds": ("billiards",)}, "billiards"),
        ({"colours": ("red", "mauve")}, "mauve"),
        ({"shapes": ()}, "shape"),
        ({"frames": (5,)}, "ballistics"),
        ({"held_out": 10_000}, "held_out"),
        ({"objects": (9,)}, "colours"),
        ({"frames": ()}, "frames"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(change, word, tmp_path):
    with pytest.raises(UsageError, match=word):
        ingest("worlds", tmp_path / "clips", IngestConfig(dataclasses.replace(CONFIG, **change), CLIPS))
    assert not (tmp_path / "clips").exists()


def test_nothing_held_out_leaves_nothing_to_evaluate_on():
    with pytest.raises(KinoraError, match="held out"):
        evaluation_prompts(WorldsConfig(held_out=0), 4, seed=0)


def test_the_configuration_survives_its_json(dataset):
    assert from_dict(WorldsConfig, read_json(dataset.path / "config.json")["ingest"]["worlds"]) == CONFIG
    assert from_dict(WorldsConfig, to_dict(CONFIG)) == CONFIG


def test_a_picture_that_is_drawn_again_is_kept_once_and_named(tmp_path):
    """Balls are so small that pictures of one background can be the same."""
    unseen = dataclasses.replace(
        CONFIG,
        worlds=("uniform",),
        motions=("right", "left", "up"),
        spin=0.0,
        held_out=6,
        radii=((1e-6, 1e-6),),
        speeds=((0.1, 0.2),),
        shapes=("circle",),
        sizes=((32, 32),),
    )
    dataset = ingest("worlds", tmp_path / "clips", IngestConfig(unseen, SimulatedClips(videos=4, images=30)))
    again = dataset.quarantine[dataset.quarantine["reason"] == "duplicate"]
    assert dataset.clips["clip_id"].is_unique
    assert len(again) > 0
    assert len(again) + len(dataset.clips) == 34
