"""What models do to clips: copies through an autoencoder, the same imitated, and clips of a checkpoint."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from evaluation.checkpoint import generate_clips
from evaluation.findings import ClipInput
from kinora.worlds import WorldsConfig, evaluation_prompts

BLUR, GRAIN = 0.9, 3.0  # pixels and levels: about what an autoencoder of 28 to 30 dB does to clips of the worlds
REFERENCE = Path(__file__).parents[2] / "kinora" / "reference"


def reference_autoencoder() -> Path | None:
    """Return the folder of the autoencoder of the model version that comes with the package, None without one."""
    return next(iter(sorted(REFERENCE.glob("*/vae"))), None)


@cache
def through_autoencoder(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that encodes frames `uint8 [T, H, W, 3]` with an autoencoder and decodes them again."""
    from kinora.media.tensors import to_frames, to_tensor
    from kinora.models.autoencoder import load_autoencoder

    model = load_autoencoder(folder).for_inference()

    def through(frames: np.ndarray) -> np.ndarray:
        size = frames.shape[0], frames.shape[1], frames.shape[2]
        return to_frames(model.video_of(model.latents_of(to_tensor(frames)[None]), size)[0])

    return through


def softened(frames: np.ndarray) -> np.ndarray:
    """Return frames `uint8 [T, H, W, 3]` with a blur and grain like an autoencoder's."""
    rng = np.random.default_rng(0)
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), BLUR) for frame in frames]).astype(float)
    return np.clip(soft + rng.normal(0, GRAIN, soft.shape), 0, 255).round().astype(np.uint8)


def model_clips(autoencoder: Path, checkpoint: Path, count: int, worlds: WorldsConfig | None = None) -> list[ClipInput]:
    """Return clips that a checkpoint of the transformer makes of `count` held-out prompts."""
    from kinora.diffusion.sampler import Sampling
    from kinora.generation import ClipFormat, VideoGenerator

    worlds = worlds or WorldsConfig()
    usual = ClipFormat(*worlds.sizes[0], max(worlds.frames), worlds.fps)
    generator = VideoGenerator.load(autoencoder, checkpoint, Sampling(), usual)
    return generate_clips(generator, evaluation_prompts(worlds, count, seed=0))
