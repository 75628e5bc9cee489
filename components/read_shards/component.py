"""The first box, second part: a portion of the shards is read, by processes with limits of memory and time."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def read_shards(
    source: str,
    portion: str,
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Read the portion's shards that are not there yet; each is kept as soon as it is whole. Return the portion."""
    from components.runtime.step import running

    with running("read-shards", artifact_root, item=portion) as step:
        from kinora import recipes
        from kinora.data.ingest.dataset import read_shards as read
        from kinora.data.ingest.dataset import shards_place
        from kinora.data.ingest.progress_page import portion_page

        chosen = recipes.get(recipe, settings)
        place = shards_place(artifact_root, source, chosen.ingest, chosen.grid)
        figures = read(source, place, chosen.ingest, chosen.grid, portion)
        portion_page(portion, figures).write(report.path)
        step.measured(metrics, figures)
        step.keep(report)
    return portion
