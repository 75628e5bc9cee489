"""Every clip that nobody described gets a caption, where the writer is sure of one."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def caption(
    clips: dsl.Input[dsl.Dataset],
    captioner: dsl.Input[dsl.Model],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    captioned_clips: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Write captions with the recipe's writer; those by people and by the simulator stay."""
    from pathlib import Path

    from components.runtime.step import lasting_uri, running

    with running("caption", artifact_root) as step:
        from kinora import recipes
        from kinora.captioning.caption import caption_dataset
        from kinora.captioning.writers import open_writer
        from kinora.data.clips import ClipDataset

        config, dataset = recipes.get(recipe, settings).captions, ClipDataset.open(clips.path)
        writer, out = open_writer(config, Path(captioner.path)), Path(captioned_clips.path)
        with step.state(config, f"{dataset.digest} {writer.model}") as state:
            _, page, figures = caption_dataset(dataset, writer, out, config, base_uri=lasting_uri(clips), state=state)
        page.write(report.path)
        step.measured(metrics, figures)
        step.keep(captioned_clips, report)
