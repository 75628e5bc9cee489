"""One clip as a media file named by its content, and its row in the table of clips.

Imported by the processes that read a person's files, which therefore do without torch and pandas.
"""

import hashlib
import io
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from kinora.data.columns import CLIP_COLUMNS, defaults
from kinora.data.curation import curation_scores
from kinora.media import write_image, write_video


def store_clip(
    media: Path,
    frames: np.ndarray,
    fps: float,
    *,
    source: str,
    source_start_s: float = 0.0,
    split: str = "train",
    pictures: Sequence[np.ndarray] | None = None,
    **columns: Any,
) -> dict[str, Any]:
    """Write frames `uint8 [T, H, W, 3]` into the folder `media`, named by content, and return the clip's row.

    One frame is stored as a PNG, more as nearly lossless H.264. `pictures` are larger ones of the clip, for its scores.
    `columns` are further values of the row, such as its caption; one of `human` or `simulator` is certain.
    """
    image = len(frames) == 1
    suffix = "png" if image else "mp4"
    media.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    if image:
        write_image(buffer, frames[0])
    else:
        write_video(buffer, frames, fps, playable=False)
    clip_id = hashlib.sha256(buffer.getbuffer()).hexdigest()
    # Under its name it is whole, however this process ends; others may write the same clip at once.
    temporary = media / f".{clip_id}.{threading.get_native_id()}.{suffix}"
    try:
        temporary.write_bytes(buffer.getbuffer())
        temporary.replace(media / f"{clip_id}.{suffix}")
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    certain = columns.get("caption_source") in ("human", "simulator")
    return {
        **defaults(CLIP_COLUMNS),
        "clip_id": clip_id,
        "uri": f"{media.name}/{clip_id}.{suffix}",
        "kind": "image" if image else "video",
        "width": frames.shape[2],
        "height": frames.shape[1],
        "frames": len(frames),
        "fps": 0.0 if image else float(fps),
        "duration_s": 0.0 if image else len(frames) / fps,
        "source": source,
        "source_start_s": float(source_start_s),
        "observed_at": datetime.now(UTC),
        "caption_confidence": float(certain),
        **curation_scores(frames, fps, pictures),
        "split": split,
        **columns,
    }
