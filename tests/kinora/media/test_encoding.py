"""A clip is written in the format that its name says, and comes back from a decoder as it went."""

import tracemalloc

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence

from kinora.errors import KinoraError, UsageError
from kinora.media import check_clip_path, clip_writer, read_image, write_clip


def moving_square(frames: int = 9, height: int = 24, width: int = 40) -> np.ndarray:
    """A red square on grey that moves 3 pixels a frame."""
    clip = np.full((frames, height, width, 3), 128, np.uint8)
    for t in range(frames):
        clip[t, 8:16, 3 * t : 3 * t + 8] = (215, 40, 40)
    return clip


def decoded(path) -> tuple[np.ndarray, float]:
    """Decode a file without this project: its frames and its length in seconds."""
    if path.suffix in (".gif", ".webp"):
        with Image.open(path) as image:
            assert image.info["loop"] == 0
            # A frame's duration is known once it is decoded.
            frames, durations = zip(
                *((np.asarray(f.convert("RGB")), f.info["duration"]) for f in ImageSequence.Iterator(image)),
                strict=True,
            )
        return np.stack(frames), sum(durations) / 1000
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        return np.stack(frames), len(frames) / float(container.streams.video[0].average_rate)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".webp"])
@pytest.mark.parametrize("fps", [8.0, 30.0])
def test_a_clip_comes_back_from_every_format(tmp_path, suffix, fps):
    clip = moving_square()
    write_clip(tmp_path / f"clip{suffix}", clip, fps)
    back, seconds = decoded(tmp_path / f"clip{suffix}")
    assert back.shape == clip.shape
    assert np.abs(back.astype(int) - clip).mean() < 4
    assert seconds == pytest.approx(9 / fps, abs=0.006)
    assert [path.name for path in tmp_path.iterdir()] == [f"clip{suffix}"]


def test_the_format_is_that_of_the_name(tmp_path):
    starts = {".gif": b"GIF89a", ".webp": b"RIFF", ".webm": b"\x1aE\xdf\xa3", ".png": b"\x89PNG"}
    for suffix, start in starts.items():
        frames = moving_square()[: 1 if suffix == ".png" else 9]
        write_clip(tmp_path / f"clip{suffix}", frames, 8.0)
        assert (tmp_path / f"clip{suffix}").read_bytes().startswith(start)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".gif"])
def test_one_frame_is_an_image(tmp_path, suffix):
    clip = moving_square(1)
    write_clip(tmp_path / f"image{suffix}", clip, 8.0)
    assert np.abs(read_image(tmp_path / f"image{suffix}").astype(int) - clip).mean() < 4


def test_a_name_without_a_suffix_is_a_folder_of_frames(tmp_path):
    clip = moving_square()
    write_clip(f"{tmp_path}/frames/", clip, 8.0)
    names = [f"{number:06d}.png" for number in range(9)]
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == [*names, "clip.json"]
    assert all((read_image(tmp_path / "frames" / name)[0] == clip[number]).all() for number, name in enumerate(names))
    write_clip(tmp_path / "frames", clip[:2], 8.0)  # another clip takes its place
    assert len(list((tmp_path / "frames").iterdir())) == 3


