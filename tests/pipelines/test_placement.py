"""Steps land on GPU nodes: judged by the compiled YAML, which is what a cluster reads."""

import builtins
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from kfp import compiler, dsl, local

from pipelines.placement import GPU_NODE_SELECTOR, GPU_TOLERATIONS, SECRETS, GpuPool, give_storage, place


@dsl.component(base_image="kinora/python:0.1.0", install_kfp_package=False)
def double(x: int) -> int:
    return 2 * x


@dsl.pipeline(name="placed")
def placed(gpu_node_selector: dict = GPU_NODE_SELECTOR, gpu_tolerations: list = GPU_TOLERATIONS) -> int:
    first = place(double(x=1), GpuPool(gpus=2, memory="64Gi", hours=1.5), gpu_node_selector, gpu_tolerations)
    with dsl.ParallelFor([1, 2]) as x:
        place(double(x=x), GpuPool(), gpu_node_selector, gpu_tolerations)
    place(double(x=3), GpuPool(gpus=0))
    return first.output


@dsl.pipeline(name="fixed")
def fixed():
    task = give_storage(double(x=1))
    place(task, GpuPool(queue=""), {"gpu": "h100"}, [{"key": "gpu", "operator": "Equal", "value": "h100"}])


def compile_to_yaml(pipeline, folder: Path) -> tuple[dict, dict]:
    """Compile; return the pipeline's specification and its Kubernetes platform's executors."""
    path = folder / "pipeline.yaml"
    compiler.Compiler().compile(pipeline, str(path))
    specification, *platform = yaml.safe_load_all(path.read_text())
    return specification, platform[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return compile_to_yaml(placed, tmp_path_factory.mktemp("compiled"))


def test_asks_for_gpus_and_memory(compiled):
    executors = compiled[0]["deploymentSpec"]["executors"]
    resources = executors["exec-double"]["container"]["resources"]
    assert resources["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert resources["accelerator"]["resourceCount"] == "2"
    assert resources["resourceMemoryLimit"] == "64Gi"
    assert executors["exec-double-2"]["container"]["resources"]["accelerator"]["resourceCount"] == "1"


def test_nodes_are_chosen_by_pipeline_parameters(compiled):
    specification, executors = compiled
    inputs = specification["root"]["inputDefinitions"]["parameters"]
    assert inputs["gpu_node_selector"]["defaultValue"] == {"kinora/pool": "gpu"}
    assert inputs["gpu_tolerations"]["defaultValue"] == GPU_TOLERATIONS
    step = executors["exec-double"]
    assert step["nodeSelector"] == {"nodeSelectorJson": {"componentInputParameter": "gpu_node_selector"}}
    assert step["tolerations"] == [{"tolerationJson": {"componentInputParameter": "gpu_tolerations"}}]


def test_every_parameter_reaches_the_loop(compiled):
    """Kubeflow resolves a step's parameters from the group around it; a name missing there fails the run."""
    specification, executors = compiled
    (loop,) = (c for name, c in specification["components"].items() if name.startswith("comp-for-loop"))
    declared = loop["inputDefinitions"]["parameters"]
    step = executors["exec-double-2"]
    assert step["nodeSelector"]["nodeSelectorJson"]["componentInputParameter"] in declared
    assert step["tolerations"][0]["tolerationJson"]["componentInputParameter"] in declared
    for task in loop["dag"]["tasks"].values():
        for value in task["inputs"]["parameters"].values():
            assert value["componentInputParameter"] in declared


def test_deadline_queue_and_shared_memory(compiled):
    step = compiled[1]["exec-double"]
    assert step["activeDeadlineSeconds"] == "5400"
    assert step["podMetadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "kinora-gpu"}
    assert step["emptyDirMounts"] == [
        {"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "8Gi"}
    ]


def test_no_gpu_leaves_the_step_alone(compiled):
    assert "exec-double-3" in compiled[0]["deploymentSpec"]["executors"]
    assert "exec-double-3" not in compiled[1]


def test_fixed_placement_makes_a_valid_pod(tmp_path):
    _, executors = compile_to_yaml(fixed, tmp_path)
    step = executors["exec-double"]
    assert "podMetadata" not in step
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "step"},
        "spec": {
            "containers": [{"name": "main", "image": "kinora/python:0.1.0"}],
            "nodeSelector": step["nodeSelector"]["nodeSelectorJson"]["runtimeValue"]["constant"],
            "tolerations": step["tolerations"],
        },
    }
    kubernetes_validate.validate(pod, "1.34.0", strict=True)
    assert pod["spec"]["nodeSelector"] == {"gpu": "h100"}
    assert pod["spec"]["tolerations"] == [{"key": "gpu", "operator": "Equal", "value": "h100"}]


def test_keys_of_the_storage_come_from_a_secret(tmp_path):
    _, executors = compile_to_yaml(fixed, tmp_path)
    given = executors["exec-double"]["secretAsEnv"]
    assert {secret["secretName"] for secret in given} == set(SECRETS)
    for secret in given:
        assert secret["optional"] is True
        names = SECRETS[secret["secretName"]]
        assert {(pair["secretKey"], pair["envVar"]) for pair in secret["keyToEnv"]} == {(v, v) for v in names}


def test_runs_where_there_is_no_cluster(tmp_path, monkeypatch):
    """The embedded runner takes the same definition, in a loop too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(builtins, "print", print)  # kfp indents it, and in a loop leaves it so for the whole process
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "outputs"))
    with pytest.warns(UserWarning, match="no effect in the current local runner"):
        assert placed().output == 2


@pytest.mark.parametrize("wrong", [{"gpus": -1}, {"hours": 0}])
def test_impossible_pools_are_refused(wrong):
    with pytest.raises(ValueError, match="pool needs"):
        GpuPool(**wrong)
