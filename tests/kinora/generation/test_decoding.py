"""Where two latents meet, decoded frames change evenly."""

import numpy as np
import pytest
import torch

from kinora.generation.decoding import frames_of, frames_stream, spread_stairs
from kinora.generation.pacing import steps_of


@pytest.fixture
def stairs():
    """A fade from black to 96 levels in stairs of 8 every four frames, the first of them at frame 1."""
    levels = 8 * np.repeat(np.arange(13), 4)[3:]
    return np.broadcast_to(levels[:, None, None, None], (len(levels), 16, 16, 3)).astype(np.uint8)


def spread(frames, borders):
    out = frames.copy()
    spread_stairs(out, borders)
    return out


def test_stairs_become_a_ramp(stairs):
    ramp = spread(stairs, range(5, len(stairs), 4))
    assert steps_of(stairs).max() == 8
    assert set(steps_of(ramp)[3:-3]) == {2.0}
    assert (ramp[-1] == stairs[-1]).all()


def test_only_named_borders_are_spread(stairs):
    ramp = spread(stairs, [17])
    assert (ramp[:15] == stairs[:15]).all()
    assert (ramp[19:] == stairs[19:]).all()
    assert steps_of(ramp)[16] == 2


def test_what_moves_is_not_seen_twice():
    frames = np.full((12, 24, 48, 3), 40, np.uint8)
    for t, frame in enumerate(frames):  # a square that crosses the picture, over a background that is still
        frame[8:16, 3 * t : 3 * t + 8] = 200
    assert (spread(frames, [5, 9]) == frames).all()


def test_a_cut_stays_a_cut():
    frames = np.repeat(np.array([30, 200], np.uint8), 6)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    assert (spread(frames, [6]) == frames).all()


class Fades:
    """Stands for an autoencoder: every latent is a level, which its frames all have."""

    def __init__(self, temporal=4):
        self.config = type("Config", (), {"temporal": temporal})()

    def decode_stream(self, latents, size):
        for number, latent in enumerate(latents):
            counts = [self.config.temporal] * latent.shape[2]
            counts[0] = 1 if number == 0 else counts[0]
            yield latent.repeat_interleave(torch.tensor(counts), dim=2).expand(1, 3, -1, 8, 8)

    def loop_of(self, latent):
        return latent.repeat_interleave(self.config.temporal, dim=2).expand(1, 3, -1, 8, 8)


LEVELS = torch.linspace(-0.4, 0.4, 8)[None, :, None, None]


@pytest.mark.parametrize("parts", [(8,), (1,) * 8, (3, 1, 4), (1, 7)])
def test_parts_of_any_length_make_the_same_frames(parts):
    parted = np.concatenate(list(frames_stream(Fades(), LEVELS.split(list(parts), dim=1))))
    whole = frames_of(Fades(), LEVELS)
    assert (parted == whole).all()
    assert whole.shape == (29, 8, 8, 3)
    assert steps_of(whole).max() < 16  # the first one, which has no two frames before it
    assert steps_of(whole)[1:].max() < 5


def test_a_loop_is_spread_all_around():
    levels = torch.tensor([-0.1, 0.0, 0.1, 0.0])[None, :, None, None]
    loop = frames_of(Fades(), levels, loop=True)
    around = steps_of(np.concatenate([loop, loop[:1]]))
    assert len(loop) == 16
    assert around.max() < 5


def test_latents_of_few_frames_are_left():
    video = frames_of(Fades(temporal=2), LEVELS)
    assert len(video) == 15
    assert steps_of(video).max() == pytest.approx(14.5, abs=1)
