"""A folder of real files, good and bad, becomes a dataset in which every input is found exactly once."""

import os
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kinora.data.clips import ClipDataset
from kinora.data.columns import CLIP_COLUMNS
from kinora.data.dataset_report import ingest_report
from kinora.data.grid import DEFAULT_GRID
from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.errors import KinoraError, UsageError
from kinora.media import read_video, write_video
from kinora.storage import open_store
from kinora.worlds import WorldsConfig


def bomb(side: int) -> bytes:
    """A valid PNG of a few hundred bytes that says it has `side` x `side` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.fixture
def broken(tmp_path, real_videos, real_images):
    """One of each broken input; name to the reason it is expected in quarantine with."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "zero.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("this is no video")
    (folder / "text.png").write_text("this is no image")
    (folder / "half.mp4").write_bytes(real_videos[0].read_bytes()[:50_000])
    (folder / "half.png").write_bytes(real_images[0].read_bytes()[:50_000])
    (folder / "bomb.png").write_bytes(bomb(12_000))
    (folder / "bigger.png").write_bytes(bomb(60_000))
    (folder / "gone.mp4").symlink_to(folder / "nowhere.mp4")
    (folder / "orphan.txt").write_text("A caption of nothing.")
    (folder / "notes.docx").write_bytes(b"PK")
    Image.new("RGB", (8, 8)).save(folder / "dot.png")
    Image.new("RGB", (500, 50)).save(folder / "ribbon.png")
    os.mkfifo(folder / "pipe.mp4")
    return folder, {
        "zero.mp4": "empty",
        "text.mp4": "undecodable",
        "text.png": "undecodable",
        "half.mp4": "truncated",
        "half.png": "undecodable",
        "bomb.png": "too_large",
        "bigger.png": "too_large",
        "gone.mp4": "unreadable",
        "orphan.txt": "not_media",
        "notes.docx": "not_media",
        "dot.png": "too_small",
        "ribbon.png": "too_narrow",
        "pipe.mp4": "not_media",
    }


def test_real_files_become_clips(real_dataset):
    clips = real_dataset.clips
    assert list(clips) == list(CLIP_COLUMNS)
    assert set(clips["kind"]) == {"video", "image"}
    assert clips["clip_id"].is_unique
    videos = clips[clips["kind"] == "video"]
    assert set(videos["source"]) == {"bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4"}
    assert videos["frames"].between(5, 17).all()
    assert (videos["fps"] == 8).all()
    assert len({(row.width, row.height) for row in clips.itertuples()}) >= 3  # nothing is squared
    for row in clips.itertuples():
        assert real_dataset.frames(row.clip_id).shape == (row.frames, row.height, row.width, 3)
        assert real_dataset.state(row.clip_id) is None


def test_a_caption_beside_a_file_is_read(real_dataset):
    captioned = real_dataset.clips[real_dataset.clips["caption_source"] == "human"]
    assert set(captioned["source"]) == {"carphone_pristine.mp4"}
    assert set(captioned["caption"]) == {"A man talks in a car. He is animated."}
    assert set(captioned["short_caption"]) == {"A man talks in a car."}
    assert "carphone_pristine.txt" not in set(real_dataset.quarantine["source"])


def test_each_kind_has_clips_to_validate_with(real_dataset):
    for _, some in real_dataset.clips.groupby("kind"):
        assert set(some["split"]) == {"train", "validation"}


def test_whole_files_are_held_out_where_they_fit(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    dataset = ingest(str(tmp_path), tmp_path.with_name("out"), IngestConfig(validation_fraction=0.25))
    assert (dataset.clips["split"] == "validation").sum() == 5


def test_broken_inputs_among_good_ones_are_quarantined(broken, tmp_path, real_images):
    folder, expected = broken
    (folder / "deeper").mkdir()
    (folder / "deeper" / "good.png").symlink_to(real_images[0])
    (folder / "deeper" / "good.txt").write_bytes(b"\xff\xfe\x00 no text")
    (folder / "deeper" / "loop").symlink_to(folder)
    (folder / "same.png").symlink_to(real_images[0])
    dataset = ingest(str(folder), tmp_path / "out", IngestConfig())
    assert dataset.clips["source"].tolist() == ["deeper/good.png"]
    assert dataset.clips["caption"].tolist() == [""]
    found = dict(zip(dataset.quarantine["source"], dataset.quarantine["reason"], strict=True))
    assert found == {**expected, "same.png": "duplicate", "deeper/good.txt": "bad_caption"}
    assert dataset.quarantine["explanation"].str.endswith(".").all()
    assert all((tmp_path / "out" / uri).is_file() for uri in dataset.clips["uri"])


def test_a_video_that_lasts_less_than_an_instant_is_told(tmp_path, real_images):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "good.png").symlink_to(real_images[0])
    write_video(folder / "instant.mp4", np.random.default_rng(0).integers(0, 255, (9, 32, 40, 3), np.uint8), 8.0)
    data = bytearray((folder / "instant.mp4").read_bytes())
    for box in (b"mdhd", b"mvhd"):  # units of time in a second, 16 bytes after a box's name
        place = data.index(box) + 16
        data[place : place + 4] = (2**31 - 1).to_bytes(4, "big")
    (folder / "instant.mp4").write_bytes(data)
    dataset = ingest(str(folder), tmp_path / "out", IngestConfig())
    assert dict(zip(dataset.quarantine["source"], dataset.quarantine["reason"], strict=True)) == {
        "instant.mp4": "too_short"
    }


