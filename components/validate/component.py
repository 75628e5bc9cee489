"""Great Expectations holds the dataset to its contract, and Evidently beside the last accepted one."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def validate(
    clips: dsl.Input[dsl.Dataset],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    valid_clips: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Check every clip against the dataset's contract, and all of them beside the last accepted ones; then accept."""
    from pathlib import Path

    from components.runtime.step import lasting_uri, running

    with running("validate", artifact_root) as step:
        from kinora import recipes
        from kinora.data.accepted import accept, last_accepted
        from kinora.data.clips import ClipDataset
        from kinora.data.validation import validate as validate_clips

        dataset, limits = ClipDataset.open(clips.path), recipes.get(recipe, settings).validation
        last = last_accepted(artifact_root, dataset)
        valid, page, figures = validate_clips(dataset, Path(valid_clips.path), lasting_uri(clips), limits, last)
        page.write(report.path)
        step.measured(metrics, figures)
        step.keep(valid_clips, report)
        accept(artifact_root, valid)
