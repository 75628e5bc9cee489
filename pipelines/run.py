"""A pipeline, run here: checked before any work, watched, and shown on one page afterwards."""

import sys
from dataclasses import dataclass
from pathlib import Path

from components.runtime.code_digest import code_digest
from evaluation.shards import work_of
from kinora import recipes
from kinora.config import digest
from kinora.data.ingest.config import WORLDS
from kinora.data.ingest.fingerprint import inputs_digest
from kinora.data.ingest.sources import open_source
from kinora.files import friendly_os_errors
from kinora.storage import artifact_root, open_store
from kinora.training.launcher import one_node
from pipelines.origins import known_origins, remove_old_runs
from pipelines.runner import execute
from pipelines.state import RunState, outcome, report_name
from pipelines.step_durations import expected_durations, record_durations
from pipelines.view import View, view_for
from pipelines.workflows import WORLD_SIMULATOR, Workflow, check_recipe, workflow
from pipelines.workspace import Run, Workspace


@dataclass(frozen=True)
class RunOptions:
    """What a person chooses.

    pipeline: which one, of `pipelines.workflows`.
    source: "worlds" for the simulated worlds, or a folder or s3:// address of videos and images.
    recipe: the complete configuration: a name, or a function of your own as path/to/file.py:function.
    settings: other values of the recipe, such as `transformer.steps=500 sampling.guidance=3`.
    work: the folder that everything is kept in.
    artifact_root: for training state and model versions, a folder, or s3://bucket/prefix, which gets every finished
        artifact too; by default KINORA_ARTIFACT_ROOT, or `artifacts` in the work folder.
    """

    source: str = WORLDS
    recipe: str = "tiny"
    settings: str = ""
    work: Path = Path("work")
    artifact_root: str = ""
    pipeline: str = WORLD_SIMULATOR.name


@dataclass(frozen=True)
class RunResult:
    """A finished run."""

    workflow: Workflow
    state: RunState
    run: Run
    arguments: dict[str, str]

    @property
    def promoted(self) -> bool:
        """Whether the gate let the new version into service."""
        return bool(self.state.steps["promote"].tasks)

    @property
    def reason(self) -> str:
        """What came out, in one sentence."""
        return outcome(self.state)

    @property
    def checkpoint(self) -> str:
        """The name of the checkpoint that became the model version."""
        return str(self.state.steps["gate"].tasks[-1].artifacts["version"]["metadata"]["checkpoint"])

    def report(self, step: str) -> Path:
        """Return the page of `step` (of a loop: for the chosen checkpoint, its first shard) beside the run page."""
        items = sorted(task.item for task in self.state.steps[step].tasks)
        shards = [item for item in items if step == "evaluate" and work_of(item).model == self.checkpoint]
        item = shards[0] if shards else ""
        return self.run.folder / report_name(self.workflow.steps.index(step) + 1, step, item)

    def artifact(self, step: str, name: str) -> Path:
        """Return the path of an artifact that `step` made in its last task."""
        return Path(self.state.steps[step].tasks[-1].artifacts[name]["path"])


def run_pipeline(options: RunOptions, view: View | None = None) -> RunResult:
    """Run a whole pipeline.

    Raises:
        UsageError: for an unknown pipeline, recipe or setting.
        KinoraError: if the source or a folder cannot be used, or a step fails.
    """
    check(options)
    chosen = workflow(options.pipeline)
    recipe, settings = recipes.portable(options.recipe, options.settings)
    name = recipes.get(recipe, settings).name
    described = f"{name} {options.settings}".strip()
    # A study's trainings are shorter or longer than the recipe's own.
    timed = described if chosen is WORLD_SIMULATOR else f"{chosen.name} {described}"
    workspace = Workspace(options.work.absolute())
    with workspace.new_run() as run:
        arguments = {
            "source": resolved(options.source),
            "recipe": recipe,
            "settings": settings,
            "artifact_root": artifact_root(options.artifact_root, options.work),
            "fingerprint": fingerprint(options.source),
        }
        expected = expected_durations(workspace, name) | expected_durations(workspace, timed)
        state = RunState(chosen.steps, expected, run.progress, known_origins(workspace.kept()))
        try:
            execute(run, chosen.place, arguments, state, view or view_for(sys.stderr))
        finally:
            from pipelines import run_page  # which imports torch, and most refusals come before

            shown = arguments | {"recipe": described}
            with friendly_os_errors(workspace.root):
                record_durations(workspace, timed, state)
                run_page.write_run_page(run, state, shown, chosen.title)
                remove_old_runs(workspace)
                run_page.write_runs_page(workspace)
    return RunResult(chosen, state, run, shown)


def check(options: RunOptions) -> None:
    """Refuse what cannot work, before any work.

    Raises:
        UsageError: for an unknown pipeline, recipe or setting, or one that asks for several nodes.
        KinoraError: if the source is missing or empty, or the artifact root cannot be reached.
    """
    workflow(options.pipeline)
    recipe = recipes.get(*recipes.portable(options.recipe, options.settings))
    check_recipe(options.pipeline, recipe)
    one_node(recipe.compute)
    if options.source != WORLDS:
        next(open_source(options.source).items())  # refuses what is missing or empty
    open_store(artifact_root(options.artifact_root, options.work))


def resolved(source: str) -> str:
    """Return the source as every step's process can find it."""
    if source == WORLDS or "://" in source:
        return source
    return str(Path(source).absolute())


def fingerprint(source: str) -> str:
    """Return a digest of what the cache cannot see for itself: the code, and the inputs of the source."""
    return digest({"code": code_digest(), "inputs": inputs_digest(source)})
