"""What a client may ask for: the fields of a request checked, bounded, and turned into a job."""

import asyncio
import base64
import binascii
import io
import json
import math
import re
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect

from kinora.config import from_dict, to_dict
from kinora.data.grid import DEFAULT_GRID, Grid
from kinora.errors import UsageError
from kinora.generation.fitting import fitted
from kinora.generation.request import GenerationRequest
from kinora.media import MediaError, image_size, read_image
from kinora.models.text_encoder import split_words
from serving.errors import ApiError
from serving.jobs import JobRequest
from serving.model_store import MODEL

T = TypeVar("T")
MOST_BODY_BYTES = 12 * 2**20
MOST_IMAGE_BYTES = 8 * 2**20
MOST_IMAGE_PIXELS = 16_000_000
MOST_IMAGE_RATIO = 16  # of its sides: a line of pixels, scaled to cover a clip, would become huge
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP")
MOST_PROMPT_CHARACTERS = 1000
MOST_SEED = 2**31 - 1
# For a version that says nothing of itself.
DEFAULTS: dict[str, Any] = {"sizes": [[32, 32]], "frames": 17, "fps": 8.0, "grid": to_dict(DEFAULT_GRID)}


# Of this process. A decoder holds a frame or an image several times over, so that only a few work at once.
DECODERS = ThreadPoolExecutor(2, thread_name_prefix="decode")


async def decode(function: Callable[..., T], *arguments: Any) -> T:
    """Run a function that decodes media beside the event loop, when its turn comes."""
    return await asyncio.get_running_loop().run_in_executor(DECODERS, function, *arguments)


@dataclass(frozen=True)
class Limits:
    """What the gateway takes.

    queued: jobs that may wait. pixels: of one clip, width times height times frames; bounds time and memory of a job.
    """

    queued: int = 100
    pixels: int = 2**21


async def read_fields(request: Request, most_bytes: int = MOST_BODY_BYTES) -> dict[str, Any]:
    """Return the fields of a multipart, form or JSON body.

    Raises:
        ApiError: if it is too large, or is none of these.
    """
    body = await read_body(request, most_bytes)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ApiError(400, "the body is no JSON; send an object.", "invalid_json") from error
        if not isinstance(value, dict):
            raise ApiError(400, "the body is no JSON object; send one.", "invalid_json")
        if not _unicode(value):
            raise ApiError(400, "the body has half a character (a lone surrogate); send whole ones.", "invalid_json")
        return value
    if kind not in ("multipart/form-data", "application/x-www-form-urlencoded"):
        raise ApiError(415, f"'{kind[:40]}' cannot be read; send multipart/form-data or application/json.", "bad_type")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    # Starlette answers a broken form with its own HTTPException, which becomes an error like any other.
    form = await Request(request.scope, receive).form(max_files=1, max_fields=50, max_part_size=MOST_BODY_BYTES)
    return dict(form)


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Return the body, unless it is larger than `most_bytes`.

    Raises:
        ApiError: if it is.
    """
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most_bytes:
                raise ApiError(413, f"the request is larger than {most_bytes // 2**20} MiB; send less.", "too_large")
            parts.append(part)
    except ClientDisconnect as error:  # nobody hears this, and it is no failure of ours
        raise ApiError(400, "the connection ended before the request did; send it again.", "disconnected") from error
    return b"".join(parts)


def _unicode(value: Any) -> bool:
    """Say whether UTF-8 can carry all text in a JSON value: JSON can name what neither it nor SQLite can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def whole_number(value: Any, least: int, most: int) -> int | None:
    """Return a whole number from `least` to `most`, given as one or as text; None where it is none of these."""
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,12}", str(value).strip()):
        return None
    return int(value) if least <= int(value) <= most else None


