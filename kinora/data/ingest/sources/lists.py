"""A source that names its files: a list, a table with captions, a pattern with braces, or one file."""

import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, product
from math import prod
from os.path import splitext
from pathlib import Path

from kinora.data.ingest.sources import index as indexing
from kinora.data.ingest.sources.captions import CAPTION_SUFFIXES
from kinora.data.ingest.sources.index import kind_of, not_media
from kinora.data.ingest.sources.rows import row_items
from kinora.data.ingest.sources.scratch import scratch
from kinora.data.ingest.sources.source import Item, with_caption
from kinora.data.ingest.sources.stored import AddressedFiles
from kinora.data.ingest.sources.tables import Row, list_rows, table_rows
from kinora.data.ingest.sources.tars import tar_items
from kinora.data.shots import Rejected
from kinora.errors import KinoraError, UsageError
from kinora.storage import TRANSFERS

NAMED = """CREATE TABLE named (
    name TEXT PRIMARY KEY, line INTEGER, caption TEXT, problem TEXT, explanation TEXT
) WITHOUT ROWID"""
AT_ONCE = 256  # names that are looked up together
MOST_NAMES = 1_000_000  # of one pattern
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


def listed_items(files: AddressedFiles, label: str, rows: Iterable[Row]) -> Iterator[Item]:
    """Yield what the rows of the list `label` name, by name, each once."""
    with scratch(NAMED) as names, ThreadPoolExecutor(TRANSFERS) as workers:
        for row in rows:
            where = f"{label}:{row.line}" if row.line else label
            name = files.name(row.file) if row.file else None
            problem, sentence = row.problem, row.explanation
            if problem == "bad_caption" and name is not None:
                _add(names, where, row.line, "", problem, sentence)
                problem = sentence = ""
            elif name is None and not problem:
                problem, sentence = "unreadable", _refusal(row.file)
            if problem or name is None:
                _add(names, where, row.line, "", problem, sentence)
            elif not _add(names, name, row.line, row.caption):
                known = names.execute("SELECT line FROM named WHERE name = ?", (name,)).fetchone()[0]
                sentence = f"Line {known} names the same file, {name}."
                _add(names, where, row.line, "", "second_caption" if row.caption else "duplicate", sentence)
        found = names.execute("SELECT name, caption, problem, explanation FROM named ORDER BY name")
        while some := found.fetchmany(AT_ONCE):
            looked_up = workers.map(lambda row: _items(files, label, *row), some)
            yield from chain.from_iterable(looked_up)


def _add(names: sqlite3.Connection, name: str, line: int, caption: str, problem: str = "", sentence: str = "") -> bool:
    row = (name, line, caption, problem, sentence)
    return bool(names.execute("INSERT OR IGNORE INTO named VALUES (?, ?, ?, ?, ?)", row).rowcount)


def _items(files: AddressedFiles, label: str, name: str, caption: str, problem: str, sentence: str) -> Iterable[Item]:
    if problem:
        return [Item(name, problem=problem, explanation=sentence)]
    kind = kind_of(name)
    if kind not in (*indexing.CONTAINERS, "media"):
        sentence = indexing.COMPRESSED_SENTENCE if kind == "compressed" else not_media(name)
        found = files.status(name)  # what is a folder, say, is not told by its name
        explanation = found.explanation if found.problem == "not_media" else sentence
        return [Item(name, problem="not_media", explanation=explanation)]
    file = files.status(name)
    if kind == "media":
        beside = None if caption else _caption_beside(files, name)
        stamp = with_caption(file.stamp, caption) if beside is None else f"{file.stamp}+{beside[1]}"
        caption_from = beside[0] if beside else label if caption else ""
        return [Item(name, stamp, caption, caption_from, file.problem, file.explanation)]
    if file.problem:
        return [Item(name, problem=file.problem, explanation=file.explanation)]
    return tar_items(files, file) if kind == "tar" else row_items(files, file, kind)


def _caption_beside(files: AddressedFiles, name: str) -> tuple[str, str] | None:
    """Return the name and the stamp of the caption beside a file, if there is one."""
    for suffix in CAPTION_SUFFIXES:
        found = files.status(splitext(name)[0] + suffix)
        if not found.problem:
            return found.name, found.stamp
    return None


def _refusal(address: str) -> str:
    if "://" in address:
        return f"{address} cannot be read from where it is; download it first."
    return f"{address} leads out of the place where the list lies; only a list on this disk may name it."


def rows_of(files: AddressedFiles, name: str) -> Iterator[Row]:
    """Yield the rows of the list (.txt) or the table `name`.

    Raises:
        KinoraError: if it cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            if problem := files.status(name).explanation:
                raise KinoraError(f"{name} cannot be read: {problem}")
            path = files.local(name, Path(folder))
            yield from list_rows(path) if name.lower().endswith(".txt") else table_rows(path, name)
        except (Rejected, OSError) as error:
            raise KinoraError(f"{name} cannot be read ({error}).") from error


def expand(pattern: str) -> Iterator[str]:
    """Yield every name that a pattern with braces stands for: `{000..099}` counts, and `{a,b}` chooses.

    Raises:
        UsageError: if there are more than a million.
    """
    parts = _BRACES.split(pattern)  # plain text and what stands in braces take turns
    options = [_options(part) if number % 2 else [part] for number, part in enumerate(parts)]
    if prod(len(some) for some in options) > MOST_NAMES:
        raise UsageError(f"the pattern {pattern} stands for more than {MOST_NAMES:,} files; name their folder.")
    yield from map("".join, product(*options))


def _options(inner: str) -> Sequence[str]:
    if counted := _RANGE.fullmatch(inner):
        first, last = int(counted[1]), int(counted[2])
        if last - first >= MOST_NAMES:
            raise UsageError(f"the pattern {{{inner}}} stands for more than {MOST_NAMES:,} files; name their folder.")
        return [f"{number:0{len(counted[1])}d}" for number in range(first, last + 1)]
    return inner.split(",") if "," in inner else [f"{{{inner}}}"]
