"""Why a media file cannot be read."""

from pathlib import Path
from typing import BinaryIO

from kinora.errors import KinoraError

Source = str | Path | BinaryIO  # a path, or a file that can be read and searched


class MediaError(KinoraError):
    """A video or image that cannot be read.

    `problem` says what is wrong, without a subject: "announces 120 frames and holds 40". `reason` is one of

    - missing: there is no such file;
    - undecodable: it is no video or image of a kind that is read, or nothing of it can be decoded;
    - corrupt: parts of it cannot be decoded, so that a player would show a damaged picture;
    - truncated: it holds less than it announces;
    - too_large: it announces or holds more than the limits allow.
    """

    def __init__(self, source: Source, reason: str, problem: str):
        self.reason, self.problem = reason, problem
        name = str(source) if isinstance(source, str | Path) else "the uploaded file"
        missing = f"there is no file {name}; check the name."
        super().__init__(missing if reason == "missing" else f"{name} {problem}; replace or remove it.")


def require_file(source: Source) -> None:
    """Say of a path that leads nowhere that the file is missing.

    Raises:
        MediaError: if it does.
    """
    if isinstance(source, str | Path) and not Path(source).exists():
        raise MediaError(source, "missing", "is missing")
