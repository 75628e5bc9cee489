"""The clip dataset: what ingest writes and every later step reads.

A folder with `clips.parquet` (one row a clip), `quarantine.parquet` (one row a rejected input), `config.json` (the
resolved configuration that made it) and `media/`. An input is in exactly one of the two tables. A clip is an H.264 file
in MP4 or a PNG named after the sha256 of its bytes, which is its `clip_id`; a simulated clip has the simulator's record
beside it, as `media/<clip_id>.json`. A derived dataset has tables only; its `uri`s lead to the media of the first.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from torch import Tensor

from kinora import config as configuration
from kinora import storage
from kinora.config import read_json, write_json
from kinora.data.grid import Grid
from kinora.errors import KinoraError
from kinora.files import atomic_write, file_digest
from kinora.media import open_video, read_image, read_video, write_image, write_video
from kinora.media.tensors import to_tensor

CLIP_COLUMNS: dict[str, str] = {
    "clip_id": "object",  # sha256 of the media file's bytes
    "uri": "object",  # relative to the dataset's folder, or absolute: file:// or s3://
    "kind": "object",  # video | image
    "width": "int64",  # pixels
    "height": "int64",
    "frames": "int64",  # an image has one
    "fps": "float64",  # 0 for an image
    "duration_s": "float64",
    "source": "object",  # the input it was made from
    "source_start_s": "float64",  # where in that input it starts
    "caption": "object",  # "" where nobody wrote one yet
    "short_caption": "object",
    "caption_source": "object",  # human | simulator | captioner | "" where there is no caption yet
    "brightness": "float64",  # curation scores, each 0..1: see `curation_scores`
    "contrast": "float64",
    "motion": "float64",
    "sharpness": "float64",
    "split": "object",  # train | validation
}
QUARANTINE_COLUMNS: dict[str, str] = {
    "source": "object",
    "source_start_s": "float64",
    "reason": "object",  # a code, such as undecodable or duplicate
    "explanation": "object",  # one sentence
}
LONGEST_CAPTION = 2000  # characters
# Luminance weights of ITU-R BT.601, for gamma-coded RGB.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class ClipDataset:
    """A dataset of clips. `clips` and `quarantine` are tables with the columns above."""

    def __init__(self, path: Path, clips: pd.DataFrame, quarantine: pd.DataFrame, config: dict[str, Any]):
        self.path, self.clips, self.quarantine, self.config = path, clips, quarantine, config

    @classmethod
    def open(cls, path: str | Path) -> "ClipDataset":
        """Open the dataset in folder `path`.

        Raises:
            KinoraError: if the folder holds no whole dataset.
        """
        path = Path(path)
        try:
            clips = pd.read_parquet(path / "clips.parquet")
            quarantine = pd.read_parquet(path / "quarantine.parquet")
            config = read_json(path / "config.json")
        except FileNotFoundError as error:
            raise KinoraError(f"{path} holds no clip dataset; make one with 'kinora ingest'.") from error
        except (OSError, ValueError, pyarrow.ArrowException) as error:
            raise KinoraError(f"the clip dataset in {path} is damaged ({error}); make it again.") from error
        missing = sorted(set(CLIP_COLUMNS) - set(clips)) + sorted(set(QUARANTINE_COLUMNS) - set(quarantine))
        if missing:
            raise KinoraError(f"the clip dataset in {path} lacks the columns {', '.join(missing)}; make it again.")
        return cls(path, clips, quarantine, config)

    @classmethod
    def write(
        cls, path: str | Path, clips: pd.DataFrame, quarantine: pd.DataFrame, config: dict[str, Any]
    ) -> "ClipDataset":
        """Write the tables beside the media that is already in `path`; the last file makes the dataset whole."""
        path = Path(path)
        for name, table, columns in (
            ("clips", clips, CLIP_COLUMNS),
            ("quarantine", quarantine, QUARANTINE_COLUMNS),
        ):
            with atomic_write(path / f"{name}.parquet") as temporary:
                table[list(columns)].astype(columns).to_parquet(temporary, index=False)
        write_json(path / "config.json", config)
        return cls.open(path)

    def derive(
        self,
        out: str | Path,
        clips: pd.DataFrame,
        quarantine: pd.DataFrame,
        config: dict[str, Any],
        base_uri: str | None = None,
    ) -> "ClipDataset":
        """Write a dataset of tables only, whose `uri`s lead to this dataset's media.

        `base_uri` is where this dataset's folder can be found later, when `path` is only a passing copy of it.
        """
        base = base_uri or self.path.resolve().as_uri()
        clips = clips.assign(uri=[storage.join(base, uri) for uri in clips["uri"]])
        return self.write(out, clips, quarantine, {"grid": self.grid, **config})

    def frames(self, clip_id: str, first: int = 0, count: int | None = None) -> np.ndarray:
        """Read one clip's frames `uint8 [T, H, W, 3]`, wherever its file is: all, or `count` from frame `first` on.

        Raises:
            KinoraError: if the dataset has no such clip, or its file is missing or broken.
        """
        row = self.row(clip_id)
        path = self.media(row["uri"])
        if row["kind"] == "image":
            return read_image(path)
        if first == 0 and count in (None, row["frames"]):
            return read_video(path)[0]
        with open_video(path) as video:
            stop = None if count is None else first + count
            return np.stack([frame.rgb() for frame in islice(video.frames(), first, stop)])

    def read(self, clip_ids: Iterable[str]) -> Iterator[np.ndarray]:
        """Read the frames of many clips, in order and several at once, which is quicker where media is far away."""
        with ThreadPoolExecutor(max_workers=min(8, 2 * (os.cpu_count() or 1))) as readers:
            yield from readers.map(self.frames, clip_ids)

    def video(self, clip_id: str) -> Tensor:
        """Read one clip as a video tensor `float32 [3, T, H, W]` in [-1, 1]."""
        return to_tensor(self.frames(clip_id))

    def state(self, clip_id: str) -> dict[str, Any] | None:
        """Read the simulator's record of one clip; None for a clip that was not simulated."""
        uri = self.row(clip_id)["uri"]
        record = str(PurePosixPath(uri).with_suffix(".json")) if "://" not in uri else f"{uri.rpartition('.')[0]}.json"
        if not storage.uri_exists(storage.join(str(self.path), record)):
            return None
        state: dict[str, Any] = read_json(self.media(record))
        return state

    def media(self, uri: str) -> Path:
        """Return the local file of a clip's `uri`, fetched if it is far away."""
        return storage.local_copy(storage.join(str(self.path), uri))

    def row(self, clip_id: str) -> dict[Any, Any]:
        """Return one clip's row."""
        try:
            return self._rows[clip_id]
        except KeyError:
            raise KinoraError(f"the clip dataset in {self.path} has no clip {clip_id}.") from None

    @property
    def grid(self) -> Grid:
        """The sizes and lengths that the dataset was made for."""
        return configuration.from_dict(Grid, self.config.get("grid", {}))

    @cached_property
    def digest(self) -> str:
        """The sha256 of what the dataset holds, wherever it lies."""
        return configuration.digest(
            {
                "clips": self.clips.drop(columns="uri").to_csv(index=False),
                "quarantine": self.quarantine.to_csv(index=False),
            }
        )

    def describe(self) -> dict[str, float]:
        """Count the clips by kind and split, the captions, the seconds of video and the rejected inputs."""
        kind, split = self.clips["kind"], self.clips["split"]
        return {
            "clips": float(len(self.clips)),
            "videos": float((kind == "video").sum()),
            "images": float((kind == "image").sum()),
            "train": float((split == "train").sum()),
            "validation": float((split == "validation").sum()),
            "captioned": float((self.clips["caption"] != "").sum()),
            "seconds": float(self.clips["duration_s"].sum()),
            "quarantined": float(len(self.quarantine)),
        }

    @cached_property
    def _rows(self) -> dict[str, dict[Any, Any]]:
        return {str(row["clip_id"]): dict(row) for row in self.clips.to_dict("records")}


