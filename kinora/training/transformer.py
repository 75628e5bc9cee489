"""Training of the diffusion transformer: configuration and the launch.

The work itself is done by `kinora.training.transformer_worker`, in several processes that `kinora.training.launcher`
starts.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from kinora.captioning.writers import CaptionMix
from kinora.config import digest, to_dict, write_json
from kinora.data.latents import LatentDataset
from kinora.data.planner import check_lengths
from kinora.diffusion.loss import velocity_loss
from kinora.diffusion.path import add_noise
from kinora.diffusion.sampler import Sampling
from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_folder, file_digest, folder_digest
from kinora.models.dit import DiTConfig
from kinora.models.growth import check_growth
from kinora.models.sequence_parallel import SequenceShard
from kinora.models.text_encoder import SPECIAL, TextEncoderConfig, split_words
from kinora.models.vocabulary import build_vocabulary
from kinora.models.world_model import WorldModel, load_world_model
from kinora.progress import Progress
from kinora.report import Page
from kinora.training.batches import Batch, patch_grids, windowed
from kinora.training.checkpoints import Checkpoints, checkpoint_name, open_checkpoints
from kinora.training.compute import Compute
from kinora.training.config import TrainingConfig, TrainingResult, milestones
from kinora.training.launcher import launch, on_this_machine
from kinora.training.log import last_row, read_rows, shown_figures
from kinora.training.report import course_metrics, training_page, write_result

ARGUMENTS, EXPORTS = "arguments.json", "exports"  # of the processes, and the models that they leave


@dataclass(frozen=True, kw_only=True)
class TransformerTraining(TrainingConfig):
    """How the transformer is trained; see `TrainingConfig` for the rest.

    initial: the folder of a trained transformer (a checkpoint, or the `dit` of a model version) whose weights training
        begins from, with its vocabulary and the words that captions add; "" to begin from nothing. Those of a smaller
        transformer are grown, see `kinora.models.growth`.
    initial_digest: of those weights, which the training looks up itself.
    tokens_per_step: of all packs together; a step is the same on any number of processes.
    tokens_per_pack: of one packed sequence, which a process (or those that share its tokens) computes at once.
    image_share: share of the tokens that come from images (or first frames of videos, where there are none).
    window: most latent frames, rows and columns (of patches) of a clip that are learned at once, anywhere in a larger
        clip; 0 is no limit.
    later_share: share of the videos of which the first latent is left out, so that they begin in the middle.
    conditioning_share: share of the clips of which some is given (frames or what lies outside a box).
    given_first: how many first latent frames that always is, 0 for any task.
    context_noise: the highest time of what is given; half of it is clean.
    forcing_share: share of the clips whose latent frames have each a time of its own.
    caption_mix: which of its texts a clip is trained with, each time that it is drawn.
    caption_dropout: share of the clips trained without text, for guidance.
    unknown_words: share of the words trained as the unknown token, which stands for all that no caption held.
    ema_decay: of the moving average of the weights, which is what is evaluated and served.
    time_logit_mean, time_logit_std, time_shift: the distribution of training times, see `kinora.diffusion.path`.
    checkpoints: how many models are kept for evaluation, the untrained one included.
    """

    model: DiTConfig = field(default_factory=DiTConfig)
    text: TextEncoderConfig = field(default_factory=TextEncoderConfig)
    initial: str = ""
    initial_digest: str = ""
    steps: int = 2200
    tokens_per_step: int = 2560
    tokens_per_pack: int = 1280
    image_share: float = 0.25
    window: tuple[int, int, int] = (0, 0, 0)
    later_share: float = 0.1
    conditioning_share: float = 0.2
    given_first: int = 0
    context_noise: float = 0.2
    forcing_share: float = 0.1
    caption_mix: CaptionMix = field(default_factory=CaptionMix)
    caption_dropout: float = 0.1
    unknown_words: float = 0.01
    learning_rate: float = 2e-3
    muon_learning_rate: float = 0.01
    warmup_steps: int = 100
    decay: Literal["cosine", "linear"] = "linear"
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.95)
    ema_decay: float = 0.995
    time_logit_mean: float = 0.5
    time_logit_std: float = 1.0
    time_shift: float = 1.0
    checkpoints: int = 3
    save_every: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1:
            raise UsageError("the transformer's steps are 0; give 1 or more.")
        if self.tokens_per_pack < 1 or self.tokens_per_step % self.tokens_per_pack:
            raise UsageError(
                f"tokens_per_step is {self.tokens_per_step} and tokens_per_pack {self.tokens_per_pack}; "
                "give a step that is a whole number of packs."
            )

    @property
    def packs(self) -> int:
        """Packs of a step."""
        return self.tokens_per_step // self.tokens_per_pack

    def checkpoint_steps(self) -> list[int]:
        """Return the steps after which a model is kept for evaluation, the first being 0 (untrained)."""
        return milestones(self.steps, max(self.checkpoints, 2))


@dataclass(frozen=True)
class WorkerArguments:
    """What the processes of a training are given: `autoencoder` is a folder, or "" where no samples are made."""

    config: TransformerTraining
    compute: Compute
    latents: str
    autoencoder: str
    sampling: Sampling


class TrainingStep(WorldModel):
    """The model as it is trained: a batch in, the loss out."""

    def forward(
        self, batch: Batch, shard: SequenceShard | None = None, grids: Sequence[tuple[int, int, int]] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return sums over the tokens that are not given: of the loss, and of the squared error to report.

        With a `shard` the sums are over its rows of the pack. With `grids` they are the loss and the number of tokens
        of the segments of each grid, `[G]`, given or not.
        """
        text = self.text_encoder(batch.text)
        times_N = batch.times[batch.layout.condition_rows(batch.conditioning_mask)]
        noisy = add_noise(batch.clean, batch.noise, times_N[:, None])
        estimate = self.dit(noisy, batch.layout, batch.times, batch.conditioning_mask, text, shard)
        own = own_rows(batch, shard)
        clean, times, segments = batch.clean[own], times_N[own], batch.layout.segments[own]
        if grids is None:
            return velocity_loss(estimate, clean, times, batch.conditioning_mask[own])
        alike = [
            torch.tensor([other == grid for other in batch.layout.grids], device=clean.device)[segments]
            for grid in grids
        ]
        losses = [velocity_loss(estimate, clean, times, ~rows)[0] for rows in alike]
        return torch.stack(losses), torch.stack([rows.sum() for rows in alike])


