"""Writing frames `uint8 [T, H, W, 3]` as files, chunk by chunk: MP4, WebM, GIF, animated WebP, PNG."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_folder, atomic_write
from kinora.media.animation import GIF_MAX_FPS, Write, gif_writer, webp_writer
from kinora.media.colour import usual_matrix
from kinora.media.comment import Metadata, metadata_text
from kinora.media.images import write_image
from kinora.media.metadata import CLIP_JSON
from kinora.media.nearly_lossless import write_nearly_lossless

CLIP_SUFFIXES = (".mp4", ".webm", ".gif", ".webp", ".png")
FRAME_NAME = "{:06d}.png"  # in a folder of frames, numbered from 0
FRAME_PATTERN = re.compile(r"\d{6,}\.png")


def check_clip_path(path: str | Path, frames: int, fps: float | None = None) -> None:
    """Refuse a path that `clip_writer` could not write `frames` frames to, before any work is done for it.

    Raises:
        UsageError: if the suffix is unknown, or does not fit the number of frames or `fps`.
        KinoraError: if the path is a folder that holds something else than frames, or a file where a folder is needed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not suffix:
        _check_folder(path)
    elif suffix not in CLIP_SUFFIXES:
        raise UsageError(
            f"{path} has no known video or image suffix; name it with one of {', '.join(CLIP_SUFFIXES)}, "
            "or without a suffix for a folder of PNG frames."
        )
    elif path.is_dir():
        raise KinoraError(f"{path} is a folder; name a file.")
    if suffix == ".png" and frames > 1:
        raise UsageError(
            f"{path} cannot hold {frames} frames; name it {path.stem}/ for a folder of frames, or *.mp4 for a video."
        )
    if suffix in (".mp4", ".webm") and frames == 1:
        raise UsageError(f"{path} would be a video of one frame; name it *.png or *.webp for an image.")
    if suffix == ".gif" and fps is not None and fps > GIF_MAX_FPS:
        raise UsageError(
            f"{path} cannot show {fps:g} frames a second; a GIF shows {GIF_MAX_FPS:g} at most: name it *.mp4 or *.webp."
        )


@contextmanager
def clip_writer(path: str | Path, fps: float, metadata: Metadata | None = None) -> Iterator[Write]:
    """Yield what appends frames `uint8 [T, H, W, 3]`, all of one size, to the clip at `path`.

    The suffix is the format: `.mp4` (H.264), `.webm` (VP9), `.gif` and `.webp` (both play for ever), `.png` for one
    frame, and none for a folder of PNG frames. No more frames are held than the codec looks ahead. The clip appears at
    `path` at the end of the `with` block; where that is left by an error, nothing appears, and what was there before
    stays.

    Args:
        path: where to; folders above it are made.
        fps: frames a second.
        metadata: how the clip was made, which is kept inside the file as JSON; `read_metadata` returns it.

    Raises:
        UsageError: if the suffix is unknown.
        KinoraError: if the file cannot be written, or no frame was.
    """
    path = Path(path)
    check_clip_path(path, 0, fps)
    place, writer = _format(path)
    of_caller: BaseException | None = None
    written = False
    try:
        with place(path) as temporary, writer(temporary, fps, metadata) as write:

            def checked(frames: np.ndarray) -> None:
                nonlocal written
                try:
                    write(frames)
                except OSError as error:
                    raise _unwritable(path, error) from error
                written = written or len(frames) > 0

            try:
                yield checked
            except BaseException as error:
                of_caller = error
                raise
            if not written:
                raise KinoraError(f"{path} was not written: the clip has no frames.")
    except OSError as error:
        if error is of_caller:
            raise
        raise _unwritable(path, error) from error


def write_clip(path: str | Path, frames: np.ndarray, fps: float, metadata: Metadata | None = None) -> None:
    """Write frames `uint8 [T, H, W, 3]` to `path`, as a `clip_writer` of one chunk.

    Raises:
        UsageError: as `check_clip_path` does.
        KinoraError: if the file cannot be written.
    """
    check_clip_path(path, len(frames), fps)
    with clip_writer(path, fps, metadata) as write:
        write(frames)


def write_video(target: str | Path | BinaryIO, frames: np.ndarray, fps: float, *, playable: bool = True) -> None:
    """Write frames `uint8 [T, H, W, 3]` as H.264 in MP4.

    With `playable` every browser and player can show it (4:2:0 colour, even size); without, colour is kept at
    full resolution and nearly lossless, which training data wants.
    """
    if not playable:
        write_nearly_lossless(target, frames, fps)
        return
    with _mp4_writer(target, fps, None) as write:
        write(frames)


def video_bytes(frames: np.ndarray, fps: float, metadata: Metadata | None = None) -> bytes:
    """Return frames as the bytes of a playable MP4, with how they were made inside."""
    buffer = io.BytesIO()
    with _mp4_writer(buffer, fps, metadata) as write:
        write(frames)
    return buffer.getvalue()


