"""Extension of a video: which one, uploaded or made here before, decoded within bounds, and how much longer."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from kinora.data.grid import Grid
from kinora.generation.request import LARGEST_SIDE, MOST_FRAMES, fitted
from serving.errors import ApiError
from serving.jobs import JobRequest
from serving.requests import (
    MOST_IMAGE_RATIO,
    Limits,
    grid_of,
    known_facts,
    number_of,
    prompt_of,
    refuse_too_many_pixels,
    requested_version,
    seed_of,
)

MOST_FRAME_PIXELS = 1920 * 1088
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
        facts: what the model version in service says of itself; may be empty.
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
    video = await _source_video(fields, find, tuple(facts["sizes"][0]), grid)
    height, width = video.frames.shape[1:3]
    frames = len(video.frames) + grid.nearest_video(1 + min(seconds, 1e6) * video.fps) - 1
    if frames > MOST_FRAMES:
        message = f"the extended video would have {frames} frames; ask for fewer seconds, up to {MOST_FRAMES} frames."
        raise ApiError(400, message, "too_long", "seconds")
    job_request = JobRequest("video", prompt, int(width), int(height), frames, video.fps, seed, direction, version)
    refuse_too_many_pixels(job_request, limits)
    return job_request, video.frames


async def _source_video(
    fields: Mapping[str, Any], find: Callable[[str], Path], usual: tuple[int, int], grid: Grid
) -> SourceVideo:
    value = fields.get("video")
    if isinstance(value, UploadFile):
        return await run_in_threadpool(decoded, io.BytesIO(await value.read()), usual, grid)
    # The client's other form is an object, which in a form arrives as one field a member.
    name = value.get("id") if isinstance(value, dict) else fields.get("video[id]")
    if not isinstance(name, str) or not name:
        message = "there is no video to extend; send an MP4 file, or the id of a video that is completed."
        raise ApiError(400, message, "invalid_value", "video")
    return await run_in_threadpool(decoded, find(name), usual, grid)


def decoded(source: io.BytesIO | Path, usual: tuple[int, int], grid: Grid) -> SourceVideo:
    """Decode an MP4 within bounds.

    Frames are scaled as they come to the clip's own size, if the model can make that, or to `usual` (width, height),
    so that a long video of large frames is never held whole.

    Raises:
        ApiError: if it is no MP4, or is too long, too short or too large.
    """
    wrong = ApiError(400, "the video cannot be decoded; send an MP4 file.", "invalid_video", "video")
    frames: list[np.ndarray] = []
    try:
        # The format is named: others, such as playlists, would open files and addresses that they name.
        with av.open(source, mode="r", format="mp4") as container:
            if not container.streams.video:
                raise wrong
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            fps = float(stream.average_rate or 0)
            _refuse_size(stream.codec_context.width, stream.codec_context.height)
            for frame in container.decode(stream):
                _refuse_size(frame.width, frame.height)  # it may change on the way
                size = (frame.width, frame.height) if _makeable(frame.width, frame.height, grid) else usual
                if frames:
                    size = frames[0].shape[1], frames[0].shape[0]
                frames.append(fitted(frame.to_ndarray(format="rgb24")[None], *size)[0])
                if len(frames) >= MOST_FRAMES:
                    message = f"the video has {MOST_FRAMES} frames or more already; send a shorter one."
                    raise ApiError(400, message, "too_long", "video")
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise wrong from error
    if not 0 < fps <= MOST_FPS or len(frames) < grid.shortest_video:
        message = f"the video has {len(frames)} frames at {fps:g} a second; send {grid.shortest_video} frames or more."
        raise ApiError(400, message, "invalid_video", "video")
    return SourceVideo(np.stack(frames), fps)


def _makeable(width: int, height: int, grid: Grid) -> bool:
    return all(grid.has_side(side) and side <= LARGEST_SIDE for side in (width, height))


def _refuse_size(width: int, height: int) -> None:
    if width * height > MOST_FRAME_PIXELS or max(width, height) > MOST_IMAGE_RATIO * max(1, min(width, height)):
        message = f"the video has frames of {width}x{height} pixels; send at most {MOST_FRAME_PIXELS:,} a frame."
        raise ApiError(400, message, "video_too_large", "video")
