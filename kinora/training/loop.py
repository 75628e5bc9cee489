"""The loop that all trainers share: step, validate, log, sample, save."""

import resource
import sys
import time
from abc import ABC, abstractmethod
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from kinora.progress import Progress
from kinora.report import Clip
from kinora.training.checkpoints import Checkpoints
from kinora.training.config import TrainingConfig
from kinora.training.log import shown_figures
from kinora.training.ranks import Ranks
from kinora.training.reporting import Reporting

LOG_EVERY = 10  # steps
Batch = TypeVar("Batch")


class Trainer(ABC, Generic[Batch]):
    """What differs between trainings: a model, its data and its optimizers.

    Each rank has one, and `fit` calls the same methods on all of them in the same order.
    """

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """Return what step `step` (from 1) learns from; the time that this takes is logged as waiting for data."""

    @abstractmethod
    def step(self, step: int, batch: Batch, rate: float) -> dict[str, Tensor | float]:
        """Take optimizer step `step` at `rate` of the learning rates; return `loss` and other scalars of this rank.

        Their means over ranks and steps are logged; tensors stay on their device until a row is due. `skipped` (1 if
        the step changed nothing, else 0) is logged as the number `skipped_steps`.
        """

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Return `held_out_loss` and other figures of held-out clips, of all ranks together; nothing without clips."""

    @abstractmethod
    def sample(self) -> list[Clip]:
        """Return what the model makes now, of the same clips at every call; those of rank 0 are kept."""

    @abstractmethod
    def save(self, folder: Path) -> dict[str, Any]:
        """Write this rank's part of the state into `folder`; return whatever of it is plain JSON (kept of rank 0)."""

    @abstractmethod
    def load(self, folder: Path, values: dict[str, Any]) -> None:
        """Take up the state that `save` wrote and returned."""

    def row(self, means: dict[str, float], steps_per_s: float) -> dict[str, float]:
        """Return the trainer's figures of a row of the log from the means of what `step` returned."""
        return means


def fit(
    trainer: Trainer[Batch], config: TrainingConfig, checkpoints: Checkpoints, progress: Progress | None = None
) -> None:
    """Train to the last step, from the newest checkpoint if there is one; the result is the same as without a stop.

    Every rank of a training calls this; the first of them writes the log, the samples and the checkpoints' records.
    """
    ranks = Ranks()
    with checkpoints.lock() if ranks.first else nullcontext():
        last = ranks.from_first(checkpoints.resume() if ranks.first else None)
        run = _Run(trainer, config, checkpoints, ranks, last.step if last is not None else 0)
        if last is not None:
            run.restore(last.path, last.values)
        elif 0 in config.sample_steps():
            run.sample(0)
        if progress is not None:
            progress.update(run.start)
        for step in range(run.start + 1, config.steps + 1):
            row = run.step(step)
            if row is not None and progress is not None:
                progress.update(step, **shown_figures(row))


class _Run(Generic[Batch]):
    def __init__(
        self, trainer: Trainer[Batch], config: TrainingConfig, checkpoints: Checkpoints, ranks: Ranks, start: int
    ):
        self.trainer, self.config, self.checkpoints, self.ranks, self.start = trainer, config, checkpoints, ranks, start
        self.reporting = Reporting(checkpoints.folder, checkpoints.log, start) if ranks.first else None
        # Since the last row of the log: sums of the steps' scalars, in earlier runs as well; this run's times.
        self.sums: dict[str, Tensor | float] = {}
        self.count = 0
        self.stepped, self.stepping, self.waiting = 0, 0.0, 0.0  # steps; seconds of them, and of waiting for batches
        self.earlier = self.measuring = 0.0  # seconds of earlier runs; seconds spent on held-out loss and samples
        self.started = self.resumed = time.monotonic()

    def step(self, step: int) -> dict[str, float] | None:
        """Take a step and do what is due after it; return the row of the log, if one was written."""
        config = self.config
        before = time.monotonic()
        batch = self.trainer.batch(step)
        self.waiting += time.monotonic() - before
        for name, value in self.trainer.step(step, batch, config.rate(step)).items():
            scalar = value.detach() if isinstance(value, Tensor) else value
            self.sums[name] = self.sums.get(name, 0.0) + scalar
        self.count += 1
        self.stepped += 1
        last = step == config.steps
        validating, saving = last or step % config.validate_every == 0, last or step % config.save_every == 0
        logging, sampling = last or step % LOG_EVERY == 0, step in config.sample_steps()
        if not (validating or saving or logging or sampling):
            return None
        self.pause()
        held_out: dict[str, float] = {}
        if validating:
            before = time.monotonic()
            held_out = self.trainer.validate()
            self.measuring += time.monotonic() - before
        if sampling:
            self.sample(step)
        row = self.log(step, held_out) if logging or held_out else None
        if saving:
            self.save(step)
        self.resumed = time.monotonic()
        return row

    def pause(self) -> None:
        """Wait for the device, so that what follows is not taken for time of the steps."""
        self.sums = {name: float(value) for name, value in self.sums.items()}
        self.stepping += time.monotonic() - self.resumed

    def log(self, step: int, held_out: dict[str, float]) -> dict[str, float]:
        scalars = {name: value / self.count for name, value in self.sums.items()}
        own = {"steps_per_s": self.stepped / self.stepping, "data_wait": self.waiting / self.stepping}
        means = self.ranks.mean({**scalars, **own})
        measured = {name: round(means.pop(name), 4) for name in own}
        if "skipped" in means:
            means["skipped_steps"] = round(means.pop("skipped") * self.count)
        row = {
            "step": step,
            **self.trainer.row(means, measured["steps_per_s"]),
            "learning_rate": self.config.rate(step) * self.config.learning_rate,
            **held_out,
            **measured,
            **self.ranks.largest({"memory_gib": round(_peak_memory() / 2**30, 3)}),
            "seconds": round(self._seconds(), 2),
            "measuring_seconds": round(self.measuring, 2),
        }
        if self.reporting is not None:
            self.reporting.row(row)
        self.sums, self.count = {}, 0
        self.stepped, self.stepping, self.waiting = 0, 0.0, 0.0
        return row

    def sample(self, step: int) -> None:
        """Keep what the model makes now."""
        before = time.monotonic()
        clips = self.trainer.sample()
        if self.reporting is not None:
            self.reporting.samples(step, clips)
        self.measuring += time.monotonic() - before

    def save(self, step: int) -> None:
        if self.ranks.first:
            self.checkpoints.begin(step)
        self.ranks.barrier()
        own = self.trainer.save(self.checkpoints.unfinished(step))
        self.ranks.barrier()
        # The means over all ranks, for any number of them to go on with. Here as there, so that no digit differs.
        self.sums = dict(self.ranks.mean(self.sums))
        if self.ranks.first:
            values = {
                "sums": self.sums,
                "count": self.count,
                "seconds": self._seconds(),
                "measuring": self.measuring,
                "trainer": own,
            }
            self.checkpoints.commit(step, values)
        self.ranks.barrier()

    def restore(self, path: Path, values: dict[str, Any]) -> None:
        self.trainer.load(path, values["trainer"])
        self.sums, self.count = dict(values["sums"]), values["count"]
        self.earlier, self.measuring = values["seconds"], values["measuring"]
        self.resumed = time.monotonic()

    def _seconds(self) -> float:
        return self.earlier + time.monotonic() - self.started


def _peak_memory() -> int:
    """Return the most bytes that this process has held: of its GPU, or of the machine where it has none."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
