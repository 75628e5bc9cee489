"""How the frames of requests are made: together, or alone in levels of size or in a window that slides over time.

Axes: T frames, H rows, W columns of pixels; z latent channels, t, h, w of latents.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from kinora.data.grid import Grid
from kinora.data.packing import Grid3
from kinora.diffusion.sampler import Sampling
from kinora.generation.canvas import REACH, Canvas, canvas_of, joined, span_of
from kinora.generation.decoding import frames_of, frames_stream
from kinora.generation.denoising import OnLatents, Sketch, sample_latents
from kinora.generation.fitting import fitted
from kinora.generation.full_size import STEPS, STRENGTH, enlarged, levels, with_detail
from kinora.generation.pacing import paced, steps_of
from kinora.generation.request import ClipFormat, GenerationRequest, Task
from kinora.generation.rolling import Plan, Roll, roll
from kinora.generation.step import OnStep, Step
from kinora.models.autoencoder import Autoencoder
from kinora.models.world_model import WorldModel

BETWEEN = 0.5  # the time from which frames between given ones are made, beginning as a blend of them


class Progress:
    """Counts the steps of several samplings as those of one."""

    def __init__(self, on_step: OnStep | None, steps: int):
        self.on_step, self.steps, self.done = on_step, steps, 0

    def of(self, steps: int, show: Callable[[Tensor], np.ndarray]) -> OnLatents:
        """Return what is told of the next sampling, of so many steps; `show` makes frames of its first latent."""
        before, self.done = self.done, self.done + steps

        def tell(done: int, _: int, latents: Callable[[], list[Tensor]]) -> None:
            if self.on_step is not None:
                self.on_step(Step(before + done, self.steps, lambda: show(latents()[0])))

        return tell


@dataclass(frozen=True)
class Maker:
    """Makes frames; `sentence` says what is sampled for a request's prompt, `usual` what the model was trained on."""

    vae: Autoencoder
    model: WorldModel
    sampling: Sampling
    usual: ClipFormat
    device: torch.device
    sentence: Callable[[GenerationRequest], str]

    @property
    def patch(self) -> int:
        """Latent pixels of a patch, each way."""
        return self.model.dit.config.patch_size

    @property
    def grid(self) -> Grid:
        """The sizes and lengths that the model takes."""
        return self.vae.config.grid(self.patch)

    @property
    def window(self) -> Grid3:
        """Latent frames, rows and columns of patches that the model looks at together: those of a usual clip."""
        t, _, _ = self.vae.config.latent_shape(self.usual.frames, 1, 1)
        side = max(1, round((self.usual.width * self.usual.height) ** 0.5 / self.grid.side))
        return t, side, side

    def levels(self, request: GenerationRequest) -> list[tuple[int, int]]:
        """Return the sizes at which a request is made, the last its own."""
        return levels(request.width, request.height, self.usual.width * self.usual.height, self.grid)

    def latents(self, request: GenerationRequest) -> int:
        """Return the latent frames of a request's canvas."""
        frames = span_of(request, self.vae.config.temporal)[1]
        return self.vae.config.latent_shape(frames, 1, 1)[0]

    def slides(self, request: GenerationRequest) -> bool:
        """Say whether a request is made in a window that slides: what goes on and is longer than a usual clip."""
        goes_on = request.task in (Task.TEXT, Task.IMAGE, Task.EXTEND) and request.last_image is None
        return goes_on and not request.loop and self.latents(request) > self.window[0]

    def steps(self, request: GenerationRequest) -> int:
        """Return how many steps a request takes."""
        first = self.sampling.steps
        if self.slides(request):
            held = self._held(request)
            first = Plan.of(self.window[0], first).rounds(held, self.latents(request) - held, first)
        return first + self._refinement.steps * (len(self.levels(request)) - 1)

    def together(self, requests: Sequence[GenerationRequest], progress: Progress) -> list[np.ndarray]:
        """Make clips of one level in one sampling."""
        canvases = [self._canvas(request, (request.width, request.height)) for request in requests]
        pairs = list(zip(requests, canvases, strict=True))
        sketches = [self._sketch(request, canvas, self._noise(request, 0)) for request, canvas in pairs]
        told = progress.of(self.sampling.steps, partial(self._frames, *pairs[0]))
        latents = sample_latents(self.model, sketches, self.sampling, self.window, self.device, told)
        return [self._frames(*pair, latent) for pair, latent in zip(pairs, latents, strict=True)]

    def alone(self, request: GenerationRequest, progress: Progress) -> np.ndarray:
        """Make a clip level by level."""
        first, *larger = self.levels(request)
        small = replace_size(request, first)
        frames = self._slid(small, progress) if self.slides(request) else self.together([small], progress)[0]
        for number, size in enumerate(larger, 1):
            part = replace_size(request, size)
            canvas = self._canvas(part, size)
            sketch = self._enlarged(part, canvas, frames, self._noise(part, number))
            told = progress.of(self._refinement.steps, partial(self._frames, part, canvas))
            made = sample_latents(self.model, [sketch], self._refinement, self.window, self.device, told)
            frames = self._frames(part, canvas, made[0])
        return frames

    def streamed(self, request: GenerationRequest, progress: Progress) -> Iterator[np.ndarray]:
        """Yield the frames `[n, H, W, 3]` of a clip that slides forward, as they are made."""
        canvas, history = self._begun(request)
        given = self._given(request, (request.width, request.height))
        new = self._rolled(request, canvas, history, progress)
        latents = itertools.chain([history] if history.shape[1] else [], new)
        size = (canvas.before + request.frames, request.height, request.width)
        place = -canvas.before
        last = np.zeros((0, *given.shape[1:]), np.uint8)  # the last given frame as it was decoded
        for chunk in frames_stream(self.vae, latents, size):
            frames = chunk[max(0, -place) :]
            first, place = max(0, place), place + len(chunk)
            own = given[first : first + len(frames)]
            if len(own):
                last = frames[len(own) - 1 : len(own)]
            if first - len(given) < REACH and len(last) and len(own) < len(frames):
                frames = self._met(frames, given, last, first)
            if len(frames):
                yield np.concatenate([own, frames[len(own) :]])

    def _met(self, frames: np.ndarray, given: np.ndarray, last: np.ndarray, first: int) -> np.ndarray:
        """Return frames from number `first` on that meet the given ones before them; see `joined`."""
        blank = max(0, first - len(given))  # frames between the last given one and these
        skipped = max(0, len(given) - first)  # of these that are given
        between = np.repeat(last, blank, axis=0)
        row = np.concatenate([last, between, frames[skipped:]])
        own = np.concatenate([given[-1:], row[1:]])
        known = np.arange(len(row)) == 0
        return np.concatenate([frames[:skipped], joined(row, own, known)[1 + blank :]])

    def _slid(self, request: GenerationRequest, progress: Progress) -> np.ndarray:
        """Return the frames of a clip that slides, forward or backward."""
        if not _is_backward(request):
            return np.concatenate(list(self.streamed(request, progress)))
        canvas, history = self._begun(request)
        new = list(self._rolled(request, canvas, history, progress))
        latent = torch.cat([*reversed(new), history], dim=1)
        before = span_of(request, self.vae.config.temporal)[0]
        frames = frames_of(self.vae, latent)[before : before + request.frames]
        frames = frames[:, : request.height, : request.width]
        given = self._given(request, (request.width, request.height))
        known = np.arange(len(frames)) >= len(frames) - len(given)
        video = np.concatenate([frames[~known], given])
        return np.where(known[:, None, None, None], video, joined(frames, video, known))

    def _begun(self, request: GenerationRequest) -> tuple[Canvas, Tensor]:
        """Return the canvas of what a clip goes on from, and its latents: those that are known as a whole."""
        given = self._held(request)
        frames = 1 if request.video is None else len(request.video)
        short = replace(request, frames=frames + 1) if given else request
        canvas = self._canvas(short, (request.width, request.height))
        if not given:
            z, (_, h, w) = self.vae.config.latent_channels, canvas.latent_shape(self.vae)
            return canvas, torch.zeros(z, 0, h, w)
        known, _ = canvas.tokens_known(self.vae, self.patch)
        return canvas, canvas.latents(self.vae).cpu()[:, known.all(dim=(1, 2))]

    def _rolled(
        self, request: GenerationRequest, canvas: Canvas, history: Tensor, progress: Progress
    ) -> Iterator[Tensor]:
        _, h, w = canvas.latent_shape(self.vae)
        wish = Roll(
            self.sentence(request),
            request.negative_prompt,
            request.fps / self.vae.config.temporal,
            (self.vae.config.latent_channels, h, w),
            self.latents(request) - history.shape[1],
            history,
            self._noise(request, 0),
            _is_backward(request),
        )
        rounds = Plan.of(self.window[0], self.sampling.steps).rounds(history.shape[1], wish.count, self.sampling.steps)
        told = progress.of(rounds, partial(frames_of, self.vae))
        return roll(self.model, wish, self.sampling, self.window, self.device, told)

    def _given(self, request: GenerationRequest, size: tuple[int, int]) -> np.ndarray:
        """Return the given frames `[T, H, W, 3]` that a clip goes on from, at a size (width, height); maybe none."""
        if request.video is not None:
            return fitted(request.video, *size)
        return np.zeros((0, *size[::-1], 3), np.uint8) if request.image is None else fitted(request.image[None], *size)

    def _held(self, request: GenerationRequest) -> int:
        """Return the latent frames that a request goes on from."""
        if request.video is None:
            return int(request.image is not None)
        frames, temporal = len(request.video), self.vae.config.temporal
        return -(-frames // temporal) if _is_backward(request) else 1 - (1 - frames) // temporal

    @property
    def _refinement(self) -> Sampling:
        """How an enlarged draft is sampled: without guidance, since what the prompt asks for is in it."""
        return replace(self.sampling, steps=max(2, round(STEPS * self.sampling.steps)), guidance=1.0)

    def _canvas(self, request: GenerationRequest, size: tuple[int, int]) -> Canvas:
        return canvas_of(request, self.grid.side, self.vae.config.temporal, size)

    def _noise(self, request: GenerationRequest, level: int) -> torch.Generator:
        """Return what draws the noise of a request, from its own seed alone."""
        state = np.random.SeedSequence([request.seed % 2**64, level]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(state[0]))

    def _sketch(self, request: GenerationRequest, canvas: Canvas, noise: torch.Generator) -> Sketch:
        """Return what a clip is sampled from on a canvas."""
        given, partly = canvas.tokens_known(self.vae, self.patch)
        shape = (self.vae.config.latent_channels, *canvas.latent_shape(self.vae))
        correct = partial(canvas.corrected, self.vae, partly=partly, patch=self.patch) if partly.any() else None
        begins = {Task.EDIT: self.sampling.time_of(request.strength), Task.INTERPOLATE: BETWEEN, Task.CONNECT: BETWEEN}
        return Sketch(
            self.sentence(request),
            request.negative_prompt,
            request.fps / self.vae.config.temporal,
            torch.randn(shape, generator=noise),
            canvas.latents(self.vae),
            given,
            begins.get(request.task, 1.0),
            loop=request.loop,
            correct=correct,
        )

    def _enlarged(
        self, request: GenerationRequest, canvas: Canvas, draft: np.ndarray, noise: torch.Generator
    ) -> Sketch:
        """Return what a clip is sampled from on a larger canvas, beginning from the draft."""
        frames = enlarged(draft, request.width, request.height)
        if request.task is Task.EDIT:
            own = self._given(request, (request.width, request.height))
            frames = with_detail(frames, own, 1 - request.strength)
        sketch = self._sketch(request, canvas, noise)
        begun = replace(canvas, video=canvas.placed(frames)).latents(self.vae)
        cells = sketch.given.repeat_interleave(self.patch, 1).repeat_interleave(self.patch, 2)
        clean = torch.where(cells.to(begun.device), sketch.clean.to(begun.device), begun)
        return replace(sketch, clean=clean, strength=STRENGTH)

    def _frames(self, request: GenerationRequest, canvas: Canvas, latent: Tensor) -> np.ndarray:
        """Return the frames of a finished clip, of the latent of its canvas."""
        size = (request.frames, request.height, request.width)
        frames = canvas.pasted(canvas.cut(frames_of(self.vae, latent, canvas.loop), size))
        return self._between(request, frames) if request.task is Task.CONNECT else frames

    def _between(self, request: GenerationRequest, frames: np.ndarray) -> np.ndarray:
        """Return the frames of a connection whose way changes nowhere faster than the two videos do."""
        assert request.video is not None
        assert request.to_video is not None
        first, last = len(request.video) - 1, len(frames) - len(request.to_video)
        ends = np.concatenate([steps_of(frames[: first + 1]), steps_of(frames[last:])])
        way = paced(frames[first : last + 1], max(ends, default=0.0))
        return np.concatenate([frames[:first], way, frames[last + 1 :]])


def replace_size(request: GenerationRequest, size: tuple[int, int]) -> GenerationRequest:
    """Return a request at another size (width, height)."""
    return request if size == (request.width, request.height) else replace(request, width=size[0], height=size[1])


def _is_backward(request: GenerationRequest) -> bool:
    return request.task is Task.EXTEND and request.direction == "backward"
