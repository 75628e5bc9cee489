"""Open a source by its address: what kind it is follows from its scheme and its ending."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath

from kinora.data.ingest.sources.captions import MOST_BYTES, read_caption
from kinora.data.ingest.sources.files import Files, LocalFiles, copy_name, copy_part
from kinora.data.ingest.sources.index import COMPRESSED_SENTENCE, CONTAINERS, kind_of
from kinora.data.ingest.sources.lists import expand, listed_items, rows_of
from kinora.data.ingest.sources.rows import HEAD, ParquetRows, ending
from kinora.data.ingest.sources.source import Item, Part, Source
from kinora.data.ingest.sources.stored import AddressedFiles, StoredFiles
from kinora.data.ingest.sources.tables import Row
from kinora.data.ingest.sources.tree import tree_items
from kinora.data.shots import Rejected
from kinora.errors import KinoraError, UsageError
from kinora.storage import open_store, split_uri


def open_source(uri: str) -> Source:
    """Open a source of footage, without listing it.

    It is a folder or an `s3://bucket/prefix`, with whatever is in it; or one file: a video, an image, a WebDataset
    shard (.tar), rows of a Hugging Face dataset (.arrow, .parquet), a table with captions (.csv, .tsv, .jsonl) or a
    list of files (.txt); or a pattern with braces that stands for several, such as `shard-{000..099}.tar`.

    Raises:
        UsageError: if it is none of these.
        KinoraError: if there is nothing at `uri`, or the server does not answer.
    """
    if not uri:
        raise UsageError("ingest needs a source: a folder of videos and images, one file, or s3://bucket/prefix.")
    if "://" in uri and uri.partition("://")[0] not in ("file", "s3", "minio"):
        raise UsageError(f"{uri} cannot be read from where it is; download it first, or put it into an S3 bucket.")
    scheme, bucket, path = split_uri(uri)
    if scheme == "s3":
        return _open_stored(uri, bucket, path.strip("/"), is_file=not path.endswith("/"))
    if Path(path).is_dir():
        files = LocalFiles(Path(path))
        return FileSource(uri, files, partial(tree_items, files))
    if Path(path).is_file():
        return _open_file(uri, LocalFiles(Path(path).parent), Path(path).name)
    if "{" in path:
        folder, pattern = _pattern(path)
        return _open_pattern(uri, LocalFiles(Path(folder or ("/" if path.startswith("/") else "."))), pattern)
    if Path(path).exists():
        raise UsageError(f"{uri} is a device or a pipe; name a folder, or a file.")
    raise KinoraError(f"there is no folder or file {uri}; name one that holds videos or images.")


class FileSource:
    """A source whose media lies in files, or in parts of them."""

    def __init__(self, uri: str, files: Files, listing: Callable[[], Iterator[Item]]):
        self.uri, self.files, self.listing = uri, files, listing
        self.rows = ParquetRows(files)

    def items(self) -> Iterator[Item]:
        """Yield every input: see `Source`."""
        empty = True
        for item in self.listing():
            empty = False
            yield item
        if empty:
            raise KinoraError(f"{self.uri} is empty; put videos or images there, or name another folder.")

    def local(self, item: Item, folder: Path) -> Path:
        """Return an item's media file on this disk: see `Source`."""
        if item.problem:
            raise Rejected(item.problem, item.explanation)
        part = Part.of(item)
        if part is None:
            return self.files.local(item.name, folder)
        if part.row >= 0:
            content = self.rows.read(part)
            path = folder / f"media{ending(content[:HEAD])}"
            path.write_bytes(content)
            return path
        if kind_of(part.file) == "tar":
            name = copy_name(item.name)
        else:
            name = f"media{ending(self.files.read(part.file, part.offset, min(part.size, HEAD)))}"
        return copy_part(self.files, part.file, part.offset, part.size, folder / name)

    def caption(self, item: Item, folder: Path) -> str:
        """Return an item's caption: see `Source`."""
        if item.caption or not item.caption_from:
            return item.caption
        try:
            content = self.files.read(item.caption_from, 0, MOST_BYTES + 1)
        except Rejected as error:
            raise Rejected("bad_caption", f"{error.explanation.rstrip('.')}; its clip has no caption.") from error
        return read_caption(content, item.caption_from)


def _open_stored(uri: str, bucket: str, key: str, is_file: bool) -> Source:
    if "{" in key:
        folder, pattern = _pattern(key)
        return _open_pattern(uri, StoredFiles(open_store(f"s3://{bucket}/{folder}")), pattern)
    # A server has no folders, so the ending tells; asking would cost an answer, and tell no more.
    if is_file and (kind_of(key) not in ("other", "caption") or key.lower().endswith(".txt")):
        parent = str(PurePosixPath(key).parent)
        base = StoredFiles(open_store(f"s3://{bucket}/{'' if parent == '.' else parent}"))
        return _open_file(uri, base, PurePosixPath(key).name)
    files = StoredFiles(open_store(f"s3://{bucket}/{key}"))
    return FileSource(uri, files, partial(tree_items, files))


def _open_file(uri: str, base: LocalFiles | StoredFiles, name: str) -> Source:
    kind, files = kind_of(name), AddressedFiles(base)
    if kind == "compressed":
        raise UsageError(f"{uri} is compressed. {COMPRESSED_SENTENCE}")
    if kind in ("media", *CONTAINERS):
        return FileSource(uri, files, lambda: listed_items(files, name, [Row(1, name)]))
    if kind == "table" or name.lower().endswith(".txt"):
        return FileSource(uri, files, lambda: listed_items(files, name, rows_of(files, name)))
    raise UsageError(f"{uri} is no video, image, .tar, .arrow, .parquet, .csv, .tsv, .jsonl or .txt list; name one.")


def _open_pattern(uri: str, base: LocalFiles | StoredFiles, pattern: str) -> Source:
    files = AddressedFiles(base)
    return FileSource(uri, files, lambda: listed_items(files, pattern, map(Row, count(1), expand(pattern))))


def _pattern(path: str) -> tuple[str, str]:
    """Cut a path into the folder before its first braces, and the rest."""
    folder = path.partition("{")[0].rpartition("/")[0]
    return folder, path[len(folder) :].lstrip("/")
