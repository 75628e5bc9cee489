"""What native aspect ratios bought: trainings on whole clips beside trainings on square crops of them."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def compare_framing(
    native: dsl.Input[list[dsl.Artifact]],
    square: dsl.Input[list[dsl.Artifact]],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    comparison: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Return in a sentence which training keeps more of its subject in view, and whether the seeds differ by less."""
    import shutil
    from pathlib import Path

    from components.runtime.step import running

    with running("compare-framing", artifact_root) as step:
        from evaluation.framing import compare_framing as compare
        from kinora import recipes

        judged = [Path(one.path) for one in [*native, *square]]
        found = compare(judged, recipes.get(recipe, settings), Path(comparison.path))
        shutil.copy(Path(comparison.path) / "report.html", report.path)
        step.measured(metrics, found.figures)
        step.keep(comparison, report)
    return found.sentence
