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
the smaller latents: that error is how far the looks of the twins alone decide, and where it is not about 50 %, the
model's own says less.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from evaluation.intervals import Share, clustered, wilson
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


def errors(rows: pd.DataFrame) -> dict[str, dict[str, Share]]:
    """Return the preference error by kind of violation, with Wilson's interval over the pairs, by model.

    "all kinds" is over all pairs; pairs of one scene count for what they are worth.
    """
    found = {}
    for kind in VIOLATIONS:
        own = rows[rows["kind"] == kind]
        if len(own):
            found[kind] = {name: wilson(int(own[name].sum()), len(own)) for name in MODELS}
    if found:
        by_scene = rows.set_index(pd.Index(rows["scene"], name="base"))
        found["all kinds"] = {name: clustered(by_scene[name]) for name in MODELS}
    return found
