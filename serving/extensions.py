"""Extension of a video: which one, uploaded or made here before, decoded within bounds, and how much longer."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from starlette.datastructures import UploadFile

from kinora.data.grid import Grid
from kinora.generation.fitting import fitted
from kinora.generation.request import LARGEST_SIDE, SMALLEST_SIDE
from kinora.media import MediaError, open_video
from serving.errors import ApiError
from serving.jobs import JobRequest
from serving.requests import (
    MOST_IMAGE_RATIO,
    Limits,
    decode,
    grid_of,
    known_facts,
    number_of,
    prompt_of,
    refuse_too_many_pixels,
    requested_version,
    seed_of,
)

MOST_FRAME_PIXELS = 1920 * 1088
MOST_FRAMES = 257  # of an extended video
MAX_SAMPLES = 2**21  # of all tracks of an MP4: half a minute of uncompressed sound; each takes about 70 bytes
MOST_FPS = 120.0
DIRECTIONS = ("forward", "backward")


@dataclass(frozen=True, eq=False)
class SourceVideo:
    """A video to extend: `uint8 [T, H, W, 3]`, on the grid, and its frames per second."""

    frames: np.ndarray
    fps: float


async def extension_from(
    fields: Mapping[str, Any], facts: Mapping[str, Any], limits: Limits, find: Callable[[str], Path]
) -> tuple[JobRequest, np.ndarray]:
    """Check a request, and decode the video that is to be extended.

    Args:
        fields: as sent: `prompt`, `seconds` (of the new part), `video` (a file, or the id of one made here), and
            maybe `direction`, `seed`, `model`.
        facts: what the deployed model version says of itself; may be empty.
        find: returns the file of a video made here.

    Raises:
        ApiError: if it cannot be made, with the field that is wrong.
    """
    facts = known_facts(facts)
    grid = grid_of(facts)
    prompt = prompt_of(fields.get("prompt"), facts)
    direction = fields.get("direction") or "forward"
    if direction not in DIRECTIONS:
        message = f"there is no direction '{str(direction)[:20]}'; give forward or backward."
        raise ApiError(400, message, "invalid_value", "direction")
    seconds = number_of(fields, "seconds", 0.0)
    if seconds <= 0:
        raise ApiError(400, "say in seconds, above 0, how much longer the video is to be.", "invalid_value", "seconds")
    seed, version = seed_of(fields), requested_version(fields.get("model"))
    video = await _source_video(fields, find, tuple(facts["sizes"][0]), grid, limits)
    height, width = video.frames.shape[1:3]
    frames = len(video.frames) + grid.nearest_video(1 + min(seconds, 1e6) * video.fps) - 1
    if frames > MOST_FRAMES:
        message = f"the extended video would have {frames} frames; ask for fewer seconds, up to {MOST_FRAMES} frames."
        raise ApiError(400, message, "too_long", "seconds")
    job_request = JobRequest("video", prompt, int(width), int(height), frames, video.fps, seed, direction, version)
    refuse_too_many_pixels(job_request, limits)
    return job_request, video.frames


async def _source_video(
    fields: Mapping[str, Any], find: Callable[[str], Path], usual: tuple[int, int], grid: Grid, limits: Limits
) -> SourceVideo:
    value = fields.get("video")
    if isinstance(value, UploadFile):
        return await decode(decoded, io.BytesIO(await value.read()), usual, grid, limits)
    # The client's other form is an object, which in a form arrives as one field a member.
    name = value.get("id") if isinstance(value, dict) else fields.get("video[id]")
    if not isinstance(name, str) or not name:
        message = "there is no video to extend; send an MP4 file, or the id of a video that is completed."
        raise ApiError(400, message, "invalid_value", "video")
    return await decode(decoded, find(name), usual, grid, limits)


def decoded(source: io.BytesIO | Path, usual: tuple[int, int], grid: Grid, limits: Limits) -> SourceVideo:
    """Decode an MP4 within bounds, which its header must keep and then its frames too.

    Frames are scaled as they come to the clip's own size, if the model can make that, or to `usual` (width, height),
    so that a long video of large frames is never held whole.

    Raises:
        ApiError: if it is no MP4, or is too long, too short or too large.
    """
    try:
        with open_video(source, formats="mp4", max_pixels=MOST_FRAME_PIXELS, max_samples=MAX_SAMPLES) as video:
            columns, rows = video.size
            if max(columns, rows) > MOST_IMAGE_RATIO * min(columns, rows):
                message = f"the video has frames of {columns}x{rows} pixels; send one that is less narrow."
                raise ApiError(400, message, "video_too_large", "video")
            width, height = _size(columns, rows, usual, grid)
            # At least one step of the grid is added to it.
            most = min(MOST_FRAMES, limits.pixels // (width * height)) - grid.frames
            _refuse_length(video.promised, most, width, height)
            frames, fps = video.read(most + 1, size=lambda w, h: _covering(w, h, *_size(w, h, usual, grid)))
    except MediaError as error:
        if error.reason == "too_large":
            raise ApiError(
                400, f"the video {error.problem}; send a smaller one.", "video_too_large", "video"
            ) from error
        raise ApiError(400, "the video cannot be decoded; send an MP4 file.", "invalid_video", "video") from error
    _refuse_length(len(frames), most, width, height)
    if not 0 < fps <= MOST_FPS or len(frames) < grid.shortest_video:
        message = f"the video has {len(frames)} frames at {fps:g} a second; send {grid.shortest_video} frames or more."
        raise ApiError(400, message, "invalid_video", "video")
    return SourceVideo(fitted(frames, *_size(*video.size, usual, grid)), fps)


def _size(width: int, height: int, usual: tuple[int, int], grid: Grid) -> tuple[int, int]:
    """Return a video's own (width, height) if it is on the model's grid, or `usual`."""
    makeable = all(grid.has_side(side) and SMALLEST_SIDE <= side <= LARGEST_SIDE for side in (width, height))
    return (width, height) if makeable else usual


def _covering(width: int, height: int, target_width: int, target_height: int) -> tuple[int, int]:
    """Return the smallest size of the same shape that covers the target."""
    scale = max(target_width / width, target_height / height)
    return max(target_width, round(width * scale)), max(target_height, round(height * scale))


def _refuse_length(frames: int, most: int, width: int, height: int) -> None:
    if frames > most:
        message = f"the video has more than {max(0, most)} frames of {width}x{height}; send a shorter or smaller one."
        raise ApiError(400, message, "too_long", "video")
