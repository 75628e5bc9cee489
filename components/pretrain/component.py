"""The diffusion transformer learns to make videos and images of every size together."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def pretrain(
    latents: dsl.Input[dsl.Dataset],
    recipe: str,
    artifact_root: str,
    fingerprint: str,
    transformer: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> list:
    """Train the transformer, sharded over processes; return the names of its checkpoints, the untrained one first."""
    from pathlib import Path

    from components.runtime.step import running

    with running("pretrain", artifact_root) as step:
        from kinora import recipes
        from kinora.files import folder_digest
        from kinora.training.dit import train_dit, training_page

        config = recipes.get(recipe).transformer
        out = Path(transformer.path)
        with step.state(config, folder_digest(latents.path)) as state:
            names = train_dit(Path(latents.path), out, config, checkpoints=state)
        training_page(out).write(report.path)
        step.measured(metrics, {"checkpoints": len(names)})
        step.keep(transformer, report)
    return names
