"""Does a model obey the laws of its worlds outside what it saw? Trained on ranges of sizes and speeds, and asked."""

from kfp import dsl

from components.measure_laws.component import measure_laws
from components.pretrain.component import pretrain
from pipelines.placement import GPU_NODE_SELECTOR, GPU_TOLERATIONS
from pipelines.stages import Stages


@dsl.pipeline(name="law-study", description="The velocity of what a model continues, inside and outside its ranges.")
def law_study(
    source: str = "worlds",
    recipe: str = "phyworld",
    settings: str = "",
    artifact_root: str = "",
    fingerprint: str = "",
    gpu_node_selector: dict[str, str] = GPU_NODE_SELECTOR,
    gpu_tolerations: list[dict[str, str]] = GPU_TOLERATIONS,
) -> None:
    """Train one transformer, let it continue clips, and hold the velocities in them against the simulator's.

    The parameters are those of `world_simulator`; the recipe's worlds have ranges of radii and speeds.
    """
    stages = Stages(recipe, settings, artifact_root, fingerprint, gpu_node_selector, gpu_tolerations)
    ready = stages.prepare(source)
    beside = {"autoencoder": ready.autoencoder, **stages.configured, **stages.common}
    trained = stages.on_gpu(pretrain(latents=ready.latents, **beside))
    stages.on_gpu(measure_laws(transformer=trained.outputs["transformer"], **beside))
