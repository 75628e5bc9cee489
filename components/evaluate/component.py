"""A checkpoint or the deployed version is asked for what is held out, and what it makes is judged."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def evaluate(
    item: str,
    transformer: dsl.Input[dsl.Model],
    autoencoder: dsl.Input[dsl.Model],
    clips: dsl.Input[dsl.Dataset],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    evaluation: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    arm: str = "",
) -> None:
    """Let one model make what is held out: clips of prompts, whose failures are found, or continuations of clips.

    `item` names a checkpoint or, for a decision, maybe the deployed version, and maybe a shard of what it is asked for,
    as `evaluation.shards` says. In a study, `arm` is the name of one of its trainings, and an empty `item` its last
    checkpoint.
    """
    import shutil
    from pathlib import Path

    from components.runtime.step import running

    with running("evaluate", artifact_root, item=arm or item) as step:
        from evaluation.task import evaluate_item
        from kinora import recipes
        from kinora.data.clips import ClipDataset

        chosen, out, dataset = recipes.get(recipe, settings), Path(evaluation.path), ClipDataset.open(clips.path)
        trained, coder = Path(transformer.path), Path(autoencoder.path)
        result = evaluate_item(item, trained, coder, dataset, chosen, step.registry, out, name=arm)
        evaluation.metadata["model"] = result["name"]
        shutil.copy(out / "report.html", report.path)
        counts = {"clips": len(result["clips"]), "clips_with_failure": result.get("clips_with_failure")}
        step.measured(metrics, result["rates"] | result.get("compared", counts))
        step.keep(evaluation, report)
