"""Clips to judge, read from a file, a folder of files or a clip dataset."""

from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from evaluation.findings import ClipInput
from kinora.errors import KinoraError, UsageError
from kinora.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES, read_image

LONGEST_SIDE = 320  # larger videos are reduced while they are read: detectors measure at less
MOST_FRAMES = 1200


def clip_files(path: Path) -> list[Path]:
    """Return the video and image files at or below `path`, sorted.

    Raises:
        UsageError: if there is nothing at `path`.
        KinoraError: if a folder holds no video or image.
    """
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}; give a video or a folder of videos.")
    if path.is_file():
        return [path]
    files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in VIDEO_SUFFIXES + IMAGE_SUFFIXES)
    if not files:
        raise KinoraError(f"{path} holds no video or image; give a folder that does.")
    return files


def read_clips(path: Path) -> Iterator[ClipInput | tuple[str, str]]:
    """Yield every clip at `path`, or for one that cannot be read its name and the reason.

    A clip's prompt is the caption in a dataset's table, or the text of `name.txt` beside `name.mp4`.
    """
    captions = dataset_captions(path)
    root = path if path.is_dir() else path.parent
    for file in clip_files(path):
        name = file.relative_to(root).as_posix()
        try:
            yield read_clip(file, name, captions.get(file.stem))
        except KinoraError as error:
            yield name, str(error)


def read_clip(file: Path, name: str, caption: str | None = None) -> ClipInput:
    """Read one file, at most `MOST_FRAMES` frames of at most `LONGEST_SIDE` pixels."""
    sidecar = file.with_suffix(".txt")
    if caption is None and sidecar.is_file():
        caption = sidecar.read_text(errors="replace").strip()
    if file.suffix.lower() in IMAGE_SUFFIXES:
        return ClipInput(name, _reduced(read_image(file)), 1.0, caption or None)
    frames, fps = _read_reduced(file)
    return ClipInput(name, frames, fps, caption or None)


def dataset_captions(path: Path) -> dict[str, str]:
    """Return the captions by clip id if `path` is a clip dataset, nothing otherwise."""
    if not (path / "clips.parquet").is_file():
        return {}
    from kinora.data.clips import ClipDataset

    table = ClipDataset.open(path).clips
    return {str(i): str(c) for i, c in zip(table["clip_id"], table["caption"], strict=True) if isinstance(c, str) and c}


def _read_reduced(file: Path) -> tuple[np.ndarray, float]:
    frames: list[np.ndarray] = []
    fps = 0.0
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise KinoraError(f"{file} has no video stream; give a video file.")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            fps = float(stream.average_rate or stream.guessed_rate or 0)
            for frame in container.decode(stream):
                width, height = _fitting(frame.width, frame.height)
                picture = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
                frames.append(picture.to_ndarray())
                if len(frames) >= MOST_FRAMES:
                    break
    except (av.FFmpegError, ValueError) as error:
        raise KinoraError(f"{file} cannot be decoded as a video ({error}); replace or remove it.") from error
    if not frames or len({frame.shape for frame in frames}) != 1:
        raise KinoraError(f"{file} holds no frames of one size; replace or remove it.")
    return np.stack(frames), fps if fps > 0 else 1.0


def _reduced(frames: np.ndarray) -> np.ndarray:
    size = _fitting(frames.shape[2], frames.shape[1])
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def _fitting(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    return max(2, round(width * scale)), max(2, round(height * scale))
