"""A canvas holds what is given, where it belongs, and nothing else is taken for known."""

from dataclasses import replace

import numpy as np
import pytest

from kinora.generation.canvas import REACH, canvas_of, joined
from kinora.generation.request import GenerationRequest, Task

VIDEO = np.random.default_rng(0).integers(0, 255, (10, 20, 30, 3), dtype=np.uint8)
EXTENSION = GenerationRequest("x", 30, 20, 24, task=Task.EXTEND, video=VIDEO)


def test_a_canvas_is_on_the_grid_around_its_clip():
    canvas = canvas_of(EXTENSION, 8, 4, (30, 20))
    assert (canvas.frames % 4, canvas.height, canvas.width) == (1, 24, 32)
    clip = canvas.video[canvas.before :, :20, :30]
    assert np.array_equal(clip[:10], VIDEO)
    assert canvas.known[: canvas.before + 10].all()
    assert not canvas.known[canvas.before + 10 :].any()


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("length", [5, 6, 7, 8, 9])
def test_what_a_clip_goes_on_from_ends_with_a_whole_latent(generator, direction, length):
    request = replace(EXTENSION, video=VIDEO[:length], direction=direction)
    canvas = canvas_of(request, 8, 4, (30, 20))
    known, partly = canvas.tokens_known(generator.vae, 2)
    assert not partly.any()
    held = 1 - (1 - length) // 4 if direction == "forward" else -(-length // 4)
    assert int(known.all(dim=(1, 2)).sum()) == held
    clip = canvas.video[canvas.before : canvas.before + 24, :20, :30]
    assert np.array_equal(clip[:length] if direction == "forward" else clip[-length:], VIDEO[:length])


def test_only_patches_that_are_known_as_a_whole_are_given(generator):
    request = GenerationRequest("x", 30, 20, 10, task=Task.FILL, video=VIDEO, region=(9, 0, 8, 20))
    known, partly = canvas_of(request, 8, 4, (30, 20)).tokens_known(generator.vae, 2)
    assert known.shape == (4, 3, 4)
    assert known.all(dim=(0, 1)).tolist() == [True, False, False, True]
    assert partly.all(dim=(0, 1)).tolist() == [False, True, True, False]


def test_known_pixels_are_put_into_an_estimate(generator):
    request = GenerationRequest("x", 32, 24, 9, task=Task.IMAGE, last_image=VIDEO[0])
    canvas = canvas_of(request, 8, 4, (32, 24))
    _, partly = canvas.tokens_known(generator.vae, 2)
    estimate = canvas.latents(generator.vae) * 0 + 0.1
    better = canvas.corrected(generator.vae, estimate, partly, 2)
    assert np.array_equal(better[:, :2], estimate[:, :2])
    assert not np.isclose(better[:, 2], estimate[:, 2]).all()


def test_made_frames_meet_the_known_ones():
    """Of a clip that is made a shade too dark, the shade fades in from the known frames on."""
    video = np.full((20, 4, 4, 3), 100, np.uint8)
    known = np.arange(20) < 5
    levels = joined(video - 16, video, known)[5:, 0, 0, 0].astype(int)
    assert (np.diff(levels) <= 0).all()
    assert levels[0] == 100 - 16 / REACH
    assert (levels[REACH:] == 84).all()
    known[-3:] = True
    assert (joined(video - 16, video, known)[7:15, 0, 0, 0] <= 98).all()
    alternate = np.arange(20) % 2 == 0
    assert (joined(video - 16, video, alternate)[1:-1:2] == 100).all()  # between two known ones nothing is lost


def test_a_loop_begins_between_two_latents_and_its_end_meets_a_given_first_frame(generator):
    request = GenerationRequest("x", 32, 24, 16, task=Task.IMAGE, image=np.full((24, 32, 3), 100, np.uint8), loop=True)
    canvas = canvas_of(request, 8, 4, (32, 24))
    clip = np.random.default_rng(1).integers(0, 255, (16, 24, 32, 3), dtype=np.uint8)
    assert canvas.before % generator.vae.config.temporal == 2
    assert np.array_equal(canvas.cut(canvas.placed(clip), clip.shape), clip)
    assert canvas.known.any(axis=(1, 2)).tolist() == [frame == canvas.before for frame in range(16)]
    levels = canvas.pasted(np.full_like(clip, 84))[:, 0, 0, 0]
    assert levels[0] == 100
    assert levels[-1] == levels[1] == 98
    assert levels[8] == 84


def test_what_moves_on_leaves_no_outline():
    decoded = np.full((6, 16, 32, 3), 60, np.uint8)
    decoded[:2, 4:12, 4:12] = 200
    decoded[2:, 4:12, 20:28] = 200  # made: the thing is elsewhere
    true = decoded.copy()
    true[:2] += 10  # of everything a little was lost, and of the thing its texture
    true[:2, 4:12:2, 4:12] += 30
    met = joined(decoded, true, np.arange(6) < 2)
    assert (met[2, :, 15:17] == 69).all()  # the ground meets what was given
    assert (met[2:, 5:11, 5:11] == 60).all()
    assert (met[2:, 5:11, 21:27] == 200).all()
