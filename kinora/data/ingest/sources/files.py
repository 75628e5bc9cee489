"""The files of a source, by name with `/`: those below a folder of this disk here, those on a server in `stored`."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from kinora.data.ingest.sources.captions import is_text
from kinora.data.ingest.sources.scratch import scratch
from kinora.data.shots import Rejected
from kinora.storage import split_uri

PIECE = 1 << 23  # bytes of a part that are in memory at a time when it is copied


@dataclass(frozen=True)
class File:
    """A file's name, its size in bytes and a stamp that changes when its bytes do, or why it cannot be used."""

    name: str
    size: int = 0
    stamp: str = ""
    problem: str = ""
    explanation: str = ""


class Files(Protocol):
    """Files by name."""

    def status(self, name: str) -> File:
        """Look a file up; one that is not there has a problem."""

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return part of a file, less where it ends before.

        Raises:
            Rejected: if it cannot be read.
        """

    def open(self, name: str) -> BinaryIO:
        """Open a file to read any part of it. Raises as `read` does, then or when it is read."""

    def local(self, name: str, folder: Path) -> Path:
        """Return a file on this disk; if it must be fetched, it is put into `folder`. Raises as `read` does."""


class Tree(Files, Protocol):
    """Files below one place."""

    def walk(self) -> Iterator[File]:
        """Yield every file in no set order. A hidden folder is one file, whose name ends with `/`."""

    def relative(self, address: str, folder: str) -> str | None:
        """Return the name of what a table in `folder` calls `address`; None if that lies elsewhere."""


def suffix_of(name: str) -> str:
    """Return the ending of a file's name, in small letters."""
    return os.path.splitext(name)[1].lower()  # a Path would intern its parts, in a table that only grows


def copy_name(name: str) -> str:
    """Return what a copy of a file is named: of its name, which may be hostile, it keeps the ending only."""
    suffix = suffix_of(name)
    return f"media{suffix}" if suffix.isascii() and suffix[1:].isalnum() and len(suffix) < 16 else "media"


def copy_part(files: Files, name: str, offset: int, size: int, path: Path) -> Path:
    """Copy part of a file to `path`.

    Raises:
        Rejected: if it cannot be read, or the file ends before the part does.
    """
    with open(path, "wb") as copy:
        for start in range(offset, offset + size, PIECE):
            copy.write(files.read(name, start, min(PIECE, offset + size - start)))
        if copy.tell() != size:
            raise Rejected("truncated", f"{name} ends before this part of it does.")
    return path


def is_hidden(part: str) -> bool:
    """Say whether a part of a name is that of a hidden file, or of what a system leaves behind."""
    return part.startswith(".") or part == "__MACOSX"


def hidden(name: str) -> File:
    """Return a file that is left out because it is hidden; a folder's name ends with `/`."""
    what = "folder, with all that is in it," if name.endswith("/") else "file"
    return File(name, problem="hidden", explanation=f"This {what} is hidden by its name, and not read.")


def inside(name: str) -> str | None:
    """Return a name, unless it leads out of the place that it is relative to."""
    return None if not name or name.startswith("/") or name == ".." or name.startswith("../") else name


class LocalFiles:
    """Files below a folder of this disk. Links are followed."""

    def __init__(self, root: Path):
        self.root = root

    def walk(self) -> Iterator[File]:
        """Yield every file once: a folder that several names lead to goes by one that is no link, if there is one."""
        waiting = "CREATE TABLE waiting (link INTEGER, name TEXT, PRIMARY KEY (link, name)) WITHOUT ROWID"
        with scratch(waiting, "CREATE TABLE seen (folder TEXT PRIMARY KEY) WITHOUT ROWID") as folders:
            folders.execute("INSERT INTO waiting VALUES (0, '')")
            while row := folders.execute("SELECT link, name FROM waiting ORDER BY link, name LIMIT 1").fetchone():
                folders.execute("DELETE FROM waiting WHERE link = ? AND name = ?", row)
                try:
                    status = os.stat(self.root / row[1])
                    known = (f"{status.st_dev}:{status.st_ino}",)
                    if folders.execute("INSERT OR IGNORE INTO seen VALUES (?)", known).rowcount:
                        yield from self._folder(row[1], folders)
                except OSError as error:
                    sentence = f"The folder cannot be read ({error.strerror})."
                    yield File(f"{row[1] or '.'}/", problem="unreadable", explanation=sentence)

    def _folder(self, folder: str, folders: sqlite3.Connection) -> Iterator[File]:
        with os.scandir(self.root / folder) as entries:
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                is_folder = _is_folder(entry)
                if not is_text(name):
                    shown = name.encode("utf-8", "backslashreplace").decode()
                    yield File(shown, problem="bad_name", explanation="The name is no UTF-8 text; rename it.")
                elif is_hidden(entry.name):
                    yield hidden(f"{name}/" if is_folder else name)
                elif is_folder:
                    folders.execute("INSERT OR IGNORE INTO waiting VALUES (?, ?)", (entry.is_symlink(), name))
                else:
                    yield self.status(name)

    def status(self, name: str) -> File:
        """Look a file up: see `Files`."""
        try:
            status = os.stat(os.path.join(self.root, name))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            return File(name, problem="unreadable", explanation=f"The file cannot be read ({reason}).")
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for ever
            sentence = f"It is a {'folder' if stat.S_ISDIR(status.st_mode) else 'device or a pipe'}, not a file."
            return File(name, problem="not_media", explanation=sentence)
        if not status.st_size:
            return File(name, problem="empty", explanation="The file has no bytes.")
        return File(name, status.st_size, f"{status.st_size}-{status.st_mtime_ns}")

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return part of a file: see `Files`."""
        try:
            with self.open(name) as file:
                file.seek(offset)
                return file.read(size)
        except OSError as error:
            raise Rejected("unreadable", f"The file cannot be read ({error.strerror}).") from error

    def open(self, name: str) -> BinaryIO:
        """Open a file: see `Files`."""
        try:
            return open(self.root / name, "rb")
        except OSError as error:
            raise Rejected("unreadable", f"The file cannot be read ({error.strerror}).") from error

    def local(self, name: str, folder: Path) -> Path:
        """Return the file itself."""
        return self.root / name

    def relative(self, address: str, folder: str) -> str | None:
        """Return a name for an address: see `Tree`."""
        if address.startswith("file:///"):
            address = split_uri(address)[2]
        if "://" in address:
            return None
        if os.path.isabs(address):
            return inside(os.path.relpath(address, os.path.abspath(self.root)))
        return inside(os.path.normpath(os.path.join(folder, address)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