def test_a_folder_of_other_things_is_never_replaced(tmp_path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.png").write_bytes(b"mine")
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(KinoraError, match=r"photo\.png"):
        write_clip(tmp_path / "holiday", moving_square(), 8.0)
    with pytest.raises(KinoraError, match="is a file"):
        write_clip(tmp_path / "file", moving_square(), 8.0)
    assert (tmp_path / "holiday" / "photo.png").read_bytes() == (tmp_path / "file").read_bytes() == b"mine"


def test_odd_sides_are_kept_where_the_format_can(tmp_path):
    clip = moving_square()[:, :23, :39]
    for suffix, shape in ((".gif", (23, 39)), (".webp", (23, 39)), (".webm", (24, 40)), (".mp4", (24, 40))):
        write_clip(tmp_path / f"clip{suffix}", clip, 8.0)
        assert decoded(tmp_path / f"clip{suffix}")[0].shape[1:3] == shape


@pytest.mark.parametrize("name", ["x.mp4", "x.webm", "x.gif", "x.webp", "x"])
def test_chunks_make_the_same_file_as_the_whole(tmp_path, name):
    clip = moving_square()
    write_clip(tmp_path / "whole" / name, clip, 12.5, {"prompt": "p"})
    with clip_writer(tmp_path / "chunks" / name, 12.5, {"prompt": "p"}) as write:
        for start in (0, 1, 6):
            write(clip[start : {0: 1, 1: 6, 6: 9}[start]])
            write(clip[:0])
    for file in sorted((tmp_path / "whole").rglob("*")):
        other = tmp_path / "chunks" / file.relative_to(tmp_path / "whole")
        if file.suffix == ".webm":  # it names itself by chance
            assert (decoded(other)[0] == decoded(file)[0]).all()
        elif file.is_file():
            assert other.read_bytes() == file.read_bytes()


def _write_and_fail(path, failure):
    with clip_writer(path, 8.0) as write:
        write(moving_square(1))
        raise failure


@pytest.mark.parametrize("name", ["x.mp4", "x.webm", "x.gif", "x.webp", "x.png", "x"])
@pytest.mark.parametrize("failure", [KeyboardInterrupt, ZeroDivisionError, FileNotFoundError])
def test_what_is_interrupted_leaves_nothing_and_keeps_what_was_there(tmp_path, name, failure):
    for before in (False, True):
        if before:
            write_clip(tmp_path / name, moving_square(1 if name == "x.png" else 9), 8.0)
        kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        with pytest.raises(failure):
            _write_and_fail(tmp_path / name, failure)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == kept


@pytest.mark.parametrize("name", ["x.mp4", "x.gif", "x.webp", "x.png", "x"])
def test_a_clip_without_frames_is_no_clip(tmp_path, name):
    with pytest.raises(KinoraError, match="no frames"), clip_writer(tmp_path / name, 8.0) as write:
        write(moving_square()[:0])
    with pytest.raises(KinoraError, match="no frames"):
        write_clip(tmp_path / name, moving_square()[:0], 8.0)
    assert not list(tmp_path.iterdir())


def test_an_image_takes_one_frame(tmp_path):
    with clip_writer(tmp_path / "x.png", 8.0) as write:
        write(moving_square(1))
        with pytest.raises(UsageError, match="one frame"):
            write(moving_square(1))
    assert read_image(tmp_path / "x.png").shape == (1, 24, 40, 3)


@pytest.mark.parametrize("name", ["x.mp4", "x.webm", "x.gif", "x.webp", "x"])
def test_a_long_clip_takes_no_more_memory_than_a_short_one(tmp_path, name):
    """All that Python and NumPy hold; what the codecs look ahead is theirs, and bounded."""
    chunk = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)

    def peak(chunks: int) -> int:
        tracemalloc.start()
        try:
            with clip_writer(tmp_path / name, 8.0) as write:
                for _ in range(chunks):
                    write(chunk.copy())
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    assert peak(20) < peak(5) + 2 * chunk.nbytes


@pytest.mark.parametrize(
    ("name", "frames", "fps", "words"),
    [
        ("clip.avi", 9, 8.0, "suffix"),
        ("clip.png", 9, 8.0, "name it clip/"),
        ("clip.mp4", 1, 8.0, "one frame"),
        ("clip.webm", 1, 8.0, "one frame"),
        ("clip.gif", 9, 60.0, "50"),
        ("%s%n.png", 9, 8.0, "cannot hold"),
    ],
)
def test_what_a_name_cannot_hold_is_refused_before_any_work(tmp_path, name, frames, fps, words):
    with pytest.raises(UsageError, match=words):
        check_clip_path(tmp_path / name, frames, fps)
    with pytest.raises(UsageError, match=words):
        write_clip(tmp_path / name, moving_square(frames), fps)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(KinoraError, match="is a folder"):
        check_clip_path(tmp_path / "folder.mp4", 9)
    with pytest.raises(KinoraError, match="cannot be written"):
        write_clip("/proc/nowhere/clip.gif", moving_square(), 8.0)
