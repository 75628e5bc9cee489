"""What native aspect ratios buy: trainings on whole clips and on square crops of the same clips, compared."""

from kfp import dsl

from components.compare_framing.component import compare_framing
from components.crop_to_squares.component import crop_to_squares
from components.publish_features.component import publish_features
from pipelines.placement import GPU_NODE_SELECTOR, GPU_TOLERATIONS
from pipelines.stages import Stages


@dsl.pipeline(name="framing-study", description="Native aspect ratios against square crops of the same clips.")
def framing_study(
    source: str = "worlds",
    recipe: str = "tiny",
    settings: str = "",
    artifact_root: str = "",
    fingerprint: str = "",
    gpu_node_selector: dict[str, str] = GPU_NODE_SELECTOR,
    gpu_tolerations: list[dict[str, str]] = GPU_TOLERATIONS,
) -> None:
    """Train on whole clips and on their middle squares, ask both for clips of native sizes, and compare them.

    The parameters are those of `world_simulator`.
    """
    stages = Stages(recipe, settings, artifact_root, fingerprint, gpu_node_selector, gpu_tolerations)
    common = stages.common
    ready = stages.prepare(source)
    squares = stages.here(crop_to_squares(clips=ready.clips, **common)).outputs["square_clips"]
    features = stages.here(publish_features(clips=squares, **common)).outputs["features"]
    latents = stages.encode(squares, features, ready.autoencoder)
    stages.here(
        compare_framing(
            native=stages.train_arms("native", ready, ready.latents).evaluations,
            square=stages.train_arms("square", ready, latents).evaluations,
            **stages.configured,
            **common,
        )
    )
