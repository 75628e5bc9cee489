"""A folder, or an S3 prefix: everything below it, each media file joined with its caption."""

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from os.path import splitext
from pathlib import Path

from kinora.data.ingest.sources import index as indexing
from kinora.data.ingest.sources.files import File, Tree
from kinora.data.ingest.sources.index import caption_beside, caption_fault, kind_of, not_media
from kinora.data.ingest.sources.rows import row_items
from kinora.data.ingest.sources.scratch import scratch
from kinora.data.ingest.sources.source import Item, with_caption
from kinora.data.ingest.sources.tables import table_rows
from kinora.data.ingest.sources.tars import tar_items
from kinora.data.shots import Rejected

# What tables say, a row for each of their lines; `depth` is that of the table's folder: the nearest table counts.
ROWS = """CREATE TABLE rows (
    place TEXT, line INTEGER, depth INTEGER, file TEXT, caption TEXT, problem TEXT, explanation TEXT,
    PRIMARY KEY (place, line)
) WITHOUT ROWID"""
ROW_FILES = "CREATE INDEX row_files ON rows (file)"
# A table in a folder may also name files as from the top, where that is no file's name, and with Windows' slashes.
_FOLDER = "rtrim(rows.place, replace(rows.place, '/', ''))"
_FROM_TOP = f"substr(file, CASE WHEN instr(file, {_FOLDER}) = 1 THEN 1 + length({_FOLDER}) ELSE 1 END)"
_SLASHES = "replace({}, char(92), '/')"
NAMED_OTHERWISE = f"""UPDATE rows SET file = coalesce((
    SELECT place FROM files WHERE place IN ({_FROM_TOP}, {_SLASHES.format("file")}, {_SLASHES.format(_FROM_TOP)})
), file) WHERE problem = '' AND NOT EXISTS (SELECT 1 FROM files WHERE place = file)"""
# How `datasets` describes the Arrow files beside them.
DESCRIPTIONS = ("dataset_info.json", "state.json", "dataset_dict.json")
LARGEST_DESCRIPTION = 1 << 20  # bytes


def tree_items(files: Tree) -> Iterator[Item]:
    """Yield every input below a place, by name."""
    with scratch(indexing.FILES, ROWS) as index:
        for file in files.walk():
            index.execute("INSERT OR IGNORE INTO files VALUES (?, ?, ?, ?, ?, '', ?, ?)", _indexed(file))
        index.execute(indexing.STEMS)
        for (table,) in index.execute("SELECT place FROM files WHERE kind = 'table' AND problem = ''"):
            _read_table(files, table, index)
        index.execute(NAMED_OTHERWISE)
        index.execute(ROW_FILES)
        listing = _Listing(files, index)
        for place, kind, stem, *rest in index.execute(
            "SELECT place, kind, stem, size, stamp, problem, explanation FROM files ORDER BY place"
        ):
            name = place[:-1] if kind in indexing.CONTAINERS else place
            yield from listing.items(File(name, *rest), kind, stem)


def _indexed(file: File) -> tuple[str, str, str | None, int, str, str, str]:
    kind = kind_of(file.name)
    if file.problem not in ("", "empty", "unreadable"):
        kind = "other"  # what is hidden, say, is no caption of anything
    elif file.name.rpartition("/")[2] in DESCRIPTIONS:
        kind = "description"
    stem = splitext(file.name)[0] if kind in ("media", "caption") else None
    place = f"{file.name}/" if kind in indexing.CONTAINERS else file.name
    return place, kind, stem, file.size, file.stamp, file.problem, file.explanation


def _read_table(files: Tree, table: str, index: sqlite3.Connection) -> None:
    folder, depth = table.rpartition("/")[0], table.count("/")
    insert = "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)"
    try:
        with tempfile.TemporaryDirectory() as temporary:
            for row in table_rows(files.local(table, Path(temporary)), table):
                file = files.relative(row.file, folder) if row.file else ""
                problem, sentence = row.problem, row.explanation
                if file is None and not problem:
                    problem, sentence = "caption_without_file", f"{row.file} does not lie in this source."
                index.execute(insert, (table, row.line, depth, file or "", row.caption, problem, sentence))
    except (Rejected, OSError) as error:
        sentence = error.explanation if isinstance(error, Rejected) else f"It cannot be read ({error.strerror})."
        index.execute(insert, (table, 0, depth, "", "", "unreadable", sentence))


