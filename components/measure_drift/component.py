"""Evidently holds requests beside the captions that the deployed model was trained on."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def measure_drift(
    requests: dsl.Input[dsl.Dataset],
    recipe: str,
    settings: str,
    artifact_root: str,
    drift: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Measure how far the requests have moved from what the deployed model's training captions ask for."""
    import pandas as pd

    from components.runtime.step import running

    with running("measure-drift", artifact_root) as step:
        from kinora import recipes
        from kinora.config import write_json
        from serving.drift import drift_from_deployed

        asked, config = pd.read_parquet(requests.path), recipes.get(recipe, settings).drift
        page, figures = drift_from_deployed(asked, step.registry, config)
        write_json(drift.path, figures)
        page.write(report.path)
        step.measured(metrics, figures)
        step.keep(drift, report)
