"""What is known of a run while it goes on: which step is where, for how long, and how long it will still take."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pipelines.events import Event
from pipelines.origins import Origin, Places, places

Status = Literal["waiting", "running", "finished", "cached", "failed"]


@dataclass
class Task:
    """One execution of a step: the only one, or one round of a loop. A cached one has its origin, where it is known."""

    item: str
    status: Status
    started: float
    ended: float | None = None
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    origin: Origin | None = None


@dataclass
class StepState:
    """One step and its tasks, in the order in which they started."""

    name: str
    expected: float  # seconds
    tasks: list[Task] = field(default_factory=list)

    @property
    def status(self) -> Status:
        """The step's status; a loop between two rounds is running."""
        states = {task.status for task in self.tasks}
        for status in ("failed", "running", "finished", "cached"):
            if status in states:
                return status
        return "waiting"

    def seconds(self, now: float) -> float:
        """Return how long the step has taken up to `now`."""
        if not self.tasks:
            return 0.0
        return max(task.ended or now for task in self.tasks) - min(task.started for task in self.tasks)


@dataclass(frozen=True)
class Progress:
    """How far one task says it is: `done` of `total` units, of which `first` were there when it started."""

    task: str
    done: int
    first: int
    total: int
    unit: str
    figures: dict[str, float]
    started: float
    updated: float

    @property
    def seconds_left(self) -> float | None:
        """Return the seconds to go at the rate so far, or None before there is one."""
        elapsed, finished = self.updated - self.started, self.done - self.first
        return None if finished <= 0 or elapsed < 1 else elapsed / finished * (self.total - self.done)


class RunState:
    """All steps of a run."""

    def __init__(
        self,
        steps: Sequence[str],
        expected: Mapping[str, float],
        progress: Path,
        origins: Mapping[Places, Origin] = MappingProxyType({}),
    ):
        """Begin with every step waiting.

        Args:
            steps: their names, in the order in which they are shown.
            expected: seconds that each is expected to take.
            progress: the folder in which running steps say how far they are.
            origins: of what earlier runs made, by its places.
        """
        self.steps = {name: StepState(name, expected.get(name, 5.0)) for name in steps}
        self.progress_folder, self.started, self._origins = progress, time.time(), origins

    def apply(self, event: Event) -> None:
        """Take an event into account."""
        if event.kind == "end":
            return
        step = self.steps.setdefault(event.step, StepState(event.step, 5.0))
        if event.kind == "started":
            step.tasks.append(Task(event.item, "running", event.at))
            return
        task = next(task for task in reversed(step.tasks) if task.item == event.item)
        task.status, task.ended, task.artifacts, task.values = event.kind, event.at, event.artifacts, event.values
        if event.kind == "cached":
            task.origin = self._origins.get(places(task.artifacts))

    def progress(self, step: StepState) -> list[Progress]:
        """Return what the step's running tasks say of themselves, the newest last."""
        found = []
        for task in step.tasks:
            component = component_of(step.name)
            folder = self.progress_folder / (f"{component}-{task.item}" if task.item else component)
            if task.status == "running" and folder.is_dir():
                found += [_read(path) for path in folder.glob("*.json") if not path.name.startswith(".")]
        return sorted((progress for progress in found if progress), key=lambda progress: progress.updated)

    def seconds_left(self) -> float:
        """Return the seconds to go, from what each step took last time and what the running ones say."""
        now, total = time.time(), 0.0
        for step in self.steps.values():
            if step.status == "waiting":
                total += step.expected
            elif step.status == "running":
                left = [progress.seconds_left or 0.0 for progress in self.progress(step)[-1:]]
                total += max([step.expected - step.seconds(now), *left, 0.0])
        return total


def component_of(step: str) -> str:
    """Return the name of a step's component, whose second task Kubeflow calls NAME-2."""
    return re.sub(r"-\d+$", "", step)


def outcome(state: RunState) -> str:
    """Return what came out: what a study found, or what was decided of training and by the gate; "" before that."""
    for name, step in state.steps.items():
        if name.startswith(("compare-", "measure-laws")) and step.tasks:
            return str(step.tasks[-1].values.get("Output", ""))
    return " ".join(filter(None, (training_reason(state), gate_reason(state))))


def training_reason(state: RunState) -> str:
    """Return why a check of drift started a training or did not, "" where nothing was checked."""
    return str(_metadata(state, "decide-training", "report").get("reason", ""))


def gate_reason(state: RunState) -> str:
    """Return the gate's decision in one sentence, "" before it was made."""
    return str(_metadata(state, "gate", "version").get("reason", ""))


def promoted_by(state: RunState) -> str | None:
    """Return the run that deployed the candidate before ("" where a person did), None where it was not deployed yet."""
    return _metadata(state, "gate", "version").get("promoted_by")


def _metadata(state: RunState, step: str, artifact: str) -> dict[str, Any]:
    """Return what the last task of a step said of an artifact, nothing before there is one."""
    tasks = state.steps[step].tasks if step in state.steps else []
    metadata: dict[str, Any] = tasks[-1].artifacts.get(artifact, {}).get("metadata", {}) if tasks else {}
    return metadata


def report_name(number: int, step: str, item: str = "") -> str:
    """Return the file name of a step's report beside the run page."""
    return f"{number:02d}-{step}-{item}.html" if item else f"{number:02d}-{step}.html"


def _read(path: Path) -> Progress | None:
    try:
        return Progress(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):  # just replaced, or of another kind
        return None
