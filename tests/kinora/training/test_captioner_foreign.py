"""Clips made to be foreign are no clips of the dataset, and look as natural pictures do or as its own, scrambled."""

from itertools import pairwise

import numpy as np
import pytest

from kinora.models.captioner import CaptionerConfig, sample_frames
from kinora.training.captioner_foreign import Leaves, foreign_clips, scrambled
from kinora.worlds import WorldsConfig, draw_sample

WORLDS = WorldsConfig(worlds=("uniform",), sizes=((32, 32), (40, 32)), frames=(9,))
CONFIG = CaptionerConfig(frames=3)


@pytest.fixture(scope="module")
def own():
    """Sampled clips of a simulated world, images among them."""
    drawn = [draw_sample(WORLDS, np.random.default_rng(i), held_out=False, image=i % 4 == 0) for i in range(60)]
    return [sample_frames(one.frames, one.fps, CONFIG) for one in drawn]


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
