"""Feast stores the features that training reads; Evidently says whether they drifted."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def publish_features(
    clips: dsl.Input[dsl.Dataset],
    artifact_root: str,
    fingerprint: str,
    features: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Publish each clip's features to the artifact root's store, and report how validation differs from training.

    The artifact names the published set, which is joined again where it is read.
    """
    import shutil
    from pathlib import Path

    from components.runtime.step import running

    with running("publish-features", artifact_root) as step:
        from kinora.data import features as feature_store
        from kinora.data.clips import ClipDataset

        dataset = ClipDataset.open(clips.path)
        folder = feature_store.publish_features(dataset, Path(features.path), step.artifact_root)
        page, figures = feature_store.feature_report(dataset, folder, reference=None)
        shutil.copy(page, report.path)
        step.measured(metrics, figures)
        step.keep(features, report)
