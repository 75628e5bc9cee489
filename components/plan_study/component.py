"""A study compares several trainings: which, and what each of them takes."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def plan_study(
    group: str,
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> list[str]:
    """Return the names of the trainings of `group`: "scaling", "native" or "square"."""
    from components.runtime.step import running

    with running("plan-study", artifact_root) as step:
        from evaluation.study import plan_page
        from kinora import recipes
        from kinora.recipes.studies import arms

        trainings = arms(recipes.get(recipe, settings), group)
        plan_page(trainings).write(report.path)
        step.measured(metrics, {"trainings": len(trainings)})
        step.keep(report)
    return list(trainings)
