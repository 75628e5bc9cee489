"""The gate: the chosen checkpoint becomes a model version, and is promoted only where it is measured to be better."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def gate(
    choice: dsl.Input[dsl.Artifact],
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
) -> str:
    """Decide by what the chosen checkpoint and its rival made of untouched prompts; return "promote" or "keep"."""
    from pathlib import Path

    from components.runtime.step import running

    with running("gate", artifact_root) as step:
        from components.runtime.code_digest import code_digest
        from evaluation.checkpoint import joined
        from evaluation.gate.page import decision_page
        from evaluation.selection import Choice, TrainedModels, select_version
        from kinora import recipes
        from kinora.config import from_dict, read_json
        from kinora.data.accepted import keep_tables
        from kinora.data.clips import ClipDataset

        models = TrainedModels(*(Path(model.path) for model in (transformer, autoencoder, captioner)))
        results = joined(read_json(Path(one.path) / "evaluation.json") for one in evaluations)
        chosen, dataset, out = recipes.get(recipe, settings), ClipDataset.open(clips.path), Path(version.path)
        found, code = from_dict(Choice, read_json(choice.path)), code_digest()
        decision, made = select_version(models, found, results, dataset, chosen, code, step.registry, out)
        decision_page(decision).write(report.path)
        version.metadata.update(reason=decision.reason, checkpoint=made.record("lineage")["checkpoint"])
        if decision.promotion is not None:
            version.metadata["promoted_by"] = decision.promotion.run
        keep_tables(artifact_root, dataset)  # what requests to the version are held beside
        step.measured(metrics, {"promote": decision.promote, "clusters": decision.clusters})
        step.keep(version, report)
    return "promote" if decision.promote else "keep"
