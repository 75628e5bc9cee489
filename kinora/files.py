"""Files and folders that are whole or absent: written beside their place, then renamed into it."""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kinora.errors import KinoraError

ROOM = 2**24  # bytes


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path`, on failure nothing is left."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept, because writers such as PyAV choose the format by it.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it replaces `path`, on failure nothing is left."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def file_digest(path: str | Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(path: str | Path) -> str:
    """Return the sha256 over the relative names and contents of every file below `path`."""
    path = Path(path)
    total = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(f"{file.relative_to(path).as_posix()}\0{file_digest(file)}\n".encode())
    return total.hexdigest()


@contextmanager
def friendly_os_errors(place: str | Path) -> Iterator[None]:
    """Turn what the disk refuses (full, read-only, not allowed, not a folder) into one sentence about `place`.

    Of a full disk it names the folder for temporary files where that is the one with less room.
    """
    with friendly_full_disk(place):
        try:
            yield
        except OSError as error:
            reasons = {
                errno.EROFS: "the disk is read-only; choose another place",
                errno.EACCES: "that is not allowed; change its permissions or choose another place",
                errno.EPERM: "that is not allowed; change its permissions or choose another place",
                errno.ENOTDIR: "a part of the path is a file; choose another place",
                errno.EEXIST: "a file is already there; choose another place",
                errno.ENOENT: "that place does not exist and cannot be made; choose another",
            }
            if error.errno not in reasons:
                raise
            raise KinoraError(f"{place} cannot be used: {reasons[error.errno]}.") from error


@contextmanager
def friendly_full_disk(place: str | Path) -> Iterator[None]:
    """Turn a full disk into one sentence about `place`, whatever the library that met it makes of it."""
    try:
        yield
    except Exception as error:
        reason = _no_room(error)
        # Of a process of ours that ended for it a sentence may come that does not yet say what to do.
        if not reason or (isinstance(error, KinoraError) and "free some space" in str(error)):
            raise
        scratch = tempfile.gettempdir()
        if _free(scratch) < _free(place):
            place, reason = scratch, f"{reason}, or set TMPDIR to another place"
        raise KinoraError(f"{place} cannot be used: {reason}.") from error


def make_sure_of_room(folder: Path, size: int = ROOM) -> None:
    """Check that `size` bytes can be written into a folder.

    Raises:
        OSError: if they cannot.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, size)


def _no_room(error: BaseException) -> str:
    """Return what is to be done of an error that says that there is no room, "" for others."""
    number, text = getattr(error, "errno", None), str(error)
    # SQLite, safetensors and NumPy, which writes "8 requested and 0 written", have no number.
    full = (os.strerror(errno.ENOSPC), "disk is full")
    if number == errno.ENOSPC or any(words in text for words in full) or re.search(r"requested and \d+ written", text):
        return "the disk is full; free some space and run again"
    if number == errno.EDQUOT or os.strerror(errno.EDQUOT) in text:
        return "the disk quota is used up; free some space and run again"
    if number == errno.EFBIG or os.strerror(errno.EFBIG) in text:
        return "a file may not grow so large there; lift the limit (ulimit -f) and run again"
    return ""


def _free(place: str | Path) -> int:
    """Return the free bytes of the disk that a place, which need not be there, is on."""
    path = Path(place).absolute()
    return shutil.disk_usage(next(folder for folder in (path, *path.parents) if folder.exists())).free
