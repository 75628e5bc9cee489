"""Whether what the endpoint is asked for has moved away from what its model was trained on; if so, training starts."""

from kfp import dsl

from components.decide_training.component import decide_training
from components.fingerprint_source.component import fingerprint_source
from components.gather_requests.component import gather_requests
from components.judge_requests.component import judge_requests
from components.measure_drift.component import measure_drift
from pipelines.placement import GPU_NODE_SELECTOR, GPU_TOLERATIONS
from pipelines.stages import Stages
from pipelines.world_simulator import world_simulator


@dsl.pipeline(name="check-drift", description="Trains again when drift of requests and quality say so.")
def check_drift(
    source: str = "worlds",
    recipe: str = "tiny",
    settings: str = "",
    artifact_root: str = "",
    fingerprint: str = "",
    gpu_node_selector: dict[str, str] = GPU_NODE_SELECTOR,
    gpu_tolerations: list[dict[str, str]] = GPU_TOLERATIONS,
) -> None:
    """Hold recent requests beside the training captions of the deployed model, judge it on them, and train if need be.

    The parameters are those of `world_simulator`, which is what is started; the recipe's `drift` says when. The source
    is fingerprinted when training starts, because a schedule gives the same `fingerprint` every day.
    """
    stages = Stages(recipe, settings, artifact_root, fingerprint, gpu_node_selector, gpu_tolerations)
    # What was asked for, and what is deployed, no cache key sees: yesterday's answer is not today's.
    given = {**stages.configured, "artifact_root": artifact_root}
    requests = stages.here(gather_requests(**given), cached=False).outputs["requests"]
    drift = stages.here(measure_drift(requests=requests, **given), cached=False).outputs["drift"]
    quality = stages.judging(judge_requests(requests=requests, **given), cached=False).outputs["quality"]
    decided = stages.here(decide_training(drift=drift, quality=quality, **given), cached=False)
    # On a named value an If is silently false in the local runner.
    with dsl.If(decided.outputs["Output"] == "train"):
        now = fingerprint_source(source=source, artifact_root=artifact_root)
        world_simulator(
            source=source,
            recipe=recipe,
            settings=settings,
            artifact_root=artifact_root,
            fingerprint=stages.here(now, cached=False).output,
            gpu_node_selector=gpu_node_selector,
            gpu_tolerations=gpu_tolerations,
        )
