"""Reading video files as frames `uint8 [T, H, W, 3]`, RGB, by PyAV."""

from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from kinora.errors import KinoraError

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif", ".mpg", ".mpeg")
# Only what people record in. ffmpeg would also open playlists, which name other files and addresses.
CONTAINERS = "mov,mp4,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,flv,asf,ogg,h264,hevc"


def read_video(source: str | Path | BinaryIO, max_frames: int | None = None) -> tuple[np.ndarray, float]:
    """Read a video's frames `uint8 [T, H, W, 3]` and its frames per second.

    Raises:
        KinoraError: if the file holds no video that can be decoded.
    """
    frames = []
    # One converter for all frames, on one thread: made anew for each, it takes longer than decoding small frames.
    converter = VideoReformatter()
    name = str(source) if isinstance(source, str | Path) else "the uploaded file"
    try:
        with av.open(source, mode="r", options={"format_whitelist": CONTAINERS}) as container:
            if not container.streams.video:
                raise KinoraError(f"{name} has no video stream; give a video file.")
            stream = container.streams.video[0]
            # One decoding thread a file: callers read many files at once.
            stream.codec_context.thread_count = 1
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            for frame in container.decode(stream):
                frames.append(converter.reformat(frame, format="rgb24", threads=1).to_ndarray())
                if max_frames is not None and len(frames) >= max_frames:
                    break
    except (av.FFmpegError, ValueError) as error:
        raise KinoraError(f"{name} cannot be decoded as a video ({error}); replace or remove it.") from error
    if not frames or fps <= 0:
        raise KinoraError(f"{name} holds no frames; replace or remove it.")
    return np.stack(frames), fps
