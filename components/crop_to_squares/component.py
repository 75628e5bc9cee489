"""The same clips, cut to squares: how models of fixed size are often fed."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def crop_to_squares(
    clips: dsl.Input[dsl.Dataset],
    artifact_root: str,
    fingerprint: str,
    square_clips: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Cut every clip to the square in its middle; captions and splits stay."""
    from pathlib import Path

    from components.runtime.step import running

    with running("crop-to-squares", artifact_root) as step:
        from kinora.data.clips import ClipDataset
        from kinora.data.squares import crop_to_squares as crop
        from kinora.data.squares import squares_page

        dataset = ClipDataset.open(clips.path)
        squares, kept = crop(dataset, Path(square_clips.path))
        squares_page(dataset, squares, kept).write(report.path)
        step.measured(metrics, {"clips": len(squares.clips), "pixels_kept": kept})
        step.keep(square_clips, report)
