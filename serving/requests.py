"""What a client may ask for: a request checked by the library's own rules, bounded, and turned into a job."""

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from kinora.config import from_dict, to_dict
from kinora.data.grid import DEFAULT_GRID, Grid
from kinora.errors import UsageError
from kinora.generation.options import RequestOptions, request_for
from kinora.generation.request import ClipFormat, GenerationRequest, Task
from kinora.generation.words import refuse_unknown, unknown_words
from kinora.models.text_encoder import split_words
from serving.errors import ApiError
from serving.fields import Fields, flag_of, invalid, number_of, ranges_of, region_of, sent, text_of, whole_of
from serving.given import FIELD_OF, FindVideo, Room, given_media
from serving.jobs import JobRequest
from serving.model_store import MODEL

MOST_SEED = 2**31 - 1
# For a version that says nothing of itself.
DEFAULTS: dict[str, Any] = {"sizes": [[32, 32]], "frames": 17, "fps": 8.0, "grid": to_dict(DEFAULT_GRID)}
# What a job's options hold of its request; size, length and media have places of their own.
OPTIONS = ("negative_prompt", "expand", "direction", "loop", "strength", "missing", "region", "factor")


@dataclass(frozen=True)
class Limits:
    """What the gateway takes.

    queued: jobs that may wait. pixels: of one clip, width times height times frames; bounds time and memory of a job.
    """

    queued: int = 100
    pixels: int = 2**26


@dataclass(frozen=True, eq=False)
class CheckedRequest:
    """A job that can be made, and the images and videos that it is made from, by their names."""

    job: JobRequest
    media: Mapping[str, np.ndarray]


async def checked_request(
    fields: Fields,
    kind: str,
    facts: Mapping[str, Any],
    limits: Limits,
    find: FindVideo,
    task: Task | None = None,
) -> CheckedRequest:
    """Check a request, and decode what it brings.

    Args:
        fields: as sent.
        kind: "video" or "image".
        facts: what the deployed model version says of itself, and its worker of its memory; may be empty.
        limits: of this gateway.
        find: returns the file of a video made here.
        task: what the route makes, where that is one task.

    Raises:
        ApiError: if it cannot be made, with the field that is wrong.
    """
    facts = DEFAULTS | {name: value for name, value in facts.items() if value}
    limits = replace(limits, pixels=min(limits.pixels, int(facts.get("pixels", limits.pixels))))
    grid = from_dict(Grid, facts["grid"])
    width, height = facts["sizes"][0]
    usual = ClipFormat(int(width), int(height), int(facts["frames"]), float(facts["fps"]))
    prompt, negative = _prompts_of(fields, facts)
    options = _options_of(fields, task) | {"negative_prompt": negative, "seed": _seed_of(fields)}
    version = _requested_version(fields.get("model"))
    given = await given_media(fields, options.get("size"), Room(grid, usual, limits.pixels), find)
    if given.size is not None:
        options["size"] = given.size
    if given.fps is not None:
        usual = replace(usual, fps=given.fps)
    if kind == "image":
        options = {name: value for name, value in options.items() if name != "seconds"} | {"frames": 1}
    elif "seconds" in options:  # of what is new beside the given videos, as the API's extensions have it
        given_frames = sum(len(media) for media in given.media.values() if media.ndim == 4)
        options["seconds"] += given_frames / options.get("fps", usual.fps)
    request = _made_of(prompt, grid, usual, {**options, **given.media}, fields)
    if request.task is Task.TEXT and not split_words(prompt):
        message = "the prompt has no words; say what the video should show, or give an image or a video."
        raise invalid("prompt", message, "invalid_prompt")
    _refuse_too_many_pixels(request, limits)
    job = JobRequest(
        kind,
        request.prompt,
        request.width,
        request.height,
        request.frames,
        request.fps,
        request.seed,
        str(request.task),
        {name: getattr(request, name) for name in OPTIONS},
        tuple(given.media),
        tuple(given.notes),
        version,
    )
    return CheckedRequest(job, given.media)


def unknown_words_of(prompt: str, expand: bool, facts: Mapping[str, Any] | None) -> list[str]:
    """Return the words of a prompt that the deployed model never saw in training."""
    return unknown_words(prompt, (facts or {}).get("vocabulary") or (), expanded=expand)


def _made_of(prompt: str, grid: Grid, usual: ClipFormat, options: dict[str, Any], fields: Fields) -> GenerationRequest:
    """Return the request that the library makes of these options.

    Raises:
        ApiError: if it refuses, with the field to blame: the first one without which it would say something else.
    """
    try:
        return request_for(prompt, grid, usual, cast(RequestOptions, options))
    except UsageError as error:
        refused = str(error)
        blamed = next((name for name in options if _refusal(prompt, grid, usual, options, name) != refused), "prompt")
        if blamed == "task" and not sent(fields, "task"):
            blamed = "video"  # which the route is for
        code = "invalid_prompt" if blamed == "prompt" else "invalid_value"
        raise invalid(FIELD_OF.get(blamed, blamed), refused, code) from error


