"""The autoencoder learns to compress clips into latents."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def train_autoencoder(
    clips: dsl.Input[dsl.Dataset],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    autoencoder: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Train the video autoencoder and measure its reconstruction of unseen clips."""
    import shutil
    from pathlib import Path

    from components.runtime.step import running

    with running("train-autoencoder", artifact_root) as step:
        from kinora import recipes
        from kinora.data.clips import ClipDataset
        from kinora.training.autoencoder import train_autoencoder as train

        config = recipes.get(recipe, settings).autoencoder
        dataset = ClipDataset.open(clips.path)
        with step.state(config, dataset.digest) as state:
            result = train(dataset, Path(autoencoder.path), config, checkpoints=state)
        shutil.copy(result.path / "report.html", report.path)
        step.measured(metrics, result.metrics)
        step.keep(autoencoder, report)
