"""Segments by a SAM 2: which of its masks are things, and a thing followed by them."""

import numpy as np
import pytest
import torch

from evaluation.backends.segments import things
from evaluation.evidence.clip import gather
from evaluation.findings import ClipInput
from kinora.errors import KinoraError
from kinora.models.hf_masks import Masks
from kinora.models.hf_pixels import DEVIATION, MEAN
from kinora.recipes.backends import Backends
from tests.evaluation.backends.conftest import DECODER, SIDE, VISION, disc


def test_a_whole_thing_is_one_segment_and_the_scene_is_none():
    ball, other = disc(20, 20, 10), disc(50, 48, 6)
    part = ball & (np.arange(SIDE) < 20)
    floor = np.zeros((SIDE, SIDE), bool)
    floor[40:] = True
    speck = np.zeros((SIDE, SIDE), bool)
    speck[2, 2:4] = True
    masks = [part, ball, ball, other, floor, ~ball, np.ones_like(ball), speck, np.zeros_like(ball)]
    labels = things(np.stack(masks))
    assert (labels == 1).tolist() == ball.tolist()
    assert (labels == 2).tolist() == other.tolist()
    assert labels.max() == 2


def test_a_mask_in_pieces_is_its_largest_piece():
    labels = things((disc(20, 20, 10) | disc(50, 50, 4))[None])
    assert (labels == 1).tolist() == disc(20, 20, 10).tolist()


def test_where_there_is_no_mask_there_is_no_segment():
    assert not things(np.zeros((0, SIDE, SIDE), bool)).any()


def test_masks_are_those_of_the_network_at_those_points(sam, rolling):
    from transformers import Sam2Model

    points = np.array([[0.25, 0.5], [0.9, 0.1]])
    logits, expected, stable = Masks(f"hf:{sam}")(rolling[0], points)
    shown = torch.from_numpy(((rolling[0] / 255 - MEAN) / DEVIATION).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        made = Sam2Model.from_pretrained(sam)(
            pixel_values=shown,
            input_points=torch.tensor([[[[16.0, 32.0]], [[57.6, 6.4]]]]),
            input_labels=torch.ones(1, 2, 1, dtype=torch.int32),
        )
    np.testing.assert_allclose(logits, made.pred_masks[0].flatten(0, 1), atol=1e-4)
    np.testing.assert_allclose(expected, made.iou_scores[0].flatten(), atol=1e-4)
    inner, outer = ((logits > level).sum(axis=(1, 2)) for level in (1, -1))
    np.testing.assert_allclose(stable, inner / np.maximum(outer, 1))


def test_a_thing_is_followed_by_the_segments_of_the_network(sam, rolling):
    backends = Backends(segments=f"hf:{sam}", calibration="none")
    (track,) = gather(ClipInput("clip", rolling, 8.0), backends).tracks
    assert track.frames.tolist() == list(range(8))
    truth = np.array([(18 + 3 * t - 0.5, 31.5) for t in range(8)])
    assert np.abs(track.centres - truth).max() < 2
    assert track.areas == pytest.approx(np.full(8, np.pi * 13**2), rel=0.2)


def test_the_network_of_a_video_model_is_taken_out_of_it(tmp_path):
    """Published checkpoints are of `Sam2VideoModel`, which has a memory beside it."""
    import transformers as t

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "image_size": SIDE}
    network = t.Sam2VideoModel(
        t.Sam2VideoConfig(
            vision_config=t.Sam2VisionConfig(**VISION),
            prompt_encoder_config=t.Sam2VideoPromptEncoderConfig(**sizes),
            mask_decoder_config=t.Sam2VideoMaskDecoderConfig(**DECODER),
            image_size=SIDE, memory_attention_hidden_size=32, memory_encoder_hidden_size=32,
            memory_attention_rope_feat_sizes=[4, 4], memory_attention_num_layers=1, memory_encoder_output_channels=16,
            mask_downsampler_embed_dim=32, memory_fuser_embed_dim=32,
        )
    )  # fmt: skip
    network.save_pretrained(tmp_path)
    known = dict(network.named_parameters())
    for name, parameter in Masks(f"hf:{tmp_path}").network.named_parameters():
        assert torch.equal(parameter.cpu(), known[name]), name


def test_what_is_no_sam_is_refused_in_one_sentence(vision, tmp_path):
    with pytest.raises(KinoraError, match="cannot be read: it is dinov2, not SAM 2"):
        Masks(f"hf:{vision('dinov2')}")
    with pytest.raises(KinoraError, match="cannot be read"):
        Masks(f"hf:{tmp_path}")
