"""A request with what a person left open filled in."""

from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from kinora.data.grid import Grid
from kinora.errors import KinoraError, UsageError
from kinora.generation.fitting import within_area
from kinora.generation.request import ClipFormat, GenerationRequest, Task, check_array
from kinora.media import read_image, read_video

MOST_ENLARGED = 4  # a size that is left open has at most so many times the pixels of the model's usual one
MOST_SECONDS = 24 * 3600
Media = np.ndarray | str | Path  # frames `uint8`, or the file that holds them


class RequestOptions(TypedDict, total=False):
    """The fields of a `GenerationRequest` that may be left out; None is as good as leaving it out.

    `size` is width and height in pixels, `seconds` the length in place of `frames`; media may be files.
    """

    size: tuple[int, int] | None
    frames: int | None
    seconds: float | None
    fps: float | None
    seed: int
    negative_prompt: str
    expand: bool
    task: Task | str | None
    image: Media | None
    last_image: Media | None
    video: Media | None
    to_video: Media | None
    direction: str
    loop: bool
    strength: float | None
    missing: tuple[tuple[int, int], ...]
    region: tuple[int, int, int, int] | None
    factor: int | None


def request_for(prompt: str, grid: Grid, usual: ClipFormat, options: RequestOptions) -> GenerationRequest:
    """Return a request for what `options` say, and all else filled in.

    The task follows from what is given: two videos are connected; a video is filled where something of it is missing,
    edited where there is a strength, interpolated where there is a factor, extended otherwise; images are animated. The
    size is that of the video, or of the image where it is not much larger than what the model usually makes, else the
    usual number of pixels in the image's aspect ratio. The rate is that of a video file. All else is as `usual`.

    Args:
        prompt: what the clip shows.
        grid: the sizes and lengths that the model takes.
        usual: what it makes unless told otherwise.
        options: what is asked for.

    Raises:
        UsageError: if the model cannot make it.
        KinoraError: if a file is missing or cannot be decoded.
    """
    asked: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if "frames" in asked and "seconds" in asked:
        raise UsageError("a number of frames and of seconds both say how long the clip is; give one of them.")
    task = asked["task"] = _task(asked)
    rate = usual.fps
    for name in ("image", "last_image", "video", "to_video"):
        source = asked.get(name)
        if isinstance(source, np.ndarray):
            check_array(name, source)
        if isinstance(source, str | Path):
            if not Path(source).is_file():
                raise KinoraError(f"there is no file {source}; name one that is there.")
            if "image" in name:
                asked[name] = read_image(source)[0]
                continue
            asked[name], of_file = read_video(source)
            rate = of_file if name == "video" else rate
    asked.setdefault("factor", GenerationRequest.factor)
    asked.setdefault("fps", rate * asked["factor"] if task is Task.INTERPOLATE else rate)
    asked["width"], asked["height"] = asked.pop("size", None) or _size(asked, usual, grid)
    seconds = asked.pop("seconds", None)
    asked.setdefault("frames", _frames(asked, usual, grid) if seconds is None else _frames_of(seconds, asked, grid))
    request = GenerationRequest(prompt, **asked)
    request.check(grid)
    return request


def _task(asked: dict[str, Any]) -> Task:
    if "task" in asked:
        if asked["task"] not in list(Task):
            raise UsageError(f"there is no task '{asked['task']}'; choose from {', '.join(Task)}.")
        return Task(asked["task"])
    if "to_video" in asked:
        return Task.CONNECT
    if "video" in asked:
        if asked.get("missing") or "region" in asked:
            return Task.FILL
        if "strength" in asked:
            return Task.EDIT
        return Task.INTERPOLATE if "factor" in asked else Task.EXTEND
    return Task.IMAGE if "image" in asked or "last_image" in asked else Task.TEXT


def _size(asked: dict[str, Any], usual: ClipFormat, grid: Grid) -> tuple[int, int]:
    video = asked.get("video")
    if video is not None:
        return _sides(video)
    image = asked.get("image", asked.get("last_image"))
    if image is None:
        return usual.width, usual.height
    width, height = _sides(image)
    if width * height <= MOST_ENLARGED * usual.width * usual.height:
        return width, height
    return within_area(width / height, usual.width * usual.height, grid)


def _sides(media: np.ndarray) -> tuple[int, int]:
    return media.shape[-2], media.shape[-3]


def _frames_of(seconds: float, asked: dict[str, Any], grid: Grid) -> int:
    """Return the frames of a clip that lasts `seconds`, or comes nearest to it where it is a loop."""
    if not 0 < seconds <= MOST_SECONDS:
        raise UsageError(f"a clip of {seconds:g} s cannot be made; give a number above 0, up to {MOST_SECONDS:,}.")
    frames: int = max(1, round(seconds * asked["fps"]))
    return max(2, round(frames / grid.frames)) * grid.frames if asked.get("loop") else frames


def _frames(asked: dict[str, Any], usual: ClipFormat, grid: Grid) -> int:
    """Return the frames of the finished clip where that is left open; about half a usual clip is new beside videos."""
    given = [len(asked[name]) for name in ("video", "to_video") if name in asked]
    if not given:
        return max(2, usual.frames // grid.frames) * grid.frames if asked.get("loop") else usual.frames
    if asked["task"] in (Task.EXTEND, Task.CONNECT):
        return sum(given) + max(1, usual.frames // 2 // grid.frames) * grid.frames
    return (given[0] - 1) * int(asked["factor"]) + 1 if asked["task"] is Task.INTERPOLATE else given[0]
