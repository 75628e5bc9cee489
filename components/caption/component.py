"""Every clip without a caption gets one."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def caption(
    clips: dsl.Input[dsl.Dataset],
    captioner: dsl.Input[dsl.Model],
    artifact_root: str,
    fingerprint: str,
    captioned_clips: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Write a caption for every clip that has none; captions by people and by the simulator stay."""
    from pathlib import Path

    from components.runtime.step import lasting_uri, running

    with running("caption", artifact_root) as step:
        from kinora.captioning.caption import caption_dataset
        from kinora.data.clips import ClipDataset

        dataset = ClipDataset.open(clips.path)
        out = Path(captioned_clips.path)
        _, page, figures = caption_dataset(dataset, Path(captioner.path), out, base_uri=lasting_uri(clips))
        page.write(report.path)
        step.measured(metrics, figures)
        step.keep(captioned_clips, report)
