"""Clips made to be foreign are no clips of the dataset, and a network learns from them to tell others that are not."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from kinora.models.captioner import CaptionerConfig, FrameSample, sample_frames
from kinora.training.captioner_foreign import Leaves, foreign_clips, learn_origin, scrambled
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


def test_foreign_clips_have_the_shapes_of_own_and_are_none_of_them(own):
    made = foreign_clips(own, 40, np.random.default_rng(0))
    assert {clip.shape for clip in made} <= {sample.frames.shape for sample in own}
    assert {len(clip) for clip in made} == {1, 3}
    assert all(clip.dtype == np.uint8 for clip in made)
    theirs = {sample.frames.tobytes() for sample in own}
    assert not any(clip.tobytes() in theirs for clip in made)
    assert all(
        np.array_equal(*pair) for pair in zip(made, foreign_clips(own, 40, np.random.default_rng(0)), strict=True)
    )


def test_what_is_drawn_has_the_spectra_of_natural_pictures():
    """The power of photographs falls about as the square of the frequency (Field, 1987), with a wide spread."""
    leaves, slopes = Leaves(np.random.default_rng(0)), []
    for _ in range(60):
        grey = leaves.clip(1, 64, 64)[0].mean(-1)
        window = np.outer(np.hanning(64), np.hanning(64))
        power = np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
        bins = np.exp(np.linspace(np.log(3 / 64), np.log(0.4), 9))
        levels = [power[(frequency >= a) & (frequency < b)].mean() for a, b in pairwise(bins)]
        if min(levels) > 1e-6:
            slopes.append(np.polyfit(np.log(np.sqrt(bins[1:] * bins[:-1])), np.log(levels), 1)[0])
    assert len(slopes) > 50
    assert -3.5 < np.median(slopes) < -1.5


def test_scrambled_clips_differ_from_the_clip_and_still_have_its_colours():
    clip = np.zeros((1, 3, 32, 40, 3), np.uint8)
    clip[:, :, 8:20, 10:24] = (200, 40, 40)
    for seed in range(30):
        other = scrambled(clip, np.random.default_rng(seed))
        assert other.shape == clip.shape[1:]
        assert np.abs(other.astype(int) - clip[0]).mean() > 2
        assert other[..., 0].mean() > other[..., 2].mean() + 5, "the thing is red"


def test_clips_of_a_single_size_and_of_few_pixels_are_learned_from():
    chance = np.random.default_rng(0)
    few = [FrameSample(chance.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8), 1.0) for _ in range(5)]
    assert np.isfinite(learn_origin(few, 3, seed=0).foreignness(few[0].frames))
    assert np.isfinite(learn_origin([], 0, seed=0).foreignness(few[0].frames)), "of no clip nothing is learned"
