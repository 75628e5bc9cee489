"""The dataset contract: what is written is read back, media is found from anywhere, scores say what they mean."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from kinora.data.clips import PIECE, ClipDataset, read_pieces, table, write_table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.stored_clip import store_clip
from kinora.errors import KinoraError
from kinora.files import file_digest
from kinora.storage import open_store


@pytest.fixture
def small(tmp_path):
    """A dataset of one video and one image, and its frames by clip_id."""
    rng = np.random.default_rng(0)
    path = tmp_path / "small"
    frames = [np.repeat(rng.integers(0, 255, (n, 3, 4, 3)), 8, 1).repeat(8, 2).astype(np.uint8) for n in (5, 1)]
    rows = [store_clip(path / "media", f, 8, source="x", split="train") for f in frames]
    dataset = ClipDataset.write(path, table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {"made": "here"})
    return dataset, dict(zip(dataset.clips["clip_id"], frames, strict=True))


def test_clips_come_back(small):
    dataset, frames = small
    assert dataset.clips.dtypes.astype(str).to_dict() == CLIP_COLUMNS
    for clip_id, expected in frames.items():
        found = dataset.frames(clip_id)
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).mean() < 6
        assert file_digest(dataset.media(dataset.row(clip_id)["uri"])) == clip_id
        video = dataset.video(clip_id)
        assert video.shape == (3, len(expected), 24, 32)
        assert video.dtype == torch.float32
    read = list(dataset.read(reversed(frames)))
    assert [len(clip) for clip in read] == [1, 5]
    with pytest.raises(KinoraError, match="has no clip nobody"):
        dataset.frames("nobody")


def test_a_derived_dataset_finds_the_media_from_elsewhere(small, tmp_path):
    dataset, frames = small
    derived = dataset.derive(tmp_path / "other" / "derived", dataset.clips, dataset.quarantine, {})
    again = derived.derive(tmp_path / "again", derived.clips, derived.quarantine, {})
    for clip_id in frames:
        assert (again.frames(clip_id) == dataset.frames(clip_id)).all()
    assert again.digest == dataset.digest
    assert not (tmp_path / "again" / "media").exists()


def test_media_is_found_on_s3(small, tmp_path, s3, monkeypatch):
    dataset, frames = small
    video = next(iter(frames))
    (dataset.path / "media" / f"{video}.json").write_text('{"world": "uniform"}')
    uri = open_store(f"{s3}/datasets").put_folder(dataset.path, "small")
    derived = dataset.derive(tmp_path / "derived", dataset.clips, dataset.quarantine, {}, base_uri=uri)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert derived.clips["uri"].str.startswith("s3://bucket/datasets/small/media/").all()
    for clip_id in frames:
        assert (derived.frames(clip_id) == dataset.frames(clip_id)).all()
    assert derived.state(video) == {"world": "uniform"}
    assert derived.state(list(frames)[1]) is None


def test_the_same_frames_get_the_same_name_however_busy_the_machine(tmp_path, real_dataset):
    from concurrent.futures import ThreadPoolExecutor

    videos = real_dataset.clips[real_dataset.clips["kind"] == "video"]["clip_id"]
    clips = [real_dataset.frames(clip_id) for clip_id in videos] * 20

    def name(frames):
        return store_clip(tmp_path, frames, 8, source="x", split="train")["clip_id"]

    with ThreadPoolExecutor(4) as writers:
        assert len(set(writers.map(name, clips))) == len(videos)


def test_the_digest_is_of_the_contents(small):
    dataset, _ = small
    other = dataset.derive(
        dataset.path.parent / "other", dataset.clips.assign(caption="A dog."), dataset.quarantine, {}
    )
    assert other.digest != dataset.digest
    assert ClipDataset.open(dataset.path).digest == dataset.digest


def test_a_table_without_rows_keeps_its_types():
    assert table([], CLIP_COLUMNS).dtypes.astype(str).to_dict() == CLIP_COLUMNS
    assert isinstance(table([], QUARANTINE_COLUMNS), pd.DataFrame)


def test_a_table_is_read_in_pieces_of_which_none_is_kept(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "table.parquet"
    texts = pd.Series([rng.bytes(256).hex() for _ in range(40 * PIECE)])
    pieces = (pd.DataFrame({"text": texts[at : at + PIECE]}) for at in range(0, len(texts), PIECE))
    write_table(path, pieces, {"text": "object"})
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in read_pieces(path)]
    assert len(held) == 40
    assert max(held) < path.stat().st_size / 4
