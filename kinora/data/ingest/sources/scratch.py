"""A database for the moment: what listing a source must remember, however much it is, in little memory."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from kinora.errors import KinoraError

CACHE_KIB = 16_384


@contextmanager
def scratch(*tables: str) -> Iterator[sqlite3.Connection]:
    """Yield an empty database with `tables` in it, which is gone afterwards.

    SQLite keeps it in memory while it is small, then in a temporary file that has no name; its cache is bounded.

    Raises:
        KinoraError: if there is no room for it.
    """
    database = sqlite3.connect("", check_same_thread=False)
    try:
        for setting in (f"cache_size = -{CACHE_KIB}", "journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
            database.execute(f"PRAGMA {setting}")
        for table in tables:
            database.execute(table)
        yield database
    except sqlite3.OperationalError as error:
        raise KinoraError(
            f"the source cannot be listed, as its index finds no room ({error}); free some space, or set TMPDIR."
        ) from error
    finally:
        database.close()
