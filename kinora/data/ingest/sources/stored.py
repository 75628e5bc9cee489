"""The files of a source that lie on an S3 server, and files by whole addresses, wherever they lie."""

import io
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, cast

from kinora.data.ingest.sources.files import File, LocalFiles, copy_name, hidden, inside, is_hidden
from kinora.data.shots import Rejected
from kinora.errors import KinoraError
from kinora.storage import Store, open_store, split_uri

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK = 1 << 16  # bytes that are asked for at a time where a file is read in places


class StoredFiles:
    """Files below a prefix of an S3 bucket."""

    def __init__(self, store: Store):
        self.store = store

    def walk(self) -> Iterator[File]:
        """Yield every file: see `Tree`."""
        last = ""
        for key, size, tag in self.store.walk():
            parts = key.split("/")
            first = next((number for number, part in enumerate(parts) if is_hidden(part)), len(parts))
            if not {"", ".", ".."}.isdisjoint(parts) or "\0" in key:
                sentence = "The key has empty parts, '.' or '..', which no file's name has; rename it."
                yield File(key, problem="bad_name", explanation=sentence)
            elif first == len(parts):
                yield _stored(key, size, tag)
            elif (name := "/".join(parts[: first + 1]) + "/" * (first + 1 < len(parts))) != last:
                last = name
                yield hidden(name)

    def status(self, name: str) -> File:
        """Look a file up: see `Files`."""
        found = self.store.status(name) if inside(name) else None
        if found is None:
            return File(name, problem="unreadable", explanation="There is no such file.")
        return _stored(name, *found)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return part of a file: see `Files`."""
        try:
            return self.store.get_ranges([(name, offset, size)])[0]
        except KinoraError as error:
            raise self._rejected(error) from error

    def open(self, name: str) -> BinaryIO:
        """Open a file: see `Files`."""
        file = self.status(name)
        if file.problem:
            raise Rejected(file.problem, file.explanation)
        return cast(BinaryIO, io.BufferedReader(_Remote(self, file), BLOCK))

    def local(self, name: str, folder: Path) -> Path:
        """Fetch a file: see `Files`."""
        try:
            return self.store.get_file(name, folder / copy_name(name))
        except KinoraError as error:
            raise self._rejected(error) from error

    def relative(self, address: str, folder: str) -> str | None:
        """Return a name for an address: see `Tree`."""
        root = self.store.uri("x")[:-1]
        if address.startswith(root):
            return inside(address.removeprefix(root))
        return None if "://" in address else inside(os.path.normpath(str(PurePosixPath(folder) / address)))

    def _rejected(self, error: KinoraError) -> Rejected:
        """Tell one file that cannot be fetched from a server that is away, which is no file's fault."""
        next(self.store.walk(), None)
        return Rejected("unreadable", f"The file cannot be fetched ({str(error).rstrip('.')}).")


class _Remote(io.RawIOBase):
    """A file on a server, read part by part."""

    def __init__(self, files: StoredFiles, file: File):
        self.files, self.file, self.place = files, file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self.place, os.SEEK_END: self.file.size}[whence]
        self.place = start + offset
        return self.place

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        size = min(len(view), max(0, self.file.size - self.place))
        content = self.files.read(self.file.name, self.place, size) if size else b""
        view[: len(content)] = content
        self.place += len(content)
        return len(content)


class AddressedFiles:
    """Files for a list or a table that is itself the source: by names relative to it, and by whole addresses.

    An address that starts with `s3://` leads to that bucket. One that starts with `/` leads anywhere on this disk, and
    so may `..`, but only from a list that lies on this disk too: a person wrote it.
    """

    def __init__(self, base: LocalFiles | StoredFiles):
        self.base = base

    def name(self, address: str) -> str | None:
        """Return an address as a name, which is the same however it was written; None if it must not be followed."""
        if address.startswith("s3://") and inside(split_uri(address)[2]):
            return address
        if address.startswith("file:///") and isinstance(self.base, LocalFiles):
            address = split_uri(address)[2]
        if "://" in address:
            return None
        name = os.path.normpath(address)
        return name if isinstance(self.base, LocalFiles) else inside(name)

    def status(self, name: str) -> File:
        """Look a file up: see `Files`."""
        files, rest = self._at(name)
        found = files.status(rest)
        return File(name, found.size, found.stamp, found.problem, found.explanation)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Return part of a file: see `Files`."""
        files, rest = self._at(name)
        return files.read(rest, offset, size)

    def open(self, name: str) -> BinaryIO:
        """Open a file: see `Files`."""
        files, rest = self._at(name)
        return files.open(rest)

    def local(self, name: str, folder: Path) -> Path:
        """Return a file on this disk: see `Files`."""
        files, rest = self._at(name)
        return files.local(rest, folder)

    def _at(self, name: str) -> tuple[LocalFiles | StoredFiles, str]:
        if name.startswith("s3://"):
            _, bucket, key = split_uri(name)
            return StoredFiles(open_store(f"s3://{bucket}")), key
        return self.base, name


def _stored(key: str, size: int, tag: str) -> File:
    return (
        File(key, size, f"{size}-{tag}") if size else File(key, problem="empty", explanation="The file has no bytes.")
    )
