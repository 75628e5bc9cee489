"""The first box: raw clips become a dataset."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def ingest(
    source: str,
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    clips: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Turn raw videos and images, or simulated worlds, into a clip dataset; what cannot be used is quarantined."""
    from pathlib import Path

    from components.runtime.step import running

    with running("ingest", artifact_root) as step:
        from kinora import recipes
        from kinora.data.dataset_report import ingest_report
        from kinora.data.ingest.dataset import ingest as ingest_clips

        chosen = recipes.get(recipe, settings)
        dataset = ingest_clips(source, Path(clips.path), chosen.ingest, chosen.grid)
        ingest_report(dataset).write(report.path)
        step.measured(metrics, dataset.describe())
        step.keep(clips, report)
