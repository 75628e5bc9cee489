"""What the configurations and the results of all trainers have in common."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kinora.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The part of a training's configuration that does not depend on what is trained.

    steps: optimizer steps.
    learning_rate: of all weights that Adam trains.
    muon_learning_rate: of the matrices between hidden layers, which Muon trains.
    warmup_steps: steps over which both rates rise linearly from 0.
    decay: the curve on which both fall to 0 afterwards.
    weight_decay: of matrices, decoupled (https://arxiv.org/abs/1711.05101); biases and scales have none.
    betas: Adam's.
    max_gradient_norm: a gradient longer than this, over all weights, is scaled down to it.
    save_every: steps between two checkpoints of the training's state.
    validate_every: steps between two measurements of the loss on held-out clips.
    samples: how many times samples are made along the way, the untrained and the finished model included.
    seed: of everything that is drawn.

    Raises:
        UsageError: if a value is impossible.
    """

    steps: int
    learning_rate: float
    muon_learning_rate: float
    warmup_steps: int
    decay: Literal["cosine", "linear"] = "cosine"
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.98)
    max_gradient_norm: float = 1.0
    save_every: int = 100
    validate_every: int = 100
    samples: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("steps", 0),
            ("warmup_steps", 0),
            ("samples", 0),
            ("save_every", 1),
            ("validate_every", 1),
        ):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)}; give {least} or more.")
        if not self.max_gradient_norm > 0:
            raise UsageError(f"max_gradient_norm is {self.max_gradient_norm}; give more than 0.")
        if self.decay not in ("cosine", "linear"):
            raise UsageError(f"decay is '{self.decay}'; give 'cosine' or 'linear'.")

    def rate(self, step: int) -> float:
        """Return the share of the learning rates at a step (1, 2, ... `steps`)."""
        if step <= self.warmup_steps:
            return step / self.warmup_steps
        remaining = (self.steps - step + 1) / max(1, self.steps - self.warmup_steps)
        return remaining if self.decay == "linear" else 0.5 - 0.5 * math.cos(math.pi * remaining)

    def sample_steps(self) -> list[int]:
        """Return the steps after which samples are made; 0 is before the first."""
        return milestones(self.steps, self.samples)


def milestones(steps: int, count: int) -> list[int]:
    """Return `count` steps evenly from 0 to `steps`, both included."""
    return sorted({round(steps * i / max(count - 1, 1)) for i in range(count)}) if count else []


@dataclass(frozen=True)
class TrainingResult:
    """What a training left behind.

    path: the folder with the model (or one folder for each of `checkpoints`), `config.json` (the resolved
        configuration), `metrics.json`, `training.jsonl` (the log) and `report.html`.
    metrics: the content of `metrics.json`: `steps`, `seconds`, `loss`, `held_out_loss` and the trainer's own.
    checkpoints: names of the model folders in `path`, oldest first; empty where the model lies in `path` itself.
    """

    path: Path
    metrics: dict[str, float]
    checkpoints: tuple[str, ...] = ()
