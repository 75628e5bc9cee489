"""Whether a model obeys the law that made its clips, inside and outside the sizes and speeds that it saw."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def measure_laws(
    transformer: dsl.Input[dsl.Model],
    autoencoder: dsl.Input[dsl.Model],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    laws: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Return the velocity errors of the last checkpoint in a sentence."""
    import shutil
    from pathlib import Path

    from components.runtime.step import running

    with running("measure-laws", artifact_root) as step:
        from evaluation.yardsticks.phyworld import measure_checkpoint
        from evaluation.yardsticks.phyworld_page import figures, laws_sentence, write_laws
        from kinora import recipes

        weights = max(Path(transformer.path).glob("step-*"))
        measured = measure_checkpoint(Path(autoencoder.path), weights, recipes.get(recipe, settings))
        shutil.copy(write_laws(measured, Path(laws.path)), report.path)
        step.measured(metrics, figures(measured))
        step.keep(laws, report)
    return laws_sentence(measured)
