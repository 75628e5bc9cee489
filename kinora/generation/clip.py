"""A generated clip: saved in any format, and shown where it is the last value of a notebook's cell."""

import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kinora.media import enlarge, video_bytes, write_clip, write_image

SIDE_SHOWN = 320  # pixels of the longer side that a notebook shows a small clip at


@dataclass(frozen=True, eq=False)
class GeneratedClip:
    """What a generator made of a prompt: frames `uint8 [T, H, W, 3]`, one of an image, and frames a second.

    `metadata` says how it was made; it is kept inside every file that the clip is saved to.
    """

    frames: np.ndarray
    fps: float
    prompt: str
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> Path:
        """Write it in the format of the suffix, .mp4, .webm, .gif, .webp or .png; return the path.

        A name without a suffix is a folder of PNG frames. What is written is whole or not there, and
        `kinora.media.read_metadata` reads the metadata from it again.

        Raises:
            UsageError: if the suffix does not fit the clip.
            KinoraError: if the file cannot be written.
        """
        write_clip(path, self.frames, self.fps, self.metadata)
        return Path(path)

    def __repr__(self) -> str:
        frames, height, width = self.frames.shape[:3]
        return f"<GeneratedClip '{self.prompt}', {frames} frames of {width}x{height} at {self.fps:g} frames a second>"

    def _repr_html_(self) -> str:
        shown = enlarge(self.frames, max(1, SIDE_SHOWN // max(self.frames.shape[1:3])))
        if len(shown) == 1:
            buffer = io.BytesIO()
            write_image(buffer, shown[0])
            return f'<img alt="{html.escape(self.prompt)}" src="{_data_url("image/png", buffer.getvalue())}">'
        source = _data_url("video/mp4", video_bytes(shown, self.fps))
        return f'<video controls autoplay loop muted title="{html.escape(self.prompt)}" src="{source}"></video>'


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
