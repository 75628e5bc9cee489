"""The gate: the best checkpoint becomes a model version, and is promoted only where it is measured to be better."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def choose(
    evaluations: dsl.Input[list[dsl.Artifact]],
    transformer: dsl.Input[dsl.Model],
    autoencoder: dsl.Input[dsl.Model],
    captioner: dsl.Input[dsl.Model],
    clips: dsl.Input[dsl.Dataset],
    recipe: str,
    artifact_root: str,
    version: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Make a model version of the best checkpoint; return "promote" or "keep" after the gate."""
    raise NotImplementedError
