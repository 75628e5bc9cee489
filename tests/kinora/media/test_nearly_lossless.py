"""Stored clips: nearly lossless, of any length, and the same bytes whatever was encoded before them."""

import io

import numpy as np
import pytest

from kinora.media import read_video, write_video
from kinora.media.nearly_lossless import KEPT, OPTIONS


def noise(frames: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return smooth pictures that change, with sharp colours."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 255, (frames, -(-height // 4), -(-width // 4), 3), np.uint8)
    return cells.repeat(4, 1).repeat(4, 2)[:, :height, :width]


def stored(frames: np.ndarray, fps: float = 8.0) -> bytes:
    buffer = io.BytesIO()
    write_video(buffer, frames, fps, playable=False)
    return buffer.getvalue()


@pytest.mark.parametrize(("height", "width", "fps"), [(16, 40, 8.0), (25, 33, 30000 / 1001), (720, 1280, 24.0)])
def test_a_clip_is_read_back_nearly_as_it_was(height: int, width: int, fps: float) -> None:
    frames = noise(5, height, width)
    read, rate = read_video(io.BytesIO(stored(frames, fps)))
    assert read.shape == frames.shape
    assert rate == pytest.approx(fps)
    assert np.square(read.astype(float) - frames).mean() < 255**2 / 10**4  # 40 dB


def test_bytes_do_not_depend_on_what_was_encoded_before() -> None:
    clips = [noise(2 + i % 5, 16 + 8 * (i % (KEPT + 2)), 40, seed=i) for i in range(3 * KEPT)]
    once = [stored(clip) for clip in clips]
    assert [stored(clip) for clip in reversed(clips)] == once[::-1]
    for clip, known in zip(clips, once, strict=True):
        assert stored(clip) == known
        assert stored(clip) == known


def test_a_clip_with_several_key_frames_changes_none_after_it() -> None:
    assert "keyint" not in OPTIONS["x264-params"]  # 250 frames, unless said otherwise
    long, short = noise(251, 16, 16), noise(3, 16, 16, seed=1)
    known = stored(short)
    first = stored(long)
    assert stored(short) == known
    assert stored(long) == first
    assert len(read_video(io.BytesIO(first))[0]) == 251


def test_what_cannot_be_encoded_leaves_the_next_clip_as_it_is() -> None:
    frames = noise(3, 16, 24)
    known = stored(frames)

    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_video(Full(), frames, 8.0, playable=False)
    assert stored(frames) == known
