"""The index of a listing: files by name, joined with the captions beside them, on disk where they are many."""

import sqlite3

from kinora.data.ingest.sources.captions import CAPTION_SUFFIXES
from kinora.data.ingest.sources.files import suffix_of
from kinora.data.ingest.sources.tables import TABLE_SUFFIXES
from kinora.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES

# A file's `place` is its name, and ends with "/" where other inputs lie within it, so that all are in order of names.
# Files with the same `stem` belong together; it is NULL for what is neither media nor caption.
FILES = """CREATE TABLE files (
    place TEXT PRIMARY KEY, kind TEXT, stem TEXT, size INTEGER, stamp TEXT, caption TEXT, problem TEXT, explanation TEXT
) WITHOUT ROWID"""
STEMS = "CREATE INDEX stems ON files (stem, kind) WHERE stem IS NOT NULL"
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
COMPRESSED_SENTENCE = "Compressed archives cannot be read in places; unpack it to a .tar (media does not get smaller)."
_KINDS = {
    **dict.fromkeys(VIDEO_SUFFIXES + IMAGE_SUFFIXES, "media"),
    **dict.fromkeys(CAPTION_SUFFIXES, "caption"),
    **dict.fromkeys(TABLE_SUFFIXES, "table"),
    ".tar": "tar",
    ".arrow": "arrow",
    ".parquet": "parquet",
}
CONTAINERS = ("tar", "arrow", "parquet")


def kind_of(name: str) -> str:
    """Return what a file is by its ending: media, caption, table, tar, arrow, parquet, compressed or other."""
    return "compressed" if name.lower().endswith(COMPRESSED) else _KINDS.get(suffix_of(name), "other")


def caption_beside(index: sqlite3.Connection, stem: str) -> tuple[str, str, str] | None:
    """Return the place, the stamp and the text (where it is known) of the caption that files with `stem` have."""
    found = index.execute(
        "SELECT place, stamp, caption FROM files WHERE stem = ? AND kind = 'caption' AND problem = ''", (stem,)
    ).fetchall()
    return min(found, key=lambda row: (CAPTION_SUFFIXES.index(suffix_of(row[0])), row[0])) if found else None


def caption_fault(index: sqlite3.Connection, place: str, stem: str) -> tuple[str, str]:
    """Return why the caption in file `place` is not used, reason and sentence; ("", "") if it is."""
    if not index.execute("SELECT 1 FROM files WHERE stem = ? AND kind = 'media' LIMIT 1", (stem,)).fetchone():
        return "not_media", "The caption belongs to no file: none of that name is beside it."
    used = caption_beside(index, stem)
    if used is not None and used[0] != place:
        return "second_caption", f"Its file has its caption from {used[0]}."
    return "", ""


def not_media(name: str) -> str:
    """Return the sentence that says why a file is not read."""
    suffix = suffix_of(name)
    return f"Files ending in '{suffix}' are not read; videos and images are." if suffix else "The name has no ending."
