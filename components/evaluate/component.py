"""One checkpoint is asked for what is held out, prompts or clips to continue, and what it makes is judged."""

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
    """Let one checkpoint make what is held out: clips of prompts, whose failures are found, or continuations of clips.

    `item` names a checkpoint and maybe a shard of what it is asked for, as `evaluation.shards` says. In a study, `arm`
    is the name of one of its trainings, and an empty `item` its last checkpoint.
    """
    import shutil
    from pathlib import Path

    from components.runtime.step import running

    with running("evaluate", artifact_root, item=arm or item) as step:
        from evaluation.checkpoint import evaluate_checkpoint
        from evaluation.prompts import selection_questions, simulated
        from evaluation.shards import shard_of
        from kinora import recipes
        from kinora.config import to_dict
        from kinora.data.clips import ClipDataset
        from kinora.generation import VideoGenerator
        from kinora.generation.generator import usual_format

        chosen, out, dataset = recipes.get(recipe, settings), Path(evaluation.path), ClipDataset.open(clips.path)
        asked, (checkpoint, shard) = selection_questions(dataset, chosen), shard_of(item)
        worlds = chosen.ingest.worlds if simulated(dataset) else None
        weights = Path(transformer.path) / checkpoint if checkpoint else max(Path(transformer.path).glob("step-*"))
        usual = usual_format(to_dict(chosen))  # as the deployed model generates
        generator = VideoGenerator.load(Path(autoencoder.path), weights, chosen.sampling, usual)
        result = evaluate_checkpoint(
            generator,
            asked,
            out,
            name=arm or checkpoint,
            worlds=worlds,
            dataset=dataset,
            backends=chosen.evaluation.backends,
            shard=shard,
            features=chosen.evaluation.features,
        )
        evaluation.metadata["checkpoint"] = weights.name
        shutil.copy(out / "report.html", report.path)
        counts = {"clips": len(result["clips"]), "clips_with_failure": result.get("clips_with_failure")}
        step.measured(metrics, result["rates"] | result.get("compared", counts))
        step.keep(evaluation, report)
