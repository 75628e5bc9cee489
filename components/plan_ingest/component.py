"""The first box, first part: a source is listed, and what is new in it is dealt to shards."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def plan_ingest(
    source: str,
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> list[str]:
    """Return the names of portions of the work, each for a pod: inputs that were read before are in none."""
    from components.runtime.step import running

    with running("plan-ingest", artifact_root) as step:
        from kinora import recipes
        from kinora.data.ingest.dataset import plan_shards, shards_place
        from kinora.data.ingest.progress_page import plan_page

        chosen = recipes.get(recipe, settings)
        place = shards_place(artifact_root, source, chosen.ingest, chosen.grid)
        portions, figures = plan_shards(source, place, chosen.ingest, chosen.grid)
        plan_page(portions, figures).write(report.path)
        step.measured(metrics, figures)
        step.keep(report)
    return portions
