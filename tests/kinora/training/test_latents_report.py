"""The picture of a latent is as large and as long as its clip, and its colours tell the sign."""

import numpy as np
import torch

from kinora.training.latents_report import NEGATIVE, POSITIVE, beside


def test_every_channel_stands_beside_the_clip_at_its_own_moment():
    frames = np.full((9, 8, 16, 3), 7, np.uint8)
    latent = torch.zeros(2, 3, 2, 4)
    latent[0, 0], latent[1, 2, 0, 0] = 99, -99  # channel 0 in the first frame; a corner of channel 1 in frames 5 to 8
    shown = beside(frames, latent, spatial=4, temporal=4)
    assert shown.shape == (9, 8, 3 * 16 + 2, 3)
    clip, first, second = shown[:, :, :16], shown[:, :, 17:33], shown[:, :, 34:]
    assert (clip == frames).all()
    assert (first[0] == POSITIVE).all()
    assert (first[1:] == 0).all()
    assert (second[5:, :4, :4] == NEGATIVE).all()
    assert second.sum() == second[5:, :4, :4].sum()
