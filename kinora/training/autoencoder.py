"""Training of the video autoencoder: clips of several sizes and lengths, images among them, each at its own size.

Where the configuration names a pretrained one, nothing is trained: that one is measured and packed.
"""

from pathlib import Path

from kinora.config import digest, to_dict, write_json
from kinora.data.clips import ClipDataset
from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_folder, file_digest, folder_digest
from kinora.models.autoencoder import Autoencoder
from kinora.models.hf_autoencoder import HFAutoencoder
from kinora.models.precision import device
from kinora.models.vae import VAE
from kinora.progress import Progress
from kinora.training.autoencoder_losses import ReconstructionLoss
from kinora.training.autoencoder_report import autoencoder_page
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.autoencoder_worker import ARGUMENTS, MODEL, WorkerArguments, train
from kinora.training.checkpoints import Checkpoints, open_checkpoints
from kinora.training.compute import Compute
from kinora.training.config import TrainingResult
from kinora.training.launcher import launch, on_this_machine
from kinora.training.log import last_row, shown_figures
from kinora.training.reconstruction import measure, measure_latents
from kinora.training.report import course_metrics, write_result
from kinora.training.video_batches import ExcerptReader, Excerpts

CLIPS_FOR_STATISTICS = 512  # of each size and length, that the latents' mean and deviation are measured on, at most
CLIPS_MEASURED = 256  # of each size and length, at most


def train_autoencoder(
    dataset: ClipDataset,
    out: str | Path,
    config: AutoencoderTraining,
    checkpoints: str | Path | None = None,
    *,
    compute: Compute | None = None,
    features: str | Path | None = None,
) -> TrainingResult:
    """Train an autoencoder on the training split and write it to `out`, with what `TrainingResult` lists.

    Where `config.pretrained` names one, it is that one, as it is, with its weights.

    With `checkpoints`, a folder, an interrupted training goes on from its last whole state there, under any number of
    processes, and the result is the same as if it had never stopped.

    Args:
        compute: its nodes and processes; in this process if there is to be one. Every rank holds all weights, which are
            few: ZeRO, sequence parallelism, compilation and activation checkpointing are for the transformer.
        features: what the perceptual term compares clips by: a captioner's folder, or a safetensors file with the
            weights of VGG16 and LPIPS. Only needed where `config.perceptual_weight` is not 0.

    Returns:
        The result, with PSNR in decibels and SSIM over unseen clips among its metrics (see
        `kinora.training.reconstruction.measure`); clips above `config.crop_side` and `config.crop_frames` are measured
        in their middle.

    Raises:
        KinoraError: if the dataset has no clip to train on, there are no features where they are needed, a process
            fails, or the pretrained one cannot be read.
        UsageError: if the pretrained one has another shape than `config.model` says.
    """
    compute = on_this_machine(compute or Compute())
    training = Excerpts(dataset, "train", config.limits())
    if not len(training):
        raise KinoraError(f"{dataset.path} has no clips in its training split; ingest more clips.")
    # A handful of real clips may leave none for validation: then the metrics are of the clips it was trained on.
    unseen = Excerpts(dataset, "validation", config.limits())
    seen = "unseen clips" if len(unseen) else "the clips it was trained on (there are no others)"
    ReconstructionLoss(config, features)  # says at once, and not from a process, what it lacks
    used = _digest(features) if features is not None and config.perceptual_weight else ""
    identity = digest([to_dict(config), dataset.digest, used])
    with open_checkpoints(checkpoints, identity, compute.kept_states) as state:
        reader = ExcerptReader(dataset)
        if config.pretrained:
            model = _pretrained(config)
        else:
            _run(state, dataset, config, compute, features)
            model = VAE.load(state.folder / MODEL).to(device())
            measure_latents(model, reader, training.some(CLIPS_FOR_STATISTICS, config.seed))
        measured = (unseen if len(unseen) else training).some(CLIPS_MEASURED)
        metrics = {**measure(model, reader, measured, config.seed), **course_metrics(state)}
        with atomic_folder(out) as folder:
            page = autoencoder_page(model, reader, measured, seen, metrics, state)
            write_result(folder, config, metrics, state, page)
            model.save(folder)
            write_json(folder / "config.json", {**to_dict(config), "model": model.config})  # of the model as it is
    return TrainingResult(Path(out), metrics)


def _pretrained(config: AutoencoderTraining) -> Autoencoder:
    model, wanted = HFAutoencoder.from_pretrained(config.pretrained).to(device()), config.model
    names = ("latent_channels", "spatial", "temporal")
    if any(getattr(model.config, name) != getattr(wanted, name) for name in names):
        settings = " ".join(f"autoencoder.model.{name}={getattr(model.config, name)}" for name in names)
        raise UsageError(
            f"{config.pretrained} makes other latents than the recipe says; set {settings} "
            f"transformer.model.latent_channels={model.config.latent_channels}."
        )
    return model


def _run(
    state: Checkpoints,
    dataset: ClipDataset,
    config: AutoencoderTraining,
    compute: Compute,
    features: str | Path | None,
) -> None:
    """Train in this process, or in several that are shown as progress; the model is then in the folder of the run."""
    folder = str(Path(features).resolve()) if features is not None else ""
    write_json(state.folder / ARGUMENTS, WorkerArguments(config, compute, str(dataset.path.resolve()), folder))
    with Progress("train autoencoder", config.steps) as progress:
        if compute.world_size == 1:
            train(state.folder, progress)
            return

        def show() -> None:
            row = last_row(state.log)
            if row is not None:
                progress.update(row["step"], **shown_figures(row))

        launch("kinora.training.autoencoder_worker", [str(state.folder.resolve())], compute, show)
        show()


def _digest(features: str | Path) -> str:
    path = Path(features)
    return folder_digest(path) if path.is_dir() else file_digest(path)
