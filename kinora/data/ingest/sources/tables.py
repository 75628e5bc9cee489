"""Tables of captions and lists of files, read line by line: one bad line costs only itself."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinora.data.ingest.sources.captions import CAPTION_COLUMNS, clean, encoding, is_text, one_of
from kinora.data.shots import Rejected

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")
FILE_COLUMNS = (
    *("file", "file_name", "filename", "file_path", "filepath", "path"),
    *("video", "video_path", "image", "image_path", "url"),
)
DELIMITERS = ",;\t"  # spreadsheets write semicolons where a comma stands in numbers
LONGEST_LINE = 1 << 20  # characters
LONGEST_SHOWN = 100  # characters of a table's own columns


@dataclass(frozen=True)
class Row:
    """What a line of a table says, or what is wrong with it; line 0 is the table itself."""

    line: int
    file: str = ""
    caption: str = ""
    problem: str = ""
    explanation: str = ""


class _Lines:
    """The lines of a text file; those that are too long are left out, and `too_long` names them."""

    def __init__(self, path: Path):
        self.path = path
        self.number = 0  # of the line that was read last
        self.too_long: list[int] = []

    def __iter__(self) -> Iterator[str]:
        with open(self.path, "rb") as file:
            code = encoding(file.read(2))
        # What is no UTF-8 is found where the line is used, so that the other lines can be.
        errors = "replace" if code == "utf-16" else "surrogateescape"
        with open(self.path, encoding=code, errors=errors, newline="\n") as text:
            while line := text.readline(LONGEST_LINE):
                self.number += 1
                if line.endswith("\n") or len(line) < LONGEST_LINE:
                    yield line
                    continue
                while (rest := text.readline(LONGEST_LINE)) and not rest.endswith("\n"):
                    pass
                self.too_long.append(self.number)

    def problems(self) -> Iterator[Row]:
        """Yield what is wrong with the lines that were left out since it was last asked."""
        for number in self.too_long:
            yield Row(number, problem="bad_row", explanation=f"The line has more than {LONGEST_LINE} characters.")
        self.too_long.clear()


def list_rows(path: Path) -> Iterator[Row]:
    """Yield a row for each line of a list of files; what follows a `#` at a line's start is a remark."""
    lines = _Lines(path)
    for line in lines:
        yield from lines.problems()
        file = line.strip()
        if file and not file.startswith("#"):
            yield Row(lines.number, file) if is_text(file) else _not_utf8(lines.number)
    yield from lines.problems()


def table_rows(path: Path, name: str) -> Iterator[Row]:
    """Yield the rows of a table of captions: JSON lines by the ending of `name`, else CSV with any of `DELIMITERS`.

    The first row of a CSV says which columns there are. A caption comes clean, and is "" where the row has none.
    """
    lines = _Lines(path)
    records = _json_records(lines) if name.lower().endswith(".jsonl") else _csv_records(lines, _delimiter(path))
    empty, captioned = True, False
    found: dict[str, Any] = {}  # the first record
    for line, record in records:
        empty = False
        yield from lines.problems()
        if isinstance(record, str):
            yield Row(line, problem="bad_row", explanation=record)
            continue
        file, caption = _column(record, FILE_COLUMNS), _column(record, CAPTION_COLUMNS)
        if not found and not file:
            yield _lacks("file", FILE_COLUMNS, record)
            return
        found = found or record
        captioned = captioned or bool(caption)
        yield _row(line, record.get(file), record.get(caption))
    if empty and not lines.too_long:
        yield Row(0, problem="bad_table", explanation="The table has no rows.")
    elif found and not captioned:
        yield _lacks("caption", CAPTION_COLUMNS, found)
    yield from lines.problems()


def _column(record: dict[str, Any], names: Sequence[str]) -> str:
    return next((name for name in names if name in record), "")


def _lacks(what: str, names: Sequence[str], record: dict[str, Any]) -> Row:
    sentence = f"The table has no column for the {what}, which would be named {' or '.join(names)}"
    shown = ascii(", ".join(record))[1:-1][:LONGEST_SHOWN]
    return Row(0, problem="bad_table", explanation=f"{sentence}; its columns are: {shown}.")


def _delimiter(path: Path) -> str:
    """Return what stands between the cells of a table: what makes one of its first line's the column for the file."""
    head = next(iter(_Lines(path)), "")
    cells = {mark: {cell.strip(' "\r\n').lower() for cell in head.split(mark)} for mark in DELIMITERS}
    return next((mark for mark in DELIMITERS if not cells[mark].isdisjoint(FILE_COLUMNS)), ",")


# A line's number with what its columns hold, or with one sentence on what is wrong.
_Records = Iterator[tuple[int, dict[str, Any] | str]]


def _csv_records(lines: _Lines, delimiter: str) -> _Records:
    reader = csv.reader(iter(lines), delimiter=delimiter)
    names: list[str] = []
    while True:
        line = lines.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:  # such as a quotation mark that is never closed
            yield line, f"The text from here to line {lines.number} is no row ({error})."
            continue
        if cells is None:
            return
        if not names:
            names = [cell.strip().lower() for cell in cells]
            if names and not _column(dict.fromkeys(names), FILE_COLUMNS):
                yield line, dict.fromkeys(names)  # whether or not rows follow
        elif cells and len(cells) < len(names):
            yield line, f"The row has {len(cells)} cells where the table has {len(names)} columns."
        elif cells:
            yield line, dict(zip(names, cells, strict=False))


def _json_records(lines: _Lines) -> _Records:
    for text in lines:
        if text.strip():
            try:
                values = json.loads(text)
            except (ValueError, RecursionError):
                values = None
            if isinstance(values, dict):
                yield lines.number, {str(name).strip().lower(): value for name, value in values.items()}
            else:
                yield lines.number, "The line is no JSON object."


def _row(line: int, file: Any, caption: Any) -> Row:
    if not isinstance(file, str) or not file.strip():
        return Row(line, problem="bad_row", explanation="The row names no file.")
    if not is_text(file):
        return _not_utf8(line)
    caption = one_of(caption)
    if caption is None or caption == "" or caption == []:
        return Row(line, file.strip())
    if not isinstance(caption, str):
        return Row(line, file.strip(), problem="bad_caption", explanation="The caption is no text; its clip has none.")
    try:
        return Row(line, file.strip(), clean(caption))
    except Rejected as error:
        return Row(line, file.strip(), problem=error.reason, explanation=error.explanation)


def _not_utf8(line: int) -> Row:
    return Row(line, problem="bad_row", explanation="The line cannot be read as UTF-8 text.")
