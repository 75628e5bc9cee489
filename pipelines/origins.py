"""Where results that came from the cache were really made: when, in which run, and how long that took."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.events import EventReader
from pipelines.workspace import Run, Workspace

KEPT_RUNS = 10

Places = frozenset[str]


@dataclass(frozen=True)
class Origin:
    """The run that made a task's results, and when."""

    run: str
    started: float
    ended: float


def places(artifacts: Mapping[str, Mapping[str, Any]]) -> Places:
    """Return where a task's artifacts are, which tells its results from any others."""
    return frozenset(artifact["path"] for artifact in artifacts.values())


def known_origins(runs: Iterable[Run]) -> dict[Places, Origin]:
    """Return what the runs made, by its places."""
    found: dict[Places, Origin] = {}
    for run in runs:
        started: dict[tuple[str, str], float] = {}
        for event in EventReader(run.events).new():
            task = (event.step, event.item)
            if event.kind == "started":
                started[task] = event.at
            elif event.kind == "finished" and event.artifacts:
                found[places(event.artifacts)] = Origin(run.name, started[task], event.at)
    return found


def remove_old_runs(workspace: Workspace) -> None:
    """Remove the folders of all runs but the last ones, and those that made what the last ones took from the cache."""
    runs = workspace.kept()
    origins, last = known_origins(runs), runs[:KEPT_RUNS]
    cached = (event for run in last for event in EventReader(run.events).new() if event.kind == "cached")
    used = {origin.run for event in cached if (origin := origins.get(places(event.artifacts)))}
    for run in runs[KEPT_RUNS:]:
        if run.name not in used:
            shutil.rmtree(run.folder, ignore_errors=True)
