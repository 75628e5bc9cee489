"""The report of an encoded dataset: some clips, and beside each the channels of its latent."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from kinora.data.clips import ClipDataset
from kinora.data.latents import LatentDataset
from kinora.media import enlarge
from kinora.report import Clip, Page

CLIPS_SHOWN = 9
ENLARGED = 3  # times each way
STRONGEST = 3.0  # standard deviations that are shown at full colour
POSITIVE, NEGATIVE = np.array([235, 120, 40]), np.array([50, 110, 225])


def latents_page(dataset: ClipDataset, latents: LatentDataset, metrics: Mapping[str, float]) -> Page:
    """Show the latents' statistics, and some clips with every channel of their latents."""
    channels, spatial = latents.config["latent_channels"], latents.config["spatial"]
    temporal = latents.config["temporal"]
    page = Page("Latents", "Every clip, compressed once by the autoencoder: what the transformer learns from.")
    page.figures(
        {
            "clips": f"{metrics['clips']:,.0f}",
            "latent values": f"{metrics['latent_values'] / 1e6:.1f} million",
            "channels": str(channels),
            "farthest mean of a channel from 0": f"{metrics['latent_mean_off']:.3f}",
            "farthest standard deviation from 1": f"{metrics['latent_std_off']:.3f}",
        }
    )
    page.heading("Clips and their latents")
    page.text(
        f"First the clip, then its {channels} channels: orange above the mean, blue below. A value stands for "
        f"{spatial}x{spatial} pixels and {temporal} frames; the first frame has its own."
    )
    videos = [number for number, kind in enumerate(latents.values("kind")) if kind == "video"] or range(len(latents))
    for number in videos[:: max(1, len(videos) // CLIPS_SHOWN)][:CLIPS_SHOWN]:
        clip = latents[number]
        shown = beside(dataset.frames(clip.clip_id), clip.latent, spatial, temporal)
        page.clips([Clip(enlarge(shown, ENLARGED), clip.fps or 1.0, clip.caption)])
    return page


def beside(frames: np.ndarray, latent: Tensor, spatial: int, temporal: int) -> np.ndarray:
    """Put every channel of a latent `[z, t, h, w]` beside its clip `uint8 [T, H, W, 3]`, as large and as long."""
    moments = [0 if moment == 0 else 1 + (moment - 1) // temporal for moment in range(len(frames))]
    values = (latent.float().numpy() / STRONGEST).clip(-1, 1)[:, moments]  # [z, T, h, w]
    values = values.repeat(spatial, axis=2).repeat(spatial, axis=3)[..., None]
    colours = np.where(values > 0, values * POSITIVE, -values * NEGATIVE).astype(np.uint8)
    gap = np.full((*frames.shape[:2], 1, 3), 255, np.uint8)
    return np.concatenate([part for channel in (frames, *colours) for part in (channel, gap)][:-1], axis=2)
