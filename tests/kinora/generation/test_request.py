"""What cannot be made is one sentence, and what is left open is filled in."""

import numpy as np
import pytest

from kinora.data.grid import DEFAULT_GRID
from kinora.errors import KinoraError, UsageError
from kinora.generation.fitting import fitted
from kinora.generation.options import request_for
from kinora.generation.request import ClipFormat, GenerationRequest, Task

IMAGE, VIDEO = np.zeros((20, 30, 3), np.uint8), np.zeros((11, 20, 30, 3), np.uint8)
EXTENSION = {"task": Task.EXTEND, "video": VIDEO, "frames": 21}
EDIT = {"task": Task.EDIT, "video": VIDEO, "frames": 11}
FILL = {"task": Task.FILL, "video": VIDEO, "frames": 11}
LINK = {"task": Task.CONNECT, "video": VIDEO, "to_video": VIDEO}


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"prompt": " "}, "prompt is empty"),
        ({"prompt": "red " * 25_000}, "100,000 characters; give at most 2,000"),
        ({"negative_prompt": "red " * 25_000}, "negative prompt has 100,000 characters"),
        ({"width": 15}, "16 to 2048 pixels"),
        ({"height": 4096}, "16 to 2048 pixels"),
        ({"seed": -1}, "from 0 to 9223372036854775807"),
        ({"seed": 2**63}, "from 0 to 9223372036854775807"),
        ({"frames": 0}, "1 \\(an image\\) or more"),
        ({"fps": 0}, "above 0"),
        ({"direction": "sideways"}, "forward or backward"),
        ({"strength": 1.1}, "up to 1"),
        ({"strength": 0}, "above 0"),
        ({"factor": 1}, "from 2 to 16"),
        ({"image": IMAGE}, "the task 'text' has no use for a first image"),
        ({"task": Task.IMAGE}, "needs a first image or a last image"),
        ({"task": Task.IMAGE, "image": IMAGE, "frames": 1}, "1 frame leaves nothing"),
        ({"task": Task.IMAGE, "image": IMAGE, "last_image": IMAGE, "frames": 2}, "2 frames leave nothing"),
        ({"task": Task.IMAGE, "image": IMAGE[..., 0]}, r"a first image of type uint8 and shape \[20, 30\] is none"),
        ({"task": Task.EXTEND}, "needs a video"),
        ({"task": Task.EXTEND, "video": VIDEO, "image": IMAGE}, "no use for a first image"),
        (EXTENSION | {"video": VIDEO.astype(float)}, "type float64"),
        (EXTENSION | {"frames": 11}, "11 frames already"),
        (EXTENSION | {"video": VIDEO[:2]}, "at least 5 frames"),
        (EDIT | {"frames": 12}, "makes 11 frames of this video, and 12"),
        ({"task": Task.CONNECT, "video": VIDEO}, "needs a video and a second video"),
        (LINK | {"frames": 22}, "have 22 frames; ask for more"),
        (FILL, "nothing is missing"),
        (FILL | {"missing": ((3, 11),)}, "no frames 3 to 11 in a video of 11"),
        (FILL | {"missing": ((5, 3),)}, "no frames 5 to 3"),
        (FILL | {"missing": ((0, 5), (3, 10))}, "all frames are missing"),
        (FILL | {"region": (20, 0, 11, 5)}, "not within frames of 30x20"),
        (FILL | {"region": (0, 0, 30, 20)}, "the whole frame"),
        ({"task": Task.INTERPOLATE, "video": VIDEO, "frames": 22}, "makes 21 frames"),
        ({"task": Task.INTERPOLATE, "video": VIDEO[:1], "frames": 1}, "at least 2 frames"),
        (EDIT | {"loop": True}, "a loop is made of a prompt"),
        ({"loop": True, "frames": 17}, "multiple of 4 from 8, such as 16"),
        ({"loop": True, "frames": 1}, "stands still"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(wish, sentence):
    with pytest.raises(UsageError, match=sentence) as caught:
        GenerationRequest(**({"prompt": "a red circle"} | wish)).check(DEFAULT_GRID)
    assert "\n" not in str(caught.value)


def test_with_media_the_prompt_may_be_empty():
    image = {"task": Task.IMAGE, "image": IMAGE, "frames": 17}
    for wish in (image, EXTENSION, EDIT, LINK | {"frames": 30}, FILL | {"missing": ((3, 5),)}):
        GenerationRequest("", 32, 24, **wish).check(DEFAULT_GRID)
    assert request_for("", DEFAULT_GRID, ClipFormat(), {"image": IMAGE}).prompt == ""
    with pytest.raises(UsageError, match=r"the prompt is empty; .* or give an image or a video"):
        request_for("", DEFAULT_GRID, ClipFormat(), {})


def asked(**options):
    return request_for("a red circle", DEFAULT_GRID, ClipFormat(16, 24, 17, 12.0), options)


def test_the_task_and_the_format_follow_from_what_is_given(tmp_path):
    def formed(**options):
        request = asked(**options)
        return request.task, request.width, request.height, request.frames, request.fps

    assert formed() == (Task.TEXT, 16, 24, 17, 12.0)
    assert formed(loop=True) == (Task.TEXT, 16, 24, 16, 12.0)
    assert formed(image=IMAGE) == formed(last_image=IMAGE) == (Task.IMAGE, 30, 20, 17, 12.0)
    assert formed(video=VIDEO) == (Task.EXTEND, 30, 20, 19, 12.0)
    assert formed(video=VIDEO, to_video=VIDEO) == (Task.CONNECT, 30, 20, 30, 12.0)
    assert formed(video=VIDEO, strength=0.3) == (Task.EDIT, 30, 20, 11, 12.0)
    assert formed(video=VIDEO, region=(0, 0, 5, 5)) == (Task.FILL, 30, 20, 11, 12.0)
    assert formed(video=VIDEO, factor=3) == (Task.INTERPOLATE, 30, 20, 31, 36.0)
    assert formed(video=VIDEO, task="edit", size=(99, 98), fps=5) == (Task.EDIT, 99, 98, 11, 5)
    with pytest.raises(KinoraError, match=r"there is no file .*none\.png"):
        asked(image=tmp_path / "none.png")
    with pytest.raises(UsageError, match="there is no task 'dance'; choose from text, image"):
        asked(task="dance")
    with pytest.raises(UsageError, match="is none"):
        asked(image=IMAGE[0])


def test_a_much_larger_image_becomes_a_clip_of_the_usual_area():
    request = asked(image=np.zeros((300, 600, 3), np.uint8))
    assert (request.width, request.height) == (24, 16)  # from 16x24, in the nearest aspect ratio
    assert request.notes == [
        "The image has 600x300 pixels and the clip 24x16: it is scaled to 32x16, "
        "and 8 columns are cut off, half on either side."
    ]
    assert asked(image=IMAGE).notes == []


def test_media_are_scaled_to_cover_and_cut_in_the_middle():
    frames = np.zeros((2, 20, 60, 3), np.uint8)
    frames[:, :, 20:40] = 255
    small = fitted(frames, 8, 8)
    assert small.shape == (2, 8, 8, 3)
    assert small.min() > 200
    assert fitted(small, 8, 8) is small


def test_a_length_may_be_given_in_seconds():
    def frames(**options):
        return request_for("p", DEFAULT_GRID, ClipFormat(32, 32, 17, 8.0), options).frames

    assert (frames(seconds=2.0), frames(seconds=0.01), frames(seconds=2.0, fps=12.0)) == (16, 1, 24)
    assert frames(seconds=2.2, loop=True) == 16  # a loop closes on the grid
    assert frames(seconds=3.0, video=VIDEO) == 24
    for wish in ({"seconds": 0.0}, {"seconds": float("nan")}, {"seconds": 1e9}, {"seconds": 1.0, "frames": 5}):
        with pytest.raises(UsageError, match=r"above 0|give one of them"):
            frames(**wish)
