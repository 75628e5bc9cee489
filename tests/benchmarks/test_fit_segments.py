"""Collages know what is where, depths are of each thing, and what OpenCV runs is the network that was fitted."""

import cv2
import numpy as np
import pytest
import torch

from benchmarks.fit_segments.collage import collage
from benchmarks.fit_segments.frames import frames_of
from benchmarks.fit_segments.network import depth_of, fit, write
from evaluation.evidence.instances import CHANNELS, UNIT


def photographs():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (90, 120, 3)).astype(np.uint8) for _ in range(2)]


def test_what_a_collage_says_is_a_thing_differs_from_the_scene_as_it_goes():
    told = []
    for seed in range(6):
        film = collage(np.random.default_rng(seed), photographs())
        assert film.owners.shape == film.frames.shape[:3]
        frames = film.frames.astype(float)
        changes = np.abs(np.diff(frames, axis=0)).mean(axis=3)
        moved = (film.owners[1:] != film.owners[:-1]) & (film.owners[1:] != -2)
        if moved.any():
            told.append(changes[moved].mean() / max(np.median(changes), 0.5))
    assert np.median(told) > 3


def test_depth_is_of_every_thing_and_nothing_at_the_outline():
    owner = np.full((40, 60), -1, np.int8)
    owner[10:31, 5:26] = 0
    owner[10:31, 26:37] = 1
    owner[:, 50:] = 2  # cut by the frame: it goes on beyond
    depth = depth_of(owner)
    assert depth[20, 15] == depth[20, 31] == 255
    assert depth[20, 59] > 150
    assert max(depth[20, 5], depth[20, 25], depth[20, 26], depth[20, 50]) < 90
    assert depth[20, 10] == pytest.approx(255 * 6 / 11, abs=3)
    assert not depth[owner == -1].any()


def test_a_fitted_network_is_what_is_written(tmp_path):
    frames = frames_of(0, 1, photographs()) + frames_of(0, 1, None)
    seen, owner = frames[0]
    assert seen.shape == (CHANNELS, *owner.shape)
    losses = []
    network = fit(frames, 8, 0, lambda step, loss: losses.append(loss))
    assert np.mean(losses[-2:]) < losses[0]
    write(network, tmp_path / "network.onnx")
    squares = np.random.default_rng(0).integers(-127, 128, (2, 4 * CHANNELS, 24, 32)).astype(np.float32) / UNIT
    with torch.inference_mode():
        told = network(torch.from_numpy(squares)).numpy()
    read = cv2.dnn.readNetFromONNX(str(tmp_path / "network.onnx"))
    read.setInput(squares)
    assert read.forward() == pytest.approx(told, abs=1e-4)
