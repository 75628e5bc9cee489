"""The prompts that the model knows, which are the captions that it is trained on, and those nearest to a text.

Near is what BM25 says (Robertson and Zaragoza, 2009, with k1 = 1.2 and b = 0.75) of the stems of words. The index is
a file of SQLite's FTS5, which is written whole; it needs neither pandas nor Feast to be asked.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kinora.errors import KinoraError
from kinora.files import atomic_write

LONGEST_TEXT, MOST_WORDS = 2000, 40
MOST_RANKED = 50_000  # prompts; a word that more of them have says little, and ranking them takes time


@dataclass(frozen=True)
class KnownPrompt:
    """A prompt, who wrote it (`caption_source`), how many training clips have it, and its BM25 score, higher nearer."""

    prompt: str
    source: str
    clips: int
    score: float


def write_prompts(path: Path, captions: Iterable[tuple[str, str]], publications: Sequence[str]) -> None:
    """Write the index of the captions, each with its source, that these publications left; whole or not at all."""
    with atomic_write(path) as temporary, closing(sqlite3.connect(temporary)) as database, database:
        database.execute("CREATE TABLE publications (name TEXT PRIMARY KEY)")
        database.executemany("INSERT INTO publications VALUES (?)", [(name,) for name in publications])
        database.execute("CREATE TABLE found (prompt TEXT, source TEXT)")
        database.executemany("INSERT INTO found VALUES (?, ?)", captions)
        database.execute(
            "CREATE VIRTUAL TABLE prompts USING fts5(prompt, source UNINDEXED, clips UNINDEXED, "
            "tokenize = 'porter unicode61 remove_diacritics 2')"
        )
        database.execute(
            "INSERT INTO prompts SELECT prompt, CASE WHEN max(source = 'human') THEN 'human' ELSE min(source) END, "
            "count(*) FROM found WHERE prompt <> '' GROUP BY prompt ORDER BY prompt"
        )
        database.execute("DROP TABLE found")
        database.commit()
        database.execute("VACUUM")


def indexed_publications(path: Path) -> list[str]:
    """Return the publications that an index was written for, none where there is no index."""
    if not path.is_file():
        return []
    with _opened(path) as database:
        return [name for (name,) in database.execute("SELECT name FROM publications ORDER BY name")]


def nearest_prompts(path: Path, text: str, limit: int = 5) -> list[KnownPrompt]:
    """Return the known prompts nearest to a text, nearest first: at most `limit`, and only such as share a word.

    Words are taken from the rarest on, until `MOST_RANKED` prompts have one of them.

    Raises:
        KinoraError: if the index is damaged.
    """
    words = list(dict.fromkeys(re.findall(r"\w+", text[:LONGEST_TEXT].casefold())))[:MOST_WORDS]
    if not words or not path.is_file():
        return []
    with _opened(path) as database:
        counted = sorted((_count(database, word), word) for word in words)
        asked: list[str] = []
        total = 0
        for count, word in counted:
            if count and (not asked or total + count <= MOST_RANKED):
                asked.append(f'"{word}"')
                total += count
        if not asked:
            return []
        # Where all of very many have the one word, they are near alike.
        order = "ORDER BY rank, rowid" if total <= MOST_RANKED else ""
        query = f"SELECT prompt, source, clips, -bm25(prompts) FROM prompts WHERE prompts MATCH ? {order} LIMIT ?"
        return [KnownPrompt(*row) for row in database.execute(query, (" OR ".join(asked), limit))]


def _count(database: sqlite3.Connection, word: str) -> int:
    """Return how many prompts have a word, counted to just above `MOST_RANKED`."""
    query = "SELECT count(*) FROM (SELECT 1 FROM prompts WHERE prompts MATCH ? LIMIT ?)"
    return int(database.execute(query, (f'"{word}"', MOST_RANKED + 1)).fetchone()[0])


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an index to read it, for the length of a block."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        raise KinoraError(f"{path} is damaged ({error}); delete it, and it is written again.") from error