def own_rows(batch: Batch, shard: SequenceShard | None) -> slice:
    """Return the tokens of a pack that fall to this process."""
    return slice(None) if shard is None else shard.rows(len(batch.clean))


def resolve(config: TransformerTraining, dataset: LatentDataset) -> TransformerTraining:
    """Fill what the data decides: the vocabulary, the latent channels, and the frozen text encoder's width and digest.

    Raises:
        KinoraError: if the latents hold no texts of that encoder, or the initial weights are of another model.
    """
    learned = dataset.sentences(config.caption_mix.drawn)
    text = replace(config.text, vocabulary=build_vocabulary(map(split_words, learned), SPECIAL))
    if text.kind == "hf":
        kept = dataset.config.get("text") or {}
        if (kept.get("pretrained"), kept.get("max_words")) != (text.pretrained, text.max_words):
            of = f"those of {kept['pretrained']} with {kept['max_words']} tokens" if kept else "none"
            raise KinoraError(
                f"{dataset.uri} should hold the texts of {text.pretrained} with at most {text.max_words} tokens, and "
                f"holds {of}; encode the clips again with this recipe."
            )
        text = replace(text, width=kept["width"], digest=kept["digest"])
    model = replace(config.model, latent_channels=dataset[0].latent.shape[0], text_width=text.width)
    config = replace(config, text=text, model=model)
    return with_initial(config) if config.initial else config


def with_initial(config: TransformerTraining) -> TransformerTraining:
    """Take the digest of the initial weights and their vocabulary, to which words that they do not know are added.

    Raises:
        KinoraError: if there are none, or the model cannot begin as theirs.
    """
    folder = Path(config.initial).resolve()
    initial = load_world_model(folder)
    known = initial.text_encoder.config.vocabulary
    text = replace(config.text, vocabulary=tuple(dict.fromkeys((*known, *config.text.vocabulary))))
    if initial.text_encoder.config != replace(text, vocabulary=known):
        raise KinoraError(
            f"{folder} holds a text encoder of another shape than the recipe's; set transformer.text as in its "
            "config.json, or train from nothing."
        )
    check_growth(initial.dit.config, config.model)
    return replace(config, text=text, initial=str(folder), initial_digest=folder_digest(folder))


