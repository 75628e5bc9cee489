"""What more compute buys: one network trained with more and more of it, several seeds each, and compared."""

from kfp import dsl

from components.compare_scaling.component import compare_scaling
from pipelines.placement import GPU_NODE_SELECTOR, GPU_TOLERATIONS
from pipelines.stages import Stages


@dsl.pipeline(name="scaling-study", description="The same training with more and more compute, over several seeds.")
def scaling_study(
    source: str = "worlds",
    recipe: str = "tiny",
    settings: str = "",
    artifact_root: str = "",
    fingerprint: str = "",
    gpu_node_selector: dict[str, str] = GPU_NODE_SELECTOR,
    gpu_tolerations: list[dict[str, str]] = GPU_TOLERATIONS,
) -> None:
    """Train the transformer at every multiple of compute in the recipe's `study.compute`, and compare the results.

    The parameters are those of `world_simulator`.
    """
    stages = Stages(recipe, settings, artifact_root, fingerprint, gpu_node_selector, gpu_tolerations)
    ready = stages.prepare(source)
    trained = stages.train_arms("scaling", ready, ready.latents)
    stages.here(
        compare_scaling(
            evaluations=trained.evaluations,
            transformers=trained.transformers,
            **stages.configured,
            **stages.common,
        )
    )
