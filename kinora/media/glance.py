"""A quick look at a video: a few of its key frames, without decoding what lies between."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from kinora.media.decoding import open_video

MOST = 8  # key frames


def glance(
    source: str | Path, most_seconds: float, size: Callable[[int, int], tuple[int, int]], apart_s: float = 2.0
) -> list[np.ndarray]:
    """Return some key frames `uint8 [H, W, 3]` of a video, at least `apart_s` from each other, from its beginning on.

    Args:
        source: the file.
        most_seconds: how far to look.
        size: returns the size (width, height) to scale to, of the size of the video.

    Raises:
        MediaError: as `open_video`, or if a key frame cannot be decoded.
    """
    with open_video(source) as video:
        frames = video.key_frames(most_seconds, apart_s)
        return [frame.rgb(size(*video.size)) for _, frame in zip(range(MOST), frames, strict=False)]
