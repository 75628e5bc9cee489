"""The video generator: an autoencoder, a text encoder and a transformer, and the one loop that serves every task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from kinora.captioning.expand import expand
from kinora.config import from_dict
from kinora.data.grid import Grid
from kinora.data.packing import patch_grid
from kinora.diffusion.sampler import Sampling
from kinora.errors import UsageError
from kinora.generation.clip import GeneratedClip, metadata_of
from kinora.generation.denoising import Sketch, sample_latents
from kinora.generation.fitting import fitted
from kinora.generation.model_version import read_version
from kinora.generation.options import RequestOptions, request_for
from kinora.generation.registry import Registry
from kinora.generation.request import ClipFormat, GenerationRequest, Task
from kinora.generation.step import OnStep, Step
from kinora.generation.words import refuse_unknown, unknown_words
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
        self.version = ""  # the name of the model version, where it is one

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
        generator.usual, generator.version = usual_format(recipe), found.name
        return generator

    @property
    def grid(self) -> Grid:
        """The sizes and lengths of clips that this model makes."""
        return self.vae.config.grid(self.model.dit.config.patch_size)

    def __call__(
        self,
        prompt: str,
        *,
        on_step: OnStep | None = None,
        allow_unknown_words: bool = False,
        **options: Unpack[RequestOptions],
    ) -> GeneratedClip:
        """Make one clip; what is left out is filled in as `request_for` says.

        Args:
            prompt: what the clip shows.
            on_step: called after every step.
            allow_unknown_words: go by the other words where some of the prompt's were never seen.
            options: `size` and the fields of a `GenerationRequest`; media are arrays or files.

        Raises:
            UsageError: if this model cannot make it, or cannot read all of the prompt.
            KinoraError: if a file is missing or cannot be decoded.
        """
        request = request_for(prompt, self.grid, self.usual, options)
        self.check_prompts(request, allow_unknown_words)
        return GeneratedClip(self.generate([request], on_step)[0], request.fps, prompt, self.metadata(request))

    @torch.inference_mode()
    def generate(self, requests: Sequence[GenerationRequest], on_step: OnStep | None = None) -> list[np.ndarray]:
        """Make one clip `uint8 [T, H, W, 3]` for each request.

        Requests of any sizes are packed together. A clip depends on its own request and seed alone, up to the
        rounding of matrix products. A prompt that is too long is cut, as captions are in training, and words never seen
        count as unknown ones: whoever asks for a person calls `check_prompts` first.

        Args:
            requests: what to make.
            on_step: called after every step, of all packs together; what it raises ends the sampling.

        Raises:
            UsageError: if this model cannot make a clip of the size or length asked for.
        """
        for request in requests:
            request.check(self.grid)
            later = request.loop or request.last_image is not None
            if request.task not in (Task.TEXT, Task.IMAGE, Task.EXTEND) or later:
                raise UsageError(f"the task '{request.task}' comes later today.")
        clips: list[np.ndarray | None] = [None] * len(requests)
        for number, request in enumerate(requests):
            if request.task is Task.EXTEND:
                clips[number] = self._extend(request, on_step)
        rest = [number for number, clip in enumerate(clips) if clip is None]
        inputs = [self._sampling_input(requests[number]) for number in rest]
        packs = list(_packs([one.noise.numel() for one in inputs], TOKENS_AT_ONCE * self.model.dit.config.token_dim))
        for number, (first, last) in enumerate(packs):
            step = _offset(on_step, number, len(packs))
            chosen = [requests[place] for place in rest[first:last]]
            latents = self._sample(chosen, inputs[first:last], step)
            for place, request, z in zip(rest[first:last], chosen, latents, strict=True):
                clips[place] = self._decode(request, z)
        return [clip for clip in clips if clip is not None]

    def _extend(self, request: GenerationRequest, on_step: OnStep | None) -> np.ndarray:
        """Make windows of the model's usual length, each beside the last, until the clip is long enough."""
        assert request.video is not None
        video = fitted(request.video, request.width, request.height)
        window = max(self.grid.shortest_video + self.grid.frames, self.grid.longest_within(self.usual.frames))
        seed, first, backward = request.seed, len(video), request.direction == "backward"
        context = self.grid.longest_within(min(first, window // 2 + 1))
        windows = -(-(request.frames - first) // (window - context))
        for number in range(windows):
            part = replace(request, frames=len(video) + window - context, video=video, seed=seed + number)
            given = video[:context] if backward else video[-context:]
            latent = self.vae.latents_of(to_tensor(given)[None])[0].cpu()
            latent = latent[:, 1:] if backward else latent
            made = self._sample([part], [self._input(part, window, latent)], _offset(on_step, number, windows))[0]
            frames = self._decode(replace(part, task=Task.TEXT, video=None, frames=window), made)
            video = np.concatenate([frames[:-context], video] if backward else [video, frames[context:]])
        return np.ascontiguousarray(video[-request.frames :] if backward else video[: request.frames])

    def caption(self, prompt: str) -> str:
        """Return the descriptive caption that a prompt stands for, if the model knows and reads all its words."""
        expanded, encoder = expand(prompt), self.model.text_encoder
        fits = encoder.length(expanded) <= encoder.config.max_words and not encoder.unknown_words(expanded)
        return expanded if fits else prompt

    def _sentence(self, request: GenerationRequest) -> str:
        return self.caption(request.prompt) if request.expand else request.prompt

    def metadata(self, request: GenerationRequest) -> dict[str, Any]:
        """Return how this makes a clip, for the clip's file: prompt, what is sampled, seed, version, settings."""
        return metadata_of(request, self._sentence(request), self.version, self.sampling)

    def check_prompts(self, request: GenerationRequest, allow_unknown_words: bool = False) -> None:
        """Refuse prompts that would be cut, or hold words that no training caption held.

        Raises:
            UsageError: if they are longer than the model reads, or it never saw some of their words.
        """
        for prompt in (request.prompt, request.negative_prompt):
            self.check_prompt(prompt)
            if not allow_unknown_words:
                refuse_unknown(prompt, self.model.text_encoder.config.vocabulary, expanded=request.expand)

    def check_prompt(self, prompt: str) -> None:
        """Refuse a prompt that would be cut.

        Raises:
            UsageError: if it is longer than the model reads.
        """
        self.model.text_encoder.check_length(prompt)

    def unknown_words(self, prompt: str, expanded: bool = True) -> list[str]:
        """Return the words of a prompt that no training caption held, nor its expansion says otherwise, each once."""
        return unknown_words(prompt, self.model.text_encoder.config.vocabulary, expanded=expanded)

    def _sampling_input(self, request: GenerationRequest) -> SamplingInput:
        if request.image is None:
            return self._input(request, request.frames, None)
        video = to_tensor(self._on_grid(fitted(request.image[None], request.width, request.height)))[None]
        return self._input(request, request.frames, self.vae.latents_of(video)[0].cpu())

    def _on_grid(self, frames: np.ndarray) -> np.ndarray:
        """Repeat the last row and column until both are on the grid."""
        missing = (-side % self.grid.side for side in frames.shape[1:3])
        return np.pad(frames, ((0, 0), *((0, more) for more in missing), (0, 0)), mode="edge")

    def _input(self, request: GenerationRequest, window: int, latent: Tensor | None) -> SamplingInput:
        width, height = (-(-side // self.grid.side) * self.grid.side for side in (request.width, request.height))
        t, h, w = self.vae.config.latent_shape(window, height, width)
        shape = (self.vae.config.latent_channels, t, h, w)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(request.seed))
        conditioning = torch.zeros(shape)
        given = 0 if latent is None else latent.shape[1]
        backward = request.task is Task.EXTEND and request.direction == "backward"
        frames = [place >= t - given if backward else place < given for place in range(t)]
        if latent is not None:
            conditioning[:, torch.tensor(frames)] = latent
        return SamplingInput(noise, conditioning, frames)

    def _sample(
        self,
        requests: Sequence[GenerationRequest],
        inputs: Sequence[SamplingInput],
        on_step: OnStep | None,
    ) -> list[Tensor]:
        patch = self.model.dit.config.patch_size
        sketches = []
        for request, one in zip(requests, inputs, strict=True):
            _, rows, columns = patch_grid(one.noise.shape, patch)
            given = torch.tensor(one.conditioning_frames)[:, None, None].expand(-1, rows, columns)
            rate = request.fps / self.vae.config.temporal
            sentence = self._sentence(request)
            sketches.append(Sketch(sentence, request.negative_prompt, rate, one.noise, one.conditioning, given))
        usual = self.vae.config.latent_shape(self.usual.frames, self.usual.height, self.usual.width)
        _, rows, columns = patch_grid((0, *usual), 1)
        window = max(usual[0], *(sketch.noise.shape[1] for sketch in sketches)), rows, columns

        def told(done: int, steps: int, latents: Callable[[], list[Tensor]]) -> None:
            if on_step is not None:
                on_step(Step(done, steps, lambda: self._decode(requests[0], latents()[0])))

        return sample_latents(self.model, sketches, self.sampling, window, self.device, told)

    def _decode(self, request: GenerationRequest, latent: Tensor) -> np.ndarray:
        size = (request.frames, request.height, request.width)
        return np.concatenate([to_frames(chunk[0]) for chunk in self.vae.decode_stream([latent[None]], size)])


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


def _offset(on_step: OnStep | None, number: int, packs: int) -> OnStep | None:
    if on_step is None:
        return None
    return lambda step: on_step(replace(step, done=number * step.steps + step.done, steps=packs * step.steps))
