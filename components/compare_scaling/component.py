"""What more compute bought: the trainings of the scaling study beside each other."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def compare_scaling(
    evaluations: dsl.Input[list[dsl.Artifact]],
    transformers: dsl.Input[list[dsl.Model]],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    comparison: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Return in a sentence whether the most compute is better than the least by more than the seeds differ."""
    import shutil
    from pathlib import Path

    from components.runtime.step import running

    with running("compare-scaling", artifact_root) as step:
        from evaluation.scaling import compare_scaling as compare
        from kinora import recipes

        judged, trained = ([Path(one.path) for one in many] for many in (evaluations, transformers))
        found = compare(judged, trained, recipes.get(recipe, settings), Path(comparison.path))
        shutil.copy(Path(comparison.path) / "report.html", report.path)
        step.measured(metrics, found.figures)
        step.keep(comparison, report)
    return found.sentence
