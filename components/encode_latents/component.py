"""Every clip is compressed once, before the transformer sees it many times."""

from kfp import dsl

from components.images import GPU_IMAGE


@dsl.component(base_image=GPU_IMAGE, install_kfp_package=False)
def encode_latents(
    clips: dsl.Input[dsl.Dataset],
    features: dsl.Input[dsl.Dataset],
    autoencoder: dsl.Input[dsl.Model],
    recipe: str,
    settings: str,
    artifact_root: str,
    fingerprint: str,
    latents: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Encode the clips with the autoencoder, beside the captions that the feature store serves.

    Where the recipe has a frozen text encoder, what it makes of the captions is kept as well.
    """
    from pathlib import Path

    from components.runtime.step import running

    with running("encode-latents", artifact_root) as step:
        from kinora import recipes
        from kinora.data.clips import ClipDataset
        from kinora.data.features import read_features
        from kinora.data.latents import LatentDataset
        from kinora.training.latents import encode_latents as encode
        from kinora.training.latents_report import latents_page

        dataset = ClipDataset.open(clips.path)
        captions = read_features(Path(features.path), dataset)
        text = recipes.get(recipe, settings).transformer.text
        figures = encode(dataset, captions, Path(autoencoder.path), Path(latents.path), text)
        latents_page(dataset, LatentDataset.open(latents.path), figures).write(report.path)
        step.measured(metrics, figures)
        step.keep(latents, report)
