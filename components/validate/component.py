"""Great Expectations holds the dataset to its contract."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def validate(
    clips: dsl.Input[dsl.Dataset],
    artifact_root: str,
    fingerprint: str,
    valid_clips: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Check every clip against the dataset's contract; rows that break it go to quarantine."""
    from pathlib import Path

    from components.runtime.step import lasting_uri, running

    with running("validate", artifact_root) as step:
        from kinora.data.clips import ClipDataset
        from kinora.data.validation import validate as validate_clips

        dataset = ClipDataset.open(clips.path)
        _, page, figures = validate_clips(dataset, Path(valid_clips.path), base_uri=lasting_uri(clips))
        page.write(report.path)
        step.measured(metrics, figures)
        step.keep(valid_clips, report)
