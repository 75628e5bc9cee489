"""Copies on this machine of what is far away: downloaded once, and of single files no more than a limit."""

import hashlib
import os
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from kinora.storage import MANIFEST, open_store, split_uri

SECONDS_IN_USE = 300.0  # of a cached file, after it was asked for


def local_copy(uri: str, cache: Path | None = None) -> Path:
    """Return a local path with the contents of `uri`: itself for a file, a cached download for `s3://`.

    What is cached is not asked for again, so this is for artifacts, which do not change under their name. Of single
    files at most KINORA_CACHE_GIB gibibytes (20 where it is not set) are kept: those that were not used for longest go
    first, and none that was used within the last minutes.
    """
    scheme, _, path = split_uri(uri)
    if scheme == "file":
        return Path(path)
    cache = cache or cache_folder()
    root, _, name = uri.rstrip("/").rpartition("/")
    place = Path(hashlib.sha256(uri.encode()).hexdigest()[:20]) / name
    folder, file = cache / place, cache / "files" / place
    if folder.exists():
        return folder
    if file.exists():
        with suppress(OSError):
            os.utime(file)  # it is used now
        return file
    store = open_store(root)
    if store.exists(f"{name}/{MANIFEST}"):
        return store.get_folder(name, folder)
    store.get_file(name, file)
    _CACHED.add(cache / "files", file.stat().st_size)
    return file


class _Cached:
    """Trims a cache of files whenever as much as a sixteenth of what it may hold was added."""

    def __init__(self) -> None:
        self._added = 0.0
        self._lock = threading.Lock()

    def add(self, folder: Path, size: int) -> None:
        """Note that a file of `size` bytes was added."""
        most = float(os.environ.get("KINORA_CACHE_GIB", 20)) * 2**30
        with self._lock:
            self._added += size
            if self._added > most / 16:
                self._added = 0.0
                trim(folder, most)


_CACHED = _Cached()


def trim(folder: Path, most_bytes: float) -> None:
    """Remove files below `folder` that were not used for longest, until the rest has at most `most_bytes`."""
    found = []
    for path in folder.glob("*/*"):
        with suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    for used, size, path in sorted(found):
        if total <= most_bytes or time.time() - used < SECONDS_IN_USE:
            return
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()
        total -= size


def cache_folder() -> Path:
    """Return the folder for copies of what is far away, which nobody else can write to."""
    folder = Path(tempfile.gettempdir()) / f"kinora-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
