"""The pipelines as compiled: what a cluster gets is what the definitions say."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import yaml

from cli.pipeline import PipelineName
from components.images import CPU_IMAGE, GPU_IMAGE
from kinora import recipes
from kinora.errors import KinoraError
from pipelines import compile as compiling
from pipelines.step_durations import MEASURED_SECONDS
from pipelines.workflows import CHECK_DRIFT, WORKFLOWS, WORLD_SIMULATOR

COMPONENTS = sorted(path.parent for path in (Path(compiling.__file__).parents[1] / "components").glob("*/component.py"))


@cache
def compile_one(name):
    specification, platform = yaml.safe_load_all(compiling.compiled_text(name))
    return specification, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@pytest.fixture(params=WORKFLOWS)
def workflow(request):
    return WORKFLOWS[request.param]


@pytest.fixture
def compiled(workflow):
    return compile_one(workflow.name)


def tasks_of(specification):
    """Return every task, those inside loops, conditions and pipelines of the pipeline too."""
    components = specification["components"]
    inner = [component["dag"]["tasks"] for component in components.values() if "dag" in component]
    tasks = {name: task for some in [specification["root"]["dag"]["tasks"], *inner] for name, task in some.items()}
    return {name: task for name, task in tasks.items() if "dag" not in components[task["componentRef"]["name"]]}


def test_what_is_committed_is_current():
    compiling.compile_all(check=True)


def test_drift_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "COMPILED", tmp_path)
    with pytest.raises(KinoraError, match="make compile"):
        compiling.compile_all(check=True)
    path, *_ = compiling.compile_all()
    compiling.compile_all(check=True)
    path.write_text(path.read_text().replace("tiny", "large"))
    with pytest.raises(KinoraError, match="make compile"):
        compiling.compile_all(check=True)


def test_the_runner_knows_every_step(workflow, compiled):
    assert set(tasks_of(compiled[0])) == set(workflow.steps)
    assert compiled[0]["pipelineInfo"]["name"] == workflow.kubeflow_name


def test_every_component_is_a_step_somewhere():
    steps = {re.sub(r"-\d+$", "", step) for workflow in WORKFLOWS.values() for step in workflow.steps}
    assert {folder.name.replace("_", "-") for folder in COMPONENTS} == steps


def test_the_steps_of_the_small_recipes_are_timed():
    assert {"tiny", "smoke"} <= set(MEASURED_SECONDS) <= set(recipes.NAMES)
    for seconds in MEASURED_SECONDS.values():
        assert set(seconds) == set(WORLD_SIMULATOR.steps)


def test_the_command_knows_every_pipeline():
    assert set(get_args(PipelineName)) == set(WORKFLOWS)


def test_steps_follow_the_order_they_are_shown_in(workflow, compiled):
    steps = workflow.steps
    for name, task in tasks_of(compiled[0]).items():
        for before in task.get("dependentTasks", []):
            if before in steps:
                assert steps.index(before) < steps.index(name)


def test_the_form_has_few_parameters_and_a_dropdown_of_recipes(compiled):
    parameters = compiled[0]["root"]["inputDefinitions"]["parameters"]
    assert set(parameters) == {
        "source", "recipe", "settings", "artifact_root", "fingerprint", "gpu_node_selector", "gpu_tolerations"
    }  # fmt: skip
    assert parameters["recipe"]["literals"] == [*recipes.NAMES, recipes.CUSTOM]
    assert all("defaultValue" in parameter for parameter in parameters.values())


def test_only_what_looks_at_what_is_in_service_is_never_cached(compiled):
    looking = {"choose", "gate", "promote", *CHECK_DRIFT.steps[: CHECK_DRIFT.steps.index(WORLD_SIMULATOR.steps[0])]}
    for name, task in tasks_of(compiled[0]).items():
        assert bool(task.get("cachingOptions", {}).get("enableCache")) == (name not in looking)


def test_captions_and_judgements_may_come_from_an_endpoint_whose_key_is_in_a_secret():
    _, platform = compile_one("world_simulator")
    secrets = {name: {one["secretName"] for one in step["secretAsEnv"]} for name, step in platform.items()}
    asking = {name for name, some in secrets.items() if "kinora-openai" in some}
    assert asking == {"exec-caption", "exec-evaluate", "exec-evaluate-2"}


def test_every_step_gets_the_storage_keys_and_training_gets_a_gpu(compiled):
    specification, platform = compiled
    executors = specification["deploymentSpec"]["executors"]
    for name, executor in executors.items():
        assert platform[name]["secretAsEnv"][0]["secretName"]
        on_gpu = executor["container"]["image"] == GPU_IMAGE
        assert on_gpu or executor["container"]["image"] == CPU_IMAGE
        assert ("nodeSelector" in platform[name]) == on_gpu
        assert ("accelerator" in executor["container"].get("resources", {})) == on_gpu


@pytest.mark.parametrize("folder", COMPONENTS, ids=lambda folder: folder.name)
def test_components_are_thin(folder):
    tree = ast.parse((folder / "component.py").read_text())
    imports = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert imports == {"kfp", "components.images"}
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    assert function.name == folder.name
    statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt)][1:]
    assert len(statements) <= 25
    assert ast.get_docstring(function)


@pytest.mark.parametrize("folder", COMPONENTS, ids=lambda folder: folder.name)
def test_what_components_import_is_there(folder):
    """A body's imports only run with the step; a renamed function must be found sooner."""
    tree = ast.parse((folder / "component.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
