"""What a vision transformer sees in frames, and looks with it."""

import numpy as np
import pytest
import torch

from evaluation.backends.looks import FEATURES, PATCHES, WEIGHT, seen_in
from evaluation.evidence.clip import gather
from evaluation.evidence.looks import LOOK, regions
from evaluation.findings import ClipInput
from kinora.errors import KinoraError
from kinora.models.hf_patches import PatchFeatures
from kinora.models.hf_pixels import DEVIATION, MEAN
from kinora.recipes.backends import Backends


def evidence(rolling, folder):
    return gather(ClipInput("clip", rolling, 8.0), Backends(looks=f"hf:{folder}", calibration="none"))


@pytest.mark.parametrize("kind", ["dinov2", "registers"])
def test_features_are_those_of_the_networks_patches(vision, kind):
    from transformers import AutoModel

    frames = np.random.default_rng(0).integers(0, 256, (2, 28, 56, 3)).astype(np.uint8)
    features = PatchFeatures(f"hf:{vision(kind)}")(frames, 4)
    shown = torch.from_numpy(((frames / 255 - MEAN) / DEVIATION).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(vision(kind))(pixel_values=shown).last_hidden_state
    tokens = np.asarray(hidden)[:, 1 + (4 if kind == "registers" else 0) :]
    tokens /= np.linalg.norm(tokens, axis=-1, keepdims=True)
    assert features.shape == (2, 2, 4, 32)
    np.testing.assert_allclose(features.reshape(2, 8, 32), tokens, atol=1e-5)


def test_every_pixel_has_the_features_of_its_patch_and_distances_are_kept(vision, rolling):
    found = evidence(rolling, vision("dinov2"))
    seen = seen_in(found)
    assert seen.shape == (8, PATCHES, PATCHES, FEATURES)
    pixels = found.features(3)
    assert pixels.shape == (64, 64, FEATURES)
    assert (pixels[10, 41] == seen[3, 5, 20]).all()
    raw = PatchFeatures(f"hf:{vision('dinov2')}")(rolling[:1], PATCHES).reshape(-1, 32)[::37]
    small = seen[0].reshape(-1, FEATURES)[::37]
    apart = [np.linalg.norm(a[:, None] - a, axis=-1)[np.triu_indices(len(a), 1)] for a in (raw, small)]
    assert np.median(apart[1] / apart[0]) == pytest.approx(WEIGHT, rel=0.15)


def test_looks_go_on_with_what_the_network_sees(vision, rolling):
    (plain,) = gather(ClipInput("clip", rolling, 8.0)).tracks
    (track,) = evidence(rolling, vision("dinov2")).tracks
    np.testing.assert_allclose(track.look[:, :LOOK], plain.look, atol=1e-6)
    assert track.look.shape == (8, LOOK + FEATURES)
    inside = track.mask(2, 64, 64)
    mean = evidence(rolling, vision("dinov2")).features(2)[inside].mean(axis=0)
    assert track.look[2, LOOK:] == pytest.approx(mean, abs=0.02)


def test_regions_without_features_are_as_ever(rolling):
    labels = np.zeros((64, 64), np.uint8)
    labels[20:40, 10:30] = 1
    luma = rolling[0].mean(axis=-1).astype(np.float32)
    features = np.random.default_rng(0).random((64, 64, 5)).astype(np.float32)
    plain, more = regions(rolling[0], luma, labels, 1), regions(rolling[0], luma, labels, 1, features)
    assert more.looks[:, :LOOK] == pytest.approx(plain.looks, abs=1e-5)
    assert more.looks.shape == (1, LOOK + 5)
    np.testing.assert_allclose(more.spreads, plain.spreads, rtol=1e-4)
    np.testing.assert_allclose(more.colours, plain.colours, rtol=1e-4)


def test_what_has_no_patches_is_refused(sam, tmp_path):
    with pytest.raises(KinoraError, match="has no patches"):
        PatchFeatures(f"hf:{sam}")
    with pytest.raises(KinoraError, match="cannot be read"):
        PatchFeatures(f"hf:{tmp_path}")
