"""What the options of `kinora generate` ask for: the task, and its ranges, regions and sizes out of texts."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kinora.errors import UsageError
from kinora.generation.request import Task

# The options that choose a task; without any it is text.
CHOOSING = {
    "image": Task.IMAGE,
    "last_image": Task.IMAGE,
    "extend": Task.EXTEND,
    "edit": Task.EDIT,
    "connect": Task.CONNECT,
    "fill": Task.FILL,
    "interpolate": Task.INTERPOLATE,
}
# The options that only some tasks have, and what they go with, in words.
ONLY_OF: dict[str, tuple[tuple[Task, ...], str]] = {
    "direction": ((Task.EXTEND,), "goes with --extend"),
    "strength": ((Task.EDIT,), "goes with --edit"),
    "frames_missing": ((Task.FILL,), "goes with --fill"),
    "region": ((Task.FILL,), "goes with --fill"),
    "factor": ((Task.INTERPOLATE,), "goes with --interpolate"),
    "loop": ((Task.TEXT, Task.IMAGE), "goes with a prompt alone, or with --image"),
}
OF_THE_VIDEO = (Task.EDIT, Task.FILL, Task.INTERPOLATE)  # whose clips are as long as their video makes them


def task_of(given: Mapping[str, Any]) -> Task:
    """Return the task that options ask for; `given` holds those that a person gave, by their Python names.

    Raises:
        UsageError: if they ask for several, or for what the task does not have.
    """
    choosing = [name for name in CHOOSING if name in given]
    tasks = {CHOOSING[name] for name in choosing}
    if len(tasks) > 1:
        named = " and ".join(map(_option, choosing))
        raise UsageError(f"{named} are different tasks; give one of them.")
    task = tasks.pop() if tasks else Task.TEXT
    for name, (of, words) in ONLY_OF.items():
        if name in given and task not in of:
            raise UsageError(f"{_option(name)} {words}; leave it out here.")
    if "loop" in given and "last_image" in given:
        raise UsageError("a loop ends where it begins; leave --last-image out, or --loop.")
    for name in ("frames", "seconds"):
        if name in given and task in OF_THE_VIDEO:
            raise UsageError(
                f"{_option(name)} cannot be chosen with --{task}, whose clip is as long as its video makes it; "
                "leave it out."
            )
    if "frames" in given and "seconds" in given:
        raise UsageError("--frames and --seconds both say how long the clip is; give one of them.")
    if task is Task.FILL and "frames_missing" not in given and "region" not in given:
        raise UsageError("--fill needs to know what is missing; give --frames-missing, --region, or both.")
    return task


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@contextmanager
def bad_media_is_bad_usage() -> Iterator[None]:
    """Let a file that was named and cannot be read end the command as bad usage does."""
    from kinora.media import MediaError

    try:
        yield
    except MediaError as error:
        raise UsageError(str(error)) from error


def check_media(images: Iterable[Path | None], videos: Iterable[Path | None]) -> None:
    """Check that files are there and open as what they should be, as far as their headers say.

    Raises:
        UsageError: if one does not.
    """
    from kinora.media import image_size, open_video

    with bad_media_is_bad_usage():
        for path in filter(None, images):
            image_size(path)
        for path in filter(None, videos):
            with open_video(path):
                pass


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) of a text such as "40x24".

    Raises:
        UsageError: if it is no size.
    """
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text.strip().lower())
    if not match:
        raise UsageError(f"'{text}' is no size; give width and height in pixels, such as 40x24.")
    return int(match[1]), int(match[2])


def parse_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Return the (first, last) frame of each range of a text such as "5:12,20", counted from 0, both inclusive.

    Raises:
        UsageError: if it is none.
    """
    matches = [re.fullmatch(r"(\d{1,9})(?::(\d{1,9}))?", part.strip()) for part in text.split(",")]
    ranges = tuple((int(found[1]), int(found[2] or found[1])) for found in matches if found)
    if len(ranges) < len(matches) or any(last < first for first, last in ranges):
        raise UsageError(
            f"'{text}' is no range of frames; give the first and the last that are missing, counted from 0, such as "
            "5:12, or several such as 5:12,20:22."
        )
    return ranges


def parse_region(text: str) -> tuple[int, int, int, int]:
    """Return (left, top, width, height) of a text such as "8,16,24x12", in pixels.

    Raises:
        UsageError: if it is none.
    """
    match = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6})x(\d{1,6})", re.sub(r"\s", "", text.lower()))
    if not match:
        raise UsageError(
            f"'{text}' is no region; give its left and top edge and its width and height in pixels, such as 8,16,24x12."
        )
    left, top, width, height = map(int, match.groups())
    return left, top, width, height
