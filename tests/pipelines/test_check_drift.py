"""A check of drift looks at real requests and a real version, and starts the training or does not."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kinora.data.accepted import keep_tables
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.generation import Registry, write_version
from pipelines import compile as compiling
from pipelines.origins import known_origins
from pipelines.run import RunOptions, fingerprint, run_pipeline
from pipelines.runner import execute
from pipelines.state import RunState
from pipelines.view import LinesView
from pipelines.workflows import CHECK_DRIFT, WORLD_SIMULATOR
from pipelines.workspace import Workspace

OWN = [step for step in CHECK_DRIFT.steps if step not in WORLD_SIMULATOR.steps]
STEPS = ("decide", "make", "judge", "pick", "publish", "aside")


@pytest.mark.parametrize(("answer", "ran"), [("train", STEPS), ("keep", ("decide",))])
def test_a_pipeline_inside_a_pipeline_runs_here_where_its_condition_holds(tmp_path, monkeypatch, answer, ran):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    workspace = Workspace(tmp_path)
    with workspace.new_run() as run, open(os.devnull, "w") as nowhere:
        state = RunState(STEPS, {}, run.progress, known_origins(workspace.kept()))
        execute(run, "toy_check:toy_check", {"answer": answer}, state, LinesView(nowhere))
    assert tuple(step.name for step in state.steps.values() if step.status == "finished") == ran
    if answer == "train":
        assert sorted(task.item for task in state.steps["judge"].tasks) == ["item-0", "item-1"]


def test_training_is_behind_the_decision_and_begins_from_the_source_as_it_is_now():
    import yaml

    specification = next(yaml.safe_load_all(compiling.compiled_text("check_drift")))
    tasks = specification["root"]["dag"]["tasks"]
    (condition,) = (name for name in tasks if name.startswith("condition"))
    assert set(tasks) == {*OWN, condition} - {"fingerprint-source"}
    assert tasks[condition]["triggerPolicy"]["condition"].endswith("== 'train'")
    inner = specification["components"][tasks[condition]["componentRef"]["name"]]["dag"]["tasks"]
    assert set(inner) == {"fingerprint-source", "world-simulator"}
    given = inner["world-simulator"]["inputs"]["parameters"]
    assert given["fingerprint"]["taskOutputParameter"]["producerTask"] == "fingerprint-source"
    assert {"source", "recipe", "settings", "artifact_root", "gpu_node_selector", "gpu_tolerations"} < set(given)


def test_the_source_is_fingerprinted_as_for_a_run_begun_by_hand(tmp_path):
    from components.fingerprint_source.component import fingerprint_source

    (tmp_path / "footage").mkdir()
    digests = []
    for number in range(2):
        (tmp_path / "footage" / f"{number}.mp4").write_bytes(b"not even a video")
        source = str(tmp_path / "footage")
        digests.append(fingerprint_source.python_func(source, str(tmp_path / "root")))
        assert digests[-1] == fingerprint(source)
    assert digests[0] != digests[1]
    assert fingerprint_source.python_func("worlds", str(tmp_path / "root")) == fingerprint("worlds")


@pytest.fixture
def deployed(model_folders, tmp_path):
    """A work folder in which a version with random weights is deployed, whose training captions are kept."""
    row = {"kind": "video", "width": 32, "height": 32, "frames": 17, "fps": 8.0, "split": "train"}
    captions = ("A red circle falls.", "A blue square moves to the left.")
    rows = [row | {"clip_id": f"{number:064x}", "caption": captions[number % 2]} for number in range(40)]
    dataset = ClipDataset.write(tmp_path / "clips", table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})
    root = str(tmp_path / "work" / "artifacts")
    keep_tables(root, dataset)
    parts = (model_folders / part for part in ("vae", "dit", "captioner"))
    recipe = {"name": "random", "sampling": {"steps": 2, "guidance": 1.0, "shift": 1.0}}
    evaluation = {"clips": [], "rates": {"overall": 0.0}}
    version = write_version(tmp_path / "versions", *parts, recipe, evaluation, {"dataset": dataset.digest})
    Registry(root).promote(version.path, verdict="by hand")
    return tmp_path / "work", captions


def log(work: Path, prompts: list[str]) -> None:
    """Leave requests as the gateway does."""
    row = {"at": datetime.now(UTC).isoformat(), "kind": "video", "task": "text"}
    row |= {"width": 32, "height": 32, "frames": 17, "fps": 8.0}
    folder = work / "artifacts" / "requests" / f"{datetime.now(UTC):%Y-%m-%d}"
    folder.mkdir(parents=True)
    (folder / "1.jsonl").write_text("".join(json.dumps(row | {"prompt": prompt}) + "\n" for prompt in prompts))


def test_what_the_model_was_trained_for_starts_no_training(deployed):
    work, captions = deployed
    log(work, [*captions] * 10)
    settings = "drift.fewest_requests=10 drift.judged=2"
    options = RunOptions(recipe="smoke", settings=settings, work=work, pipeline="check_drift")
    with open(os.devnull, "w") as nowhere:
        result = run_pipeline(options, LinesView(nowhere))
    assert "are what the model was trained for" in result.reason
    ran = {name: step.status for name, step in result.state.steps.items() if step.tasks}
    assert ran == dict.fromkeys(OWN[:-1], "finished")
    assert json.loads(result.artifact("measure-drift", "drift").read_text())["requests"] == 20
    page = result.run.page.read_text()
    assert "decide-training.html" in page
