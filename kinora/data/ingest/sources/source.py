"""What a source of footage is: it lists its items, and brings each one's media and caption to this disk."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Item:
    """One input: a media file, a media member of an archive, a row of a table, or what can be none of these.

    `stamp` changes whenever the input's bytes or its caption change. Where a media file of a source lies within
    another file, it also says where: see `Part`.
    """

    name: str  # unique in the source, with "/": "a/b.mp4", "train-000.tar/0001.mp4", "data-00000.arrow/12"
    stamp: str = ""
    caption: str = ""  # what the listing read already: of tables and archives
    caption_from: str = ""  # where the caption stands: "a/b.txt", "captions.jsonl", "train-000.tar/0001.json"
    problem: str = ""  # a reason code, where the listing already knows that the input cannot be used
    explanation: str = ""  # and one sentence


def key(item: Item) -> int:
    """Return a number that is the same for an input as long as neither its bytes nor its caption change."""
    text = "\0".join((item.name, item.stamp, item.caption, item.caption_from, item.problem)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


class Source(Protocol):
    """Where footage comes from.

    Listing it may take long; opening it and reading an item that was listed elsewhere does not list it again.
    """

    def items(self) -> Iterator[Item]:
        """Yield every input once, in a stable order, by name. However many there are, few are in memory.

        Raises:
            KinoraError: if the source is empty, or cannot be listed.
        """

    def local(self, item: Item, folder: Path) -> Path:
        """Return an item's media file on this disk; if it must be fetched, it is put into `folder`.

        The ending of the path says what it is; the item's name need not.

        Raises:
            Rejected: if it cannot be read.
            KinoraError: if the server that holds the source does not answer any more.
        """

    def caption(self, item: Item, folder: Path) -> str:
        """Return an item's caption, "" if it has none.

        Raises:
            Rejected: with reason "bad_caption", if what is there is no caption.
            KinoraError: if the server that holds the source does not answer any more.
        """


@dataclass(frozen=True)
class Part:
    """Where media lies within a file: so many bytes from an offset, or (Parquet) a row."""

    file: str
    offset: int = 0
    size: int = 0
    row: int = -1

    def stamp(self, stamp: str) -> str:
        """Return the stamp of a part of a file that has `stamp`."""
        place = f"{self.offset}+{self.size}" if self.row < 0 else f"row{self.row}"
        return f"{stamp}@{len(self.file)}:{place}"

    @staticmethod
    def of(item: Item) -> "Part | None":
        """Return where an item's media lies, or None if it is a file of its own."""
        found = re.search(r"@(\d+):(?:(\d+)\+(\d+)|row(\d+))$", item.stamp)
        if found is None:
            return None
        length, offset, size, row = (int(number or 0) for number in found.groups())
        return Part(item.name[:length], offset, size, -1 if found[4] is None else row)


def with_caption(stamp: str, caption: str) -> str:
    """Return a stamp that also changes when the caption does."""
    return f"{stamp}+{hashlib.sha256(caption.encode()).hexdigest()[:16]}" if caption else stamp
