"""The diffusion transformer learns to make videos and images of every size together."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def pretrain(
    latents: dsl.Input[dsl.Dataset],
    autoencoder: dsl.Input[dsl.Model],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    transformer: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    arm: str = "",
) -> list[str]:
    """Train the transformer, sharded over processes; return the shards of its checkpoints' evaluations, by name.

    In a study, `arm` is the name of one of its trainings, which `plan-study` lists.
    """
    import shutil
    from pathlib import Path

    from components.runtime.step import running

    with running("pretrain", artifact_root, item=arm) as step:
        from evaluation.shards import work_items
        from kinora import recipes
        from kinora.data.latents import LatentDataset
        from kinora.recipes.studies import varied
        from kinora.training.launcher import one_node
        from kinora.training.transformer import train_transformer

        chosen, encoded = varied(recipes.get(recipe, settings), arm), LatentDataset.open(latents.path)
        with step.state(chosen.transformer, encoded.digest) as state:
            result = train_transformer(
                encoded,
                Path(transformer.path),
                chosen.transformer,
                checkpoints=state,
                compute=one_node(chosen.compute),
                autoencoder=autoencoder.path,
                sampling=chosen.sampling,
            )
        shutil.copy(result.path / "report.html", report.path)
        step.measured(metrics, result.metrics)
        step.keep(transformer, report)
    return work_items(result.checkpoints, chosen.evaluation.shards)
