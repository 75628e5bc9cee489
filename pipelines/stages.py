"""The steps that every pipeline begins with, from raw clips to latents, and where each step runs."""

from dataclasses import dataclass

from kfp import dsl
from kfp.dsl.pipeline_channel import PipelineArtifactChannel

from components.caption.component import caption
from components.encode_latents.component import encode_latents
from components.evaluate.component import evaluate
from components.ingest.component import ingest
from components.plan_ingest.component import plan_ingest
from components.plan_study.component import plan_study
from components.pretrain.component import pretrain
from components.publish_features.component import publish_features
from components.read_shards.component import read_shards
from components.train_autoencoder.component import train_autoencoder
from components.train_captioner.component import train_captioner
from components.validate.component import validate
from pipelines.placement import GpuPool, NodeSelector, Tolerations, give_language_model, give_storage, place

POOL = GpuPool()
PODS_AT_ONCE = 64
TRAININGS_AT_ONCE = 6  # of a study, where there are as many GPUs; the local runner takes two at once


@dataclass(frozen=True)
class Prepared:
    """What a transformer is trained on, and what made it."""

    clips: PipelineArtifactChannel
    captioner: PipelineArtifactChannel
    autoencoder: PipelineArtifactChannel
    latents: PipelineArtifactChannel


@dataclass(frozen=True)
class Trained:
    """What the trainings of a study made."""

    transformers: dsl.Collected
    evaluations: dsl.Collected


@dataclass(frozen=True)
class Stages:
    """The parameters that pipelines share: `configured` are those of a step that reads the recipe, `common` of any."""

    recipe: str
    settings: str
    artifact_root: str
    fingerprint: str
    gpu_node_selector: NodeSelector
    gpu_tolerations: Tolerations

    @property
    def common(self) -> dict[str, str]:
        """Parameters of every step."""
        return {"artifact_root": self.artifact_root, "fingerprint": self.fingerprint}

    @property
    def configured(self) -> dict[str, str]:
        """Parameters of the steps that read the recipe, without the common ones."""
        return {"recipe": self.recipe, "settings": self.settings}

    def here(self, task: dsl.PipelineTask, cached: bool = True) -> dsl.PipelineTask:
        """Let a step run on any node, with the keys of the storage."""
        return give_storage(task.set_caching_options(cached))

    def on_gpu(self, task: dsl.PipelineTask, cached: bool = True) -> dsl.PipelineTask:
        """Let a step run on a GPU, with the keys of the storage."""
        return place(self.here(task, cached), POOL, self.gpu_node_selector, self.gpu_tolerations)

    def judging(self, task: dsl.PipelineTask, cached: bool = True) -> dsl.PipelineTask:
        """Let a step judge clips on a GPU, with the key of an endpoint that its judge may be."""
        return give_language_model(self.on_gpu(task, cached))

    def prepare(self, source: str) -> Prepared:
        """Turn raw clips into captioned ones and their latents."""
        raw = self.ingest(source)
        clips = self.here(validate(clips=raw, **self.configured, **self.common)).outputs["valid_clips"]
        learned = self.on_gpu(train_captioner(clips=clips, **self.configured, **self.common))
        captioner = learned.outputs["captioner"]
        described = self.on_gpu(caption(clips=clips, captioner=captioner, **self.configured, **self.common))
        give_language_model(described)
        captioned = described.outputs["captioned_clips"]
        features = self.here(publish_features(clips=captioned, **self.common)).outputs["features"]
        compressing = self.on_gpu(train_autoencoder(clips=clips, captioner=captioner, **self.configured, **self.common))
        autoencoder = compressing.outputs["autoencoder"]
        return Prepared(captioned, captioner, autoencoder, self.encode(captioned, features, autoencoder))

    def ingest(self, source: str) -> PipelineArtifactChannel:
        """Turn raw clips into a dataset: the source's new inputs are dealt to pods, which read them side by side."""
        parameters = {"source": source, **self.configured, **self.common}
        planned = self.here(plan_ingest(**parameters))
        with dsl.ParallelFor(planned.outputs["Output"], parallelism=PODS_AT_ONCE) as portion:
            read = self.here(read_shards(portion=portion, **parameters))
        return self.here(ingest(portions=dsl.Collected(read.outputs["Output"]), **parameters)).outputs["clips"]

    def encode(
        self,
        clips: PipelineArtifactChannel,
        features: PipelineArtifactChannel,
        autoencoder: PipelineArtifactChannel,
    ) -> PipelineArtifactChannel:
        """Turn captioned clips into latents."""
        beside = {"features": features, "autoencoder": autoencoder}
        return self.on_gpu(encode_latents(clips=clips, **beside, **self.configured, **self.common)).outputs["latents"]

    def train_arms(self, group: str, ready: Prepared, latents: PipelineArtifactChannel) -> Trained:
        """Train every arm of a study's group on `latents`, side by side, and judge each on the prompts of `ready`."""
        planned = self.here(plan_study(group=group, **self.configured, **self.common))
        with dsl.ParallelFor(planned.outputs["Output"], parallelism=TRAININGS_AT_ONCE) as arm:
            beside = {"autoencoder": ready.autoencoder, "arm": arm, **self.configured, **self.common}
            trained = self.on_gpu(pretrain(latents=latents, **beside))
            transformer = trained.outputs["transformer"]
            judged = self.judging(evaluate(transformer=transformer, clips=ready.clips, item="", **beside))
        return Trained(dsl.Collected(transformer), dsl.Collected(judged.outputs["evaluation"]))
