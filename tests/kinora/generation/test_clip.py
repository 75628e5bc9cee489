"""A generated clip is saved in any format and shows itself in a notebook."""

import base64
import io
import re

import numpy as np
import pytest

import kinora
from kinora.errors import UsageError
from kinora.generation import GeneratedClip
from kinora.media import read_image, read_metadata, read_video

FRAMES = np.random.default_rng(0).integers(0, 255, (5, 16, 24, 3), dtype=np.uint8)


def test_it_is_saved_in_the_format_of_the_name(tmp_path):
    clip = GeneratedClip(FRAMES, 8.0, "a red circle", {"prompt": "a red circle", "seed": 3})
    assert clip.save(tmp_path / "x.webm") == tmp_path / "x.webm"
    assert read_video(tmp_path / "x.webm")[0].shape == FRAMES.shape
    assert read_metadata(tmp_path / "x.webm") == {"prompt": "a red circle", "seed": 3}
    with pytest.raises(UsageError, match="5 frames"):
        clip.save(tmp_path / "x.png")
    assert repr(clip) == "<GeneratedClip 'a red circle', 5 frames of 24x16 at 8 frames a second>"


def test_a_notebook_shows_it_playing_and_enlarged():
    shown = GeneratedClip(FRAMES, 8.0, 'a "red" <circle>')._repr_html_()
    assert 'title="a &quot;red&quot; &lt;circle&gt;"' in shown
    content = base64.b64decode(re.search(r"data:video/mp4;base64,([^\"]+)", shown)[1])
    assert read_video(io.BytesIO(content))[0].shape == (5, 13 * 16, 13 * 24, 3)
    still = GeneratedClip(FRAMES[:1], 8.0, "a red circle")._repr_html_()
    content = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", still)[1])
    assert np.array_equal(read_image(io.BytesIO(content))[0, ::13, ::13], FRAMES[0])


def test_the_library_names_its_generator_at_the_top():
    from kinora.generation import VideoGenerator

    assert kinora.VideoGenerator is VideoGenerator
    with pytest.raises(AttributeError, match="no attribute 'Simulator'"):
        kinora.Simulator  # noqa: B018
