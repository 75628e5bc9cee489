"""Footage is sampled at one rate, keeps its shape, and is cut where a person sees a cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinora.data.grid import DEFAULT_GRID, Grid
from kinora.data.shots import Footage, Rejected, fit, mark_cuts, resize_image, windows
from kinora.media import read_video, write_video

# Where a person sees cuts in bikes.mp4, looking at it frame by frame (25 frames a second).
CUTS_IN_BIKES = (30, 76, 137, 187, 242)


@pytest.mark.parametrize("fps", [8.0, 24.0])
def test_the_cuts_of_a_real_clip_are_found(real_videos, fps):
    frames = list(Footage(real_videos[0], fps, 40, 60, DEFAULT_GRID).frames())
    found = [number / fps for number, (_, cut) in enumerate(frames) if cut]
    assert len(frames) == 10 * fps
    assert found == pytest.approx([frame / 25 for frame in CUTS_IN_BIKES], abs=1 / fps)


@pytest.mark.parametrize("index", [1, 2])
def test_a_real_clip_of_one_shot_is_not_cut(real_videos, index):
    assert not any(cut for _, cut in Footage(real_videos[index], 8, 40, 60, DEFAULT_GRID).frames())


def test_a_flash_is_no_cut():
    thumbnails = [np.full((16, 16, 3), 60, np.uint8) for _ in range(20)]
    thumbnails[9] = np.full((16, 16, 3), 250, np.uint8)
    thumbnails[15:] = [np.full((16, 16, 3), 160, np.uint8)] * 5
    assert [i for i, cut in mark_cuts(enumerate(thumbnails)) if cut] == [15]


@given(
    count=st.integers(0, 60),
    cuts=st.sets(st.integers(1, 59)),
    most=st.sampled_from([5, 9, 17]),
    step=st.sampled_from([2, 4]),
)
def test_windows_never_cross_a_cut_and_have_lengths_on_the_grid(count, cuts, most, step):
    frames = [(np.full((2, 2, 3), i, np.uint8), i in cuts) for i in range(count)]
    for window in windows(frames, 1.0, most, Grid(8, step)):
        numbers = [int(frame[0, 0, 0]) for frame in window.frames]
        start = round(window.start_s)
        if not numbers:  # a shot too short for a window is told, not dropped
            assert start == 0 or start in cuts
            continue
        assert numbers == list(range(start, start + len(numbers)))
        assert not cuts & set(numbers[1:])
        assert 1 + step <= len(numbers) <= most
        assert len(numbers) % step == 1


def test_a_rate_is_what_a_player_would_show(tmp_path):
    frames = np.stack([np.full((32, 32, 3), i * 8, np.uint8) for i in range(30)])
    write_video(tmp_path / "a.mp4", frames, 30)
    shown = [int(frame.mean() / 8 + 0.5) for frame, _ in Footage(tmp_path / "a.mp4", 10, 32, 60, DEFAULT_GRID).frames()]
    assert shown == list(range(2, 30, 3)) or shown == list(range(0, 30, 3))
    assert len(list(Footage(tmp_path / "a.mp4", 60, 32, 60, DEFAULT_GRID).frames())) == 60


@given(
    width=st.integers(16, 4000),
    height=st.integers(16, 4000),
    most=st.sampled_from([32, 48, 256]),
    step=st.sampled_from([8, 16]),
)
def test_sizes_are_on_the_grid_and_keep_the_aspect_ratio(width, height, most, step):
    if max(width, height) > 4 * min(width, height):
        with pytest.raises(Rejected, match="longer than 4 times"):
            fit(width, height, most, Grid(step))
        return
    how = fit(width, height, most, Grid(step))
    assert all(side % step == 0 and step <= side <= most for side in how.size)
    assert all(scaled >= side for scaled, side in zip(how.scaled, how.size, strict=True))
    # What is scaled keeps the aspect ratio to a pixel; what is cut off is less than a multiple on one side.
    assert how.scaled[0] / width == pytest.approx(how.scaled[1] / height, rel=0.6 / min(how.scaled) + 0.02)
    assert how.scaled[0] == how.size[0] or how.scaled[1] == how.size[1]


def test_pixels_that_are_not_square_and_pictures_that_are_turned(real_videos, real_images):
    # carphone is stored as 176x144 pixels, each 128:117, which is 4:3.
    frame, _ = next(iter(Footage(real_videos[2], 8, 96, 1, DEFAULT_GRID).frames()))
    assert frame.shape == (72, 96, 3)
    image = np.zeros((300, 100, 3), np.uint8)
    assert resize_image(image, 96, DEFAULT_GRID).shape == (96, 32, 3)


def test_what_is_not_read_is_told(real_videos):
    footage = Footage(real_videos[0], 8, 40, 2.0, DEFAULT_GRID)
    assert len(list(footage.frames())) == 16
    assert footage.unread


def test_a_truncated_video_is_told(tmp_path, real_videos):
    frames, fps = read_video(real_videos[2], max_frames=100)
    write_video(tmp_path / "whole.mp4", frames, fps)  # its index comes first, so that half of it still opens
    content = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(Rejected) as rejected:
        list(Footage(tmp_path / "half.mp4", 8, 40, 60, DEFAULT_GRID).frames())
    assert rejected.value.reason in ("truncated", "undecodable")


def test_a_playlist_named_as_a_video_opens_nothing(tmp_path, real_videos):
    (tmp_path / "clip.mp4").symlink_to(real_videos[0])
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile clip.mp4\n")
    with pytest.raises(Rejected, match="cannot be decoded"):
        list(Footage(tmp_path / "list.mp4", 8, 40, 60, DEFAULT_GRID).frames())
