"""Video and image files as arrays of frames: `uint8 [T, H, W, 3]`, RGB. Reading and writing by PyAV and Pillow."""

import io
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter
from PIL import Image, ImageOps

from kinora.errors import KinoraError

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif", ".mpg", ".mpeg")
# Only what people record in. ffmpeg would also open playlists, which name other files and addresses.
CONTAINERS = "mov,mp4,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,flv,asf,ogg,h264,hevc"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def read_video(source: str | Path | BinaryIO, max_frames: int | None = None) -> tuple[np.ndarray, float]:
    """Read a video's frames `uint8 [T, H, W, 3]` and its frames per second.

    Raises:
        KinoraError: if the file holds no video that can be decoded.
    """
    frames = []
    # One converter for all frames, on one thread: made anew for each, it takes longer than decoding small frames.
    converter = VideoReformatter()
    try:
        with av.open(source, mode="r", options={"format_whitelist": CONTAINERS}) as container:
            if not container.streams.video:
                raise KinoraError(f"{_name(source)} has no video stream; give a video file.")
            stream = container.streams.video[0]
            # One decoding thread a file: callers read many files at once.
            stream.codec_context.thread_count = 1
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            for frame in container.decode(stream):
                frames.append(converter.reformat(frame, format="rgb24", threads=1).to_ndarray())
                if max_frames is not None and len(frames) >= max_frames:
                    break
    except (av.FFmpegError, ValueError) as error:
        raise KinoraError(f"{_name(source)} cannot be decoded as a video ({error}); replace or remove it.") from error
    if not frames or fps <= 0:
        raise KinoraError(f"{_name(source)} holds no frames; replace or remove it.")
    return np.stack(frames), fps


def write_video(target: str | Path | BinaryIO, frames: np.ndarray, fps: float, *, playable: bool = True) -> None:
    """Write frames `uint8 [T, H, W, 3]` as H.264 in MP4.

    With `playable` every browser and player can show it (4:2:0 colour, even size); without, colour is kept at
    full resolution and nearly lossless, which training data wants.
    """
    frames = np.ascontiguousarray(frames)
    height, width = frames.shape[1:3]
    if playable and (height % 2 or width % 2):
        frames = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        height, width = frames.shape[1:3]
    # A browser can start before the whole file has arrived; the muxer can only do that by opening the file again.
    options = {"movflags": "faststart"} if isinstance(target, str | Path) else {}
    with av.open(target, mode="w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p" if playable else "yuv444p"
        stream.options = {"crf": "16" if playable else "6", "preset": "veryfast"}
        if not playable:
            # Clips are named by their bytes. With this analysis x264 now and then encodes very small frames
            # differently, by what happened to be in memory; without it the same frames give the same bytes.
            stream.options["mbtree"] = "0"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def read_image(source: str | Path | BinaryIO) -> np.ndarray:
    """Read an image as one frame, `uint8 [1, H, W, 3]`; transparency is laid over white.

    Raises:
        KinoraError: if the file is no image that can be decoded.
    """
    try:
        with Image.open(source) as image:
            rgba = ImageOps.exif_transpose(image).convert("RGBA")  # cameras store how they were held
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise KinoraError(f"{_name(source)} cannot be decoded as an image; replace or remove it.") from error
    white = Image.new("RGBA", rgba.size, "white")
    return np.asarray(Image.alpha_composite(white, rgba).convert("RGB"))[None]


def write_image(target: str | Path | BinaryIO, frame: np.ndarray) -> None:
    """Write one frame `uint8 [H, W, 3]` as PNG."""
    Image.fromarray(frame).save(target, format="PNG")


def enlarge(frames: np.ndarray, factor: int) -> np.ndarray:
    """Repeat every pixel of `uint8 [T, H, W, 3]` `factor` times each way, so that small clips can be looked at."""
    return frames.repeat(factor, axis=1).repeat(factor, axis=2)


def video_bytes(frames: np.ndarray, fps: float) -> bytes:
    """Return frames as the bytes of a playable MP4."""
    buffer = io.BytesIO()
    write_video(buffer, frames, fps)
    return buffer.getvalue()


def to_tensor(frames: np.ndarray) -> torch.Tensor:
    """Turn frames `uint8 [T, H, W, 3]` into a video tensor `float32 [3, T, H, W]` in [-1, 1]."""
    return torch.from_numpy(np.array(frames)).permute(3, 0, 1, 2).float() / 127.5 - 1


def to_frames(video: torch.Tensor) -> np.ndarray:
    """Turn a video tensor `[3, T, H, W]` in [-1, 1] into frames `uint8 [T, H, W, 3]`; values outside are clipped."""
    scaled = (video.detach().float().cpu().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(1, 2, 3, 0).contiguous().numpy()


def _name(source: str | Path | BinaryIO) -> str:
    return str(source) if isinstance(source, str | Path) else "the uploaded file"
