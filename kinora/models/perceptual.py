"""Perceptual features: what two pictures are compared by instead of, or beside, their pixels.

Either the image encoder of a captioner that was trained here, or VGG16 with LPIPS's weights where a person has them as
a safetensors file (nothing is downloaded). Axes: N pictures; C channels; h, w positions of a feature map.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from kinora.errors import KinoraError
from kinora.models.captioner import Captioner

EPSILON = 1e-10
SCALES = 2  # the captioner's features are taken of the picture and of half of it, for what is larger than its kernels
VGG16 = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512)
VGG_TAPS = (2, 4, 7, 10, 13)  # convolutions after which features are taken
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of pixels in [-1, 1]


class PerceptualFeatures(nn.Module):
    """A frozen network from pictures `[N, 3, H, W]` in [-1, 1] to feature maps `[N, C, h, w]`, one a level."""

    def levels(self, pictures: Tensor) -> list[Tensor]:
        """Return the feature maps."""
        raise NotImplementedError

    def channel_weights(self) -> Sequence[Tensor | None]:
        """Return what the squared differences of each level's channels are weighted by, `[C]`; None is 1."""
        raise NotImplementedError

    def forward(self, pictures: Tensor, reference: Tensor) -> Tensor:
        """Return the distance of each picture from its reference `[N]`.

        "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric" (https://arxiv.org/abs/1801.03924), eq.
        1: features are scaled to unit length at every position, and the weighted squared differences of the channels
        are summed, averaged over positions and summed over levels.
        """
        pairs = zip(self.levels(pictures), self.levels(reference), self.channel_weights(), strict=True)
        distance = torch.zeros(len(pictures), device=pictures.device)
        for features, expected, weights in pairs:
            squared = (_unit(features.float()) - _unit(expected.float())).square()
            weighted = squared if weights is None else squared * weights[:, None, None]
            distance = distance + weighted.sum(1).mean((1, 2))
        return distance


class CaptionerFeatures(PerceptualFeatures):
    """The convolutions of a captioner, which learned what things are and where; frozen."""

    def __init__(self, captioner: Captioner):
        super().__init__()
        self.backbone = captioner.backbone.requires_grad_(False)

    def levels(self, pictures: Tensor) -> list[Tensor]:
        """Return the feature maps after each activation and of the last convolution, at each scale."""
        maps = []
        for scale in range(SCALES):
            x = F.avg_pool2d(pictures, 2**scale) if scale else pictures
            for layer in self.backbone:
                x = layer(x)
                if not isinstance(layer, nn.Conv2d) or layer is self.backbone[-1]:
                    maps.append(x)
        return maps

    def channel_weights(self) -> Sequence[Tensor | None]:
        """Return that all channels count alike."""
        activations = sum(not isinstance(layer, nn.Conv2d) for layer in self.backbone)
        return [None] * SCALES * (activations + 1)


class LPIPSFeatures(PerceptualFeatures):
    """VGG16 and the weights of its channels that were fitted to people's judgements; frozen.

    `tensors` are named as in torchvision (`features.0.weight`, ...) and in lpips (`lin0.model.1.weight`, ...).
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, tensors: dict[str, Tensor]):
        super().__init__()
        layers, width = list[nn.Module](), 3
        for step in VGG16:
            if isinstance(step, int):
                layers += [nn.Conv2d(width, step, 3, padding=1), nn.ReLU()]
                width = step
            else:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        own = {name.removeprefix("features."): t for name, t in tensors.items() if name.startswith("features.")}
        self.features.load_state_dict({name: t for name, t in own.items() if name in self.features.state_dict()})
        for number in range(len(VGG_TAPS)):
            self.register_buffer(f"weights{number}", tensors[f"lin{number}.model.1.weight"].flatten())
        self.register_buffer("shift", torch.tensor(LPIPS_SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(LPIPS_SCALE)[:, None, None])
        self.requires_grad_(False)

    def levels(self, pictures: Tensor) -> list[Tensor]:
        """Return the feature maps after the last activation of each of VGG16's five stages."""
        x, maps, convolutions = (pictures - self.shift) / self.scale, list[Tensor](), 0
        for layer in self.features:
            x = layer(x)
            convolutions += isinstance(layer, nn.Conv2d)
            if isinstance(layer, nn.ReLU) and convolutions in VGG_TAPS:
                maps.append(x)
        return maps

    def channel_weights(self) -> Sequence[Tensor | None]:
        """Return LPIPS's weights."""
        return [self.get_buffer(f"weights{number}") for number in range(len(VGG_TAPS))]


def load_perceptual_features(path: str | Path) -> PerceptualFeatures:
    """Read features from a captioner's folder, or from a safetensors file with VGG16's and LPIPS's weights.

    Raises:
        KinoraError: if it is neither.
    """
    path = Path(path)
    if path.is_dir():
        return CaptionerFeatures(Captioner.load(path)).eval()
    try:
        return LPIPSFeatures(load_file(path)).eval()
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise KinoraError(
            f"{path} holds no perceptual features; give a captioner's folder, or a safetensors file with torchvision's "
            "VGG16 (features.*) and lpips's weights (lin0.model.1.weight, ...)."
        ) from error


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True).sqrt() + EPSILON)
