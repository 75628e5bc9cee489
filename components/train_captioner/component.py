"""The captioner learns to describe clips from those that arrived with a caption."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def train_captioner(
    clips: dsl.Input[dsl.Dataset],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    captioner: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Train the captioner on the captioned clips, find when it may speak, and measure it on unseen ones."""
    import shutil
    from pathlib import Path

    from components.runtime.step import running

    with running("train-captioner", artifact_root) as step:
        from kinora import recipes
        from kinora.data.clips import ClipDataset
        from kinora.training.captioner import train_captioner as train

        chosen = recipes.get(recipe, settings)
        worlds, dataset = chosen.ingest.worlds, ClipDataset.open(clips.path)
        with step.state((chosen.captioner, worlds), dataset.digest) as state:
            result = train(dataset, Path(captioner.path), chosen.captioner, checkpoints=state, worlds=worlds)
        shutil.copy(result.path / "report.html", report.path)
        step.measured(metrics, result.metrics)
        step.keep(captioner, report)
