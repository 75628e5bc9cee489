"""Animated WebP, PNG and AVIF are videos, with all of their frames and times; still ones stay images."""

import io

import numpy as np
import pytest
from PIL import Image

from kinora.media import (
    MediaError,
    MediaLimits,
    media_kind,
    open_video,
    read_image,
    read_metadata,
    read_video,
    write_clip,
)

SUFFIXES = {".webp": {"lossless": True}, ".png": {}, ".avif": {"quality": 100, "subsampling": "4:4:4"}}


def animation(suffix: str, frames: np.ndarray, duration: int | list[int] = 40, **options) -> bytes:
    """Return frames `uint8 [T, H, W, 3 or 4]` as Pillow writes them."""
    pictures, buffer = [Image.fromarray(frame) for frame in frames], io.BytesIO()
    first, *others = pictures
    options = SUFFIXES[suffix] | options
    first.save(buffer, Image.registered_extensions()[suffix], save_all=True, append_images=others,
               duration=duration, **options)  # fmt: skip
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_frame_is_read_whatever_the_name(tmp_path, corners, suffix):
    path = tmp_path / "a.png"
    path.write_bytes(animation(suffix, corners))
    assert media_kind(path) == "video"
    frames, fps = read_video(path)
    assert frames.shape == corners.shape
    assert fps == pytest.approx(25)
    assert np.abs(frames.astype(int) - corners).mean() < (3 if suffix == ".avif" else 0.01)
    with open(path, "rb") as file, open_video(file) as video:
        assert (video.size, video.promised, round(video.fps)) == ((48, 32), 9, 25)
        assert [round(frame.start_s, 2) for frame in video.frames()] == [round(0.04 * t, 2) for t in range(9)]
    with (
        pytest.raises(MediaError, match="announces 9 frames; at most 8"),
        open_video(path, limits=MediaLimits(frames=8)),
    ):
        pass


def test_times_are_those_of_the_file_and_transparency_is_white(tmp_path, corners):
    clear = np.dstack([corners[0], np.zeros((32, 48), np.uint8)])
    solid = np.dstack([corners[1], np.full((32, 48), 255, np.uint8)])
    path = tmp_path / "a.png"
    path.write_bytes(animation(".png", np.stack([clear, solid, clear]), [100, 300, 200], disposal=1, blend=0))
    with open_video(path) as video:
        shown = [(round(frame.start_s, 3), round(frame.end_s, 3), frame.rgb()) for frame in video.frames()]
    assert [start for start, _, _ in shown] == [0, 0.1, 0.4]
    assert (shown[0][2] == 255).all()
    assert (shown[1][2] == corners[1]).all()


def test_a_picture_in_front_of_a_png_is_none_of_its_frames(tmp_path, corners):
    path = tmp_path / "a.png"
    path.write_bytes(animation(".png", corners, default_image=True))
    assert (read_video(path)[0] == corners[1:]).all()


def test_the_own_webp_is_read_back(tmp_path, corners):
    write_clip(tmp_path / "a.webp", corners.repeat(4, 0), 24.0, {"prompt": "corners"})
    assert media_kind(tmp_path / "a.webp") == "video"
    frames, fps = read_video(tmp_path / "a.webp")
    assert fps == pytest.approx(24, rel=1e-3)
    assert len(frames) == 36
    assert read_metadata(tmp_path / "a.webp") == {"prompt": "corners"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_frame_is_an_image(tmp_path, corners, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(animation(suffix, corners[:1]))
    assert media_kind(path) == "image"
    write_clip(tmp_path / "b.webp", corners[:1], 8.0)
    assert media_kind(tmp_path / "b.webp") == "image"
    assert read_image(path).shape == (1, 32, 48, 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_that_is_cut_is_refused(tmp_path, corners, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (6, 32, 48, 3), np.uint8)
    content = animation(suffix, noise)
    path = tmp_path / f"a{suffix}"
    for share in (0.5, 0.8, 0.98):
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(MediaError):
            (read_video if media_kind(path) == "video" else read_image)(path)


def test_a_moving_png_whose_checksum_is_wrong_is_refused(tmp_path, corners):
    content = bytearray(animation(".png", corners))
    content[content.rindex(b"IEND") - 5] ^= 1  # the last byte of the chunk before
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(MediaError, match="damaged"):
        read_video(tmp_path / "a.png")


def test_what_asks_for_a_format_of_videos_gets_no_other(tmp_path, corners):
    for suffix in (".webp", ".png"):
        with pytest.raises(MediaError), open_video(io.BytesIO(animation(suffix, corners)), formats="mp4"):
            pass
