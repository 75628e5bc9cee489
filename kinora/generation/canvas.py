"""What a request gives of its clip: a video on the model's grid, and which of its pixels are known.

Every task is this: a canvas, what of it is known, and the time from which the rest is sampled.

Axes: T frames, H rows, W columns of pixels; t, h, w of latents; z latent channels. A loop has no first frame's latent.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from kinora.generation.fitting import fitted
from kinora.generation.request import GenerationRequest, Task, missing_frames
from kinora.media.tensors import to_tensor
from kinora.models.autoencoder import Autoencoder

REACH = 8  # frames beside a known one that are made to meet it
ALIKE = 16.0  # grey levels by which what is the same may differ; what differs by twice as many is something else
LOOP_MEMORY = 4  # latent frames of a loop that are encoded before its first, so that this follows the last


@dataclass(frozen=True, eq=False)
class Canvas:
    """A clip on the grid: its frames may be more, its sides longer than those of the finished clip.

    frames, height, width: of the canvas.
    before: frames of the canvas before the clip's first.
    video: `uint8 [T, H, W, 3]`, with a guess of what is not known; None where nothing is given.
    known: bool `[T, H, W]`, which pixels stay as they are; None where nothing is given.
    loop: whether the first frame follows the last.
    """

    frames: int
    height: int
    width: int
    before: int = 0
    video: np.ndarray | None = None
    known: np.ndarray | None = None
    loop: bool = False

    def placed(self, frames: np.ndarray) -> np.ndarray:
        """Return frames `[T, H, W, ...]` of the finished clip on the canvas, repeated around it."""
        places = np.arange(self.frames) - self.before
        places = places % len(frames) if self.loop else np.clip(places, 0, len(frames) - 1)
        edges = ((0, 0), (0, self.height - frames.shape[1]), (0, self.width - frames.shape[2]))
        return np.pad(frames[places], (*edges, *((0, 0),) * (frames.ndim - 3)), mode="edge")

    def cut(self, frames: np.ndarray, like: tuple[int, ...]) -> np.ndarray:
        """Return of the canvas' frames `[T, H, W, ...]` those of the finished clip, which is `like` (T, H, W)."""
        places = (self.before + np.arange(like[0])) % self.frames
        return frames[places, : like[1], : like[2]]

    def latent_shape(self, vae: Autoencoder) -> tuple[int, int, int]:
        """Return (t, h, w) of its latent."""
        t, h, w = vae.config.latent_shape(self.frames, self.height, self.width)
        return (self.frames // vae.config.temporal if self.loop else t), h, w

    def tokens_known(self, vae: Autoencoder, patch: int) -> tuple[Tensor, Tensor]:
        """Return of which patches all pixels are known and of which some are, not all: bool `[t, rows, columns]`."""
        t, h, w = self.latent_shape(vae)
        if self.known is None:
            return (torch.zeros(t, h // patch, w // patch, dtype=torch.bool),) * 2
        side = vae.config.spatial * patch
        cells = self.known.reshape(self.frames, h // patch, side, w // patch, side)
        found = []
        for combine in (np.all, np.any):
            frames = combine(cells, axis=(2, 4))
            first = frames[:0] if self.loop else frames[:1]
            rest = frames[len(first) :].reshape(-1, vae.config.temporal, *frames.shape[1:])
            found.append(torch.from_numpy(np.concatenate([first, combine(rest, axis=1)])))
        return found[0], found[1] & ~found[0]

    def latents(self, vae: Autoencoder) -> Tensor:
        """Return the latent `[z, t, h, w]` of the video, zeros where nothing is given."""
        if self.video is None:
            return torch.zeros(vae.config.latent_channels, *self.latent_shape(vae))
        return encoded(vae, to_tensor(self.video), self.loop)

    def corrected(self, vae: Autoencoder, latent: Tensor, partly: Tensor, patch: int) -> Tensor:
        """Return the latent with the known pixels put in where patches are `partly` known."""
        assert self.video is not None
        assert self.known is not None
        video = decoded(vae, latent, self.loop)
        mask = torch.from_numpy(self.known).to(video.device)
        video = torch.where(mask, to_tensor(self.video).to(video.device), video)
        cells = partly.to(latent.device).repeat_interleave(patch, 1).repeat_interleave(patch, 2)
        return torch.where(cells, encoded(vae, video, self.loop).to(latent.device), latent)

    def pasted(self, frames: np.ndarray) -> np.ndarray:
        """Return frames `uint8 [T, h, w, 3]` of the finished clip, cut from those of the canvas, with known pixels."""
        if self.video is None or self.known is None:
            return frames
        known, video = (self.cut(side, frames.shape) for side in (self.known, self.video))
        row = np.arange(len(frames) + self.loop) % len(frames)  # of a loop, the first frame follows the last
        met = joined(frames[row], video[row], np.asarray(known.all(axis=(1, 2)))[row])[: len(frames)]
        return np.where(known[..., None], video, met)


def encoded(vae: Autoencoder, video: Tensor, loop: bool) -> Tensor:
    """Return the latent `[z, t, h, w]` of `video [3, T, H, W]`; that of a loop has no first frame's latent."""
    if not loop:
        return vae.latents_of(video[None])[0]
    before = 1 + LOOP_MEMORY * vae.config.temporal
    turned = torch.arange(-before, video.shape[1]) % video.shape[1]
    return vae.latents_of(video[None, :, turned])[0, :, 1 + LOOP_MEMORY :]


def decoded(vae: Autoencoder, latent: Tensor, loop: bool) -> Tensor:
    """Return the video `[3, T, H, W]` of a latent `[z, t, h, w]`."""
    return (vae.loop_of(latent[None]) if loop else vae.video_of(latent[None]))[0]


def joined(frames: np.ndarray, video: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return made frames `uint8 [T, H, W, 3]` that meet the `known` ones, bool `[T]`, of `video` without a jump.

    An autoencoder loses a little of every frame. What it lost of a known frame is added to the made ones beside it,
    less with every frame, not at all from `REACH` on, and only where both show the same: of what has moved on, an
    outline would stay behind.
    """
    held = np.flatnonzero(known)
    if not len(held) or known.all():
        return frames
    out = frames.copy()
    for frame in np.flatnonzero(~known):
        place = int(np.searchsorted(held, frame))
        sides = [int(side) for side in (*held[max(0, place - 1) : place], *held[place : place + 1])]
        gap = sides[1] - sides[0] if len(sides) == 2 else REACH
        lost = np.zeros(frames.shape[1:], np.float32)
        for side in sides:
            share = 1 - abs(side - int(frame)) / min(REACH, gap)
            if share > 0:
                seen = frames[side].astype(np.float32)
                other = cv2.blur(np.abs(frames[frame] - seen).mean(axis=2), (3, 3))
                other = cv2.dilate(other, np.ones((5, 5), np.uint8))  # an edge is lost on both of its sides
                same = np.clip(2 - other / ALIKE, 0, 1)[..., None]
                lost += share * same * (video[side] - seen)
        out[frame] = np.clip(np.rint(frames[frame] + lost), 0, 255)
    return out


def canvas_of(request: GenerationRequest, side: int, temporal: int, size: tuple[int, int]) -> Canvas:
    """Return the canvas of a request at a `size` (width, height), which need not be the request's own.

    Sides are rounded up to multiples of `side` pixels and the length to 1 more than a multiple of `temporal` frames.
    Videos that the clip goes on from end with a whole latent; what precedes or follows the clip on the canvas is its
    first or last frame again.
    """
    width, height = size
    before, frames = span_of(request, temporal)
    down, across = -(-height // side) * side, -(-width // side) * side
    canvas = Canvas(frames, down, across, before, loop=request.loop)
    if request.task is Task.TEXT:
        return canvas
    video, known = _clip(request, width, height)
    return replace(canvas, video=canvas.placed(video), known=canvas.placed(known))


def span_of(request: GenerationRequest, temporal: int) -> tuple[int, int]:
    """Return how many frames of the canvas precede the clip, and how many it has.

    Neighbouring frames differ most where two latents meet. A loop begins between two such places.
    """
    if request.loop:
        return temporal // 2, request.frames
    before = after = 0
    if request.task is Task.EXTEND and request.direction == "backward":
        assert request.video is not None
        after = -len(request.video) % temporal
        before = (1 - request.frames - after) % temporal
    elif request.task in (Task.EXTEND, Task.CONNECT):
        assert request.video is not None
        before = (1 - len(request.video)) % temporal
    return before, 1 + -(-(before + request.frames + after - 1) // temporal) * temporal


def _clip(request: GenerationRequest, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the finished clip as far as it is given, `uint8 [T, H, W, 3]`, and which pixels are, bool `[T, H, W]`."""
    pieces: list[tuple[int, int, np.ndarray]] = []  # first frame, step, frames
    if request.image is not None:
        pieces.append((0, 1, request.image[None]))
    if request.last_image is not None:
        pieces.append((request.frames - 1, 1, request.last_image[None]))
    if request.video is not None:
        backward = request.task is Task.EXTEND and request.direction == "backward"
        step = request.factor if request.task is Task.INTERPOLATE else 1
        pieces.append((request.frames - len(request.video) if backward else 0, step, request.video))
    if request.to_video is not None:
        pieces.append((request.frames - len(request.to_video), 1, request.to_video))
    video = np.zeros((request.frames, height, width, 3), np.uint8)
    known = np.zeros(video.shape[:3], bool)
    for first, step, frames in pieces:
        span = slice(first, first + step * len(frames), step)
        video[span], known[span] = fitted(frames, width, height), True
    if request.task is Task.EDIT:
        known[:] = False
        return video, known
    if request.task is Task.FILL:
        _forget(request, known)
    _guess(video, known)
    return video, known


def _forget(request: GenerationRequest, known: np.ndarray) -> None:
    """Mark as unknown what a fill is to make."""
    if request.region is not None:
        assert request.video is not None
        left, top, across, down = request.region
        mask = np.full((1, *request.video.shape[1:]), 255, np.uint8)
        mask[:, top : top + down, left : left + across] = 0
        inside = fitted(mask, known.shape[2], known.shape[1])[0, :, :, 0] < 255
        chosen = sorted(missing_frames(request.missing)) or range(len(known))
        known[np.array(chosen)] &= ~inside
    else:
        known[sorted(missing_frames(request.missing))] = False


def _guess(video: np.ndarray, known: np.ndarray) -> None:
    """Fill what is not known: frames by blending the nearest known ones, holes in frames from their edges.

    It is no more than what an encoder sees beside known pixels, and where the sampling of further frames begins.
    """
    share = known.mean(axis=(1, 2))
    for frame in np.flatnonzero((share > 0) & (share < 1)):
        video[frame] = cv2.inpaint(video[frame], (~known[frame]).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    held = np.flatnonzero(share > 0)
    for frame in np.flatnonzero(share == 0):
        place = int(np.searchsorted(held, frame))
        earlier, later = held[max(0, place - 1)], held[min(place, len(held) - 1)]
        part = (frame - earlier) / (later - earlier) if later > earlier else 0.0
        part = min(max(part, 0.0), 1.0)
        video[frame] = cv2.addWeighted(video[earlier], 1 - part, video[later], part, 0)
