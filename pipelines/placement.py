"""Where a pipeline's step runs on a cluster: which GPU nodes, through which queue, for how long, with which keys.

The embedded runner ignores all of it, so the same definition runs on a laptop. What the names mean on the cluster is
in k8s/README.md.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

from kfp import dsl, kubernetes
from kfp.dsl import pipeline_channel

# A Kubernetes node selector (label: value) and list of tolerations, or the pipeline parameters that hold them.
NodeSelector: TypeAlias = dict[str, str] | pipeline_channel.PipelineParameterChannel
Tolerations: TypeAlias = list[dict[str, Any]] | pipeline_channel.PipelineParameterChannel

# The label and the taint that k8s/README.md asks of a GPU pool: defaults of pipeline parameters.
GPU_NODE_SELECTOR = {"kinora/pool": "gpu"}
GPU_TOLERATIONS = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]

STORAGE_VARIABLES = (
    "KINORA_S3_ENDPOINT",
    "KINORA_S3_SECURE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
)
FEATURE_VARIABLES = ("KINORA_FEATURES_REGISTRY", "KINORA_FEATURES_ONLINE")
# What every step may need, by the Secret that holds it.
SECRETS = {"kinora-artifacts": STORAGE_VARIABLES, "kinora-features": FEATURE_VARIABLES}


@dataclass(frozen=True)
class GpuPool:
    """What one step takes of a GPU pool. `gpus` = 0 leaves a step where any pod may run.

    `gpus` is fixed when the pipeline is compiled: Kubeflow Pipelines 2.17 loses a count that is a pipeline parameter
    inside a loop, and its driver reads an integer one as empty, which would start the step without a GPU.
    """

    gpus: int = 1
    accelerator: str = "nvidia.com/gpu"
    cpu: str = "4"
    memory: str = "32Gi"
    shared_memory: str = "8Gi"  # /dev/shm; the usual 64 MiB are too few for NCCL and data-loading processes
    hours: float = 24.0  # the pod is ended after this: a stopped run sends no signal that a step could count on
    queue: str = "kinora-gpu"  # the Kueue LocalQueue; without Kueue on the cluster the label does nothing

    def __post_init__(self) -> None:
        if self.gpus < 0 or self.hours <= 0:
            raise ValueError(f"a pool needs gpus >= 0 and hours > 0, not {self.gpus} and {self.hours}")


def place(
    task: dsl.PipelineTask,
    pool: GpuPool,
    node_selector: NodeSelector = GPU_NODE_SELECTOR,
    tolerations: Tolerations = GPU_TOLERATIONS,
) -> dsl.PipelineTask:
    """Put `task` on the nodes of a GPU pool and return it.

    `node_selector` and `tolerations` are values, or pipeline parameters of type dict and list, so that one compiled
    pipeline fits clusters that label their nodes differently.
    """
    if pool.gpus == 0:
        return task
    task.set_accelerator_type(pool.accelerator).set_accelerator_limit(pool.gpus)
    task.set_cpu_request(pool.cpu).set_memory_request(pool.memory).set_memory_limit(pool.memory)
    kubernetes.add_node_selector_json(task, node_selector)
    kubernetes.add_toleration_json(task, tolerations)
    kubernetes.empty_dir_mount(
        task, volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit=pool.shared_memory
    )
    kubernetes.set_timeout(task, int(pool.hours * 3600))
    if pool.queue:
        kubernetes.add_pod_label(task, "kueue.x-k8s.io/queue-name", pool.queue)
    return task


def give_storage(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Give `task` the keys of the S3 server, and the feature store's servers, from Secrets in the run's namespace.

    A Secret's keys are environment variables, those that `kinora.storage` and `kinora.data.features` read, as far as it
    has them. A run with its artifact root on a volume needs neither.
    """
    for secret, names in SECRETS.items():
        kubernetes.use_secret_as_env(task, secret, {name: name for name in names}, optional=True)
    return task


def give_language_model(task: dsl.PipelineTask, secret: str = "kinora-openai") -> dsl.PipelineTask:
    """Give `task` the address and the key of a language model's endpoint from a Secret, if there is one; return it."""
    names = {name: name for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL")}
    return kubernetes.use_secret_as_env(task, secret, names, optional=True)
