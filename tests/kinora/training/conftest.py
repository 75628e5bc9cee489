"""Small latents for training tests."""

from pathlib import Path

import pytest
import torch

from kinora.data.latents import LatentDataset

SHAPES = [(3, 4, 4), (2, 4, 6), (1, 4, 4), (1, 6, 4)]
CAPTIONS = ["A red circle moves.", "A blue square falls."]


@pytest.fixture(scope="session")
def latents(tmp_path_factory) -> Path:
    """A latent dataset of 40 clips of several sizes and lengths, images among them."""
    generator = torch.Generator().manual_seed(0)
    clips = []
    for number in range(40):
        t, h, w = SHAPES[number % len(SHAPES)]
        row = {
            "clip_id": f"{number:064x}", "caption": CAPTIONS[number % 2], "short_caption": CAPTIONS[number % 2],
            "split": "train" if number % 10 else "validation", "kind": "video" if t > 1 else "image",
            "width": 4 * w, "height": 4 * h, "frames": 1 + 4 * (t - 1), "fps": 8.0 if t > 1 else 0.0,
        }  # fmt: skip
        clips.append((row, torch.randn(4, t, h, w, generator=generator)))
    path = tmp_path_factory.mktemp("latents") / "latents"
    LatentDataset.write(path, clips, {"temporal": 4, "spatial": 4})
    return path
