"""Batches are read from the files when they are needed, and hold the pixels that they say."""

import gc
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.stored_clip import store_clip
from kinora.training.video_batches import Excerpt, ExcerptReader, Excerpts, Limits

SIZES = [(13, 40, 56), (9, 32, 32), (9, 32, 32), (1, 48, 32), (5, 24, 24)]


def numbered(frames: int, height: int, width: int, shade: int) -> np.ndarray:
    """Return a clip whose pixels say where they are: frame, row and column, slowly enough for a codec to keep."""
    t, y, x = np.indices((frames, height, width))
    return np.stack([8 * t + shade, 3 * y, 3 * x], axis=-1).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> ClipDataset:
    root = tmp_path_factory.mktemp("clips")
    rows = [
        store_clip(root / "media", numbered(*size, shade=9 * number), 8.0, source=str(number), split="train")
        for number, size in enumerate(SIZES)
    ]
    return ClipDataset.write(root, table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})


def test_excerpts_are_on_the_grid_and_within_the_limits(dataset):
    shapes = set(Excerpts(dataset, "train", Limits(frames=10, side=36, temporal=4, spatial=8)).groups)
    assert shapes == {(9, 32, 32), (1, 32, 32), (5, 24, 24)}
    assert set(Excerpts(dataset, "train", Limits(99, 99, 4, 32)).groups) == {
        (13, 32, 32), (9, 32, 32), (1, 32, 32), (5, 24, 24),
    }  # fmt: skip


def test_an_excerpt_holds_the_pixels_of_its_place(dataset):
    reader = ExcerptReader(dataset)
    frames = reader.read(Excerpt(0, (4, 6, 10), (5, 16, 24)))
    assert frames.shape == (5, 16, 24, 3)
    expected = numbered(*SIZES[0], shade=0)[4:9, 6:22, 10:34].astype(int)
    assert np.abs(frames.astype(int) - expected).mean() < 3  # as near as the codec keeps it
    mirrored = reader.read(Excerpt(0, (4, 6, 10), (5, 16, 24), mirrored=True))
    np.testing.assert_array_equal(mirrored, frames[:, :, ::-1])


def test_a_batch_is_a_function_of_seed_and_step(dataset):
    excerpts = Excerpts(dataset, "train", Limits(9, 32, 4, 8))
    again = Excerpts(dataset, "train", Limits(9, 32, 4, 8))
    batches = [excerpts.batch(4 * 9 * 32 * 32, seed=1, step=step) for step in range(40)]
    assert batches == [again.batch(4 * 9 * 32 * 32, seed=1, step=step) for step in range(40)]
    assert batches != [excerpts.batch(4 * 9 * 32 * 32, seed=2, step=step) for step in range(40)]
    assert len({excerpt.start for batch in batches for excerpt in batch}) > 20  # crops are anywhere in a clip
    for batch in batches:
        assert len({excerpt.shape for excerpt in batch}) == 1


def test_every_pixel_is_as_likely_as_any_other(dataset):
    excerpts = Excerpts(dataset, "train", Limits(99, 99))
    drawn = Counter(excerpts.batch(1, seed=0, step=step)[0].clip for step in range(4000))
    pixels = dict(enumerate(map(np.prod, SIZES)))
    for clip, count in pixels.items():
        assert drawn[clip] / 4000 == pytest.approx(count / sum(pixels.values()), abs=0.03)


def test_small_clips_are_decoded_once_within_the_bound(dataset, monkeypatch):
    reads: Counter[str] = Counter()
    read = ClipDataset.row_frames
    monkeypatch.setattr(
        ClipDataset, "row_frames", lambda self, row, *of: (reads.update([row["uri"]]), read(self, row, *of))[1]
    )
    excerpts = Excerpts(dataset, "train", Limits(9, 32, 4, 8))
    for bytes_kept, most in ((10**6, 1), (0, 3)):
        reads.clear()
        reader = ExcerptReader(dataset, bytes_kept)
        whole = [excerpt for few in excerpts.some(9).values() for excerpt in few if excerpt.shape == (9, 32, 32)]
        for _ in range(3):
            reader.stack(whole)
        cropped = dataset.clips["uri"][0]  # another excerpt each time
        assert reads[cropped] == 3
        assert {count for uri, count in reads.items() if uri != cropped} == {most}


def test_memory_does_not_grow_with_the_set(tmp_path):
    """Ten times the clips take no more memory, once the cache is full."""

    def peak(clips: int) -> int:
        root = tmp_path / str(clips)
        noise = np.random.default_rng(0)
        rows = [
            store_clip(root / "media", noise.integers(0, 255, (1, 96, 96, 3), np.uint8), 0.0, source="", split="train")
            for _ in range(clips)
        ]
        dataset = ClipDataset.write(root, table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})
        excerpts, reader = Excerpts(dataset, "train", Limits(1, 96)), ExcerptReader(dataset, cache_bytes=10**5)
        gc.collect()
        tracemalloc.start()
        for step in range(200):
            reader.stack(excerpts.batch(8 * 96 * 96, 0, step))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    few, many = peak(12), peak(120)
    assert many < few + 120 * 96 * 96 * 3 / 4  # all pixels would be four times that
