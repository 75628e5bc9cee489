"""What cannot be made is one sentence, and the task follows from what is given."""

import numpy as np
import pytest

from kinora.data.grid import DEFAULT_GRID, Grid
from kinora.diffusion.conditioning import Task
from kinora.errors import UsageError
from kinora.generation.request import GenerationRequest, fitted

IMAGE, VIDEO = np.zeros((20, 30, 3), np.uint8), np.zeros((11, 20, 30, 3), np.uint8)


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"prompt": " "}, "prompt is empty"),
        ({"width": 30}, "multiple of 8"),
        ({"height": 4096}, "to 1024"),
        ({"frames": 16}, "1 more than a multiple of 4"),
        ({"frames": 0}, "1 more than a multiple of 4"),
        ({"fps": 0}, "above 0"),
        ({"direction": "sideways"}, "forward or backward"),
        ({"image": IMAGE, "video": VIDEO}, "one of them"),
        ({"image": IMAGE, "frames": 1}, "leaves nothing"),
        ({"video": VIDEO[:2]}, "at least 5 frames"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(wish, sentence):
    with pytest.raises(UsageError, match=sentence) as caught:
        GenerationRequest(**({"prompt": "a red circle"} | wish)).check(DEFAULT_GRID)
    assert "\n" not in str(caught.value)


def test_task_and_context_follow_from_what_is_given():
    assert GenerationRequest("x").task is Task.TEXT
    assert GenerationRequest("x", image=IMAGE).task is Task.IMAGE
    assert GenerationRequest("x", video=VIDEO).task is Task.FORWARD
    assert GenerationRequest("x", video=VIDEO, direction="backward").task is Task.BACKWARD
    assert GenerationRequest("x", video=VIDEO, frames=17).context_frames(DEFAULT_GRID) == 9
    assert GenerationRequest("x", video=VIDEO[:6], frames=33).context_frames(DEFAULT_GRID) == 5
    assert GenerationRequest("x", video=VIDEO[:6], frames=7).context_frames(Grid(8, 2)) == 3


def test_media_are_scaled_to_cover_and_cut_in_the_middle():
    frames = np.zeros((2, 20, 60, 3), np.uint8)
    frames[:, :, 20:40] = 255
    small = fitted(frames, 8, 8)
    assert small.shape == (2, 8, 8, 3)
    assert small.min() > 200
    assert fitted(small, 8, 8) is small
