"""Frames of latents, evened where two latents meet: deblocking over time.

With several frames a latent, a clip changes most between two latents: frames of one are nearly alike, and those of the
next differ a little in light and texture. Played, that is a pulse, and a slow fade becomes stairs.

Axes: T frames, H rows, W columns of pixels; z latent channels, t, h, w of latents.
"""

from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from torch import Tensor

from kinora.media.tensors import to_frames
from kinora.models.autoencoder import Autoencoder

SHARES = (1 / 8, 3 / 8, -3 / 8, -1 / 8)  # of a stair, which the two frames before it and the two after it take
BESIDE = len(SHARES) // 2  # frames on each side
AROUND = (5, 5)  # pixels over which stairs and motion are compared
PULSE = 16.0  # grey levels: stairs of up to so many are spread; those of twice as many are edges that moved, or a cut


def frames_of(vae: Autoencoder, latent: Tensor, loop: bool = False) -> np.ndarray:
    """Return the frames `uint8 [T, H, W, 3]` of a latent `[z, t, h, w]`."""
    if not loop:
        return np.concatenate(list(frames_stream(vae, [latent])))
    frames = to_frames(vae.loop_of(latent[None])[0])
    temporal = vae.config.temporal
    turned = np.roll(frames, BESIDE, axis=0)  # the first latent follows the last
    spread_stairs(turned, range(BESIDE, len(turned), temporal) if temporal >= len(SHARES) else ())
    return np.roll(turned, -BESIDE, axis=0)


def frames_stream(
    vae: Autoencoder, latents: Iterable[Tensor], size: tuple[int, int, int] | None = None
) -> Iterator[np.ndarray]:
    """Yield the frames `uint8 [n, H, W, 3]`, n one or more, of latents `[z, t, h, w]` that come one after another.

    In bounded memory, where the autoencoder decodes so. `size` (frames, height, width) is that of the whole.
    """
    temporal = vae.config.temporal
    held, first = None, 0  # frames that are not finished, and the number of the first of them
    for part in vae.decode_stream((latent[None] for latent in latents), size):
        frames = to_frames(part[0])
        held = frames if held is None else np.concatenate([held, frames])
        end, done = first + len(held), len(held)
        if temporal >= len(SHARES):
            spread_stairs(held, [b - first for b in range(1, end, temporal) if first + BESIDE <= b <= end - BESIDE])
            coming = 1 + -(-(end - BESIDE) // temporal) * temporal  # the first border that lacks frames after it
            done = max(0, min(end, coming - BESIDE) - first)
        if done:
            yield held[:done]
        held, first = held[done:], first + done
    if held is not None and len(held):
        yield held


def spread_stairs(frames: np.ndarray, borders: Sequence[int]) -> None:
    """Make stairs in frames `uint8 [T, H, W, 3]` ramps of four steps, in place.

    A stair is the step into a border frame beyond the mean of the two steps beside it. It stays where something moves
    as much, and where it is large: spread over time, what moves would be seen twice.

    Args:
        frames: of latents of four frames or more; of fewer, ramps would meet.
        borders: the first frames of latents, with two frames before and one after.
    """
    for border in borders:
        near = frames[border - BESIDE : border + BESIDE].astype(np.float32)
        before, step, after = np.diff(near, axis=0)
        stair = step - (before + after) / 2
        moving, size = np.maximum(np.abs(before), np.abs(after)).mean(axis=2), np.abs(stair).mean(axis=2)
        still = 1 - cv2.blur(moving, AROUND) / np.maximum(cv2.blur(size, AROUND), 1e-3)
        small = 2 - cv2.dilate(size, np.ones((3, 3), np.uint8)) / PULSE
        share = np.clip(np.minimum(still, small), 0, 1)
        for place, part in enumerate(SHARES):
            near[place] += part * share[..., None] * stair
        frames[border - BESIDE : border + BESIDE] = np.clip(np.rint(near), 0, 255)
