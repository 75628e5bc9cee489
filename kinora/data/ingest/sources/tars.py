"""WebDataset shards: tar files whose members with one key, the name up to its first dot, belong together.

An archive's headers are read once, when it is listed; after that its members are read where they lie.
"""

import sqlite3
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from kinora.data.ingest.sources.captions import MOST_BYTES, is_text, read_caption
from kinora.data.ingest.sources.files import File, Files, inside, is_hidden
from kinora.data.ingest.sources.index import FILES, STEMS, caption_beside, caption_fault, kind_of, not_media
from kinora.data.ingest.sources.scratch import scratch
from kinora.data.ingest.sources.source import Item, Part
from kinora.data.shots import Rejected

MOST_HEADER = 1 << 20  # bytes of all that comes before a member's content
LONGEST_NAME = 1024  # characters
LARGEST_MEMBER = 1 << 33  # bytes
TRAILER = 1 << 16  # bytes after an archive's end that are looked at


def tar_items(files: Files, archive: File) -> Iterator[Item]:
    """Yield the members of an archive, and what is wrong with it, by name."""
    with scratch(FILES, STEMS) as index:
        try:
            with files.open(archive.name) as stream:
                _gather(stream, archive, index)
        except Rejected as error:
            yield Item(archive.name, problem=error.reason, explanation=error.explanation)
        except OSError as error:
            sentence = f"The archive cannot be read ({error.strerror}); members that come later are lost."
            yield Item(archive.name, problem="unreadable", explanation=sentence)
        for row in index.execute("SELECT place, kind, stem, stamp, problem, explanation FROM files ORDER BY place"):
            yield from _items(index, archive, *row)


def _items(
    index: sqlite3.Connection, archive: File, place: str, kind: str, stem: str, span: str, problem: str, sentence: str
) -> Iterator[Item]:
    name = f"{archive.name}/{place}"
    if kind == "media":
        offset, _, size = span.partition("+")
        stamp = Part(archive.name, int(offset), int(size)).stamp(archive.stamp)
        used = caption_beside(index, stem)
        caption, caption_from = (used[2], f"{archive.name}/{used[0]}") if used else ("", "")
        yield Item(name, stamp, caption, caption_from, problem, sentence)
        return
    if kind == "caption" and not problem:
        problem, sentence = caption_fault(index, place, stem)
    elif not problem:
        problem, sentence = "not_media", not_media(place)
    if problem:
        yield Item(name, problem=problem, explanation=sentence)


def _gather(stream: BinaryIO, archive: File, index: sqlite3.Connection) -> None:
    """Put every member of an archive into `index`.

    Raises:
        Rejected: if the archive is damaged or cut; what comes before that place is in the index.
    """
    for member in _members(stream, archive):
        name = member.name.removeprefix("./")
        end = member.offset_data + member.size
        kind, problem, sentence = kind_of(name), "", ""
        if member.isdir():
            continue
        if fault := _fault(member, name):
            name, kind, problem, sentence = f"{ascii(name)[1:200]}@{member.offset}", "other", "unsafe_member", fault
        elif any(is_hidden(part) for part in name.split("/")):
            kind, problem, sentence = "other", "hidden", "This member is hidden by its name, and not read."
        elif end > archive.size:
            problem, sentence = "truncated", "The archive ends within this member."
        elif not member.size:
            problem, sentence = "empty", "The member has no bytes."
        elif member.size > LARGEST_MEMBER:
            problem, sentence = "too_large", f"The member has more than {LARGEST_MEMBER} bytes."
        folder, slash, base = name.rpartition("/")
        stem = f"{folder}{slash}{base.partition('.')[0]}" if kind in ("media", "caption") else None
        caption = ""
        if kind == "caption" and not problem:
            try:
                stream.seek(member.offset_data)
                caption = read_caption(stream.read(min(member.size, MOST_BYTES + 1)), name)
            except Rejected as error:
                problem, sentence = error.reason, error.explanation
        span = f"{member.offset_data}+{member.size}"
        insert = "INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        row = (name, kind, stem, member.size, span, caption, problem, sentence)
        if not index.execute(insert, row).rowcount:
            sentence = f"A member before it has the same name, {name}."
            again = (f"{name}@{member.offset}", "other", None, 0, "", "", "unsafe_member", sentence)
            index.execute(insert, again)


def _fault(member: tarfile.TarInfo, name: str) -> str:
    """Return why a member must not be read, "" if it may."""
    if member.issym() or member.islnk():
        return "It is a link, which may lead anywhere; store the file itself."
    if member.issparse():
        return "It is a sparse file, which does not lie in one piece; store it whole."
    if not member.isreg():
        return "It is a device or a pipe, not a file."
    if not is_text(name) or "\0" in name or len(name) > LONGEST_NAME:
        return f"Its name is no UTF-8 text of at most {LONGEST_NAME} characters."
    if inside(name) is None or not {"", ".", ".."}.isdisjoint(name.split("/")):
        return "Its name leads out of the archive, or is none."
    return ""


class _Bounded:
    """A stream that gives so much for each member's headers: those of a hostile archive may be as large as the disk."""

    def __init__(self, stream: BinaryIO):
        self.stream, self.seek, self.tell = stream, stream.seek, stream.tell
        self.left = MOST_HEADER

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.left:
            raise tarfile.ReadError(f"headers of more than {MOST_HEADER} bytes")
        self.left -= size
        return self.stream.read(size)


def _members(stream: BinaryIO, archive: File) -> Iterator[tarfile.TarInfo]:
    """Yield each member's header, up to the first that is damaged: `tarfile` itself would end there without a word."""
    damaged = Rejected("undecodable", "The archive is damaged; members that come after that place are lost.")
    bounded = _Bounded(stream)
    try:
        archived = tarfile.TarFile(fileobj=bounded, mode="r", errorlevel=1)  # type: ignore[arg-type]  # reads no more
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise Rejected("undecodable", "The file is no tar archive.") from error
    offset = 0
    while True:
        bounded.left = MOST_HEADER
        archived.pax_headers.clear()  # type: ignore[attr-defined]  # those of the whole archive: they would pile up
        try:
            stream.seek(offset)
            member = tarfile.TarInfo.fromtarfile(archived)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the block of zeros at its end
            if stream.read(TRAILER).strip(b"\0"):
                raise Rejected("undecodable", "Something follows the archive's end; it is not read.") from None
            return
        except (tarfile.EmptyHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            sentence = "The archive has no end; it may have been cut, and members that came later are lost."
            raise Rejected("truncated", sentence) from error
        except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
            raise damaged from error
        if archived.offset <= offset:  # a size below zero would lead back for ever
            raise damaged
        yield member
        offset = archived.offset
        if offset > archive.size:
            raise Rejected("truncated", f"The archive ends within its member {ascii(member.name)[1:-1][:200]}.")
