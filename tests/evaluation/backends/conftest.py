"""Tiny networks of transformers, saved to disk: a SAM 2 and a Depth-Anything, taught to see discs; others at random."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

SIDE, RED, BLUE, GREY = 64, (220, 40, 40), (40, 60, 220), (128, 128, 128)

VISION = {
    "backbone_config": {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [SIDE, SIDE],
        "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 1, 2, 2], "window_size_per_stage": [4, 4, 4, 4],
        "global_attention_blocks": [3], "window_positional_embedding_background_size": [2, 2],
    },
    "backbone_channel_list": [64, 32, 16, 8],
    "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
    "fpn_hidden_size": 32,
}  # fmt: skip
DECODER = {"hidden_size": 32, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 32}


def disc(x: float, y: float, radius: float, side: int = SIDE) -> np.ndarray:
    """Return which pixels a disc covers, `bool [side, side]`."""
    down, across = np.mgrid[:side, :side] + 0.5
    return np.asarray(np.hypot(across - x, down - y) < radius)


def painted(masks: list[np.ndarray], colours: list[tuple[int, int, int]], chance: np.random.Generator) -> np.ndarray:
    """Return a grainy grey picture, uint8, with masks in colours."""
    picture = np.broadcast_to(np.array(GREY, float), (*masks[0].shape, 3)).copy()
    for mask, colour in zip(masks, colours, strict=True):
        picture[mask] = colour
    return np.clip(picture + chance.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def rolling() -> np.ndarray:
    """A clip of a red disc of 13 pixels that moves three pixels a frame, `uint8 [8, 64, 64, 3]`."""
    chance = np.random.default_rng(1)
    return np.stack([painted([disc(18 + 3 * t, 32, 13)], [RED], chance) for t in range(8)])


@pytest.fixture(scope="session")
def sam(tmp_path_factory) -> Path:
    """The folder of a SAM 2 that gives the disc of a picture, whatever point it is asked at."""
    import transformers as t

    torch.manual_seed(0)
    network = t.Sam2Model(
        t.Sam2Config(
            vision_config=t.Sam2VisionConfig(**VISION),
            prompt_encoder_config=t.Sam2PromptEncoderConfig(hidden_size=32, image_size=SIDE),
            mask_decoder_config=t.Sam2MaskDecoderConfig(**DECODER),
        )
    )
    from kinora.models.hf_pixels import pixels

    chance, optimizer = np.random.default_rng(0), torch.optim.Adam(network.parameters(), lr=4e-3)
    for _ in range(75):
        discs = []
        for radius in chance.uniform(8, 14, 6):
            discs.append(disc(*chance.uniform(radius + 2, SIDE - radius - 2, 2), radius))
        shown = np.stack([painted([one], [(RED, BLUE)[chance.integers(2)]], chance) for one in discs])
        coarse = np.stack(discs).reshape(6, 16, 4, 16, 4).mean(axis=(2, 4)) > 0.5
        points = torch.from_numpy(chance.uniform(0, SIDE, (6, 4, 1, 2)).astype(np.float32))
        made = network(
            pixel_values=pixels(shown, SIDE, SIDE), input_points=points, input_labels=torch.ones(6, 4, 1).int()
        )
        truth = torch.from_numpy(coarse).float()[:, None, None].expand_as(made.pred_masks)
        wrong = torch.nn.functional.binary_cross_entropy_with_logits(made.pred_masks, truth)
        loss = wrong + 0.2 * ((made.iou_scores - 1) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert wrong.item() < 0.05, wrong.item()
    folder = tmp_path_factory.mktemp("sam")
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def vision(tmp_path_factory) -> Callable[[str], Path]:
    """Return the folder of a vision transformer with random weights: "dinov2", or "registers", which has four."""
    import transformers as t

    root = tmp_path_factory.mktemp("vision")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14, "image_size": 56}

    def saved(kind: str) -> Path:
        if not (root / kind).exists():
            torch.manual_seed(0)
            if kind == "dinov2":
                network = t.Dinov2Model(t.Dinov2Config(**sizes))
            else:
                network = t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**sizes, num_register_tokens=4))
            network.save_pretrained(root / kind)
        return root / kind

    return saved


@pytest.fixture(scope="session")
def depth(tmp_path_factory) -> Path:
    """The folder of a Depth-Anything that takes red for near, blue for far and grey for between."""
    import transformers as t

    from kinora.models.hf_pixels import pixels

    torch.manual_seed(0)
    side, patch = 56, 7
    backbone = t.Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=side, patch_size=patch,
        out_indices=[1, 2], reshape_hidden_states=False,
    )  # fmt: skip
    network = t.DepthAnythingForDepthEstimation(
        t.DepthAnythingConfig(
            backbone_config=backbone, patch_size=patch, reassemble_hidden_size=16, reassemble_factors=[2, 1],
            neck_hidden_sizes=[16, 16], fusion_hidden_size=16, head_hidden_size=16,
        )
    )  # fmt: skip
    chance, optimizer = np.random.default_rng(0), torch.optim.Adam(network.parameters(), lr=4e-3)
    for _ in range(80):
        discs = [disc(*chance.uniform(8, side - 8, 2), radius, side) for radius in chance.uniform(6, 16, 8)]
        red = chance.random(8) < 0.5
        shown = [painted([one], [RED if near else BLUE], chance) for one, near in zip(discs, red, strict=True)]
        truth = [np.where(one, 2.0 if near else 0.5, 1.0) for one, near in zip(discs, red, strict=True)]
        told = network(pixel_values=pixels(np.stack(shown), side, side)).predicted_depth
        wrong = (told - torch.from_numpy(np.stack(truth).astype(np.float32))).abs().mean()
        optimizer.zero_grad()
        wrong.backward()
        optimizer.step()
    assert wrong.item() < 0.2, wrong.item()
    folder = tmp_path_factory.mktemp("depth")
    network.save_pretrained(folder)
    return folder
