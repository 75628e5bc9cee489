"""Bars are found to a pixel where there are some, and text where it was written; neither where there is none."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from kinora.data.overlays import Box, bar_share, picture_box, picture_size, text_share
from kinora.media import read_video

SIZE = (320, 180)


def pictures(seed=0):
    """Three pictures `uint8 [180, 320, 3]` of a scene that moves, with detail of many sizes."""
    random = np.random.default_rng(seed)
    scene = sum(
        cv2.resize(random.normal(size=(n, 2 * n, 3)).astype(np.float32), (400, 180), interpolation=cv2.INTER_CUBIC)
        for n in (4, 8, 16, 64)
    )
    scene = np.clip(120 + 30 * scene, 0, 255).astype(np.uint8)
    return [np.ascontiguousarray(scene[:, x : x + 320]) for x in (0, 20, 40)]


def written(lines, size=18, fill=(255, 255, 255)):
    """The pictures with lines of text over them, and the share of the picture that the text is on."""
    font = ImageFont.load_default(size)
    made, covered = [], np.zeros(SIZE[::-1], bool)
    for picture in pictures():
        image = Image.fromarray(picture)
        draw = ImageDraw.Draw(image)
        for number, line in enumerate(lines):
            at = (12, 20 + number * 1.4 * size)
            draw.text(at, line, fill, font, stroke_width=1, stroke_fill=(0, 0, 0) if sum(fill) else (255, 255, 255))
            left, top, right, bottom = (round(edge) for edge in draw.textbbox(at, line, font))
            covered[top:bottom, left:right] = True
        made.append(np.array(image))
    return made, covered.mean()


@pytest.mark.parametrize(
    ("top", "bottom", "left", "right"),
    [(22, 22, 0, 0), (0, 0, 40, 40), (20, 30, 0, 0), (22, 22, 40, 40), (0, 40, 0, 0)],
)
def test_bars_are_found_to_a_pixel(top, bottom, left, right):
    framed = [picture.copy() for picture in pictures()]
    for picture in framed:
        noise = np.random.default_rng(0).integers(0, 5, picture.shape, dtype=np.uint8)  # as encoding leaves
        bars = np.ones(picture.shape, bool)
        bars[top : 180 - bottom, left : 320 - right] = False
        picture[bars] = noise[bars]
    box = picture_box(framed)
    assert box.crop(framed[0]).shape == (180 - top - bottom, 320 - left - right, 3)
    assert box == pytest.approx((top / 180, 1 - bottom / 180, left / 320, 1 - right / 320), abs=1 / 180)
    assert bar_share(framed) == pytest.approx(1 - (180 - top - bottom) * (320 - left - right) / (180 * 320), abs=0.01)
    # A box is of any size: the same part of the video at twice the size.
    assert box.crop(np.zeros((360, 640, 3))).shape == (2 * (180 - top - bottom), 2 * (320 - left - right), 3)


def test_where_there_are_no_bars_the_box_is_the_picture(draw):
    assert picture_box(pictures()) == Box()
    assert picture_box([]) == Box()
    assert picture_box([np.zeros((180, 320, 3), np.uint8)] * 3) == Box()  # a black picture is no bar
    night = np.zeros((180, 320, 3), np.uint8)
    cv2.circle(night, (160, 90), 20, (250, 240, 200), -1)  # the moon before a black sky
    assert picture_box([night]) == Box()
    thin = pictures()
    for picture in thin:
        picture[:2] = 0
    assert picture_box(thin) == Box()


def test_text_is_found_where_it_was_written():
    for lines, fill in (
        (["Subscribe to our channel"], (255, 255, 255)),
        (["The quick brown fox", "jumps over the dog", "and comes back again"], (255, 240, 60)),
        (["Black letters are text too"], (0, 0, 0)),
    ):
        made, share = written(lines, fill=fill)
        assert text_share(made) == pytest.approx(share, rel=0.5)


def test_where_nothing_is_written_there_is_no_text():
    assert text_share(pictures()) < 0.01
    assert text_share([]) == 0.0
    # What is written in the scene and moves with it is not laid over it.
    made, share = written(["Subscribe to our channel"])
    moving = [np.roll(picture, 40 * i, axis=0) for i, picture in enumerate(made)]
    assert text_share(moving) < share / 10


def test_most_real_clips_have_neither(shared_media):
    text, bars = [], []
    for path in sorted((shared_media / "natural").glob("*.mp4"))[::6]:
        some = read_video(path, max_frames=48)[0][::24]
        text.append(text_share(some))
        bars.append(bar_share(some))
    assert np.median(text) == 0
    assert max(text) < 0.15
    assert max(bars) < 0.1


def test_pictures_are_never_larger_than_the_video():
    assert picture_size(1920, 1080) == (320, 180)
    assert picture_size(100, 60) == (100, 60)
    assert picture_size(10, 4000) == (1, 320)


def test_a_grey_picture_is_judged_as_a_coloured_one():
    framed, _ = written(["Some words of a title"])
    for picture in framed:
        picture[:30] = 0
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in framed]
    assert picture_box(grey) == picture_box(framed) != Box()
    assert text_share(grey) == text_share(framed)
