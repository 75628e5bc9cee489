"""The first box, last part: all shards together become a dataset."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def ingest(
    source: str,
    portions: list[str],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    clips: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Make a dataset of all that was read: copies are found, curation applied, clips held out, the rest quarantined."""
    from pathlib import Path

    from components.runtime.step import running

    with running("ingest", artifact_root) as step:
        from kinora import recipes
        from kinora.data.dataset_report import ingest_report
        from kinora.data.ingest.dataset import collect, shards_place

        chosen = recipes.get(recipe, settings)
        place = shards_place(artifact_root, source, chosen.ingest, chosen.grid)
        dataset = collect(source, place, Path(clips.path), chosen.ingest, chosen.grid)
        ingest_report(dataset).write(report.path)
        step.measured(metrics, dataset.describe())
        step.keep(clips, report)
