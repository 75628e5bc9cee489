"""How long each step is expected to take: as it took last time here, or as it was measured on two cores."""

import time

from kinora.config import read_json, write_json
from pipelines.state import RunState
from pipelines.workspace import Workspace

MEASURED_SECONDS: dict[str, dict[str, float]] = {
    "tiny": {
        "plan-ingest": 3,
        "read-shards": 20,
        "ingest": 5,
        "validate": 6,
        "train-captioner": 40,
        "caption": 6,
        "publish-features": 10,
        "train-autoencoder": 65,
        "encode-latents": 13,
        "pretrain": 330,
        "evaluate": 40,
        "choose": 5,
        "evaluate-2": 51,
        "gate": 6,
        "promote": 3,
    },
    "smoke": {
        "plan-ingest": 3,
        "read-shards": 5,
        "ingest": 4,
        "validate": 4,
        "train-captioner": 4,
        "caption": 4,
        "publish-features": 9,
        "train-autoencoder": 4,
        "encode-latents": 3,
        "pretrain": 20,
        "evaluate": 16,
        "choose": 5,
        "evaluate-2": 12,
        "gate": 6,
        "promote": 3,
    },
}


def expected_durations(workspace: Workspace, recipe: str) -> dict[str, float]:
    """Return the seconds that each step of a recipe is expected to take; steps that nobody has timed are missing."""
    return MEASURED_SECONDS.get(recipe, {}) | _recorded(workspace).get(recipe, {})


def record_durations(workspace: Workspace, recipe: str, state: RunState) -> None:
    """Remember how long the steps took that really ran, for the next run."""
    recorded = _recorded(workspace)
    took = {step.name: step.seconds(time.time()) for step in state.steps.values() if step.status == "finished"}
    write_json(workspace.durations, recorded | {recipe: recorded.get(recipe, {}) | took})


def _recorded(workspace: Workspace) -> dict[str, dict[str, float]]:
    return read_json(workspace.durations) if workspace.durations.exists() else {}
