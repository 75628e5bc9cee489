"""What a training writes for people along the way: the log, TensorBoard's events, samples.

Reporting never ends a training. What cannot be written (a full disk, a folder that is gone) is one warning.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kinora.report import Clip
from kinora.training.log import append_row
from kinora.training.samples import write_samples
from kinora.training.tensorboard import TensorBoard

WARNING = "kinora: warning: "  # begins a line on the standard error that whoever started the process shows


def warn(sentence: str) -> None:
    """Say one sentence that a person should read while the work goes on."""
    print(f"{WARNING}{sentence}", file=sys.stderr, flush=True)


class Reporting:
    """Reports into the folder of a run, from the step `start` on."""

    def __init__(self, folder: Path, log: Path, start: int):
        self.folder, self.log = folder, log
        self.tensorboard = TensorBoard(folder, start)
        self.failed: set[str] = set()

    def row(self, row: dict[str, Any]) -> None:
        """Write a row of the log."""
        self._write("the training's log", lambda: append_row(self.log, row))
        self._write("TensorBoard's events", lambda: self.tensorboard.scalars(row))

    def samples(self, step: int, clips: Sequence[Clip]) -> None:
        """Keep what the model made after `step` steps."""
        self._write("samples", lambda: write_samples(self.folder, step, clips))
        self._write("TensorBoard's events", lambda: self.tensorboard.clips(step, clips))

    def _write(self, what: str, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # whatever it is, it is not worth the training
            if what not in self.failed:
                self.failed.add(what)
                warn(f"{what} cannot be written below {self.folder} ({error}); training goes on without.")
