"""One input becomes clips: what a reading process does with it, without torch and pandas."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kinora.data.curation import picture_size
from kinora.data.grid import Grid
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.footage import Footage
from kinora.data.near_duplicates import fingerprint
from kinora.data.shots import Rejected, fit, rejections, resize_image, windows
from kinora.data.stored_clip import store_clip
from kinora.files import file_digest
from kinora.media import image_size, media_kind, read_image

# The frames of a window, some larger pictures of it if there are any, small ones for its fingerprint, its frame rate
# and its start in seconds.
_Made = tuple[np.ndarray, list[np.ndarray] | None, np.ndarray, float, float]


@dataclass
class Reading:
    """What became of one input: the rows of its clips, their fingerprints `uint64 [S, 8]`, what was rejected, and the
    digest of its bytes ("" if it could not be read)."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    fingerprints: list[np.ndarray] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    digest: str = ""


def read_input(path: Path, name: str, caption: str, media: Path, config: IngestConfig, grid: Grid) -> Reading:
    """Read a video or image file, write its clips into the folder `media`, and say what became of it."""
    reading = Reading()
    try:
        reading.digest = _readable(path)
        kind = media_kind(path)
        if not kind:
            raise Rejected("not_media", f"Files ending in '{path.suffix}' are not read; videos and images are.")
        image = kind == "image"
        made = _image(path, config, grid) if image else _video(path, name, config, grid, reading.rejected)
        said = _caption_columns(caption)
        for frames, pictures, glimpses, fps, start_s in made:
            row = store_clip(media, frames, fps, source=name, source_start_s=start_s, pictures=pictures, **said)
            reading.rows.append(row)
            reading.fingerprints.append(fingerprint(glimpses, fps))
        if not (reading.rows or reading.rejected):  # it lasts less than an instant
            raise Rejected("too_short", f"The video is shorter than one frame at {config.fps:g} frames a second.")
    except Rejected as error:
        # What was made of the beginning of a file that is broken further on is not to be trusted either.
        for row in reading.rows:
            (media.parent / row["uri"]).unlink(missing_ok=True)
        rejected = [*reading.rejected, rejection(name, error.reason, error.explanation)]
        return Reading(rejected=rejected, digest=reading.digest)
    return reading


def rejection(source: str, reason: str, explanation: str, start_s: float = 0.0) -> dict[str, Any]:
    """Return the row of a rejected input."""
    return {"source": source, "source_start_s": start_s, "reason": reason, "explanation": explanation}


def _readable(path: Path) -> str:
    """Return the digest of a file that can be read to its end and is not empty."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
            raise Rejected("not_media", "It is a device or a pipe, not a file.")
        if status.st_size == 0:
            raise Rejected("empty", "The file has no bytes.")
        return file_digest(path)
    except OSError as error:
        raise Rejected("unreadable", f"The file cannot be read ({error.strerror}).") from error


def _video(path: Path, name: str, config: IngestConfig, grid: Grid, rejected: list[dict[str, Any]]) -> Iterator[_Made]:
    footage = Footage(path, config, grid)
    for window in windows(footage.frames(), config.fps, config.max_frames, grid):
        if len(window.frames):
            seen = window.start_s, len(window.frames)
            yield window.frames, footage.pictures(*seen), footage.glimpses(*seen), config.fps, window.start_s
        else:
            sentence = f"The shot is shorter than {grid.shortest_video} frames at {config.fps:g} frames a second."
            rejected.append(rejection(name, "too_short", sentence, window.start_s))
    if footage.unread:
        sentence = f"Only the first {config.max_seconds:g} s of a video are read with this recipe; this is the rest."
        rejected.append(rejection(name, "over_budget", sentence, config.max_seconds))


def _image(path: Path, config: IngestConfig, grid: Grid) -> Iterator[_Made]:
    with rejections():
        fit(*image_size(path), config.max_side, grid)  # the size is refused before the image is decoded
        frame = read_image(path)[0]
    size = picture_size(frame.shape[1], frame.shape[0])
    picture = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    yield resize_image(frame, config.max_side, grid)[None], [picture], picture[None], 0.0, 0.0


def _caption_columns(caption: str) -> dict[str, str]:
    if not caption:
        return {}
    short = caption.split(". ")[0].rstrip(".") + "."
    return {"caption": caption, "short_caption": short, "caption_source": "human"}