def test_nothing_usable_is_one_sentence_and_leaves_nothing(broken, tmp_path):
    folder, expected = broken
    with pytest.raises(KinoraError, match=r"nothing in .* can be used") as error:
        ingest(str(folder), tmp_path / "out", IngestConfig())
    assert "3 undecodable" in str(error.value)
    assert sum(int(count) for count in re.findall(r"(\d+) [a-z_]+[,;]", str(error.value))) == len(expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken"]


def test_an_empty_or_missing_folder_is_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(KinoraError, match="is empty"):
        ingest(str(tmp_path / "empty"), tmp_path / "out", IngestConfig())
    with pytest.raises(KinoraError, match="there is no folder"):
        ingest(str(tmp_path / "missing"), tmp_path / "out", IngestConfig())
    with pytest.raises(UsageError, match="needs a source"):
        ingest("", tmp_path / "out", IngestConfig())
    assert not (tmp_path / "out").exists()


def test_nothing_of_a_persons_own_is_overwritten(tmp_path, footage):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").write_bytes(b"...")
    with pytest.raises(UsageError, match="already holds other files"):
        ingest(str(footage), tmp_path / "mine", IngestConfig())
    with pytest.raises(UsageError, match="inside its own source"):
        ingest(str(footage), footage / "dataset", IngestConfig())
    assert (tmp_path / "mine" / "holiday.jpg").exists()


@pytest.mark.parametrize("out", ["/proc/kinora/clips", "/dev/null/clips"])
def test_a_place_that_cannot_be_written_is_one_sentence(footage, out):
    with pytest.raises(KinoraError, match="cannot be used"):
        ingest(str(footage), out, IngestConfig())


def test_what_goes_beyond_the_budget_is_told(tmp_path, real_videos):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bikes.mp4").symlink_to(real_videos[0])
    dataset = ingest(str(tmp_path / "in"), tmp_path / "out", IngestConfig(max_seconds=3))
    assert dataset.clips["source_start_s"].max() < 3
    assert dataset.quarantine[["reason", "source_start_s"]].to_numpy().tolist() == [["over_budget", 3.0]]


def test_the_same_files_give_the_same_dataset_from_disk_and_from_s3(real_dataset, footage, s3, tmp_path):
    store = open_store(f"{s3}/footage")
    for path in footage.rglob("*"):
        if path.is_file():
            store.put_file(path, path.relative_to(footage).as_posix())
    dataset = ingest(f"{s3}/footage", tmp_path / "out", IngestConfig())
    assert dataset.digest == real_dataset.digest
    with pytest.raises(KinoraError, match="is empty"):
        ingest(f"{s3}/nothing", tmp_path / "none", IngestConfig())


def test_worlds_are_simulated(tmp_path):
    config = IngestConfig(worlds=WorldsConfig(held_out=8), simulated=SimulatedClips(videos=6, images=3))
    dataset = ingest("worlds", tmp_path / "out", config)
    assert dataset.describe()["clips"] == 9
    assert all(dataset.state(clip_id) for clip_id in dataset.clips["clip_id"])


@pytest.mark.parametrize("wrong", [{"max_side": 36}, {"max_frames": 16}, {"fps": 0}, {"validation_fraction": 1.0}])
def test_an_impossible_configuration_is_refused(wrong):
    with pytest.raises(UsageError):
        IngestConfig(**wrong).check(DEFAULT_GRID)


def test_the_report_shows_clips_and_quarantine(real_dataset, tmp_path):
    html = ingest_report(real_dataset).write(tmp_path / "report.html").read_text()
    assert html.count("data:video/mp4") + html.count("data:image/png") == min(16, len(real_dataset.clips))
    assert "too_short" in html
    assert "A man talks in a car." in html


def test_a_folder_that_holds_no_dataset_is_one_sentence(tmp_path, real_dataset):
    with pytest.raises(KinoraError, match="holds no clip dataset"):
        ClipDataset.open(tmp_path)
    for name in ("clips.parquet", "quarantine.parquet", "config.json"):
        (tmp_path / name).write_bytes((real_dataset.path / name).read_bytes())
    (tmp_path / "clips.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(KinoraError, match="is damaged"):
        ClipDataset.open(tmp_path)


def test_copies_are_dropped_and_share_a_side_and_what_is_frozen_is_told(tmp_path, real_videos):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in real_videos:
        frames, fps = read_video(path, max_frames=100)
        write_video(folder / f"a-{path.stem}.mp4", frames, fps)
        write_video(folder / f"b-{path.stem}-mirrored.mp4", frames[:, :, ::-1], fps)
        write_video(folder / f"c-{path.stem}-later.mp4", frames[int(0.7 * fps) :], fps)
    write_video(folder / "frozen.mp4", np.repeat(read_video(real_videos[1], 1)[0], 60, 0), 24)
    dataset = ingest(str(folder), tmp_path / "out", IngestConfig(max_side=64, validation_fraction=0.4))
    dropped = dataset.quarantine[dataset.quarantine["reason"] == "near_duplicate"]
    assert set(dropped["source"].str[0]) == {"b", "c"}
    assert dropped["explanation"].str.contains("It shows the same as a-").any()
    assert not dataset.clips["source"].str.startswith("b-").any()
    stems = dataset.clips.assign(stem=dataset.clips["source"].str[2:].str.split(r"\.|-", regex=True).str[0])
    assert (stems.groupby("stem")["split"].nunique() == 1).all()
    (still,) = dataset.quarantine[dataset.quarantine["reason"] == "still"].itertuples()
    assert still.source == "frozen.mp4"
    for row in dataset.quarantine[dataset.quarantine["uri"] != ""].itertuples():
        assert len(read_video(dataset.media(row.uri))[0]) >= 5  # so that the report can play it
