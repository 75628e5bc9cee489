"""Why a media file cannot be read."""

from pathlib import Path
from typing import BinaryIO

from kinora.errors import KinoraError


class MediaError(KinoraError):
    """A video or image that cannot be read.

    `reason` is missing, undecodable, truncated or too_large; `problem` says what is wrong, without a subject:
    "announces 120 frames and holds 40".
    """

    def __init__(self, source: str | Path | BinaryIO, reason: str, problem: str):
        self.reason, self.problem = reason, problem
        name = str(source) if isinstance(source, str | Path) else "the uploaded file"
        missing = f"there is no file {name}; check the name."
        super().__init__(missing if reason == "missing" else f"{name} {problem}; replace or remove it.")


def require_file(source: str | Path | BinaryIO) -> None:
    """Say of a path that leads nowhere that the file is missing.

    Raises:
        MediaError: if it does.
    """
    if isinstance(source, str | Path) and not Path(source).exists():
        raise MediaError(source, "missing", "is missing")
