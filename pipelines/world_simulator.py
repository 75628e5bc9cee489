"""The whole workflow: raw clips to a promoted world simulator. One definition for a laptop and for a cluster."""

from kfp import dsl

from components.choose.component import choose
from components.evaluate.component import evaluate
from components.gate.component import gate
from components.pretrain.component import pretrain
from components.promote.component import promote
from pipelines.placement import GPU_NODE_SELECTOR, GPU_TOLERATIONS
from pipelines.stages import Stages

EVALUATIONS_AT_ONCE = 2


@dsl.pipeline(name="world-simulator", description="Raw clips to a promoted world simulator.")
def world_simulator(
    source: str = "worlds",
    recipe: str = "tiny",
    settings: str = "",
    artifact_root: str = "",
    fingerprint: str = "",
    gpu_node_selector: dict[str, str] = GPU_NODE_SELECTOR,
    gpu_tolerations: list[dict[str, str]] = GPU_TOLERATIONS,
) -> None:
    """Train, judge and promote a world simulator.

    Args:
        source: "worlds" for the simulated worlds alone, or a folder or s3:// address of videos and images.
        recipe: the complete configuration, by name; "custom" where the settings hold a whole one, as JSON.
        settings: other values of the recipe, such as `transformer.steps=500 sampling.guidance=3`.
        artifact_root: where training state, finished artifacts and model versions are kept: on a cluster
            s3://bucket/prefix, on one machine maybe a folder. It must be given.
        fingerprint: of the code and the source, filled in by `kinora pipeline`, so that a change of either runs again.
        gpu_node_selector: labels of the nodes that training runs on.
        gpu_tolerations: taints of those nodes.
    """
    stages = Stages(recipe, settings, artifact_root, fingerprint, gpu_node_selector, gpu_tolerations)
    configured, common = stages.configured, stages.common
    ready = stages.prepare(source)
    trained = stages.on_gpu(pretrain(latents=ready.latents, autoencoder=ready.autoencoder, **configured, **common))
    made = {"transformer": trained.outputs["transformer"], "autoencoder": ready.autoencoder, "clips": ready.clips}
    # "Output" is how Kubeflow calls a step's unnamed value: here the shards of all evaluations in one list,
    # for in a loop within a loop the local runner hands the items of the inner one to both.
    with dsl.ParallelFor(trained.outputs["Output"], parallelism=EVALUATIONS_AT_ONCE) as item:
        judged = stages.judging(evaluate(item=item, **configured, **made, **common))
    # What looks at what is deployed is never cached, for no cache key sees that.
    beside = {**made, **configured, "captioner": ready.captioner, "artifact_root": artifact_root}
    chosen = stages.here(choose(evaluations=dsl.Collected(judged.outputs["evaluation"]), **beside), cached=False)
    with dsl.ParallelFor(chosen.outputs["Output"], parallelism=EVALUATIONS_AT_ONCE) as item:
        compared = stages.judging(evaluate(item=item, **configured, **made, **common))
    results = dsl.Collected(compared.outputs["evaluation"])
    gated = stages.here(gate(choice=chosen.outputs["choice"], evaluations=results, **beside), cached=False)
    # On a named value an If is silently false in the local runner.
    with dsl.If(gated.outputs["Output"] == "promote"):
        stages.here(
            promote(
                version=gated.outputs["version"], run=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, artifact_root=artifact_root
            ),
            cached=False,
        )
