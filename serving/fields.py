"""The fields of a request: read from a form or from JSON, within bounds, and turned into numbers, flags and ranges."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.errors import ApiError

MOST_BODY_BYTES = 24 * 2**20
MOST_FILES = 4  # a request has two images or two videos at most
MOST_RANGES = 64
Fields = Mapping[str, Any]  # as sent: texts and files of a form, or JSON values


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
    form = await Request(request.scope, receive).form(
        max_files=MOST_FILES, max_fields=50, max_part_size=MOST_BODY_BYTES
    )
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


def sent(fields: Fields, name: str) -> bool:
    """Say whether a field was sent, and not empty."""
    return fields.get(name) not in (None, "")


def invalid(name: str, message: str, code: str = "invalid_value") -> ApiError:
    """Return the refusal of a field."""
    return ApiError(400, message, code, name)


def whole_number(value: Any, least: int, most: int) -> int | None:
    """Return a whole number from `least` to `most`, given as one or as text; None where it is none of these."""
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"[0-9]{1,9}", str(value)):
        return None
    return int(value) if least <= int(value) <= most else None


def whole_of(fields: Fields, name: str) -> int | None:
    """Return a whole number, None where none was sent."""
    if not sent(fields, name):
        return None
    value = fields[name]
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,12}", str(value).strip()):
        raise invalid(name, f"{name} is '{str(value)[:40]}', which is no whole number; give one.")
    return int(value)


def number_of(fields: Fields, name: str) -> float | None:
    """Return a finite number, None where none was sent."""
    if not sent(fields, name):
        return None
    value = fields[name]
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise invalid(name, f"{name} is '{str(value)[:40]}', which is no number; give one.")
    return number


def flag_of(fields: Fields, name: str, default: bool) -> bool:
    """Return true or false, `default` where neither was sent."""
    if not sent(fields, name):
        return default
    found = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}.get(
        str(fields[name]).strip().lower()
    )
    if found is None:
        raise invalid(name, f"{name} is '{str(fields[name])[:40]}'; give true or false.")
    return found


def text_of(fields: Fields, name: str) -> str:
    """Return a text with single spaces, empty where none was sent."""
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(name, f"{name} is no text; give one.")
    return " ".join((value or "").split())


def ranges_of(fields: Fields, name: str) -> tuple[tuple[int, int], ...] | None:
    """Return ranges of frames (first, last), sent as "5:12,20:24" or [[5, 12], [20, 24]]; None where none were."""
    if not sent(fields, name):
        return None
    value = fields[name]
    pairs = [part.split(":") for part in value.split(",")] if isinstance(value, str) else value
    if isinstance(pairs, list) and 0 < len(pairs) <= MOST_RANGES:
        found = [_whole_numbers(pair, 2) for pair in pairs]
        if None not in found:
            return tuple((first, last) for first, last in filter(None, found))
    raise invalid(
        name, f"{name} is '{str(value)[:40]}'; give the first and last frame of up to {MOST_RANGES} gaps, such as 5:12."
    )


def region_of(fields: Fields, name: str) -> tuple[int, int, int, int] | None:
    """Return left, top, width and height, sent as "8,8,16,16" or [8, 8, 16, 16]; None where none was."""
    if not sent(fields, name):
        return None
    value = fields[name]
    found = _whole_numbers(value.split(",") if isinstance(value, str) else value, 4)
    if found is None:
        raise invalid(
            name, f"{name} is '{str(value)[:40]}'; give left, top, width and height in pixels, such as 8,8,16,16."
        )
    left, top, width, height = found
    return left, top, width, height


def _whole_numbers(values: Any, count: int) -> list[int] | None:
    if not isinstance(values, list) or len(values) != count:
        return None
    texts = ["" if isinstance(value, bool | float) else str(value).strip() for value in values]
    return [int(text) for text in texts] if all(re.fullmatch("[0-9]{1,6}", text) for text in texts) else None