@contextmanager
def _mp4_writer(target: str | Path | BinaryIO, fps: float, metadata: Metadata | None) -> Iterator[Write]:
    options = {"crf": "16", "preset": "veryfast"}
    # A browser can start before the whole file has arrived; the muxer can only do that by opening the file again.
    flags = {"movflags": "faststart"} if isinstance(target, str | Path) else {}
    with (
        av.open(target, mode="w", format="mp4", options=flags) as container,
        _encoder(container, "libx264", options, fps, metadata) as write,
    ):
        yield write


@contextmanager
def _webm_writer(path: Path, fps: float, metadata: Metadata | None) -> Iterator[Write]:
    options = {"crf": "20", "b": "0", "row-mt": "0", "deadline": "good", "cpu-used": "4"}
    with (
        av.open(path, mode="w", format="webm") as container,
        _encoder(container, "libvpx-vp9", options, fps, metadata) as write,
    ):
        yield write


@contextmanager
def _encoder(
    container: av.container.OutputContainer,
    codec: str,
    options: dict[str, str],
    fps: float,
    metadata: Metadata | None,
) -> Iterator[Write]:
    """Yield what encodes frames into a container; 4:2:0 colour repeats the last row or column of an odd side."""
    if metadata:
        container.metadata["comment"] = metadata_text(metadata)
    stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
    assert isinstance(stream, av.VideoStream)
    stream.pix_fmt = "yuv420p"
    stream.options = dict(options)
    stream.codec_context.thread_count = 1

    def write(frames: np.ndarray) -> None:
        for frame in frames:
            picture = _with_even_sides(frame)
            if not stream.codec_context.is_open:
                stream.height, stream.width = picture.shape[:2]
            matrix = usual_matrix(stream.width, stream.height)
            rgb = av.VideoFrame.from_ndarray(picture, format="rgb24")
            # Shared between frames, a converter now and then made x264 write other bytes of the same frames.
            coded = VideoReformatter().reformat(
                rgb, format="yuv420p", dst_colorspace=matrix, interpolation="BILINEAR", threads=1
            )
            container.mux(stream.encode(coded))

    yield write
    if stream.codec_context.is_open:
        container.mux(stream.encode())


@contextmanager
def _png_writer(path: Path, _: float, metadata: Metadata | None) -> Iterator[Write]:
    """Yield what writes the one frame of an image."""
    written = 0

    def write(frames: np.ndarray) -> None:
        nonlocal written
        written += len(frames)
        if written > 1:
            raise UsageError(f"an image holds one frame, and {written} were made; name a folder or a video.")
        for frame in frames:
            write_image(path, frame, metadata)

    yield write


@contextmanager
def _folder_writer(folder: Path, _: float, metadata: Metadata | None) -> Iterator[Write]:
    """Yield what writes each frame as a PNG file, numbered from 0, beside `clip.json`."""
    (folder / CLIP_JSON).write_text(metadata_text(metadata) or "{}", encoding="utf-8")
    written = 0

    def write(frames: np.ndarray) -> None:
        nonlocal written
        for frame in frames:
            write_image(folder / FRAME_NAME.format(written), frame, metadata)
            written += 1

    yield write


Place = Callable[[Path], AbstractContextManager[Path]]
Writer = Callable[[Path, float, Metadata | None], AbstractContextManager[Write]]
WRITERS: dict[str, Writer] = {
    ".mp4": _mp4_writer,
    ".webm": _webm_writer,
    ".gif": gif_writer,
    ".webp": webp_writer,
    ".png": _png_writer,
}


def _format(path: Path) -> tuple[Place, Writer]:
    """Return how a path is made whole or not at all, and what writes its format."""
    suffix = path.suffix.lower()
    return (atomic_write, WRITERS[suffix]) if suffix else (atomic_folder, _folder_writer)


def _check_folder(path: Path) -> None:
    """Refuse to replace a file, or a folder that holds anything but what `_folder_writer` leaves."""
    if not path.is_dir():
        if path.exists():
            raise KinoraError(f"{path} is a file; name a folder for PNG frames, or a file with a suffix.")
        return
    other = next((p.name for p in path.iterdir() if p.name != CLIP_JSON and not FRAME_PATTERN.fullmatch(p.name)), None)
    if other is not None:
        raise KinoraError(f"{path} holds more than the frames of a clip ({other}); name a new folder.")


def _with_even_sides(frame: np.ndarray) -> np.ndarray:
    """Repeat the last row or column where a side is odd, which 4:2:0 colour cannot hold."""
    height, width = frame.shape[:2]
    if height % 2 or width % 2:
        return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(frame)


def _unwritable(path: Path, error: OSError) -> KinoraError:
    return KinoraError(f"{path} cannot be written ({error.strerror or error}); choose another place.")
