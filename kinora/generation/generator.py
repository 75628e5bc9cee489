"""The video generator: an autoencoder, a text encoder and a transformer, and what they make together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch

from kinora.captioning.expand import Rewriter, expand, open_rewriter
from kinora.captioning.writers import CaptionConfig
from kinora.config import from_dict
from kinora.data.grid import Grid
from kinora.diffusion.sampler import Sampling
from kinora.generation.clip import GeneratedClip, metadata_of
from kinora.generation.denoising import TOKENS_AT_ONCE
from kinora.generation.maker import Maker, Progress
from kinora.generation.memory import check_memory
from kinora.generation.model_version import read_version
from kinora.generation.options import RequestOptions, request_for
from kinora.generation.registry import Registry
from kinora.generation.request import ClipFormat, GenerationRequest, Task
from kinora.generation.step import OnStep
from kinora.generation.words import refuse_unknown, unknown_words
from kinora.models.autoencoder import Autoencoder, load_autoencoder
from kinora.models.precision import compute_dtype, device
from kinora.models.world_model import WorldModel, load_world_model
from kinora.storage import artifact_root as find_artifact_root


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
        self.rewrite: Rewriter | None = None  # puts prompts into the style of captions, besides the rules

    @classmethod
    def load(cls, vae: str | Path, dit: str | Path, sampling: Sampling, usual: ClipFormat) -> "VideoGenerator":
        """Load an autoencoder's and a transformer checkpoint's folders.

        `usual` is the format of its training clips: larger clips are drafted in it, and longer ones made in windows.

        Raises:
            KinoraError: if either is not there.
        """
        return cls(load_autoencoder(vae), load_world_model(dit), sampling, usual)

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
        sampling = from_dict(Sampling, recipe["sampling"])
        generator = cls.load(found.path / "vae", found.path / "dit", sampling, usual_format(recipe))
        generator.version = found.name
        generator.rewrite = open_rewriter(from_dict(CaptionConfig, recipe.get("captions", {})))
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
            on_step: called after every step, of all clips together; what it raises ends the sampling.

        Raises:
            UsageError: if this model cannot make a clip that is asked for, or this machine has too little memory.
            KinoraError: if its autoencoder cannot decode a loop.
        """
        for request in requests:
            self.check(request)
        maker = self._maker
        groups = list(_groups(maker, requests))
        progress = Progress(on_step, sum(maker.steps(group[0]) for group in groups))
        clips: list[np.ndarray] = []
        for group in groups:
            clips += maker.together(group, progress) if len(group) > 1 else [maker.alone(group[0], progress)]
        return clips

    @torch.inference_mode()
    def stream(self, request: GenerationRequest, on_step: OnStep | None = None) -> Iterator[np.ndarray]:
        """Yield a clip as it is made, in parts `uint8 [n, H, W, 3]`: the same frames as of `generate`.

        A clip that goes on from a prompt, a first image or a video, at about the model's usual size, is made in a
        window that slides, and takes no more memory however long it is. All others are made as a whole first.

        Raises:
            UsageError: if this model cannot make it, or this machine has too little memory.
        """
        maker = self._maker
        backward = request.task is Task.EXTEND and request.direction == "backward"
        if backward or not maker.slides(request) or len(maker.levels(request)) > 1:
            yield from self.generate([request], on_step)
            return
        request.check(self.grid)
        yield from maker.streamed(request, Progress(on_step, maker.steps(request)))

    def check(self, request: GenerationRequest) -> None:
        """Check that this model and this machine can make a clip.

        Raises:
            UsageError: if they cannot.
            KinoraError: if its autoencoder cannot decode a loop.
        """
        request.check(self.grid)
        check_memory(request, self.vae.config, self.device)
        if request.loop:
            self.vae.loop_of(torch.zeros(1, self.vae.config.latent_channels, 1, 1, 1))

    @property
    def _maker(self) -> Maker:
        return Maker(self.vae, self.model, self.sampling, self.usual, self.device, self._sentence)

    def caption(self, prompt: str) -> str:
        """Return the descriptive caption that a prompt stands for, if the model knows and reads all its words."""
        expanded, encoder = expand(prompt, self.rewrite), self.model.text_encoder
        fits = encoder.length(expanded) <= encoder.config.max_words and not encoder.unknown_words(expanded)
        return expanded if fits else prompt

    def _sentence(self, request: GenerationRequest) -> str:
        if request.task is Task.CONNECT:
            return ""  # a sentence is of one scene, and would pull the whole way to it at once
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
            self.model.text_encoder.check_length(prompt)
            if not allow_unknown_words:
                refuse_unknown(prompt, self.model.text_encoder.config.vocabulary, expanded=request.expand)

    def unknown_words(self, prompt: str, expanded: bool = True) -> list[str]:
        """Return the words of a prompt that no training caption held, nor its expansion says otherwise, each once."""
        return unknown_words(prompt, self.model.text_encoder.config.vocabulary, expanded=expanded)


def usual_format(recipe: Mapping[str, Any]) -> ClipFormat:
    """Return the first size, the greatest length and the rate of the clips that a resolved recipe trains on."""
    ingest = recipe.get("ingest", {})
    width, height = ingest.get("worlds", {}).get("sizes", [(ClipFormat.width, ClipFormat.height)])[0]
    return ClipFormat(width, height, ingest.get("max_frames", ClipFormat.frames), ingest.get("fps", ClipFormat.fps))


def _groups(maker: Maker, requests: Sequence[GenerationRequest]) -> Iterator[list[GenerationRequest]]:
    """Yield runs of requests that are sampled together, in their order: of about as many tokens as windows are."""
    group: list[GenerationRequest] = []
    held = 0
    for request in requests:
        tokens = maker.latents(request) * -(-request.width // maker.grid.side) * -(-request.height // maker.grid.side)
        alone = maker.slides(request) or len(maker.levels(request)) > 1
        if group and (alone or held + tokens > TOKENS_AT_ONCE):
            yield group
            group, held = [], 0
        if alone:
            yield [request]
            continue
        group.append(request)
        held += tokens
    if group:
        yield group
