"""Footage is sampled at one rate, keeps its shape and loses its bars, and is cut where a person sees a cut."""

import numpy as np
import pytest

from kinora.data.grid import DEFAULT_GRID
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.footage import Footage
from kinora.data.shots import Rejected, resize_image
from kinora.media import read_video, write_video

# Where a person sees cuts in bikes.mp4, looking at it frame by frame (25 frames a second).
CUTS_IN_BIKES = (30, 76, 137, 187, 242)


def footage(path, fps=8.0, max_side=40, max_seconds=60.0) -> Footage:
    return Footage(path, IngestConfig(fps=fps, max_side=max_side, max_seconds=max_seconds), DEFAULT_GRID)


@pytest.mark.parametrize("fps", [8.0, 24.0])
def test_the_cuts_of_a_real_clip_are_found(real_videos, fps):
    frames = list(footage(real_videos[0], fps).frames())
    found = [number / fps for number, (_, cut) in enumerate(frames) if cut]
    assert len(frames) == 10 * fps
    assert found == pytest.approx([frame / 25 for frame in CUTS_IN_BIKES], abs=1 / fps)


@pytest.mark.parametrize("index", [1, 2])
def test_a_real_clip_of_one_shot_is_not_cut(real_videos, index):
    assert not any(cut for _, cut in footage(real_videos[index]).frames())


def test_a_rate_is_what_a_player_would_show(tmp_path):
    frames = np.stack([np.full((32, 32, 3), i * 8, np.uint8) for i in range(30)])
    write_video(tmp_path / "a.mp4", frames, 30)
    shown = [int(frame.mean() / 8 + 0.5) for frame, _ in footage(tmp_path / "a.mp4", fps=10, max_side=32).frames()]
    assert shown == list(range(2, 30, 3)) or shown == list(range(0, 30, 3))
    assert len(list(footage(tmp_path / "a.mp4", fps=60, max_side=32).frames())) == 60


def test_pixels_that_are_not_square_and_pictures_that_are_turned(real_videos, real_images):
    # carphone is stored as 176x144 pixels, each 128:117, which is 4:3.
    frame, _ = next(iter(footage(real_videos[2], max_side=96, max_seconds=1).frames()))
    assert frame.shape == (72, 96, 3)
    image = np.zeros((300, 100, 3), np.uint8)
    assert resize_image(image, 96, DEFAULT_GRID).shape == (96, 32, 3)


def test_what_is_not_read_is_told(real_videos):
    video = footage(real_videos[0], max_seconds=2.0)
    assert len(list(video.frames())) == 16
    assert video.unread


def test_a_truncated_video_is_told(tmp_path, real_videos):
    frames, fps = read_video(real_videos[2], max_frames=100)
    write_video(tmp_path / "whole.mp4", frames, fps)  # its index comes first, so that half of it still opens
    content = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(Rejected) as rejected:
        list(footage(tmp_path / "half.mp4").frames())
    assert rejected.value.reason in ("truncated", "undecodable")


def test_a_playlist_named_as_a_video_opens_nothing(tmp_path, real_videos):
    (tmp_path / "clip.mp4").symlink_to(real_videos[0])
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile clip.mp4\n")
    with pytest.raises(Rejected, match="cannot be decoded"):
        list(footage(tmp_path / "list.mp4").frames())


def test_bars_are_cut_off_and_larger_pictures_kept(tmp_path):
    rng = np.random.default_rng(0)
    frames = np.zeros((48, 120, 160, 3), np.uint8)
    frames[:, 20:100] = np.kron(rng.integers(60, 250, (48, 8, 16, 3)), np.ones((1, 10, 10, 1))).astype(np.uint8)
    write_video(tmp_path / "letterbox.mp4", frames, 24)
    video = footage(tmp_path / "letterbox.mp4", max_side=64)
    shown = [frame for frame, _ in video.frames()]
    assert {frame.shape for frame in shown} == {(32, 64, 3)}
    assert min(frame[0].mean() for frame in shown) > 60
    pictures = video.pictures(0.0, 16)
    assert {picture.shape for picture in pictures} == {(80, 160)}


def test_a_dark_edge_of_a_scene_is_no_bar(tmp_path):
    frames = np.full((48, 120, 160, 3), 120, np.uint8)
    frames[:24, :20] = 5  # a roof that the camera leaves
    write_video(tmp_path / "roof.mp4", frames, 24)
    assert {frame.shape for frame, _ in footage(tmp_path / "roof.mp4", max_side=64).frames()} == {(48, 64, 3)}
