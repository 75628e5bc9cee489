"""A generated clip: saved in any format, and shown where it is the last value of a notebook's cell."""

import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kinora import __version__
from kinora.config import to_dict
from kinora.diffusion.sampler import Sampling
from kinora.generation.request import GenerationRequest, Task
from kinora.media import enlarge, video_bytes, write_clip, write_image

OF_TASK = {  # the fields of a request that only this task has
    Task.TEXT: ("loop",),
    Task.IMAGE: ("loop",),
    Task.EXTEND: ("direction",),
    Task.EDIT: ("strength",),
    Task.FILL: ("missing", "region"),
    Task.INTERPOLATE: ("factor",),
}
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


def metadata_of(request: GenerationRequest, sampled: str, version: str, sampling: Sampling) -> dict[str, Any]:
    """Return how a clip was made, as it is kept inside its file.

    Args:
        request: what was asked for.
        sampled: what was sampled of its prompt, expanded or not.
        version: name of the model version; empty where the model has none.
        sampling: how.
    """
    always = ("prompt", "negative_prompt", "seed", "width", "height", "frames", "fps")
    fields = (*always, *OF_TASK.get(request.task, ()))
    return {
        **{name: getattr(request, name) for name in fields},
        "sampled": sampled,
        "task": str(request.task),
        "model_version": version,
        "sampling": to_dict(sampling),
        "made_with": f"kinora {__version__}",
    }


def _data_url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
