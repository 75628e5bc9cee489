"""The loop that all three trainers share: step, validate, log, sample, save."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from kinora.progress import Progress
from kinora.report import Clip
from kinora.training.checkpoints import Checkpoints
from kinora.training.config import TrainingConfig
from kinora.training.log import append_row, shown_figures
from kinora.training.samples import write_samples

LOG_EVERY = 10  # steps


class Trainer(ABC):
    """What differs between trainings: a model, its data and its optimizers."""

    @abstractmethod
    def step(self, step: int, rate: float) -> dict[str, Tensor]:
        """Take optimizer step `step` (from 1) at `rate` of the learning rates; return `loss` and other scalars."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Return `held_out_loss` and other figures of held-out clips; nothing if there are none."""

    @abstractmethod
    def sample(self) -> list[Clip]:
        """Return what the model makes now, of the same clips at every call."""

    @abstractmethod
    def save(self, folder: Path) -> dict[str, Any]:
        """Write the state into `folder`; return whatever of it is plain JSON."""

    @abstractmethod
    def load(self, folder: Path, values: dict[str, Any]) -> None:
        """Take up the state that `save` wrote and returned."""

    def row(self, means: dict[str, float], seconds: float) -> dict[str, float]:
        """Return the trainer's figures of a row of the log from the means of what `step` returned."""
        return means


def fit(
    trainer: Trainer,
    config: TrainingConfig,
    checkpoints: Checkpoints,
    progress: Progress | None = None,
    first_process: bool = True,
    barrier: Callable[[], None] = lambda: None,
) -> None:
    """Train to the last step, from the newest checkpoint if there is one; the result is the same as without a stop.

    Every process of a training calls this; the first of them writes the log, the samples and the checkpoints' records.
    """
    run = _Run(trainer, config, checkpoints, first_process, barrier)
    last = checkpoints.resume() if first_process else checkpoints.last()
    start = 0
    if last is not None:
        start = last.step
        run.restore(last.path, last.values)
    elif 0 in config.sample_steps():
        run.sample(0)
    if progress is not None:
        progress.update(start)
    for step in range(start + 1, config.steps + 1):
        row = run.step(step)
        if row is not None and progress is not None:
            progress.update(step, **shown_figures(row))


class _Run:
    def __init__(
        self,
        trainer: Trainer,
        config: TrainingConfig,
        checkpoints: Checkpoints,
        first_process: bool,
        barrier: Callable[[], None],
    ):
        self.trainer, self.config, self.checkpoints = trainer, config, checkpoints
        self.first_process, self.barrier = first_process, barrier
        self.sums: dict[str, Any] = {}  # since the last row of the log
        self.count = 0
        self.earlier = self.measuring = 0.0  # seconds of earlier runs; seconds spent on held-out loss and samples
        self.started = time.monotonic()

    def step(self, step: int) -> dict[str, float] | None:
        """Take a step and do what is due after it; return the row of the log, if one was written."""
        config = self.config
        for name, value in self.trainer.step(step, config.rate(step)).items():
            self.sums[name] = self.sums.get(name, 0.0) + value.detach()
        self.count += 1
        held_out: dict[str, float] = {}
        row = None
        if step % config.validate_every == 0 or step == config.steps:
            with self._measuring():
                held_out = self.trainer.validate()
        if step in config.sample_steps():
            self.sample(step)
        if step % LOG_EVERY == 0 or step == config.steps or held_out:
            row = self.log(step, held_out)
        if step % config.save_every == 0 or step == config.steps:
            self.save(step)
        return row

    def log(self, step: int, held_out: dict[str, float]) -> dict[str, float]:
        seconds = self._seconds()
        means = {name: float(value) / self.count for name, value in self.sums.items()}
        times = {"seconds": round(seconds, 2), "measuring_seconds": round(self.measuring, 2)}
        row = {"step": step, **self.trainer.row(means, seconds), **held_out, **times}
        if self.first_process:
            append_row(self.checkpoints.log, row)
        self.sums, self.count = {}, 0
        return row

    def sample(self, step: int) -> None:
        """Keep what the model makes now (first process)."""
        if self.first_process:
            with self._measuring():
                write_samples(self.checkpoints.folder, step, self.trainer.sample())

    def save(self, step: int) -> None:
        if self.first_process:
            self.checkpoints.begin(step)
        self.barrier()
        own = self.trainer.save(self.checkpoints.unfinished(step))
        self.barrier()
        if self.first_process:
            self.checkpoints.commit(
                step,
                {
                    "sums": {name: float(value) for name, value in self.sums.items()},
                    "count": self.count,
                    "seconds": self._seconds(),
                    "measuring": self.measuring,
                    "trainer": own,
                },
            )
        self.barrier()

    def restore(self, path: Path, values: dict[str, Any]) -> None:
        self.trainer.load(path, values["trainer"])
        self.sums, self.count = dict(values["sums"]), values["count"]
        self.earlier, self.measuring = values["seconds"], values["measuring"]

    def _seconds(self) -> float:
        return self.earlier + time.monotonic() - self.started

    @contextmanager
    def _measuring(self) -> Iterator[None]:
        before = time.monotonic()
        yield
        self.measuring += time.monotonic() - before
