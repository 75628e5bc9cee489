"""The images and videos that a request brings, uploaded or made here before: decoded within bounds, to the clip's size.

A decoder holds a frame or an image several times over, so that only a few work at once in this process.
"""

import asyncio
import base64
import binascii
import io
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from starlette.datastructures import UploadFile

from kinora.data.grid import Grid
from kinora.generation.fitting import difference, fitted, within_area
from kinora.generation.options import MOST_ENLARGED
from kinora.generation.request import SMALLEST_SIDE, ClipFormat
from kinora.media import MediaError, MediaLimits, image_size, open_video, read_image
from serving.errors import ApiError
from serving.fields import Fields, invalid

MOST_IMAGE_BYTES = 8 * 2**20
MOST_IMAGE_PIXELS = 16_000_000
MOST_FRAME_PIXELS = 2048 * 2048
MOST_RATIO = 16  # of the sides: a line of pixels, scaled to cover a clip, would become huge
MAX_SAMPLES = 2**21  # of all tracks of an MP4: half a minute of uncompressed sound; each takes about 70 bytes
VIDEO_LIMITS = MediaLimits(pixels=MOST_FRAME_PIXELS, samples=MAX_SAMPLES)
MOST_FPS = 120.0
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP")
# The field that brings each: the API's own name for a first image.
IMAGES = {"image": "input_reference", "last_image": "last_image"}
VIDEOS = {"video": "video", "to_video": "to_video"}
FIELD_OF = IMAGES | VIDEOS
Size = tuple[int, int]  # width and height in pixels
FindVideo = Callable[[str, str], Path]  # the file of a video made here, by its id and the field that named it
DECODERS = ThreadPoolExecutor(2, thread_name_prefix="decode")


@dataclass(eq=False)
class GivenMedia:
    """What was given, by the name of the request's field: images `uint8 [H, W, 3]`, videos `uint8 [T, H, W, 3]`.

    All have the size of the clip that they are for. `fps` is the first video's; `notes` say what was scaled and cut.
    """

    media: dict[str, np.ndarray] = field(default_factory=dict)
    size: Size | None = None
    fps: float | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Room:
    """What decoding may make: clips of the model's grid, `pixels` at most in one (width times height times frames)."""

    grid: Grid
    usual: ClipFormat
    pixels: int

    def size(self, columns: int, rows: int, asked: Size | None) -> Size:
        """Return the size of the clip: the one asked for, else the medium's own unless that is far from the usual."""
        if asked is not None:
            return asked
        area = self.usual.width * self.usual.height
        if min(columns, rows) >= SMALLEST_SIDE and columns * rows <= MOST_ENLARGED * area:
            return columns, rows
        return within_area(columns / rows, area, self.grid)


async def given_media(fields: Fields, size: Size | None, room: Room, find: FindVideo) -> GivenMedia:
    """Return the media of a request; their size is `size`, or follows from the first of them.

    Args:
        fields: as sent: `input_reference`, `last_image`, `video`, `to_video`.
        size: of the clip, where the request says it.
        room: for decoding.
        find: returns the file of a video made here.

    Raises:
        ApiError: if one is too large or cannot be decoded.
    """
    given = GivenMedia(size=size)
    for name, param in VIDEOS.items():
        source = await _video_source(fields, param, find)
        if source is not None:
            await _run(_add_video, given, name, source, room)
    for name, param in IMAGES.items():
        data = await _image_bytes(fields, param)
        if data is not None:
            await _run(_add_image, given, name, data, room)
    return given


async def _run(function: Callable[..., None], *arguments: Any) -> None:
    """Decode beside the event loop, when its turn comes."""
    await asyncio.get_running_loop().run_in_executor(DECODERS, function, *arguments)


def _add_image(given: GivenMedia, name: str, data: bytes, room: Room) -> None:
    param = IMAGES[name]
    try:
        columns, rows = image_size(io.BytesIO(data), IMAGE_FORMATS)  # from the header: nothing is decoded yet
        _refuse_narrow(param, "image", columns, rows)
        frames = read_image(io.BytesIO(data), formats=IMAGE_FORMATS, limits=MediaLimits(pixels=MOST_IMAGE_PIXELS))
    except MediaError as error:
        if error.reason == "too_large":
            raise invalid(param, f"the image {error.problem}; send a smaller one.", "image_too_large") from error
        raise invalid(param, "the image cannot be decoded; send a PNG, JPEG or WebP.", "invalid_image") from error
    rows, columns = frames.shape[1:3]
    given.size = _possible(room.size(columns, rows, given.size), param)
    given.media[name] = fitted(frames, *given.size)[0]
    _note(given, "image" if name == "image" else "last image", columns, rows)


