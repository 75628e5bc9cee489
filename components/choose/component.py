"""A checkpoint is chosen, and what it and its rival are asked for is dealt to shards."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def choose(
    evaluations: dsl.Input[list[dsl.Artifact]],
    transformer: dsl.Input[dsl.Model],
    autoencoder: dsl.Input[dsl.Model],
    captioner: dsl.Input[dsl.Model],
    clips: dsl.Input[dsl.Dataset],
    recipe: str,
    settings: str,
    artifact_root: str,
    choice: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> list[str]:
    """Return the evaluations by which the gate decides, by name: of the best checkpoint and of what it has to beat."""
    from pathlib import Path

    from components.runtime.step import running

    with running("choose", artifact_root) as step:
        from evaluation.checkpoint import joined
        from evaluation.selection import TrainedModels, choice_page
        from evaluation.selection import choose as choose_checkpoint
        from evaluation.shards import work_items
        from kinora import recipes
        from kinora.config import read_json, to_dict, write_json
        from kinora.data.clips import ClipDataset

        models = TrainedModels(*(Path(model.path) for model in (transformer, autoencoder, captioner)))
        results = joined(read_json(Path(one.path) / "evaluation.json") for one in evaluations)
        chosen, dataset = recipes.get(recipe, settings), ClipDataset.open(clips.path)
        found = choose_checkpoint(models, results, dataset, chosen, step.registry, chosen.evaluation.shards)
        write_json(choice.path, to_dict(found))
        choice_page(found, results, chosen.gate).write(report.path)
        step.measured(metrics, {"trained": len(results) - 1})
        step.keep(choice, report)
    # A loop wants one item at least. What the checkpoint was chosen by is judged already, and comes from the cache.
    return [*found.items] or work_items([found.checkpoint], chosen.evaluation.shards)[:1]
