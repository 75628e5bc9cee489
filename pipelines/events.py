"""What the embedded runner's process tells the one that watches it: one JSON line an event, in one file."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["started", "finished", "cached", "failed", "end"]


@dataclass(frozen=True)
class Event:
    """Something that happened to a step (or, with kind `end`, to the run).

    `item` tells apart the tasks of one step in a loop. `artifacts` are the outputs: name to path, Kubeflow type and
    metadata; `values` the output parameters.
    """

    kind: Kind
    step: str
    item: str = ""
    at: float = field(default_factory=time.time)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def append_to(self, path: Path) -> None:
        """Write the event as one line."""
        with open(path, "a") as file:
            file.write(json.dumps(asdict(self)) + "\n")


class EventReader:
    """Reads the events that have arrived since the last call."""

    def __init__(self, path: Path):
        self.path, self.position = path, 0

    def new(self) -> Iterator[Event]:
        """Yield the whole lines that have been added."""
        if not self.path.exists():
            return
        with open(self.path) as file:
            file.seek(self.position)
            while (line := file.readline()).endswith("\n"):
                self.position = file.tell()
                yield Event(**json.loads(line))