def _refusal(prompt: str, grid: Grid, usual: ClipFormat, options: Mapping[str, Any], without: str) -> str:
    """Return what the library says to a request without one of its options; empty where it would make that."""
    rest = {name: value for name, value in options.items() if name != without}
    try:
        request_for(prompt, grid, usual, cast(RequestOptions, rest))
    except UsageError as error:
        return str(error)
    return ""


def _options_of(fields: Fields, task: Task | None) -> dict[str, Any]:
    """Return the options that were sent, by the names of the library's request, the first to blame first."""
    options: dict[str, Any] = {
        "size": _size_of(fields),
        "frames": whole_of(fields, "frames"),
        "seconds": number_of(fields, "seconds"),
        "fps": number_of(fields, "fps"),
        "direction": text_of(fields, "direction")[:20] or None,
        "loop": flag_of(fields, "loop", False) or None,
        "strength": number_of(fields, "strength"),
        "factor": whole_of(fields, "factor"),
        "missing": ranges_of(fields, "missing"),
        "region": region_of(fields, "region"),
        "expand": flag_of(fields, "expand", True),
        "task": task or text_of(fields, "task")[:20] or None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _prompts_of(fields: Fields, facts: Mapping[str, Any]) -> tuple[str, str]:
    """Return the prompt and the negative prompt with single spaces.

    Raises:
        ApiError: if one is too long for the model, or has words that it never saw.
    """
    prompt, negative = text_of(fields, "prompt"), text_of(fields, "negative_prompt")
    expand, allowed = flag_of(fields, "expand", True), flag_of(fields, "allow_unknown_words", False)
    with _refused("prompt", "invalid_prompt"):
        GenerationRequest(prompt or "a")  # whether it may be empty depends on the media, which are not yet known
    with _refused("negative_prompt", "invalid_prompt"):
        GenerationRequest("a", negative_prompt=negative)
    for name, text in (("prompt", prompt), ("negative_prompt", negative)):
        words, most = len(split_words(text)), facts.get("max_words")
        if most and words > most:
            message = f"the {name.replace('_', ' ')} has {words} words, and this model reads {most}; say it in fewer."
            raise invalid(name, message, "invalid_prompt")
        if not allowed:
            with _refused(name, "unknown_words"):
                refuse_unknown(text, facts.get("vocabulary") or (), expanded=expand)
    return prompt, negative


@contextmanager
def _refused(param: str, code: str) -> Iterator[None]:
    """Turn the library's refusal into the endpoint's."""
    try:
        yield
    except UsageError as error:
        raise invalid(param, str(error), code) from error


def _size_of(fields: Fields) -> tuple[int, int] | None:
    if not sent(fields, "size") or fields["size"] == "auto":
        return None
    value = fields["size"]
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", value.strip().lower()) if isinstance(value, str) else None
    if match is None:
        raise invalid("size", f"'{str(value)[:40]}' is no size; give width and height in pixels, such as 96x64.")
    size = int(match[1]), int(match[2])
    with _refused("size", "invalid_value"):
        GenerationRequest("a", *size)  # before any medium is scaled to it
    return size


def _seed_of(fields: Fields) -> int:
    """Return the seed of the request, or a drawn one."""
    seed = whole_of(fields, "seed")
    if seed is None:
        return secrets.randbelow(MOST_SEED + 1)
    if not 0 <= seed <= MOST_SEED:
        raise invalid("seed", f"the seed {seed} is out of range; give 0 to {MOST_SEED}.")
    return seed


def _requested_version(value: Any) -> str:
    """Return the model version that must make the clip, or "" for the deployed one."""
    if value in (None, "", MODEL):
        return ""
    match = re.fullmatch(rf"{MODEL}:([0-9a-f]{{8,64}})", value) if isinstance(value, str) else None
    if match is None:
        message = f"there is no model '{str(value)[:60]}'; ask for '{MODEL}', or leave it out."
        raise ApiError(404, message, "model_not_found", "model")
    return match[1]


def _refuse_too_many_pixels(request: GenerationRequest, limits: Limits) -> None:
    """Refuse a clip that would take too long, or too much memory; say what would not."""
    area = request.width * request.height
    if area * request.frames <= limits.pixels:
        return
    fits = limits.pixels // area
    scale = (limits.pixels / area) ** 0.5
    smaller = f"{fits:,} frames" if fits else f"{int(request.width * scale)}x{int(request.height * scale)} pixels"
    message = (
        f"{request.frames:,} frames of {request.width}x{request.height} are {area * request.frames:,} pixels, and this "
        f"endpoint makes at most {limits.pixels:,} in one clip; {smaller} would fit."
    )
    raise invalid("frames" if fits else "size", message, "too_many_pixels")
