"""The autoencoder learns to compress clips into latents."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def train_autoencoder(
    clips: dsl.Input[dsl.Dataset],
    captioner: dsl.Input[dsl.Model],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    autoencoder: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Train the video autoencoder and measure its reconstruction of unseen clips.

    The captioner lends its image encoder to the perceptual term of the loss, where the recipe gives that a weight.
    """
    import shutil
    from pathlib import Path

    from components.runtime.step import running

    with running("train-autoencoder", artifact_root) as step:
        from kinora import recipes
        from kinora.data.clips import ClipDataset
        from kinora.training.autoencoder import train_autoencoder as train
        from kinora.training.launcher import one_node

        chosen, dataset = recipes.get(recipe, settings), ClipDataset.open(clips.path)
        with step.state(chosen.autoencoder, dataset.digest) as state:
            result = train(
                dataset,
                Path(autoencoder.path),
                chosen.autoencoder,
                checkpoints=state,
                compute=one_node(chosen.compute),
                features=captioner.path,
            )
        shutil.copy(result.path / "report.html", report.path)
        step.measured(metrics, result.metrics)
        step.keep(autoencoder, report)
