"""Progress of long work: a bar on a terminal, plain lines elsewhere, and a file that a watcher can read."""

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from kinora.files import atomic_write

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

PROGRESS_DIR = "KINORA_PROGRESS_DIR"
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_FILES = 0.5


class Progress:
    """Counts finished units of one task.

    Where the environment variable `KINORA_PROGRESS_DIR` names a folder, the count is also written there as
    `<task>.json` (`task, done, total, unit, figures, started, updated`), which the pipeline's live view reads.
    """

    def __init__(self, task: str, total: int, unit: str = "steps"):
        self.task, self.total, self.unit = task, max(total, 1), unit
        self.done = 0
        self.first: int | None = None
        self.figures: dict[str, float] = {}
        self.started = time.time()
        self._last_line = self._last_file = 0.0
        self._bar: Bars | None = None
        folder = os.environ.get(PROGRESS_DIR)
        self._file = Path(folder) / f"{task.replace(' ', '-')}.json" if folder else None

    def __enter__(self) -> "Progress":
        if sys.stderr.isatty() and self._file is None:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            self._bar = Bars(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeRemainingColumn(),
            )
            self._bar.start()
            self._row = self._bar.add_task(self.task, total=self.total, figures="")
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write()
        if self._bar is not None:
            self._bar.stop()
        elif kind is None:
            self._line()

    def update(self, done: int, **figures: float) -> None:
        """Say that `done` units of the total are finished, with any figures worth showing (loss, rate)."""
        if self.first is None:
            self.first = done  # a resumed task starts part way: the rate counts from here
        self.done, self.figures = done, figures
        now = time.time()
        if now - self._last_file >= SECONDS_BETWEEN_FILES:
            self._write()
            self._last_file = now
        if self._bar is not None:
            self._bar.update(self._row, completed=done, figures=self._figures_text())
        elif now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._line()
            self._last_line = now

    def _figures_text(self) -> str:
        return "  ".join(f"{name} {value:.4g}" for name, value in self.figures.items())

    def _line(self) -> None:
        seconds = time.time() - self.started
        text = f"{self.task}: {self.done}/{self.total} {self.unit} in {seconds:.0f} s  {self._figures_text()}"
        print(text.rstrip(), file=sys.stderr, flush=True)

    def _write(self) -> None:
        if self._file is None:
            return
        record = {
            "task": self.task,
            "done": self.done,
            "first": self.first or 0,
            "total": self.total,
            "unit": self.unit,
            "figures": self.figures,
            "started": self.started,
            "updated": time.time(),
        }
        # Reporting never ends the work: a full disk will be noticed by what the work itself writes.
        with suppress(OSError), atomic_write(self._file) as temporary:
            temporary.write_text(json.dumps(record))