def _add_video(given: GivenMedia, name: str, source: io.BytesIO | Path, room: Room) -> None:
    """Decode an MP4 within bounds, which its header must keep and then its frames too.

    Frames are scaled as they come, so that a long video of large frames is never held whole.
    """
    param = VIDEOS[name]
    try:
        with open_video(source, formats="mp4", limits=VIDEO_LIMITS) as video:
            _refuse_narrow(param, "video", *video.size)
            width, height = _possible(room.size(*video.size, given.size), param)
            most = room.pixels // (width * height)
            _refuse_length(param, video.promised, most, width, height)
            frames, fps = video.read(most + 1, size=lambda w, h: _covering(w, h, *room.size(w, h, given.size)))
            size = _possible(room.size(*video.size, given.size), param)  # upright, which its first frame says
            columns, rows = video.size
    except MediaError as error:
        if error.reason == "too_large":
            raise invalid(param, f"the video {error.problem}; send a smaller one.", "video_too_large") from error
        raise invalid(param, "the video cannot be decoded; send an MP4 file.", "invalid_video") from error
    _refuse_length(param, len(frames), most, width, height)
    if not 0 < fps <= MOST_FPS:
        raise invalid(param, f"the video has {fps:g} frames a second; send one of up to {MOST_FPS:g}.", "invalid_video")
    given.size, given.fps = size, given.fps or fps
    given.media[name] = fitted(frames, *size)
    _note(given, "video" if name == "video" else "second video", columns, rows)


def _note(given: GivenMedia, name: str, columns: int, rows: int) -> None:
    assert given.size is not None
    own = np.broadcast_to(np.uint8(0), (rows, columns, 3))  # takes no memory
    note = difference(name, own, *given.size)
    given.notes += [note] if note else []


def _possible(size: Size, param: str) -> Size:
    """Refuse to decode to nothing at all; all else says the library's own check of the request."""
    if min(size) < 1 or max(size) > 2**14:
        raise invalid("size", f"a size of {size[0]}x{size[1]} cannot be made; ask for another.")
    return size


def _refuse_narrow(param: str, what: str, columns: int, rows: int) -> None:
    if max(columns, rows) > MOST_RATIO * min(columns, rows):
        message = f"the {what} has {columns}x{rows} pixels; send one that is less narrow."
        raise invalid(param, message, f"invalid_{what}")


def _covering(width: int, height: int, target_width: int, target_height: int) -> Size:
    """Return the smallest size of the same shape that covers the target."""
    scale = max(target_width / width, target_height / height)
    return max(target_width, round(width * scale)), max(target_height, round(height * scale))


def _refuse_length(param: str, frames: int, most: int, width: int, height: int) -> None:
    if frames > most:
        message = (
            f"the video has more than the {most} frames of {width}x{height} that fit; send a shorter or smaller one."
        )
        raise invalid(param, message, "too_long")


async def _video_source(fields: Fields, param: str, find: FindVideo) -> io.BytesIO | Path | None:
    value = fields.get(param)
    if isinstance(value, UploadFile):
        return io.BytesIO(await value.read())
    # The client's other form is an object, which in a form arrives as one field a member.
    name = value.get("id") if isinstance(value, dict) else fields.get(f"{param}[id]")
    if value in (None, "") and name is None:
        return None
    if not isinstance(name, str) or not name:
        raise invalid(param, "a video is an MP4 file, or the id of a video that was made here; send one of them.")
    return find(name, param)


async def _image_bytes(fields: Fields, param: str) -> bytes | None:
    value = fields.get(param)
    if isinstance(value, UploadFile):
        data = await value.read()
    else:
        # The client's other form is an object, which in a form arrives as one field a member.
        url = value.get("image_url") if isinstance(value, dict) else fields.get(f"{param}[image_url]")
        if value is None and url is None and f"{param}[file_id]" not in fields:
            return None
        match = re.fullmatch(r"data:image/[a-z+.-]+;base64,(.*)", url, re.DOTALL) if isinstance(url, str) else None
        if match is None:
            message = "an image must be an uploaded file or a base64 data URL; nothing is fetched from elsewhere."
            raise invalid(param, message)
        try:
            data = base64.b64decode(match[1], validate=True)
        except (binascii.Error, ValueError) as error:
            raise invalid(param, "the data URL is no base64; encode it again.") from error
    if len(data) > MOST_IMAGE_BYTES:
        most = MOST_IMAGE_BYTES // 2**20
        raise ApiError(413, f"the image is larger than {most} MiB; send less.", "too_large", param)
    return data
