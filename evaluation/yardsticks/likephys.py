"""LikePhys (Yuan et al., ICLR 2026, arXiv:2510.11512): does the model itself hold the possible for more likely?

The denoising loss stands for the negative logarithm of a likelihood. Of a scene r with possible clips x+ and impossible
ones x-, the plausibility preference error is how often the wrong one has the lower loss, and 50 % is chance:

    PPE = mean over r, j, k of [L(x+_rj) >= L(x-_rk)],  L the mean over ten evenly spaced times, with equal noise.

As published: ten times from noise to data, the same prompt and the same noise at every time for all clips of a scene,
equality counted as an error. Different: the scenes are Kinora's worlds, not the published ones of Blender, which are
not to be had here; the loss is the one that this model is trained by (an error of velocity, `kinora.diffusion.loss`),
not an error of noise, so its ten times weigh differently; and the prompt guides nothing, which the paper found to make
little difference.

Beside it stands the same of an untrained model. Its head begins at zero, so it holds likelier whichever clip has
the smaller latents: that error is how far the looks of the twins alone decide, and by kind it is far from 50 %. So
there is a third figure, which the paper has not: the mean of the model's error over the pairs that the untrained model
has right and over those that it has wrong, each weighing half. Whoever goes by the looks gets 50 %, by construction.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from evaluation.intervals import Share, clustered
from evaluation.yardsticks.twins import VIOLATIONS, Twins
from kinora.data.packing import Segment, layout_of, pack, patch_grid
from kinora.diffusion.loss import velocity_loss
from kinora.diffusion.path import add_noise
from kinora.media.tensors import to_tensor
from kinora.models.autoencoder import Autoencoder
from kinora.models.precision import compute_dtype
from kinora.models.world_model import WorldModel
from kinora.progress import Progress

TIMES = tuple(n / 10 for n in range(10, 0, -1))
MODELS = ("model", "untrained")
FEWEST = 5  # pairs that the looks favour one way, and the other, for a balanced figure


@torch.inference_mode()
def denoising_losses(
    vae: Autoencoder, model: WorldModel, clips: Sequence[np.ndarray], prompt: str, fps: float, seed: int
) -> np.ndarray:
    """Return the training loss of clips `uint8 [T, H, W, 3]` of one size, each a mean over `TIMES` and tokens.

    All are given the same noise, another one at each time.
    """
    device, patch = vae.latent_mean.device, model.dit.config.patch_size
    latents = [vae.latents_of(to_tensor(clip)[None].to(device))[0] for clip in clips]
    grid = patch_grid(latents[0].shape, patch)
    chance = torch.Generator().manual_seed(seed)
    noises = [torch.randn(latents[0].shape, generator=chance).to(device) for _ in TIMES]
    layout = layout_of([Segment(grid, fps / vae.config.temporal)] * (len(clips) * len(TIMES))).to(device)
    clean_ND = pack([latent for latent in latents for _ in TIMES], layout, patch)
    noise_ND = pack(noises * len(clips), layout, patch)
    times_R = layout.condition_times(torch.tensor(TIMES * len(clips), device=device))
    none_N = torch.zeros(len(clean_ND), dtype=torch.bool, device=device)
    times_N = times_R[layout.condition_rows(none_N)]
    text = model.text_encoder(model.text_encoder.prepare([prompt] * len(layout.grids)))
    noisy_ND = add_noise(clean_ND, noise_ND, times_N[:, None])
    estimate_ND = model.dit(noisy_ND, layout, times_R, none_N, text)
    tokens = grid[0] * grid[1] * grid[2]
    parts = zip(*(rows.split(tokens) for rows in (estimate_ND, clean_ND, times_N, none_N)), strict=True)
    losses = np.array([float(velocity_loss(*part)[0]) / tokens for part in parts])
    return np.asarray(losses.reshape(len(clips), len(TIMES)).mean(axis=1))


def untrained(model: WorldModel, seed: int = 0) -> WorldModel:
    """Return a model of the same shape with the weights that training begins from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = WorldModel(model.dit.config, model.text_encoder.config)
    fresh = fresh.to(next(model.parameters()).device, compute_dtype()).eval().requires_grad_(False)
    fresh.text_encoder.load_pretrained()
    return fresh


def prefer(vae: Autoencoder, model: WorldModel, twins: Sequence[Twins]) -> pd.DataFrame:
    """Return a row for every possible clip and twin: `kind`, `scene`, and whether the twin's loss is no higher, by
    the `model` and by one that is `untrained`."""
    networks = dict(zip(MODELS, (model, untrained(model)), strict=True))
    rows = []
    with Progress("denoise possible and impossible clips", len(twins), "scenes") as progress:
        for done, scene in enumerate(twins, 1):
            clips = [scene.possible, *scene.impossible.values()]
            losses = {
                name: denoising_losses(vae, network, clips, scene.prompt, scene.fps, scene.scene)
                for name, network in networks.items()
            }
            for place, kind in enumerate(scene.impossible, 1):
                wrong = {name: bool(loss[0] >= loss[place]) for name, loss in losses.items()}
                rows.append({"kind": kind, "scene": scene.scene, **wrong})
            progress.update(done)
    return pd.DataFrame(rows, columns=["kind", "scene", *MODELS])


@dataclass(frozen=True)
class Errors:
    """Preference errors over the pairs of one kind; `balanced` is None where the looks mostly favour one twin."""

    model: Share
    untrained: Share
    balanced: Share | None


def errors(rows: pd.DataFrame) -> dict[str, Errors]:
    """Return the preference errors by kind of violation, with intervals of 95 % over the pairs, from `prefer`'s rows.

    "all kinds" is over all pairs; pairs of one scene count for what they are worth.
    """
    by_scene = rows.set_index(pd.Index(rows["scene"], name="base"))
    kinds = {kind: by_scene[by_scene["kind"] == kind] for kind in VIOLATIONS} | {"all kinds": by_scene}
    return {
        kind: Errors(clustered(own["model"]), clustered(own["untrained"]), _balanced(own))
        for kind, own in kinds.items()
        if len(own)
    }


def _balanced(rows: pd.DataFrame) -> Share | None:
    """Return the mean of the model's errors where the untrained one is right and where it is wrong.

    Its interval is made of theirs: MOVER (Zou and Donner, Stat. Med. 27, 2008).
    """
    right, wrong = (rows.loc[rows["untrained"] == value, "model"] for value in (False, True))
    if min(len(right), len(wrong)) < FEWEST:
        return None
    parts = clustered(right), clustered(wrong)
    mean = (parts[0].value + parts[1].value) / 2
    below = math.hypot(*(part.value - part.low for part in parts)) / 2
    above = math.hypot(*(part.high - part.value for part in parts)) / 2
    return Share(mean * len(rows), len(rows), max(0.0, mean - below), min(1.0, mean + above))
