"""Every task keeps what it was given and makes the rest, whatever the model knows."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch

from kinora.errors import KinoraError, UsageError
from kinora.generation import ClipFormat, GenerationRequest, Task
from kinora.generation.fitting import fitted

RNG = np.random.default_rng(0)
VIDEO = RNG.integers(0, 255, (10, 24, 32, 3), dtype=np.uint8)
OTHER = RNG.integers(0, 255, (7, 24, 32, 3), dtype=np.uint8)
TEXT = GenerationRequest("a red circle", 32, 24, 9, seed=5)
EXTENSION = replace(TEXT, task=Task.EXTEND, video=VIDEO, frames=16)
ALL, LAST = slice(0, 10), slice(-10, None)

TASKS = {
    "first": (replace(TEXT, task=Task.IMAGE, image=VIDEO[0]), [(slice(0, 1), VIDEO[:1])]),
    "last": (replace(TEXT, task=Task.IMAGE, last_image=VIDEO[9], frames=12), [(slice(-1, None), VIDEO[9:])]),
    "both": (
        replace(TEXT, task=Task.IMAGE, image=VIDEO[0], last_image=VIDEO[9], frames=11),
        [(slice(0, 1), VIDEO[:1]), (slice(-1, None), VIDEO[9:])],
    ),
    "forward": (EXTENSION, [(ALL, VIDEO)]),
    "far forward": (replace(EXTENSION, frames=49), [(ALL, VIDEO)]),
    "backward": (replace(EXTENSION, direction="backward"), [(LAST, VIDEO)]),
    "far backward": (replace(EXTENSION, direction="backward", frames=50), [(LAST, VIDEO)]),
    "connect": (
        replace(TEXT, task=Task.CONNECT, video=VIDEO, to_video=OTHER, frames=30),
        [(ALL, VIDEO), (slice(-7, None), OTHER)],
    ),
    "frames": (replace(TEXT, task=Task.FILL, video=VIDEO, frames=10, missing=((2, 4), (9, 9))), [
        (slice(0, 2), VIDEO[:2]), (slice(5, 9), VIDEO[5:9]),
    ]),
    "interpolate": (
        replace(TEXT, task=Task.INTERPOLATE, video=VIDEO[:5], frames=13, factor=3),
        [(slice(0, None, 3), VIDEO[:5])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_what_is_given_comes_back_as_it_is_and_the_rest_is_made(generator, name):
    generator.usual = ClipFormat(32, 24, 17, 8.0)
    request, given = TASKS[name]
    seen = []
    clip = generator.generate([request], lambda step: seen.append((step.done, step.steps)))[0]
    assert clip.shape == (request.frames, 24, 32, 3)
    made = np.ones(request.frames, bool)
    for frames, pixels in given:
        assert np.array_equal(clip[frames], pixels)
        made[frames] = False
    again = generator.generate([replace(request, seed=6)])[0]
    changed = (again != clip).any(axis=(1, 2, 3))
    assert np.array_equal(changed, made)  # another seed makes other frames, everywhere else
    assert [done for done, _ in seen] == list(range(1, seen[0][1] + 1))
    assert {steps for _, steps in seen} == {len(seen)}


def test_a_missing_region_is_filled_and_all_around_it_stays(generator):
    region = (5, 3, 12, 9)
    request = replace(TEXT, task=Task.FILL, video=VIDEO, frames=10, region=region)
    clip = generator.generate([request])[0]
    hole = np.zeros(VIDEO.shape, bool)
    hole[:, 3:12, 5:17] = True
    assert np.array_equal(clip[~hole], VIDEO[~hole])
    assert (clip[hole] != VIDEO[hole]).mean() > 0.9
    inside = generator.generate([replace(request, missing=((4, 6),))])[0]
    assert np.array_equal(inside[:4], VIDEO[:4])
    assert (inside[5] != VIDEO[5]).any()


def test_an_edit_changes_more_the_stronger_it_is(generator):
    def distance(strength):
        request = replace(TEXT, task=Task.EDIT, video=VIDEO, frames=10, strength=strength)
        clip = generator.generate([request])[0]
        return np.abs(clip - generator.generate([replace(request, strength=1e-6)])[0].astype(float)).mean()

    assert distance(0.02) < min(distance(0.5), distance(1.0))


def test_a_loop_has_no_beginning(generator):
    """A loop of an autoencoder and a network that look around themselves is the same wherever it is cut."""
    request = replace(TEXT, frames=16, loop=True)
    clip = generator.generate([request])[0]
    assert clip.shape == (16, 24, 32, 3)
    assert (clip != generator.generate([replace(TEXT, frames=16)])[0]).any()
    with_image = generator.generate([replace(request, task=Task.IMAGE, image=VIDEO[0])])[0]
    assert np.array_equal(with_image[0], VIDEO[0])
    longer = generator.generate([replace(request, frames=40)])[0]  # in windows that lie round the circle
    assert longer.shape == (40, 24, 32, 3)


def test_a_loop_of_an_autoencoder_that_cannot_is_refused_before_the_first_step(generator, monkeypatch):
    from kinora.models.autoencoder import Autoencoder

    monkeypatch.setattr(type(generator.vae), "loop_of", Autoencoder.loop_of)
    with pytest.raises(KinoraError, match="cannot decode a loop"):
        generator.generate([replace(TEXT, frames=16, loop=True)], lambda _: pytest.fail("a step was taken"))


def test_a_stream_is_the_clip_in_parts(generator):
    generator.usual = ClipFormat(32, 24, 17, 8.0)
    for request in (replace(TEXT, frames=50), replace(EXTENSION, frames=42), TEXT):
        parts = list(generator.stream(request))
        whole = generator.generate([request])[0]
        assert np.array_equal(np.concatenate(parts), whole)
        assert len(parts) > 1 or request is TEXT


def test_a_stream_holds_no_more_the_longer_it_is(generator):
    """Latents that are alive half-way through a clip and at its end."""
    generator.usual = ClipFormat(32, 24, 17, 8.0)

    def alive():
        gc.collect()
        return sum(x.numel() for x in gc.get_objects() if type(x) is torch.Tensor)

    held = [alive() for number, _ in enumerate(generator.stream(replace(TEXT, frames=97))) if number in (8, 22)]
    assert held[1] <= 1.1 * held[0]


@pytest.mark.parametrize("size", [(96, 40), (45, 101)])
@pytest.mark.parametrize("frames", [1, 9])
def test_a_large_clip_has_exactly_the_size_asked_for(generator, size, frames):
    generator.usual = ClipFormat(24, 24, 9, 8.0)
    request = replace(TEXT, width=size[0], height=size[1], frames=frames)
    assert generator.generate([request])[0].shape == (frames, *size[::-1], 3)


def test_large_clips_keep_what_is_given(generator):
    generator.usual = ClipFormat(16, 16, 9, 8.0)
    edit = replace(TEXT, task=Task.EDIT, video=VIDEO, frames=10, strength=0.4)
    assert generator.generate([edit])[0].shape == VIDEO.shape
    large = replace(EXTENSION, width=50, height=38, frames=30)
    assert np.array_equal(generator.generate([large])[0][:10], fitted(VIDEO, 50, 38))


def test_media_of_another_size_are_fitted(generator):
    request = replace(EXTENSION, width=16, height=16)
    assert np.array_equal(generator.generate([request])[0][:10], fitted(VIDEO, 16, 16))


def test_what_the_memory_cannot_hold_is_refused_with_what_it_can(generator):
    with pytest.raises(UsageError, match=r"GiB are free; ask for at most [\d,]+ frames of this size"):
        generator.generate([replace(TEXT, frames=10**9)], lambda _: pytest.fail("a step was taken"))


def test_a_step_shows_the_clip_as_it_is_estimated_and_may_end_it(generator):
    class Enough(Exception):
        pass

    def look(step):
        assert step.preview().shape == (9, 24, 32, 3)
        if step.done == 2:
            raise Enough

    with pytest.raises(Enough):
        generator.generate([TEXT], look)
