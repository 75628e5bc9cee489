"""Captions as people bring them beside their files: as text or as JSON."""

import codecs
import json
import re
from typing import Any

from kinora.data.columns import LONGEST_CAPTION
from kinora.data.shots import Rejected

CAPTION_SUFFIXES = (".txt", ".caption", ".json")  # where a file has several, the first counts
CAPTION_COLUMNS = ("caption", "text", "prompt", "description", "captions")
MOST_BYTES = 1 << 16  # of a file with one caption
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f]")  # what is left of these when white space has been evened out is no text


def encoding(head: bytes) -> str:
    """Return how a text that begins with `head` is encoded: as UTF-16 where it says so, as some spreadsheets write it,
    else as UTF-8."""
    return "utf-16" if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def one_of(caption: Any) -> Any:
    """Return a caption, of a list of them the first: several people may have described one clip."""
    return caption[0] if isinstance(caption, list) and caption else caption


def clean(text: str) -> str:
    """Return a caption with its white space evened out.

    Raises:
        Rejected: if it is empty, too long or no text.
    """
    text = " ".join(text.split())
    if not text or len(text) > LONGEST_CAPTION:
        raise Rejected("bad_caption", f"A caption has 1 to {LONGEST_CAPTION} characters; its clip has none.")
    if not is_text(text):
        raise Rejected("bad_caption", "The caption cannot be read as UTF-8 text; its clip has none.")
    if _CONTROL.search(text):
        raise Rejected("bad_caption", "The caption holds control characters, as no text does; its clip has none.")
    return text


def is_text(text: str) -> bool:
    """Say whether all of a string can be written as UTF-8: halves of characters and undecoded bytes cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_caption(content: bytes, name: str) -> str:
    """Return the caption in the file `name`: all of a text, or a JSON string, or what a JSON object has it under.

    Raises:
        Rejected: if there is none.
    """
    if len(content) > MOST_BYTES:
        raise Rejected("bad_caption", f"A file with a caption has at most {MOST_BYTES} bytes; its clip has none.")
    try:
        text = content.decode(encoding(content))
    except UnicodeDecodeError as error:
        raise Rejected("bad_caption", "The caption cannot be read as UTF-8 text; its clip has none.") from error
    return clean(_in_json(text) if name.lower().endswith(".json") else text)


def _in_json(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Rejected("bad_caption", "The file is not JSON; its clip has no caption.") from error
    if isinstance(value, dict):
        value = next((value[name] for name in CAPTION_COLUMNS if name in value), None)
    value = one_of(value)
    if not isinstance(value, str):
        names = ", ".join(f'"{name}"' for name in CAPTION_COLUMNS)
        raise Rejected("bad_caption", f"The JSON holds no text under one of {names}; its clip has no caption.")
    return value
