"""The network itself, how it is fitted, and how it is written for OpenCV to run."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
import torch.onnx._internal.torchscript_exporter.onnx_proto_utils as written
from torch import Tensor, nn

from benchmarks.fit_segments.frames import Frame
from evaluation.evidence.instances import CHANNELS, SIDES, UNIT

WIDTHS = 12, 32, 48  # features at a half, a quarter and an eighth of the size
SIDE, BATCH = 96, 32  # pixels of a crop, and crops of a step
RATE = 3e-3
RIM = 0.15  # weight of the depth of what is of nothing


class Layer(nn.Sequential):
    """A convolution of 3 x 3 with the means and deviations of its batch, and a rectifier."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> None:
        convolution = nn.Conv2d(inputs, outputs, 3, stride, dilation, dilation, bias=False)
        super().__init__(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Network(nn.Module):
    """Squares of 2 x 2 pixels `[B, 4 * CHANNELS, h, w]` to logits of them `[B, 2 * 4, h, w]`: of a thing, how deep."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c = WIDTHS
        self.half_in, self.to_quarter, self.quarter_in = Layer(4 * CHANNELS, a), Layer(a, b, stride=2), Layer(b, b)
        self.to_eighth = Layer(b, c, stride=2)
        self.at_eighth = nn.ModuleList([Layer(c, c, dilation=d) for d in (1, 2, 4)])
        self.from_eighth, self.quarter_out = nn.Conv2d(c, b, 1), Layer(b, b)
        self.from_quarter, self.half_out = nn.Conv2d(b, a, 1), Layer(a, a + 4)
        self.told = nn.Conv2d(a + 4, 2 * 4, 1)

    def forward(self, squares: Tensor) -> Tensor:
        half = self.half_in(squares)  # [B, a, h, w]
        quarter = self.quarter_in(self.to_quarter(half))  # [B, b, h / 2, w / 2]
        eighth = self.to_eighth(quarter)  # [B, c, h / 4, w / 4]
        for layer in self.at_eighth:
            eighth = eighth + layer(eighth)
        quarter = self.quarter_out(quarter + _doubled(self.from_eighth(eighth)))
        return self.told(self.half_out(half + _doubled(self.from_quarter(quarter))))  # type: ignore[no-any-return]


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)


def fit(frames: Sequence[Frame], steps: int, seed: int, tell: Callable[[int, float], None]) -> Network:
    """Return a network fitted to frames; `tell` hears every step and its loss."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    depths = [depth_of(owner) for _, owner in frames]
    network = Network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-3)
    for step in range(steps):
        for group in adam.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 100) * (0.5 + 0.5 * np.cos(np.pi * step / steps)) + 1e-5
        chosen = rng.choice(len(frames), min(BATCH, len(frames)), replace=False)
        crops = [_crop(rng, *frames[i], depths[i]) for i in chosen]
        x = torch.from_numpy(np.stack([crop[0] for crop in crops])).float() / UNIT  # [B, CHANNELS, SIDE, SIDE]
        x[:, :3] *= float(rng.uniform(0.7, 1.3))
        y = torch.from_numpy(np.stack([crop[1] for crop in crops])).float() / 255  # [B, 3, SIDE, SIDE]
        squares = F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        told = F.pixel_shuffle(network(squares), 2)  # [B, 2, SIDE, SIDE]
        thing, depth, within = y[:, 0], y[:, 1], y[:, 2]
        loss = 2 * _entropy(told[:, 0], thing, within) + _entropy(told[:, 1], depth, within * (thing + RIM))
        adam.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        tell(step, float(loss.detach()))
    return network.eval()


def _entropy(told: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    return (F.binary_cross_entropy_with_logits(told, truth, reduction="none") * weight).sum() / weight.sum()


def _crop(rng: np.random.Generator, seen: np.ndarray, owner: np.ndarray, depth: np.ndarray
          ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return a piece of a frame, mirrored and coloured at random, some of it unseen, and the truth in bytes."""
    truth = np.stack([(owner >= 0) * np.uint8(255), depth, np.full_like(depth, 255)])
    top, left = (int(rng.integers(max(1, size - SIDE + 1))) for size in owner.shape)
    seen, truth = (of[:, top : top + SIDE, left : left + SIDE] for of in (seen, truth))
    beyond = (0, 0), (0, SIDE - seen.shape[1]), (0, SIDE - seen.shape[2])
    seen = np.pad(seen, beyond, mode="edge")
    truth = np.concatenate([np.pad(truth[:2], beyond, mode="edge"), np.pad(truth[2:], beyond)])
    for chance, axis, across in ((0.5, 2, 6), (0.3, 1, 7)):
        if rng.random() < chance:
            seen, truth = np.flip(seen, axis).copy(), np.flip(truth, axis)
            seen[across] = -seen[across]
    if rng.random() < 0.5:
        order = rng.permutation(3)
        seen[:6] = seen[:6][np.concatenate([order, 3 + order])]
    if rng.random() < 0.3:
        seen[:6] = -1 - seen[:6]
    if rng.random() < 0.1:  # the background is not known
        seen[[3, 4, 5, 9]] = 0
    if rng.random() < 0.1:  # nor motion
        seen[[6, 7]] = 0
    if rng.random() < 0.2:  # nor regions
        seen[8] = 0
    return seen, np.ascontiguousarray(truth)


def depth_of(owner: np.ndarray) -> np.ndarray:
    """Return how deep pixels are in what is seen of things in one piece, of its depth, in bytes: `uint8 [h, w]`."""
    depths = np.zeros(owner.shape, np.float32)
    for thing in np.unique(owner[owner >= 0]):
        # What the frame cuts goes on beyond.
        mask = np.pad((owner == thing).astype(np.uint8), 3, mode="edge")
        count, pieces, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        within = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
        for piece in range(1, count):
            x, y, wide, high, _ = boxes[piece]
            place = slice(y, y + high), slice(x, x + wide)
            here = pieces[place] == piece
            within[place][here] /= max(float(within[place][here].max()), 1.0)
        depths = np.maximum(depths, within[3:-3, 3:-3])
    return (depths * 255).astype(np.uint8)


def write(network: Network, path: Path) -> None:
    """Write a network in ONNX."""
    # The package onnx, which is not there, is asked for only to put in functions of others, which there are none of.
    written._add_onnxscript_fn = lambda model, functions: model  # type: ignore[assignment]
    squares = torch.zeros(1, 4 * CHANNELS, SIDES // 2, SIDES // 2)
    names = ("squares", "told")
    sizes = {name: {0: "n", 2: "h", 3: "w"} for name in names}
    torch.onnx.export(network, (squares,), str(path), dynamo=False, opset_version=13, input_names=names[:1],
                      output_names=names[1:], dynamic_axes=sizes)  # fmt: skip
