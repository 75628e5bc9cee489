"""The video generator: an autoencoder, a text encoder and a transformer, and the one loop that serves every task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinora.captioning.expand import expand
from kinora.config import from_dict
from kinora.data.grid import Grid
from kinora.data.packing import Segment, layout_of, pack, patch_grid, unpack
from kinora.diffusion.conditioning import Task, conditioning_frames, conditioning_mask
from kinora.diffusion.sampler import Sampling, sample
from kinora.generation.clip import GeneratedClip
from kinora.generation.model_version import read_version
from kinora.generation.registry import Registry
from kinora.generation.request import ClipFormat, GenerationRequest, Media, fitted, request_for
from kinora.media import to_frames, to_tensor
from kinora.models.autoencoder import Autoencoder, load_autoencoder
from kinora.models.precision import compute_dtype, device
from kinora.models.world_model import WorldModel, load_world_model
from kinora.storage import artifact_root as find_artifact_root

TOKENS_AT_ONCE = 8192  # requests are packed together up to about this many tokens


@dataclass(frozen=True)
class SamplingInput:
    """What one clip is sampled from: noise `[z, t, h, w]`, the conditioning latent, as large, and which of its frames
    condition the clip; the others are zero."""

    noise: Tensor
    conditioning: Tensor
    conditioning_frames: list[bool]


class VideoGenerator:
    """Makes clips. One object serves many requests; it keeps no state between them."""

    def __init__(self, vae: Autoencoder, model: WorldModel, sampling: Sampling, usual: ClipFormat | None = None):
        self.device = device()
        self.vae = vae.for_inference()
        self.model = model.to(self.device, compute_dtype()).eval().requires_grad_(False)
        self.model.text_encoder.load_pretrained()
        self.sampling = sampling
        self.usual = usual or ClipFormat()  # what is made where a request leaves it open

    @classmethod
    def load(cls, vae: str | Path, dit: str | Path, sampling: Sampling | None = None) -> "VideoGenerator":
        """Load an autoencoder's and a transformer checkpoint's folders.

        Raises:
            KinoraError: if either is not there.
        """
        return cls(load_autoencoder(vae), load_world_model(dit), sampling or Sampling())

    @classmethod
    def from_version(cls, version: str | Path = "", artifact_root: str = "") -> "VideoGenerator":
        """Load a model version, with the sampling of its recipe and the size, length and rate of its training clips.

        Args:
            version: its folder, s3:// address or name in the registry; the deployed one if empty.
            artifact_root: where the registry is; as `kinora.storage.artifact_root` finds it if empty.

        Raises:
            KinoraError: if there is no such version, or it is not whole.
        """
        here = version and Path(version).is_dir()  # then no registry is asked, which may be far away
        found = read_version(version) if here else Registry(find_artifact_root(artifact_root)).find(str(version))
        recipe = found.record("recipe")
        generator = cls.load(found.path / "vae", found.path / "dit", from_dict(Sampling, recipe["sampling"]))
        generator.usual = usual_format(recipe)
        return generator

    @property
    def grid(self) -> Grid:
        """The sizes and lengths of clips that this model makes."""
        return self.vae.config.grid(self.model.dit.config.patch_size)

    def __call__(
        self,
        prompt: str,
        *,
        size: tuple[int, int] | None = None,
        frames: int | None = None,
        fps: float | None = None,
        seed: int = 0,
        image: Media | None = None,
        extend: Media | None = None,
        direction: str = "forward",
        on_step: Callable[[int, int], None] | None = None,
    ) -> GeneratedClip:
        """Make one clip; what is None is filled in as `request_for` says.

        Args:
            prompt: what the clip shows.
            size: width and height in pixels.
            frames: 1 makes an image.
            fps: frames a second.
            seed: another seed makes another clip.
            image: the first frame, as an array `uint8 [H, W, 3]` or a file.
            extend: the video to extend in `direction`, "forward" or "backward", as `uint8 [T, H, W, 3]` or a file.
            on_step: called with (steps done, steps in all).

        Raises:
            UsageError: if this model cannot make it, or read all of the prompt.
            KinoraError: if a file is missing or cannot be decoded.
        """
        self.check_prompt(prompt)
        request = request_for(
            prompt,
            self.grid,
            self.usual,
            size=size,
            frames=frames,
            fps=fps,
            seed=seed,
            image=image,
            extend=extend,
            direction=direction,
        )
        return GeneratedClip(self.generate([request], on_step)[0], request.fps, prompt)

    @torch.inference_mode()
    def generate(
        self, requests: Sequence[GenerationRequest], on_step: Callable[[int, int], None] | None = None
    ) -> list[np.ndarray]:
        """Make one clip `uint8 [T, H, W, 3]` for each request.

        Requests of any sizes are packed together. A clip depends on its own request and seed alone, up to the
        rounding of matrix products. `on_step` is called with (steps done, steps in all). A prompt that is too long is
        cut, as captions are in training: whoever asks for a person calls `check_prompt` first.

        Raises:
            UsageError: if this model cannot make a clip of the size or length asked for.
        """
        for request in requests:
            request.check(self.grid)
        inputs = [self._sampling_input(request) for request in requests]
        clips: list[np.ndarray] = []
        packs = list(_packs([one.noise.numel() for one in inputs], TOKENS_AT_ONCE * self.model.dit.config.token_dim))
        for number, (first, last) in enumerate(packs):
            step = _offset(on_step, number, len(packs))
            latents = self._sample(requests[first:last], inputs[first:last], step)
            clips += [self._finish(r, z) for r, z in zip(requests[first:last], latents, strict=True)]
        return clips

    def caption(self, prompt: str) -> str:
        """Return the descriptive caption that a prompt stands for, if the model knows and reads all its words."""
        expanded, encoder = expand(prompt), self.model.text_encoder
        fits = encoder.length(expanded) <= encoder.config.max_words and not encoder.unknown_words(expanded)
        return expanded if fits else prompt

    def check_prompt(self, prompt: str) -> None:
        """Refuse a prompt that would be cut.

        Raises:
            UsageError: if it is longer than the model reads.
        """
        self.model.text_encoder.check_length(prompt)

    def unknown_words(self, prompt: str) -> list[str]:
        """Return the words of a prompt that no training caption held, each once."""
        return list(dict.fromkeys(self.model.text_encoder.unknown_words(prompt)))

    def _sampling_input(self, request: GenerationRequest) -> SamplingInput:
        t, h, w = self.vae.config.latent_shape(request.frames, request.height, request.width)
        shape = (self.vae.config.latent_channels, t, h, w)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(request.seed))
        conditioning = torch.zeros(shape)
        latent = self._conditioning_latent(request)
        if latent is None:
            return SamplingInput(noise, conditioning, conditioning_frames(Task.TEXT, t))
        frames = conditioning_frames(request.task, t, latent.shape[1])
        conditioning[:, torch.tensor(frames)] = latent
        return SamplingInput(noise, conditioning, frames)

    def _conditioning_latent(self, request: GenerationRequest) -> Tensor | None:
        """Return the latent `[z, k, h, w]` of the k conditioning frames, None where text alone conditions the clip."""
        if request.task is Task.TEXT:
            return None
        if request.image is not None:
            frames = request.image[None]
        else:
            assert request.video is not None
            context = request.context_frames(self.grid)
            frames = request.video[:context] if request.task is Task.BACKWARD else request.video[-context:]
        video = to_tensor(fitted(frames, request.width, request.height))[None]
        latent = self.vae.latents_of(video)[0].cpu()
        # Looking backward, these frames do not begin the clip: the latent of a first frame has no place there.
        return latent[:, 1:] if request.task is Task.BACKWARD else latent

    def _sample(
        self,
        requests: Sequence[GenerationRequest],
        inputs: Sequence[SamplingInput],
        on_step: Callable[[int, int], None] | None,
    ) -> list[Tensor]:
        patch = self.model.dit.config.patch_size
        grids = [patch_grid(one.noise.shape, patch) for one in inputs]
        rates = [request.fps / self.vae.config.temporal for request in requests]
        layout = layout_of([Segment(grid, rate) for grid, rate in zip(grids, rates, strict=True)])
        tokens = sample(
            self.model.dit,
            self.model.text_encoder,
            self.model.text_encoder.prepare([self.caption(requests[i].prompt) for i in layout.order]),
            layout.to(self.device),
            pack([one.noise for one in inputs], layout, patch).to(self.device),
            pack([one.conditioning for one in inputs], layout, patch).to(self.device),
            conditioning_mask(layout, [one.conditioning_frames for one in inputs]).to(self.device),
            self.sampling,
            on_step,
        )
        return unpack(tokens, layout, patch)

    def _finish(self, request: GenerationRequest, latent: Tensor) -> np.ndarray:
        """Decode, and join an extension with the video that it extends."""
        size = (request.frames, request.height, request.width)
        frames = np.concatenate([to_frames(chunk[0]) for chunk in self.vae.decode_stream([latent[None]], size)])
        if request.video is None:
            return frames
        video, context = fitted(request.video, request.width, request.height), request.context_frames(self.grid)
        if request.task is Task.FORWARD:
            return np.concatenate([video, frames[context:]])
        return np.concatenate([frames[: request.frames - context], video])


def usual_format(recipe: Mapping[str, Any]) -> ClipFormat:
    """Return the first size, the greatest length and the rate of the clips that a resolved recipe trains on."""
    ingest = recipe.get("ingest", {})
    width, height = ingest.get("worlds", {}).get("sizes", [(ClipFormat.width, ClipFormat.height)])[0]
    return ClipFormat(width, height, ingest.get("max_frames", ClipFormat.frames), ingest.get("fps", ClipFormat.fps))


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
