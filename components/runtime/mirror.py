"""A folder on the local disk that is kept on S3 while it changes: training state that outlives its pod."""

import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kinora.errors import KinoraError
from kinora.storage import MANIFEST, Store

SECONDS_BETWEEN_SNAPSHOTS = 5.0
# Logs grow with every step: they are copied after everything else, so that they reach at least to the checkpoint, and
# are no reason for a snapshot.
LOG = ".jsonl"


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

    def _fingerprint(self) -> list[tuple[str, int, int]]:
        files = ((path, path.stat()) for path in self._files() if path.suffix != LOG)
        return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in files]

    def _files(self) -> list[Path]:
        """List the files, logs last; what is hidden is being written."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        shown = (p for p in found if not any(part.startswith(".") for part in p.relative_to(self.folder).parts))
        return sorted(shown, key=lambda path: (path.suffix == LOG, path))

    def _snapshot(self) -> None:
        try:
            with tempfile.TemporaryDirectory(dir=self.folder.parent) as temporary:
                now = self._fingerprint()
                if now == self.seen or not now:
                    return
                for path in self._files():
                    copy = Path(temporary) / path.relative_to(self.folder)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(path, copy)
                if self._fingerprint() != now:
                    return  # a checkpoint was written meanwhile: the next round takes it
                self.store.put_folder(temporary, f"{self.place}/{self.last + 1:08d}")
            before, self.last, self.seen = self.last, self.last + 1, now
            if before:
                self.store.delete(f"{self.place}/{before:08d}")
        except FileNotFoundError:
            return  # a checkpoint was replaced meanwhile: the next round takes the new one
        except KinoraError as error:  # a training of hours does not end because its store is away for a minute
            print(f"the training state could not be stored ({error}); trying again later.", file=sys.stderr)
