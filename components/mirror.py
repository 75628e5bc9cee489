"""A folder on the local disk that is kept on S3 while it changes: training state that outlives its pod."""

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kinora.data.storage import MANIFEST, Store
from kinora.errors import KinoraError

SECONDS_BETWEEN_SNAPSHOTS = 5.0


def whole_folders(store: Store, place: str) -> list[str]:
    """Return the keys of the folders directly below `place` that have their manifest, in order."""
    return sorted(key.rsplit("/", 1)[0] for key in store.list(place) if key.endswith(f"/{MANIFEST}"))


@contextmanager
def mirrored(store: Store, place: str) -> Iterator[Path]:
    """Yield a local folder: it starts as the last whole snapshot below `place` and is stored there as it changes."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "state"
        snapshots = whole_folders(store, place)
        if snapshots:
            store.get_folder(snapshots[-1], folder)
        folder.mkdir(exist_ok=True)
        mirror = Mirror(store, place, folder, int(snapshots[-1].rsplit("/", 1)[1]) if snapshots else 0)
        mirror.start()
        try:
            yield folder
        finally:
            mirror.stop()


class Mirror(threading.Thread):
    """Stores a snapshot of `folder` under the next number whenever it has changed, then forgets the one before."""

    def __init__(self, store: Store, place: str, folder: Path, last: int):
        super().__init__(daemon=True)
        self.store, self.place, self.folder, self.last = store, place, folder, last
        self.seen = self._fingerprint()
        self.finished = threading.Event()

    def run(self) -> None:
        while not self.finished.wait(SECONDS_BETWEEN_SNAPSHOTS):
            self._snapshot()

    def stop(self) -> None:
        """Store what is there now, and end."""
        self.finished.set()
        self.join()
        self._snapshot()

    def _fingerprint(self) -> list[tuple[str, int]]:
        return sorted((str(path), path.stat().st_mtime_ns) for path in self.folder.rglob("*") if path.is_file())

    def _snapshot(self) -> None:
        try:
            now = self._fingerprint()
            if now == self.seen or not now:
                return
            self._store_copy(f"{self.place}/{self.last + 1:08d}")
            before, self.last, self.seen = self.last, self.last + 1, now
            if before:
                self.store.delete(f"{self.place}/{before:08d}")
        except (FileNotFoundError, shutil.Error):
            return  # the trainer replaced a checkpoint while it was read: the next round takes the new one
        except KinoraError as error:  # a training of hours does not end because its store is away for a minute
            print(f"the training state could not be stored ({error}); trying again later.", file=sys.stderr)

    def _store_copy(self, key: str) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as temporary:
            # Links are quick, and trainers replace files whole, so that the copy cannot change while it is sent.
            copy = Path(temporary) / "copy"
            shutil.copytree(self.folder, copy, copy_function=os.link, ignore=shutil.ignore_patterns(".*"))
            self.store.put_folder(copy, key)