class _Listing:
    """What is said of each file of an index."""

    def __init__(self, files: Tree, index: sqlite3.Connection):
        self.files, self.index = files, index
        self.folder, self.named = "", set[str]()  # the folder of Arrow files in question, and which ones belong to it

    def items(self, file: File, kind: str, stem: str) -> Iterator[Item]:
        """Yield the items that a file is, or holds."""
        problem, sentence = file.problem, file.explanation
        if kind == "media":
            yield self._media(file, stem)
            return
        if not problem:
            if kind == "tar":
                yield from tar_items(self.files, file)
            elif kind == "table":
                yield from self._rows(file.name)
            elif kind == "caption":
                problem, sentence = caption_fault(self.index, file.name, stem)
            elif kind == "parquet" or (kind == "arrow" and self._is_data(file.name)):
                yield from row_items(self.files, file, kind)
            elif kind == "arrow":
                problem, sentence = "not_media", "The dataset's state.json does not name this file as its data."
            elif kind == "compressed":
                problem, sentence = "compressed_archive", indexing.COMPRESSED_SENTENCE
            elif kind != "description" or not self._describes(file.name):
                problem, sentence = "not_media", not_media(file.name)
        if problem:
            yield Item(file.name, problem=problem, explanation=sentence)

    def _media(self, file: File, stem: str) -> Item:
        beside = caption_beside(self.index, stem)
        if beside is not None:
            stamp = f"{file.stamp}+{beside[1]}"
            return Item(file.name, stamp, "", beside[0], file.problem, file.explanation)
        table, _, caption = self._best_row(file.name) or ("", 0, "")
        return Item(file.name, with_caption(file.stamp, caption), caption, table, file.problem, file.explanation)

    def _best_row(self, name: str) -> tuple[str, int, str] | None:
        """Return the table, the line and the caption that count for a file."""
        found: tuple[str, int, str] | None = self.index.execute(
            "SELECT place, line, caption FROM rows WHERE file = ? AND caption != '' AND problem = '' "
            "ORDER BY depth DESC, place, line LIMIT 1",
            (name,),
        ).fetchone()
        return found

    def _rows(self, table: str) -> Iterator[Item]:
        """Yield the rows of a table that are of no use, and why."""
        for line, file, caption, problem, sentence in self.index.execute(
            "SELECT line, file, caption, problem, explanation FROM rows WHERE place = ? ORDER BY line", (table,)
        ):
            if not problem:
                problem, sentence = self._row_fault(table, line, file, caption)
            if problem:
                yield Item(f"{table}:{line}" if line else table, problem=problem, explanation=sentence)

    def _row_fault(self, table: str, line: int, file: str, caption: str) -> tuple[str, str]:
        media = self.index.execute("SELECT stem FROM files WHERE place = ? AND kind = 'media'", (file,)).fetchone()
        if media is None:
            return "caption_without_file", f"There is no video or image {file}."
        if not caption:
            return "", ""
        if beside := caption_beside(self.index, media[0]):
            return "second_caption", f"Its file has its caption from {beside[0]}."
        best = self._best_row(file)
        if best and best[:2] != (table, line):
            return "second_caption", f"Its file has its caption from {best[0]}:{best[1]}."
        return "", ""

    def _describes(self, name: str) -> bool:
        """Say whether there are Arrow files in the folder of a description, or below it."""
        folder = name.rpartition("/")[0]
        start, end = (f"{folder}/", f"{folder}0") if folder else ("", "\U0010ffff")  # "0" comes after "/"
        found = self.index.execute(
            "SELECT 1 FROM files WHERE place > ? AND place < ? AND kind = 'arrow' LIMIT 1", (start, end)
        )
        return found.fetchone() is not None

    def _is_data(self, name: str) -> bool:
        """Say whether an Arrow file is its dataset's own; `datasets` keeps what it cached beside them."""
        folder, slash, base = name.rpartition("/")
        state = f"{folder}{slash}state.json"
        if self.folder != state:
            self.folder, self.named = state, self._data_files(state)
        return not self.named or base in self.named

    def _data_files(self, state: str) -> set[str]:
        if self.index.execute("SELECT 1 FROM files WHERE place = ? AND problem = ''", (state,)).fetchone() is None:
            return set()
        try:
            listed = json.loads(self.files.read(state, 0, LARGEST_DESCRIPTION))["_data_files"]
            return {str(data["filename"]) for data in listed}
        except (Rejected, ValueError, KeyError, TypeError, RecursionError):
            return set()