def train_transformer(
    latents: LatentDataset,
    out: str | Path,
    config: TransformerTraining,
    checkpoints: str | Path | None = None,
    *,
    compute: Compute | None = None,
    autoencoder: str | Path | None = None,
    sampling: Sampling | None = None,
) -> TrainingResult:
    """Train the transformer on encoded latents and write it to `out`, with what `TrainingResult` lists.

    Args:
        latents: encoded clips; those of the split "train" are learned from.
        out: receives one folder of EMA weights for each of `config.checkpoints`; `step-000000` is untrained.
        config: the training configuration.
        checkpoints: a folder for the state of training while it runs; an interrupted training goes on from its last
            whole state there, provided that data and configuration are the same.
        compute: where and how it is computed; one process if none is given.
        autoencoder: the folder of the autoencoder that made the latents; without it no samples are made along the way.
        sampling: how those samples are made.

    Returns:
        The result, with `parameters`, `tokens` and `tokens_per_s` among its metrics.

    Raises:
        KinoraError: if there is nothing to train on, a clip is longer than a pack, the autoencoder is another one, or a
            process fails.
    """
    dataset = latents.of_split("train")
    if not len(dataset):
        raise KinoraError(f"{latents.uri} has no latents of the split 'train'; ingest more clips.")
    if autoencoder is not None and latents.config.get("vae_digest") != _weights_digest(autoencoder):
        raise KinoraError(f"{latents.uri} was not encoded by the autoencoder in {autoencoder}; give the one that was.")
    config, compute = resolve(config, dataset), on_this_machine(compute or Compute())
    lengths = windowed(patch_grids(latents, config.model.patch_size), config.window).prod(axis=1)
    check_lengths(lengths, config.tokens_per_pack, latents.name)
    identity = digest({"config": to_dict(config), "latents": latents.digest})
    with open_checkpoints(checkpoints, identity, compute.kept_states) as state:
        with state.lock():
            last = state.resume()
        if last is None or last.step < config.steps:
            decoder = str(Path(autoencoder).resolve()) if autoencoder is not None else ""
            arguments = WorkerArguments(config, compute, latents.uri, decoder, sampling or Sampling())
            write_json(state.folder / ARGUMENTS, arguments)
            _launch(state, config, compute)
        rows = read_rows(state.log)
        own = {name: rows[-1][name] for name in ("parameters", "tokens", "tokens_per_s")}
        names = tuple(checkpoint_name(step) for step in config.checkpoint_steps())
        metrics = {**course_metrics(state), **own, "checkpoints": len(names)}
        with atomic_folder(out) as folder:
            for name in names:
                shutil.copytree(state.folder / EXPORTS / name, folder / name)
            write_result(folder, config, metrics, state, transformer_page(config, compute, metrics, state, latents))
    return TrainingResult(Path(out), metrics, names)


def _launch(state: Checkpoints, config: TransformerTraining, compute: Compute) -> None:
    """Run the processes, and show the log that the first of them writes as progress."""
    with Progress("train transformer", config.steps) as progress:

        def show() -> None:
            row = last_row(state.log)
            if row is not None:
                progress.update(row["step"], **shown_figures(row))

        launch("kinora.training.transformer_worker", [str(state.folder.resolve())], compute, show)
        show()


def _weights_digest(autoencoder: str | Path) -> str:
    weights = Path(autoencoder) / "model.safetensors"
    if not weights.is_file():
        raise KinoraError(f"{autoencoder} holds no autoencoder; train one with 'kinora train autoencoder'.")
    return file_digest(weights)


def transformer_page(
    config: TransformerTraining,
    compute: Compute,
    metrics: dict[str, float],
    checkpoints: Checkpoints,
    latents: LatentDataset,
) -> Page:
    """Return the report: figures, the course of training, and clips that the model made along the way."""
    split = "held-out" if len(latents.of_split("validation")) else "training"
    page = training_page(
        "Transformer",
        "Rectified flow over packed spacetime patches of videos and images.",
        {
            "parameters": f"{metrics['parameters'] / 1e6:.2f} million",
            "latent tokens seen": f"{metrics['tokens'] / 1e6:.2f} million",
            "tokens a second": f"{metrics['tokens_per_s']:,.0f}",
            f"{'process' if compute.world_size == 1 else 'processes'}, ZeRO stage {compute.zero_stage}": str(
                compute.world_size
            ),
        },
        checkpoints,
        "velocity loss",
        f"Made by the averaged weights (EMA) from the same {split} captions and the same noise at several steps.",
        {"error": "squared error of the clean latents, training batches"},
    )
    return page.text(
        "The training loss is that of the model's present weights, on clips some of which are given in part or have "
        "no caption. The held-out loss is that of the averaged weights (EMA), which are evaluated and served, on whole "
        "validation clips with their captions, always at the same times and with the same noise."
    )
