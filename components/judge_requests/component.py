"""The deployed model is asked again for what it was asked for lately, and what it makes is judged."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def judge_requests(
    requests: dsl.Input[dsl.Dataset],
    recipe: str,
    settings: str,
    artifact_root: str,
    quality: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Measure the share of recent prompts whose words the deployed model knows and whose clips have no failure."""
    import pandas as pd

    from components.runtime.step import running

    with running("judge-requests", artifact_root) as step:
        from evaluation.recent import judge_recent
        from kinora import recipes
        from kinora.config import write_json

        config = recipes.get(recipe, settings)
        asked = pd.read_parquet(requests.path)
        page, figures = judge_recent(asked, config.drift, artifact_root, config.evaluation.backends)
        write_json(quality.path, figures)
        page.write(report.path)
        step.measured(metrics, figures)
        step.keep(quality, report)
