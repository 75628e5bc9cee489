"""Video and image files survive the trip through kinora.media."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from kinora import media
from kinora.errors import KinoraError
from kinora.media.tensors import to_frames, to_tensor


def gradient(frames: int, height: int, width: int) -> np.ndarray:
    """Smooth frames that move, so that a codec has nothing to blame."""
    t, y, x = np.meshgrid(np.arange(frames), np.arange(height), np.arange(width), indexing="ij")
    return np.stack([(x * 3 + t * 4) % 256, y * 3, (x + y) * 2], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("playable", "tolerance"), [(True, 4), (False, 2)])
def test_a_video_comes_back_as_it_went(tmp_path, playable, tolerance):
    frames = gradient(9, 24, 40)
    media.write_video(tmp_path / "a.mp4", frames, 12.5, playable=playable)
    back, fps = media.read_video(tmp_path / "a.mp4")
    assert back.shape == frames.shape
    assert fps == pytest.approx(12.5)
    assert np.abs(back.astype(int) - frames).mean() < tolerance


def test_real_videos_decode(real_videos):
    for path in real_videos:
        frames, fps = media.read_video(path, max_frames=5)
        assert frames.shape[0] == 5
        assert 10 <= fps <= 60
        assert frames.std() > 20


@pytest.mark.parametrize("content", [b"", b"not a video", b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 64])
def test_a_broken_file_is_named_in_one_sentence(tmp_path, content):
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(KinoraError, match=r"broken\.mp4"):
        media.read_video(path)
    path = path.rename(tmp_path / "broken.png")
    with pytest.raises(KinoraError, match=r"broken\.png"):
        media.read_image(path)


def test_a_playlist_that_calls_itself_a_video_opens_no_other_file(tmp_path, real_videos):
    path = tmp_path / "list.mp4"
    path.write_text(f"ffconcat version 1.0\nfile '{real_videos[0]}'\n")
    with pytest.raises(KinoraError, match=r"list\.mp4"):
        media.read_video(path)


def test_transparency_is_laid_over_white():
    buffer = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(buffer, "PNG")
    assert (media.read_image(buffer) == 255).all()


def test_tensors_are_the_same_pixels():
    frames = gradient(5, 8, 16)
    video = to_tensor(frames)
    assert video.shape == (3, 5, 8, 16)
    assert video.min() >= -1
    assert video.max() <= 1
    assert (to_frames(video) == frames).all()
    assert (to_frames(torch.full((3, 1, 8, 8), 7.0)) == 255).all()


def test_reading_media_imports_no_torch():
    program = "import sys, kinora.media; print({'torch', 'pandas'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "set()\n"
