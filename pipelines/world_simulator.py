"""The whole workflow: raw clips to a promoted world simulator. One definition for a laptop and for a cluster."""

from kfp import dsl

from components.caption.component import caption
from components.encode_latents.component import encode_latents
from components.evaluate.component import evaluate
from components.gate.component import gate
from components.ingest.component import ingest
from components.pretrain.component import pretrain
from components.promote.component import promote
from components.publish_features.component import publish_features
from components.train_autoencoder.component import train_autoencoder
from components.train_captioner.component import train_captioner
from components.validate.component import validate
from pipelines.placement import GPU_NODE_SELECTOR, GPU_TOLERATIONS, GpuPool, give_storage, place

POOL = GpuPool()
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
    common = {"artifact_root": artifact_root, "fingerprint": fingerprint}
    configured = {"recipe": recipe, "settings": settings}

    def here(task: dsl.PipelineTask, cached: bool = True) -> dsl.PipelineTask:
        return give_storage(task.set_caching_options(cached))

    def on_gpu(task: dsl.PipelineTask, cached: bool = True) -> dsl.PipelineTask:
        return place(here(task, cached), POOL, gpu_node_selector, gpu_tolerations)

    raw = here(ingest(source=source, **configured, **common)).outputs["clips"]
    clips = here(validate(clips=raw, **common)).outputs["valid_clips"]
    captioner = on_gpu(train_captioner(clips=clips, **configured, **common)).outputs["captioner"]
    captioned = on_gpu(caption(clips=clips, captioner=captioner, **common)).outputs["captioned_clips"]
    features = here(publish_features(clips=captioned, **common)).outputs["features"]
    learned = on_gpu(train_autoencoder(clips=clips, captioner=captioner, **configured, **common))
    autoencoder = learned.outputs["autoencoder"]
    encoded = on_gpu(
        encode_latents(clips=captioned, features=features, autoencoder=autoencoder, **configured, **common)
    )
    trained = on_gpu(pretrain(latents=encoded.outputs["latents"], autoencoder=autoencoder, **configured, **common))
    made = {"transformer": trained.outputs["transformer"], "autoencoder": autoencoder, "clips": captioned}
    # "Output" is how Kubeflow calls a step's unnamed value.
    with dsl.ParallelFor(trained.outputs["Output"], parallelism=EVALUATIONS_AT_ONCE) as checkpoint:
        judged = on_gpu(evaluate(checkpoint=checkpoint, **configured, **made, **common))
    # The gate and promotion look at what is deployed, which no cache key sees.
    results = dsl.Collected(judged.outputs["evaluation"])
    gated = on_gpu(
        gate(evaluations=results, captioner=captioner, **configured, artifact_root=artifact_root, **made),
        cached=False,
    )
    # On a named value an If is silently false in the local runner.
    with dsl.If(gated.outputs["Output"] == "promote"):
        here(
            promote(
                version=gated.outputs["version"], run=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, artifact_root=artifact_root
            ),
            cached=False,
        )