def job_request_from(fields: Mapping[str, Any], kind: str, facts: Mapping[str, Any], limits: Limits) -> JobRequest:
    """Check a request.

    Args:
        fields: as sent; texts, or JSON values.
        kind: "video" or "image".
        facts: what the deployed model version says of itself; may be empty.
        limits: of this gateway.

    Raises:
        ApiError: if it cannot be made, with the field that is wrong.
    """
    facts = known_facts(facts)
    prompt = prompt_of(fields.get("prompt"), facts)
    width, height = _size(fields.get("size"), facts)
    fps = number_of(fields, "fps", float(facts["fps"]))
    grid = grid_of(facts)
    frames = 1 if kind == "image" else _frames(fields, fps, int(facts["frames"]), grid)
    seed = seed_of(fields)
    for param in ("size", "frames", "fps"):
        _possible(param, prompt, width, height, frames, fps, grid)
    version = requested_version(fields.get("model"))
    job_request = JobRequest(kind, prompt, width, height, frames, fps, seed, requested_version=version)
    refuse_too_many_pixels(job_request, limits)
    return job_request


def known_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a version says of itself, with defaults for what it does not."""
    return DEFAULTS | {name: value for name, value in facts.items() if value}


def grid_of(facts: Mapping[str, Any]) -> Grid:
    """Return the sizes and lengths that a version makes, from its known facts."""
    return from_dict(Grid, facts["grid"])


def seed_of(fields: Mapping[str, Any]) -> int:
    """Return the seed of the request, or a drawn one.

    Raises:
        ApiError: if it is none.
    """
    seed = whole_of(fields, "seed", None)
    if seed is None:
        return secrets.randbelow(MOST_SEED + 1)
    if not 0 <= seed <= MOST_SEED:
        raise ApiError(400, f"the seed {seed} is out of range; give 0 to {MOST_SEED}.", "invalid_value", "seed")
    return seed


def refuse_too_many_pixels(request: JobRequest, limits: Limits) -> None:
    """Refuse a clip that would take too long.

    Raises:
        ApiError: if it has more pixels than this endpoint makes.
    """
    pixels = request.width * request.height * request.frames
    if pixels > limits.pixels:
        raise ApiError(
            400,
            f"{request.frames} frames of {request.width}x{request.height} are {pixels:,} pixels, and this endpoint "
            f"makes at most {limits.pixels:,}; ask for a smaller or shorter clip.",
            "too_many_pixels",
            "size",
        )


async def reference_image(fields: Mapping[str, Any], job_request: JobRequest) -> np.ndarray | None:
    """Return the uploaded image `uint8 [H, W, 3]`, scaled and cut to the size of the clip; None where none was sent.

    Raises:
        ApiError: if it is too large or cannot be decoded, or the clip is an image.
    """
    data = await _reference_bytes(fields)
    if data is None:
        return None
    if job_request.frames == 1:
        message = "one frame leaves nothing to generate beside the reference image; ask for more frames."
        raise ApiError(400, message, "invalid_value", "frames")
    if len(data) > MOST_IMAGE_BYTES:
        most = MOST_IMAGE_BYTES // 2**20
        raise ApiError(
            413, f"the reference image is larger than {most} MiB; send less.", "too_large", "input_reference"
        )
    return await decode(_decoded, data, job_request.width, job_request.height)


def _decoded(data: bytes, width: int, height: int) -> np.ndarray:
    try:
        columns, rows = image_size(io.BytesIO(data), IMAGE_FORMATS)  # from the header: nothing is decoded yet
        if max(columns, rows) > MOST_IMAGE_RATIO * min(columns, rows):
            message = f"the reference image has {columns}x{rows} pixels; send one that is less narrow."
            raise ApiError(400, message, "invalid_image", "input_reference")
        frames = read_image(io.BytesIO(data), formats=IMAGE_FORMATS, max_pixels=MOST_IMAGE_PIXELS)
    except MediaError as error:
        if error.reason == "too_large":
            message = f"the reference image {error.problem}; send a smaller one."
            raise ApiError(400, message, "image_too_large", "input_reference") from error
        message = "the reference image cannot be decoded; send a PNG, JPEG or WebP."
        raise ApiError(400, message, "invalid_image", "input_reference") from error
    frame: np.ndarray = fitted(frames, width, height)[0]
    return frame


async def _reference_bytes(fields: Mapping[str, Any]) -> bytes | None:
    value = fields.get("input_reference")
    if isinstance(value, UploadFile):
        return await value.read()
    # The client's other form is an object, which in a form arrives as one field a member.
    url = value.get("image_url") if isinstance(value, dict) else fields.get("input_reference[image_url]")
    if value is None and url is None and "input_reference[file_id]" not in fields:
        return None
    match = re.fullmatch(r"data:image/[a-z+.-]+;base64,(.*)", url, re.DOTALL) if isinstance(url, str) else None
    if match is None:
        message = (
            "the reference image must be an uploaded file or a base64 data URL; nothing is fetched from elsewhere."
        )
        raise ApiError(400, message, "invalid_value", "input_reference")
    try:
        return base64.b64decode(match[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ApiError(
            400, "the data URL is no base64; encode it again.", "invalid_value", "input_reference"
        ) from error


def prompt_of(value: Any, facts: Mapping[str, Any]) -> str:
    """Return the prompt with single spaces, unless it is empty or too long for the model."""
    prompt = " ".join(value.split()) if isinstance(value, str) else ""
    if not prompt:
        raise ApiError(400, "the prompt is empty; say what the video should show.", "empty_prompt", "prompt")
    if len(prompt) > MOST_PROMPT_CHARACTERS:
        message = f"the prompt has {len(prompt):,} characters; give at most {MOST_PROMPT_CHARACTERS:,}."
        raise ApiError(400, message, "prompt_too_long", "prompt")
    words, most = len(split_words(prompt)), facts.get("max_words")
    if not words:
        raise ApiError(400, "the prompt has no words; say what the video should show.", "empty_prompt", "prompt")
    if most and words > most:
        message = f"the prompt has {words} words, and this model reads {most}; say it in fewer."
        raise ApiError(400, message, "prompt_too_long", "prompt")
    return prompt


def _size(value: Any, facts: Mapping[str, Any]) -> tuple[int, int]:
    if value in (None, "", "auto"):
        width, height = facts["sizes"][0]
        return int(width), int(height)
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", value.strip().lower()) if isinstance(value, str) else None
    if match is None:
        message = f"'{str(value)[:40]}' is no size; give width and height in pixels, such as 40x24."
        raise ApiError(400, message, "invalid_value", "size")
    return int(match[1]), int(match[2])


def _frames(fields: Mapping[str, Any], fps: float, usual: int, grid: Grid) -> int:
    """Return `frames`, or the number that comes nearest to `seconds`, or what the version makes."""
    frames = whole_of(fields, "frames", None)
    if frames is not None:
        return frames
    if fields.get("seconds") in (None, ""):
        return usual
    seconds = number_of(fields, "seconds", 0.0)
    if not 0 < seconds <= 600:
        raise ApiError(400, f"{seconds:g} seconds cannot be made; give more than 0.", "invalid_value", "seconds")
    return grid.nearest_video(seconds * fps)


def requested_version(value: Any) -> str:
    """Return the model version that must make the clip, or "" for the deployed one."""
    if value in (None, "", MODEL):
        return ""
    match = re.fullmatch(rf"{MODEL}:([0-9a-f]{{8,64}})", value) if isinstance(value, str) else None
    if match is None:
        message = f"there is no model '{str(value)[:60]}'; ask for '{MODEL}', or leave it out."
        raise ApiError(404, message, "model_not_found", "model")
    return match[1]


def _possible(param: str, prompt: str, width: int, height: int, frames: int, fps: float, grid: Grid) -> None:
    """Refuse what the library refuses, naming the field: the others are replaced by ones that are possible."""
    sides = (width, height) if param == "size" else (32, 32)
    try:
        request = GenerationRequest(prompt, *sides, frames if param == "frames" else 1, fps if param == "fps" else 8.0)
        request.check(grid)
    except UsageError as error:
        raise ApiError(400, str(error), "invalid_value", param) from error


def number_of(fields: Mapping[str, Any], name: str, default: float) -> float:
    """Return a finite number, or `default` where none was sent."""
    value = fields.get(name)
    if value in (None, ""):
        return default
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ApiError(400, f"{name} is '{str(value)[:40]}', which is no number; give one.", "invalid_value", name)
    return number


def whole_of(fields: Mapping[str, Any], name: str, default: int | None) -> int | None:
    """Return a whole number, or `default` where none was sent."""
    value = fields.get(name)
    if value in (None, ""):
        return default
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,12}", str(value).strip()):
        message = f"{name} is '{str(value)[:40]}', which is no whole number; give one."
        raise ApiError(400, message, "invalid_value", name)
    return int(value)
