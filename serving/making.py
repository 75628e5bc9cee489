"""One job's clip: asked of the generator as the job says, shown on its way, and written as it is made."""

import io
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kinora.generation import GenerationRequest, Step, Task, VideoGenerator
from kinora.media import clip_writer, read_image, read_video, write_clip, write_image

FIELDS = ("prompt", "width", "height", "frames", "fps", "seed")  # which jobs and requests have alike
PREVIEW_FRAMES, PREVIEW_SIDE, PREVIEW_BYTES = 12, 192, 2**17
SECONDS_BETWEEN_PREVIEWS = 1.0
SHARE_FOR_PREVIEWS = 0.1  # of the time


def request_of(job: Mapping[str, Any], given: Mapping[str, bytes]) -> GenerationRequest:
    """Return the request that a job stands for.

    Args:
        job: as the gateway tells it.
        given: the files of its images and videos, by the names of the request's fields.
    """
    fields: dict[str, Any] = {name: job[name] for name in FIELDS} | job["options"]
    fields["missing"] = tuple((first, last) for first, last in fields.get("missing") or ())
    fields["region"] = tuple(fields["region"]) if fields.get("region") else None
    for name, file in given.items():
        fields[name] = (read_image if "image" in name else read_video)(io.BytesIO(file))[0]
    return GenerationRequest(**fields, task=Task(job["task"]))


class Previews:
    """Small pictures of a clip as it is estimated on its way: one a second at most, in a tenth of the time."""

    def __init__(self, fps: float):
        self._fps, self._next = fps, 0.0

    def picture(self, step: Step) -> bytes | None:
        """Return a WebP, animated where the clip is, or None where it is not yet time."""
        now = time.monotonic()
        if now < self._next or step.done == step.steps:
            return None
        picture = preview_picture(step.preview(), self._fps)
        took = time.monotonic() - now
        self._next = now + max(SECONDS_BETWEEN_PREVIEWS, took / SHARE_FOR_PREVIEWS)
        return picture


def preview_picture(frames: np.ndarray, fps: float) -> bytes:
    """Return frames `uint8 [T, H, W, 3]` as a small WebP: a few of them, or, were that too many bytes, one."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), PREVIEW_FRAMES)).round().astype(int))
    scale = min(1.0, PREVIEW_SIDE / max(frames.shape[1:3]))
    size = tuple(max(1, round(side * scale)) for side in frames.shape[2:0:-1])
    small = np.stack([cv2.resize(frames[number], size, interpolation=cv2.INTER_AREA) for number in chosen])
    rate = fps * len(small) / len(frames)
    return next(data for data in (_webp(small, rate), _webp(small[len(small) // 2 :][:1], rate)) if data)


def make(
    generator: VideoGenerator,
    job: Mapping[str, Any],
    request: GenerationRequest,
    metadata: Mapping[str, Any],
    on_step: Callable[[Step], None],
    upload: Callable[[str, Path], None],
) -> None:
    """Make a clip and upload its first frame and, of a video, the clip, which is written as it is made.

    Args:
        generator: makes it.
        job: as the gateway tells it.
        request: what the job stands for.
        metadata: is kept inside both files.
        on_step: called after every step; what it raises ends the work.
        upload: called with "image" or "video" and the file; the last of them ends the job.
    """
    with tempfile.TemporaryDirectory(prefix="kinora-") as folder:
        image, video = Path(folder) / "image.png", Path(folder) / "video.mp4"
        if job["kind"] == "image":
            write_image(image, next(iter(generator.stream(request, on_step)))[0], metadata)
            upload("image", image)
            return
        with clip_writer(video, request.fps, metadata) as write:
            for frames in generator.stream(request, on_step):
                if not image.exists():
                    write_image(image, frames[0], metadata)
                write(frames)
        upload("image", image)
        upload("video", video)


def _webp(frames: np.ndarray, fps: float) -> bytes:
    """Return an animated WebP; empty if it has too many bytes and more than one frame."""
    with tempfile.TemporaryDirectory(prefix="kinora-") as folder:
        path = Path(folder) / "preview.webp"
        write_clip(path, frames, fps)
        data = path.read_bytes()
    return data if len(data) <= PREVIEW_BYTES or len(frames) == 1 else b""
