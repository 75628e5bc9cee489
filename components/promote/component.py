"""A version that passed the gate is deployed."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def promote(
    version: dsl.Input[dsl.Model],
    run: str,
    artifact_root: str,
    report: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
) -> str:
    """Deploy a model version: put it into the registry under the artifact root; return its place there."""
    from pathlib import Path

    from components.runtime.step import running

    with running("promote", artifact_root) as step:
        from kinora.generation import read_version
        from kinora.generation.version_report import version_markdown, version_page

        (folder,) = (child for child in Path(version.path).iterdir() if child.is_dir())
        promotion = step.registry.promote(folder, verdict=version.metadata["reason"], run=run)
        promoted, place = read_version(folder), step.registry.uri(promotion.version)
        version_page(promoted, place, promotion.verdict).write(report.path)
        Path(summary.path).write_text(version_markdown(promoted, place, promotion.verdict))
        step.keep(report, summary)
    return place