def store_clip(
    media: Path,
    frames: np.ndarray,
    fps: float,
    *,
    source: str,
    split: str,
    source_start_s: float = 0.0,
    caption: str = "",
    short_caption: str = "",
    caption_source: str = "",
) -> dict[str, Any]:
    """Write frames `uint8 [T, H, W, 3]` into the folder `media`, named by content, and return the clip's row.

    One frame is stored as a PNG, more as nearly lossless H.264.
    """
    image = len(frames) == 1
    suffix = "png" if image else "mp4"
    media.mkdir(parents=True, exist_ok=True)
    # The name is the digest of the bytes, so it is known only once they are written.
    descriptor, name = tempfile.mkstemp(prefix=".clip.", suffix=f".{suffix}", dir=media)
    os.close(descriptor)
    temporary = Path(name)
    try:
        if image:
            write_image(temporary, frames[0])
        else:
            write_video(temporary, frames, fps, playable=False)
        clip_id = file_digest(temporary)
        temporary.chmod(0o644)
        temporary.replace(media / f"{clip_id}.{suffix}")
    finally:
        temporary.unlink(missing_ok=True)
    return {
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
        "caption": caption,
        "short_caption": short_caption,
        "caption_source": caption_source,
        **curation_scores(frames),
        "split": split,
    }


def curation_scores(frames: np.ndarray) -> dict[str, float]:
    """Measure frames `uint8 [T, H, W, 3]`, each score in 0..1, on luminance.

    brightness: the mean. contrast: the standard deviation. motion: the mean absolute change from frame to frame (0 for
    an image). sharpness: the mean absolute difference of neighbouring pixels.
    """
    luma = frames @ LUMA / 255
    steps = (np.abs(np.diff(luma, axis=axis)) for axis in (1, 2))
    return {
        "brightness": float(luma.mean()),
        "contrast": float(luma.std()),
        "motion": float(np.abs(np.diff(luma, axis=0)).mean()) if len(luma) > 1 else 0.0,
        "sharpness": float(np.mean([step.mean() if step.size else 0.0 for step in steps])),
    }


def table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Make a table of rows with the columns and types of `CLIP_COLUMNS` or `QUARANTINE_COLUMNS`, even of no rows."""
    return pd.DataFrame(list(rows), columns=list(columns)).astype(dict(columns))
