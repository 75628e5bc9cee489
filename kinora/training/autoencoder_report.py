"""The report of an autoencoder's training: figures, curves, and clips beside their reconstructions."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from kinora.media import enlarge
from kinora.media.tensors import to_frames
from kinora.models.autoencoder import Autoencoder
from kinora.report import Clip, Page
from kinora.training.checkpoints import Checkpoints
from kinora.training.log import read_rows
from kinora.training.reconstruction import psnr, to_video
from kinora.training.report import curve, training_page
from kinora.training.video_batches import Excerpt, ExcerptReader, Shape

CLIPS_SHOWN = 2  # of every size and length, enlarged until their larger side has SHOWN_SIDE pixels or nearly
SHOWN_SIDE, SHAPES_SHOWN = 160, 12
TITLES = {
    "psnr_video": ("PSNR of videos", "{:.1f} dB"),
    "psnr_image": ("PSNR of images", "{:.1f} dB"),
    "ssim_video": ("SSIM of videos", "{:.3f}"),
    "ssim_image": ("SSIM of images", "{:.3f}"),
    "psnr_video_disturbed": ("PSNR, latents disturbed", "{:.1f} dB"),
}
TERMS = {
    "squared": "squared error",
    "absolute": "absolute error",
    "kl": "Kullback-Leibler divergence",
    "perceptual": "perceptual",
}
ADVERSARIAL_TERMS = {"adversarial": "of the autoencoder", "discriminator": "of the discriminator"}


def autoencoder_page(
    model: Autoencoder,
    reader: ExcerptReader,
    excerpts: Mapping[Shape, Sequence[Excerpt]],
    seen: str,
    metrics: Mapping[str, float],
    checkpoints: Checkpoints,
) -> Page:
    """Return the report. `excerpts` are what is shown; `seen` says what the figures and the clips are of."""
    c = model.config
    page = training_page(
        "Autoencoder",
        f"Blocks of {c.temporal} frames x {c.spatial} x {c.spatial} pixels become {c.latent_channels} numbers each, "
        f"and back. The figures are of {seen}.",
        {title: form.format(metrics[name]) for name, (title, form) in TITLES.items() if name in metrics},
        checkpoints,
        "weighted sum of the terms below",
        f"The same clips at several steps ({seen}): the original, and below it the reconstruction by the averaged "
        "weights (EMA).",
        {"psnr": "PSNR of training batches, dB", "held_out_psnr": "PSNR of held-out clips, dB"},
    )
    page.heading("The terms of the loss")
    rows = read_rows(checkpoints.log)
    if rows:
        page.text(
            "The curves show the PSNR of clips that are decoded with the noise of the variational posterior; the "
            "figures on top are without it. What is held out is measured with the averaged weights (EMA), which are "
            "kept."
        )
    page.text(
        '"Disturbed" adds an error of a tenth of a standard deviation to every latent first: generated latents are '
        "never exact, so the decoder has to bear that."
    )
    for names, log in ((TERMS, True), (ADVERSARIAL_TERMS, False)):
        found = {name: title for name, title in names.items() if any(name in row for row in rows)}
        if found:
            label = "terms of the loss" if log else "hinge losses"
            page.plot(curve(rows, found, label, log=log), "Of training batches, without their weights.")
    page.heading("Reconstructions")
    page.clips(
        list(_comparisons(model, reader, excerpts)),
        "From top to bottom: original, reconstruction, difference (times four).",
    )
    page.heading("By size")
    return page.table(
        [
            {"width x height x frames": size, "PSNR": f"{metrics[f'psnr_{size}']:.2f} dB",
             "SSIM": f"{metrics[f'ssim_{size}']:.4f}"}
            for size in (name.removeprefix("psnr_") for name in metrics if name.startswith("psnr_"))
            if size[0].isdigit()
        ]
    )  # fmt: skip


@torch.no_grad()
def _comparisons(
    model: Autoencoder, reader: ExcerptReader, excerpts: Mapping[Shape, Sequence[Excerpt]]
) -> Iterator[Clip]:
    for shape, some in list(excerpts.items())[:SHAPES_SHOWN]:
        for excerpt in some[:CLIPS_SHOWN]:
            original = reader.read(excerpt)
            video = to_video(torch.from_numpy(original.copy())[None], model.latent_mean.device)
            decoded = model.decode(model.encode(video)[0], shape)
            difference = (4 * (decoded - video).abs() - 1).clamp(-1, 1)  # black where there is none
            panels = stacked([original, to_frames(decoded[0]), to_frames(difference[0])])
            factor = max(1, SHOWN_SIDE // max(shape[1:]))
            fps = float(reader.dataset.rows.read([excerpt.clip], ["fps"])["fps"][0])
            yield Clip(enlarge(panels, factor), fps, shape_name(shape), f"{float(psnr(decoded, video)):.1f} dB")


def stacked(panels: Sequence[np.ndarray]) -> np.ndarray:
    """Put clips `uint8 [T, H, W, 3]` of one shape below each other, a white line between them."""
    line = np.full((panels[0].shape[0], 1, panels[0].shape[2], 3), 255, np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, line)][:-1], axis=1)


def shape_name(shape: Shape) -> str:
    """Return a shape as people say it: `32x24, 9 frames`."""
    count, height, width = shape
    return f"{width}x{height}, " + (f"{count} frames" if count > 1 else "image")
