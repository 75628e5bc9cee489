"""Hugging Face datasets on disk: media in the rows of Arrow files (`save_to_disk`) and Parquet files (the hub)."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from kinora.data.ingest.sources.captions import CAPTION_COLUMNS, clean, one_of
from kinora.data.ingest.sources.files import File, Files
from kinora.data.ingest.sources.source import Item, Part
from kinora.data.shots import Rejected
from kinora.media import media_kind

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.parquet

CAPTIONS_AT_ONCE = 1024  # of a Parquet file, in memory
READ_AHEAD = 1 << 20  # bytes of a Parquet file
MOST_PASSED = 16  # rows that are kept for threads that come late
HEAD = 64  # bytes from which a kind of file is told
COMPRESSED_ROW = "The row is compressed, and cannot be read in place; store the dataset as Parquet."
NO_BYTES = "The row holds no bytes of a video or an image; save the dataset with its files embedded."


def row_items(files: Files, file: File, kind: str) -> Iterator[Item]:
    """Yield the rows of a file, "arrow" or "parquet", in their order, and what is wrong with it."""
    import pyarrow

    try:
        yield from _arrow_items(files, file) if kind == "arrow" else _parquet_items(files, file)
    except Rejected as error:
        yield Item(file.name, problem=error.reason, explanation=error.explanation)
    except (OSError, ValueError, pyarrow.ArrowException):
        sentence = "The file is damaged or cut; rows that come after that place are lost."
        yield Item(file.name, problem="undecodable", explanation=sentence)


def _arrow_items(files: Files, file: File) -> Iterator[Item]:
    import pyarrow

    with tempfile.TemporaryDirectory() as folder:
        with pyarrow.memory_map(str(files.local(file.name, Path(folder)))) as mapped:
            content = mapped.read_buffer()
        batches = _batches(content)
        media, captions, others = _columns(next(batches))
        yield from _unread(file, media, others)
        first = 0
        for batch in batches:
            batch.validate(full=True)  # offsets that lead elsewhere would be followed otherwise
            texts = batch.column(captions).to_pylist() if captions else [None] * len(batch)
            for row, (place, text) in enumerate(zip(_places(batch.column(media), content), texts, strict=True), first):
                name = f"{file.name}/{row}"
                stamp, problem, sentence = "", "", ""
                if place is None:
                    problem, sentence = "empty", NO_BYTES
                elif not 0 <= place[0] <= len(content) - place[1]:
                    problem, sentence = "undecodable", COMPRESSED_ROW
                else:
                    stamp = Part(file.name, *place).stamp(file.stamp)
                yield from _row_items(name, stamp, text, problem, sentence)
            first += len(batch)


def _batches(content: "pyarrow.Buffer") -> Iterator[Any]:
    """Yield the schema of an Arrow file, then its batches of rows, which stay where they lie in `content`."""
    import pyarrow

    if content.slice(0, 6).to_pybytes() != b"ARROW1":
        stream = pyarrow.ipc.open_stream(content)
        yield stream.schema
        yield from stream
        return
    reader = pyarrow.ipc.open_file(content)
    yield reader.schema
    yield from (reader.get_batch(number) for number in range(reader.num_record_batches))


def _places(media: Any, content: "pyarrow.Buffer") -> Iterator[tuple[int, int] | None]:
    """Yield where in `content` the bytes of each row lie, offset and size; None for a row without any."""
    import pyarrow

    if pyarrow.types.is_struct(media.type):
        media = media.flatten()[media.type.get_field_index("bytes")]
    _, ends, values = media.buffers()
    if not len(media) or values is None:
        yield from [None] * len(media)
        return
    dtype = np.dtype(np.int64 if pyarrow.types.is_large_binary(media.type) else np.int32)
    bounds = np.frombuffer(ends, dtype, len(media) + 1, media.offset * dtype.itemsize).astype(np.int64)
    base = values.address - content.address
    for start, end, valid in zip(bounds[:-1], bounds[1:], media.is_valid().to_pylist(), strict=True):
        yield (base + int(start), int(end - start)) if valid and end > start else None


def _parquet_items(files: Files, file: File) -> Iterator[Item]:
    with files.open(file.name) as stream, _parquet(stream) as parquet:
        media, captions, others = _columns(parquet.schema_arrow)
        if parquet.metadata.num_rows > file.size:  # a few bytes may say that there are as many rows as one likes
            raise Rejected("undecodable", "The file has more rows than bytes, so they hold no media.")
        yield from _unread(file, media, others)
        row = 0
        for texts in _texts(parquet, captions):
            for text in texts:
                yield from _row_items(f"{file.name}/{row}", Part(file.name, row=row).stamp(file.stamp), text)
                row += 1


def _texts(parquet: Any, captions: str) -> Iterator[Sequence[Any]]:
    if captions:
        for batch in parquet.iter_batches(CAPTIONS_AT_ONCE, columns=[captions]):
            batch.validate(full=True)
            yield batch.column(0).to_pylist()
    else:
        yield from ([None] for _ in range(parquet.metadata.num_rows))


def _parquet(stream: Any) -> "pyarrow.parquet.ParquetFile":
    from pyarrow.parquet import ParquetFile

    return ParquetFile(stream, buffer_size=READ_AHEAD, pre_buffer=False)


class ParquetRows:
    """The media in the rows of Parquet files, for several threads.

    Where rows are asked for roughly in their order, none is read twice: a file stays open, and a few rows that were
    gone past are kept.
    """

    def __init__(self, files: Files):
        self.files = files
        self.file, self.next, self.end = "", 0, 0  # the file, the next row of its open group, and where that ends
        self.stream: BinaryIO = BytesIO()
        self.rows: Iterator[bytes | None] = iter(())
        self.passed: dict[int, bytes | None] = {}
        self.lock = Lock()

    def read(self, part: Part) -> bytes:
        """Return the bytes in a row.

        Raises:
            Rejected: if there are none, or the file is damaged.
        """
        import pyarrow

        with self.lock:
            try:
                found = self._row(part)
            except (OSError, ValueError, StopIteration, pyarrow.ArrowException) as error:
                self.file = ""
                raise Rejected("undecodable", "The file is damaged where this row lies.") from error
        if not found:
            raise Rejected("empty", NO_BYTES)
        return found

    def _row(self, part: Part) -> bytes | None:
        if part.file == self.file and part.row in self.passed:
            return self.passed.pop(part.row)
        if part.file != self.file or not self.next <= part.row < self.end:
            self._open(part)
        while self.next < part.row:
            self.passed[self.next] = next(self.rows)
            self.next += 1
            if len(self.passed) > MOST_PASSED:
                del self.passed[min(self.passed)]
        self.next += 1
        return next(self.rows)

    def _open(self, part: Part) -> None:
        """Open the group of a row, at its first row."""
        self.stream.close()
        self.stream = self.files.open(part.file)
        parquet = _parquet(self.stream)
        self.file, self.end = part.file, 0
        self.passed.clear()
        for group in range(parquet.num_row_groups):
            self.next, self.end = self.end, self.end + parquet.metadata.row_group(group).num_rows
            if part.row < self.end:
                self.rows = _group(parquet, group)
                return
        raise ValueError("no such row")


def _group(parquet: Any, group: int) -> Iterator[bytes | None]:
    column, _, _ = _columns(parquet.schema_arrow)
    for batch in parquet.iter_batches(1, row_groups=[group], columns=[column]):
        value = batch.column(0)[0].as_py()
        yield value.get("bytes") if isinstance(value, dict) else value


def ending(head: bytes) -> str:
    """Return an ending for a file that begins with `head`, so that it is taken for what it is: a video or an image.

    Raises:
        Rejected: if it is neither.
    """
    kind = media_kind(BytesIO(head))
    if not kind:
        raise Rejected("not_media", "The row holds something else than a known kind of video or image.")
    return ".mp4" if kind == "video" else ".png"


def _columns(schema: Any) -> tuple[str, str, list[str]]:
    """Return the column to read media from, that of its captions ("" for none), and others that hold media."""
    import pyarrow

    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        kinds = {name: feature.get("_type", "") for name, feature in features.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        kinds = {"audio": "Audio"}
    found = []
    for field in schema:
        holds_bytes = pyarrow.types.is_binary(field.type) or pyarrow.types.is_large_binary(field.type)
        if pyarrow.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            inner = field.type.field("bytes").type
            holds_bytes = pyarrow.types.is_binary(inner) or pyarrow.types.is_large_binary(inner)
        kind = kinds.get(field.name) or field.name.capitalize()
        if holds_bytes and kind != "Audio":
            found.append((("Video", "Image").index(kind) if kind in ("Video", "Image") else 2, field.name))
    if not found:
        sentence = (
            "The file has no column with the bytes of videos or images; give rows that name files as .csv or .jsonl."
        )
        raise Rejected("not_media", sentence)
    texts = [field.name for field in schema if _holds_text(field.type)]
    captions = [name for wanted in CAPTION_COLUMNS for name in texts if name.lower() == wanted]
    found.sort(key=lambda column: column[0])
    return found[0][1], captions[0] if captions else "", [name for _, name in found[1:]]


def _holds_text(kind: Any) -> bool:
    import pyarrow

    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        kind = kind.value_type
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def _unread(file: File, media: str, others: list[str]) -> Iterator[Item]:
    for name in others:
        sentence = f"Of several columns with media one is read, '{media}'; make this one the only one to read it."
        yield Item(f"{file.name}:{name}", problem="second_column", explanation=sentence)


def _row_items(name: str, stamp: str, texts: Any, problem: str = "", sentence: str = "") -> Iterator[Item]:
    caption_from, text = f"{name}:caption", one_of(texts)
    try:
        caption = clean(text) if text else ""
    except Rejected as error:
        yield Item(name, stamp, problem=problem, explanation=sentence)
        yield Item(caption_from, problem=error.reason, explanation=error.explanation)
    else:
        yield Item(name, stamp, caption, caption_from if caption else "", problem, sentence)
