"""The world simulator: an autoencoder, a text encoder and a transformer, and the one loop that serves every task."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kinora.captioning.expand import expand
from kinora.config import from_dict, read_json
from kinora.data.grid import Grid
from kinora.data.packing import layout_of, pack, patch_grid, unpack
from kinora.diffusion.conditioning import Task, conditioning_frames, conditioning_mask
from kinora.diffusion.sampler import Sampling, sample
from kinora.generation.model_version import read_version
from kinora.generation.request import GenerationRequest, fitted
from kinora.media import to_frames, to_tensor
from kinora.models.precision import compute_dtype, device
from kinora.models.vae import VAE
from kinora.models.world_model import WorldModel, load_world_model

TOKENS_AT_ONCE = 8192  # requests are packed together up to about this many tokens


@dataclass(frozen=True)
class Start:
    """Where sampling of one clip starts: noise and clean latent `[z, t, h, w]`, and which latent frames are given."""

    noise: Tensor
    clean: Tensor
    given: list[bool]


class VideoGenerator:
    """Makes clips. One object serves many requests; it keeps no state between them."""

    def __init__(self, vae: VAE, model: WorldModel, sampling: Sampling):
        self.device = device()
        self.vae = vae.to(self.device).eval().requires_grad_(False)
        self.model = model.to(self.device, compute_dtype()).eval().requires_grad_(False)
        self.sampling = sampling

    @classmethod
    def load(cls, vae: str | Path, dit: str | Path, sampling: Sampling | None = None) -> "VideoGenerator":
        """Load an autoencoder's and a transformer checkpoint's folders.

        Raises:
            KinoraError: if either is not there.
        """
        return cls(VAE.load(vae), load_world_model(dit), sampling or Sampling())

    @classmethod
    def from_version(cls, folder: str | Path) -> "VideoGenerator":
        """Load a model version, with the sampling of its recipe.

        Raises:
            KinoraError: if it is no whole model version.
        """
        version = read_version(folder)
        sampling = from_dict(Sampling, read_json(version.path / "recipe.json")["sampling"])
        return cls.load(version.path / "vae", version.path / "dit", sampling)

    @property
    def grid(self) -> Grid:
        """The sizes and lengths of clips that this model makes."""
        return self.vae.config.grid(self.model.dit.config.patch_size)

    @torch.inference_mode()
    def generate(
        self, requests: Sequence[GenerationRequest], on_step: Callable[[int, int], None] | None = None
    ) -> list[np.ndarray]:
        """Make one clip `uint8 [T, H, W, 3]` for each request.

        Requests of any sizes are packed together. A clip depends on its own request and seed alone, up to the
        rounding of matrix products. `on_step` is called with (steps done, steps in all).

        Raises:
            UsageError: if this model cannot make a clip of the size or length asked for.
        """
        for request in requests:
            request.check(self.grid)
        starts = [self._start(request) for request in requests]
        clips: list[np.ndarray] = []
        packs = list(
            _packs([start.noise.numel() for start in starts], TOKENS_AT_ONCE * self.model.dit.config.token_dim)
        )
        for number, (first, last) in enumerate(packs):
            step = _offset(on_step, number, len(packs))
            latents = self._sample(requests[first:last], starts[first:last], step)
            clips += [self._finish(r, z) for r, z in zip(requests[first:last], latents, strict=True)]
        return clips

    def caption(self, prompt: str) -> str:
        """Return the descriptive caption that a prompt is generated from, as far as the model knows its words."""
        expanded = expand(prompt)
        return prompt if self.model.text_encoder.unknown_words(expanded) else expanded

    def _start(self, request: GenerationRequest) -> Start:
        t, h, w = self.vae.config.latent_shape(request.frames, request.height, request.width)
        shape = (self.vae.config.latent_channels, t, h, w)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(request.seed))
        known = self._known(request)
        clean = torch.zeros(shape)
        if known is None:
            return Start(noise, clean, conditioning_frames(Task.TEXT, t))
        given = conditioning_frames(request.task, t, known.shape[1])
        clean[:, torch.tensor(given)] = known
        return Start(noise, clean, given)

    def _known(self, request: GenerationRequest) -> Tensor | None:
        """Return the given latent frames `[z, k, h, w]`, or None."""
        if request.task is Task.TEXT:
            return None
        if request.image is not None:
            frames = request.image[None]
        else:
            assert request.video is not None
            context = request.context_frames(self.grid)
            frames = request.video[:context] if request.task is Task.BACKWARD else request.video[-context:]
        video = to_tensor(fitted(frames, request.width, request.height))[None].to(self.device)
        latent = self.vae.normalise(self.vae.encode(video)[0])[0].cpu()
        # Looking backward, the given frames do not begin the clip: the latent of a first frame has no place there.
        return latent[:, 1:] if request.task is Task.BACKWARD else latent

    def _sample(
        self, requests: Sequence[GenerationRequest], starts: Sequence[Start], on_step: Callable[[int, int], None] | None
    ) -> list[Tensor]:
        patch = self.model.dit.config.patch_size
        grids = [patch_grid(start.noise.shape, patch) for start in starts]
        layout = layout_of(grids, [request.fps / self.vae.config.temporal for request in requests])
        tokens = sample(
            self.model.dit,
            self.model.text_encoder,
            [self.caption(requests[i].prompt) for i in layout.order],
            layout.to(self.device),
            pack([start.noise for start in starts], layout, patch).to(self.device),
            pack([start.clean for start in starts], layout, patch).to(self.device),
            conditioning_mask(layout, [start.given for start in starts]).to(self.device),
            self.sampling,
            on_step,
        )
        return unpack(tokens, layout, patch)

    def _finish(self, request: GenerationRequest, latent: Tensor) -> np.ndarray:
        """Decode, and join an extension with the video that it extends."""
        frames = to_frames(self.vae.decode(self.vae.denormalise(latent[None]))[0])
        if request.video is None:
            return frames
        video, context = fitted(request.video, request.width, request.height), request.context_frames(self.grid)
        if request.task is Task.FORWARD:
            return np.concatenate([video, frames[context:]])
        return np.concatenate([frames[: request.frames - context], video])


def _packs(sizes: list[int], limit: int) -> list[tuple[int, int]]:
    """Cut a list of sizes into runs (first, last) of at most `limit` in sum, one item at least."""
    runs, first = [], 0
    for last in range(1, len(sizes) + 1):
        if last == len(sizes) or sum(sizes[first : last + 1]) > limit:
            runs.append((first, last))
            first = last
    return runs


def _offset(on_step: Callable[[int, int], None] | None, number: int, packs: int) -> Callable[[int, int], None] | None:
    if on_step is None:
        return None
    return lambda done, steps: on_step(number * steps + done, packs * steps)
