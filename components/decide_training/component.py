"""Drift and quality together say whether the model is trained again."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def decide_training(
    drift: dsl.Input[dsl.Artifact],
    quality: dsl.Input[dsl.Artifact],
    recipe: str,
    settings: str,
    artifact_root: str,
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Return "train" where requests have drifted and are answered badly, else "keep"."""
    from components.runtime.step import running

    with running("decide-training", artifact_root) as step:
        from kinora import recipes
        from kinora.config import read_json
        from kinora.data.training_need import need_page, training_need

        found = read_json(drift.path), read_json(quality.path), recipes.get(recipe, settings).drift
        need = training_need(*found)
        need_page(need, *found).write(report.path)
        report.metadata["reason"] = need.reason
        step.measured(metrics, {"train": need.train})
        step.keep(report)
    return "train" if need.train else "keep"
