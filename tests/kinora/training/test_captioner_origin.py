"""A network learns to tell a dataset's own clips from others, of kinds that it was not shown."""

import cv2
import numpy as np
import pytest
import torch

from kinora.models.captioner import CaptionerConfig, FrameSample, sample_frames
from kinora.training.captioner_origin import learn_origin
from kinora.worlds import WorldsConfig, draw_sample

WORLDS = WorldsConfig(worlds=("uniform",), sizes=((32, 32), (40, 32)), frames=(9,))
CONFIG = CaptionerConfig(frames=3)


@pytest.fixture(scope="module")
def own():
    """Sampled clips of a simulated world, images among them."""
    drawn = [draw_sample(WORLDS, np.random.default_rng(i), held_out=False, image=i % 4 == 0) for i in range(360)]
    return [sample_frames(one.frames, one.fps, CONFIG) for one in drawn]


def wood(seed):
    """A clip of growth rings, a texture that nothing foreign was made of, that moves to one side."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :48].astype(np.float32)
    rings = np.sin(np.hypot(x - rng.uniform(0, 48), 3 * (y + 20)) / rng.uniform(0.8, 2) + np.sin(x / 5))
    picture = (rng.uniform(80, 170, 3) + rings[..., None] * rng.uniform(15, 40, 3)).clip(0, 255).astype(np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 0.6)
    return np.stack([picture[:, shift : shift + 32] for shift in (0, 4, 8)])


def test_own_clips_look_own_and_clips_of_any_other_origin_foreign(own):
    kept = own[::6]
    learned = [sample for index, sample in enumerate(own) if index % 6]
    origin = learn_origin(learned, 120, seed=0)
    ours = np.array([origin.foreignness(sample.frames) for sample in kept])
    others = np.array([origin.foreignness(wood(seed)) for seed in range(40)])
    assert (others[:, None] > ours).mean() > 0.9, "how often a foreign clip looks more foreign than an own one"
    assert ours.mean() < 0 < others.mean()
    one, again = (learn_origin(learned[:20], 2, seed=0).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], again[name]) for name in one), "the same seed, another network"


def test_clips_of_a_single_size_and_of_few_pixels_are_learned_from():
    chance = np.random.default_rng(0)
    few = [FrameSample(chance.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8), 1.0) for _ in range(5)]
    assert np.isfinite(learn_origin(few, 3, seed=0).foreignness(few[0].frames))
    assert np.isfinite(learn_origin([], 0, seed=0).foreignness(few[0].frames)), "of no clip nothing is learned"
