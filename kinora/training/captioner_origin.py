"""The network that tells a dataset's own clips from foreign ones learns from both.

A network that never saw anything foreign takes it for its own: it is shown some, made for the purpose (outlier
exposure, https://arxiv.org/abs/1812.04606).
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kinora.models.captioner import FrameSample
from kinora.models.origin import Origin
from kinora.models.precision import device
from kinora.training.captioner_foreign import by_shape, foreign_clips

BATCH, RATE, WARMUP = 64, 2e-3, 20
MOST_FOREIGN = 2400  # clips


def learn_origin(samples: Sequence[FrameSample], steps: int, seed: int) -> Origin:
    """Train the network on samples of a dataset's own clips, and on foreign ones made for it.

    In 0 steps it learns nothing, and no clip is made.
    """
    torch.manual_seed(seed)
    rng, where = np.random.default_rng([seed, 5]), device()
    origin = Origin().to(where)
    if not steps:
        return origin.eval()
    own = by_shape([sample.frames for sample in samples])
    foreign = by_shape(foreign_clips(samples, min(len(samples), MOST_FOREIGN), rng))
    shapes = list(foreign)
    shares = np.array([len(foreign[shape]) for shape in shapes]) / sum(map(len, foreign.values()))
    optimizer = torch.optim.AdamW(origin.parameters(), RATE, weight_decay=0.01)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * min(1, (step + 1) / WARMUP) * (1 - step / steps)
        shape = shapes[rng.choice(len(shapes), p=shares)]
        drawn = [_pairs(clips[shape], BATCH // 2, rng) for clips in (own, foreign)]
        frames, following = (torch.cat(part).to(where) for part in zip(*drawn, strict=True))
        labels = torch.arange(len(frames), device=where) >= BATCH // 2
        loss = F.binary_cross_entropy_with_logits(origin(frames, following), labels.float())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return origin.eval()


def _pairs(clips: np.ndarray, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Draw frames of clips, each with the next, some mirrored, some without any change: `uint8 [count, H, W, 3]`."""
    chosen = rng.integers(len(clips), size=count)
    first = rng.integers(max(1, clips.shape[1] - 1), size=count)
    step = min(1, clips.shape[1] - 1) * int(rng.random() < 0.8)
    frames, following = clips[chosen, first], clips[chosen, first + step]
    if rng.random() < 0.5:
        frames, following = frames[:, :, ::-1], following[:, :, ::-1]
    return torch.from_numpy(frames.copy()), torch.from_numpy(following.copy())
