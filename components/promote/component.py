"""A version that passed the gate goes into service."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def promote(
    version: dsl.Input[dsl.Model],
    artifact_root: str,
    report: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
) -> str:
    """Put a model version into BentoML's model store and under the artifact root; return its place."""
    from pathlib import Path

    from components.step import running

    with running("promote", artifact_root) as step:
        from components.choosing import promote_version
        from kinora.generation.version_report import version_markdown, version_page

        promoted, place = promote_version(Path(version.path), artifact_root)
        version_page(promoted, place).write(report.path)
        Path(summary.path).write_text(version_markdown(promoted, place))
        step.keep(report, summary)
    return place
