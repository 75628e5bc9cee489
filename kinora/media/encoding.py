"""Writing frames `uint8 [T, H, W, 3]` as files: MP4, WebM, GIF, animated WebP or PNG."""

import io
import re
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from PIL import Image

from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_write
from kinora.media.images import write_image

CLIP_SUFFIXES = (".mp4", ".webm", ".gif", ".webp", ".png")
# GIF counts hundredths of a second, and browsers slow down what is shown for less than two of them.
GIF_MAX_FPS = 50.0
NUMBERED = re.compile(r"%0?\d*d")


def check_clip_path(path: str | Path, frames: int, fps: float | None = None) -> None:
    """Refuse a path that `write_clip` could not write `frames` frames to, before any work is done for it.

    Raises:
        UsageError: if the suffix is unknown, or does not fit the number of frames or `fps`.
        KinoraError: if the path is a folder.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in CLIP_SUFFIXES:
        raise UsageError(f"{path} has no known video or image suffix; name it with one of {', '.join(CLIP_SUFFIXES)}.")
    if path.is_dir():
        raise KinoraError(f"{path} is a folder; name a file.")
    if suffix == ".png" and frames > 1 and not _is_numbered(path):
        numbered = path.with_name(f"{path.stem}_%04d.png")
        raise UsageError(
            f"{path} cannot hold {frames} frames; name it {numbered.name} for one image a frame, or *.mp4 for a video."
        )
    if suffix in (".mp4", ".webm") and frames == 1:
        raise UsageError(f"{path} would be a video of one frame; name it *.png or *.webp for an image.")
    if suffix == ".gif" and fps is not None and fps > GIF_MAX_FPS:
        raise UsageError(
            f"{path} cannot show {fps:g} frames a second; a GIF shows {GIF_MAX_FPS:g} at most: name it *.mp4 or *.webp."
        )


def write_clip(path: str | Path, frames: np.ndarray, fps: float) -> None:
    """Write frames `uint8 [T, H, W, 3]` to `path`, in the format of its suffix, whole or not at all.

    `.mp4` (H.264), `.webm` (VP9), `.gif` and `.webp` (both play for ever) hold a clip. `.png` holds one frame; a name
    such as `frame_%04d.png` makes one file a frame, numbered from 0.

    Raises:
        UsageError: as `check_clip_path` does.
        KinoraError: if the file cannot be written.
    """
    path = Path(path)
    check_clip_path(path, len(frames), fps)
    suffix = path.suffix.lower()
    try:
        if suffix == ".png":
            for number, frame in enumerate(frames):
                place = path.with_name(path.name % number) if _is_numbered(path) else path
                with atomic_write(place) as temporary:
                    write_image(temporary, frame)
            return
        with atomic_write(path) as temporary:
            if suffix == ".mp4":
                write_video(temporary, frames, fps)
            elif suffix == ".webm":
                _write_webm(temporary, frames, fps)
            else:
                _write_animation(temporary, frames, fps, suffix)
    except OSError as error:
        raise KinoraError(f"{path} cannot be written ({error.strerror or error}); choose another place.") from error


def write_video(target: str | Path | BinaryIO, frames: np.ndarray, fps: float, *, playable: bool = True) -> None:
    """Write frames `uint8 [T, H, W, 3]` as H.264 in MP4.

    With `playable` every browser and player can show it (4:2:0 colour, even size); without, colour is kept at
    full resolution and nearly lossless, which training data wants.
    """
    frames = _with_even_sides(frames) if playable else np.ascontiguousarray(frames)
    # A browser can start before the whole file has arrived; the muxer can only do that by opening the file again.
    container_options = {"movflags": "faststart"} if isinstance(target, str | Path) else {}
    options = {"crf": "16" if playable else "6", "preset": "veryfast"}
    if not playable:
        # Clips are named by their bytes. With this analysis x264 now and then encodes very small frames
        # differently, by what happened to be in memory; without it the same frames give the same bytes.
        options["mbtree"] = "0"
    with av.open(target, mode="w", format="mp4", options=container_options) as container:
        _encode(container, "libx264", "yuv420p" if playable else "yuv444p", options, frames, fps)


def video_bytes(frames: np.ndarray, fps: float) -> bytes:
    """Return frames as the bytes of a playable MP4."""
    buffer = io.BytesIO()
    write_video(buffer, frames, fps)
    return buffer.getvalue()


def _write_webm(path: Path, frames: np.ndarray, fps: float) -> None:
    options = {"crf": "20", "b": "0", "row-mt": "0", "deadline": "good", "cpu-used": "4"}
    with av.open(path, mode="w", format="webm") as container:
        _encode(container, "libvpx-vp9", "yuv420p", options, _with_even_sides(frames), fps)


def _encode(
    container: av.container.OutputContainer,
    codec: str,
    pixel_format: str,
    options: dict[str, str],
    frames: np.ndarray,
    fps: float,
) -> None:
    stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
    assert isinstance(stream, av.VideoStream)
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = pixel_format
    stream.options = dict(options)
    stream.codec_context.thread_count = 1
    for frame in frames:
        container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
    container.mux(stream.encode())


def _write_animation(path: Path, frames: np.ndarray, fps: float, suffix: str) -> None:
    """Write an animated GIF or WebP that plays for ever."""
    pictures = [Image.fromarray(frame) for frame in frames]
    if suffix == ".gif":
        # A palette of its own for each frame, without dithering: dots that change from frame to frame shimmer.
        pictures = [picture.quantize(256, dither=Image.Dither.NONE) for picture in pictures]
        durations = [10 * hundredths for hundredths in _durations(len(frames), fps, 100)]
        pictures[0].save(path, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0, disposal=1)
    else:
        durations = _durations(len(frames), fps, 1000)
        pictures[0].save(
            path, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=0, quality=90, method=4
        )


def _durations(frames: int, fps: float, ticks: int) -> list[int]:
    """Return how long each frame is shown, in whole 1/`ticks` s, so that no frame is more than half a tick off."""
    ends = [round((number + 1) * ticks / fps) for number in range(frames)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _with_even_sides(frames: np.ndarray) -> np.ndarray:
    """Repeat the last row or column where a side is odd, which 4:2:0 colour cannot hold."""
    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        return np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(frames)


def _is_numbered(path: Path) -> bool:
    return len(NUMBERED.findall(path.name)) == 1 and path.name.count("%") == 1
