"""The gate: the best checkpoint becomes a model version, and is promoted only where it is measured to be better."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def gate(
    evaluations: dsl.Input[list[dsl.Artifact]],
    transformer: dsl.Input[dsl.Model],
    autoencoder: dsl.Input[dsl.Model],
    captioner: dsl.Input[dsl.Model],
    clips: dsl.Input[dsl.Dataset],
    recipe: str,
    settings: str,
    artifact_root: str,
    version: dsl.Output[dsl.Model],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    judged: dsl.Output[dsl.Artifact],
) -> str:
    """Choose a checkpoint, judge it and its rival on what nothing has touched; return "promote" or "keep"."""
    from pathlib import Path

    from components.runtime.step import running

    with running("gate", artifact_root) as step:
        from components.runtime.code_digest import code_digest
        from evaluation.gate import decision_page
        from evaluation.selection import TrainedModels, select_version
        from kinora import recipes
        from kinora.data.accepted import keep_tables
        from kinora.data.clips import ClipDataset

        models = TrainedModels(*(Path(model.path) for model in (transformer, autoencoder, captioner)))
        results, dataset = [Path(result.path) for result in evaluations], ClipDataset.open(clips.path)
        chosen, out, clips_out = recipes.get(recipe, settings), Path(version.path), Path(judged.path)
        decision, made = select_version(models, results, dataset, chosen, code_digest(), step.registry, out, clips_out)
        clips_out.mkdir(parents=True, exist_ok=True)  # nothing is judged of what is deployed already
        decision_page(decision).write(report.path)
        version.metadata.update(reason=decision.reason, checkpoint=made.record("lineage")["checkpoint"])
        if decision.promotion is not None:
            version.metadata["promoted_by"] = decision.promotion.run
        keep_tables(artifact_root, dataset)  # what requests to the version are held beside
        step.measured(metrics, {"promote": decision.promote, "clusters": decision.clusters})
        step.keep(version, report, judged)
    return "promote" if decision.promote else "keep"
