"""Clips to judge, read from a file, a folder of files or a clip dataset."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from evaluation.findings import ClipInput
from kinora.errors import KinoraError, UsageError
from kinora.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES, media_kind, read_image, read_video
from kinora.numbers import count

LONGEST_SIDE = 320  # pixels; larger videos are reduced while they are read: detectors measure at less
MAX_FRAMES = 1200
NAMED = 5  # files that are passed over are named, at most
WRITTEN_BY = ("human", "simulator")  # captions that a clip is held to; what a captioner wrote may be wrong


@dataclass(frozen=True)
class ClipFile:
    """A clip that can be judged: its name in reports, what finds its file, and the prompt if a dataset tells it."""

    name: str
    locate: Callable[[], Path]
    prompt: str | None = None


def clip_files(path: Path) -> list[ClipFile]:
    """Return the clips of the dataset at `path`, or the video and image files at or below it, sorted.

    Raises:
        UsageError: if there is nothing at `path`.
        KinoraError: if it is a damaged dataset, or a folder that holds no video or image.
    """
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}; give a video or a folder of videos.")
    if path.is_file():
        return [ClipFile(path.name, lambda: path)]
    clips = _dataset_clips(path) if (path / "clips.parquet").is_file() else _folder_clips(path)
    if not clips:
        raise KinoraError(f"{path} holds no video or image; give a folder that does. {passed_over(path)}".rstrip())
    return sorted(clips, key=lambda clip: clip.name)


def passed_over(path: Path) -> str:
    """Return a sentence about the files at or below a folder that are no clips by their names; "" if there are none.

    Prompts beside clips and hidden files are not meant, nor is what lies in a dataset.
    """
    if path.is_file() or (path / "clips.parquet").is_file():
        return ""
    files = [file for file in path.rglob("*") if file.is_file()]
    known = {file.with_suffix(".txt") for file in files if _is_medium(file)}
    other = (file for file in files if not (_is_medium(file) or file in known or _hidden(file, path)))
    names = sorted(file.relative_to(path).as_posix() for file in other)
    if not names:
        return ""
    rest = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    said = f"{', '.join(names[:NAMED])}{rest}"
    return f"{count(len(names), 'file')} not judged, for no video or image is named with such an ending: {said}."


def read_clips(path: Path) -> Iterator[ClipInput | tuple[str, str]]:
    """Yield every clip at `path`, or for one that cannot be read its name and the reason.

    A clip's prompt is the caption in a dataset's table where a person or the simulator wrote it, or the text of
    `name.txt` beside `name.mp4`.
    """
    for clip in clip_files(path):
        try:
            yield read_clip(clip.locate(), clip.name, clip.prompt)
        except KinoraError as error:
            yield clip.name, str(error)


def read_clip(file: Path, name: str, prompt: str | None = None) -> ClipInput:
    """Read one file, at most `MAX_FRAMES` frames of at most `LONGEST_SIDE` pixels.

    Raises:
        MediaError: if it is missing or cannot be decoded.
    """
    sidecar = file.with_suffix(".txt")
    if prompt is None and sidecar.is_file():
        prompt = sidecar.read_text(errors="replace").strip()
    if media_kind(file) == "image":
        return ClipInput(name, _reduced(read_image(file)), 1.0, prompt or None)
    frames, fps = read_video(file, MAX_FRAMES + 1, size=_fitting)
    return ClipInput(name, frames[:MAX_FRAMES], fps, prompt or None, whole=len(frames) <= MAX_FRAMES)


def _dataset_clips(path: Path) -> list[ClipFile]:
    """Return the clips of a dataset's table. The media of a derived dataset are elsewhere; its table says where."""
    from kinora.data.clips import ClipDataset  # imports pandas, which a single file does not need

    dataset = ClipDataset.open(path)
    return [
        ClipFile(
            "/".join(PurePosixPath(row["uri"]).parts[-2:]),
            partial(dataset.media, row["uri"]),
            row["caption"] if row["caption_source"] in WRITTEN_BY else "",
        )
        for piece in dataset.pieces(["uri", "caption", "caption_source"])
        for row in piece.to_dict("records")
    ]


def _folder_clips(path: Path) -> list[ClipFile]:
    there = (file for file in path.rglob("*") if file.is_file() or not file.exists())  # a link to nothing is said
    return [ClipFile(file.relative_to(path).as_posix(), partial(Path, file)) for file in there if _is_medium(file)]


def _is_medium(file: Path) -> bool:
    return file.suffix.lower() in VIDEO_SUFFIXES + IMAGE_SUFFIXES


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


def _reduced(frames: np.ndarray) -> np.ndarray:
    size = _fitting(frames.shape[2], frames.shape[1])
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def _fitting(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SIDE / max(width, height))
    return max(2, round(width * scale)), max(2, round(height * scale))
