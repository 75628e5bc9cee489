"""How a clip was made is inside its file, in every format, and other tools see it too."""

import io
import json
from contextlib import suppress

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kinora.media import MediaError, read_metadata, video_bytes, write_clip, write_image

NAMES = ["x.mp4", "x.webm", "x.gif", "x.webp", "x.png", "x"]
TRICKY = {
    "prompt": 'a "red" circle; # = \\ \' \n\r\t <b> & 圆 🟥 é \x00\x7f\u2028\ufffe\udc80',
    "negative_prompt": "",
    "seed": 2**53,
    "fps": 0.1,
    "sampling": {"steps": 25, "interval": [0.0, None], "deep": {"er": True}},
}


def frames(name: str) -> np.ndarray:
    return np.zeros((1 if name == "x.png" else 2, 16, 16, 3), np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_is_read_again(tmp_path, name):
    write_clip(tmp_path / name, frames(name), 8.0, TRICKY)
    assert read_metadata(tmp_path / name) == TRICKY
    write_clip(tmp_path / name, frames(name), 8.0)
    assert read_metadata(tmp_path / name) == {}


words = st.text(st.characters(), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metadata=st.dictionaries(words, json_values, min_size=1, max_size=4))
def test_any_metadata_comes_back(tmp_path, name, metadata):
    write_clip(tmp_path / name, frames(name), 8.0, metadata)
    assert read_metadata(tmp_path / name) == metadata


def test_a_very_long_prompt_fits(tmp_path):
    for name in NAMES:
        write_clip(tmp_path / name, frames(name), 8.0, {"prompt": "word " * 20_000})
        assert len(read_metadata(tmp_path / name)["prompt"]) == 100_000


def test_files_of_bytes_are_read_too():
    assert read_metadata(io.BytesIO(video_bytes(frames("x.mp4"), 8.0, TRICKY))) == TRICKY
    write_image(buffer := io.BytesIO(), frames("x.png")[0], TRICKY)
    assert read_metadata(buffer) == TRICKY


def test_other_tools_see_it(tmp_path):
    for name in NAMES:
        write_clip(tmp_path / name, frames(name), 8.0, TRICKY)
    for name in ("x.mp4", "x.webm"):  # as ffprobe does
        with av.open(str(tmp_path / name)) as container:
            assert json.loads({key.lower(): text for key, text in container.metadata.items()}["comment"]) == TRICKY
    with Image.open(tmp_path / "x.gif") as image:
        assert json.loads(image.info["comment"]) == TRICKY
    with Image.open(tmp_path / "x.webp") as image:
        assert json.loads(image.getexif()[0x010E]) == TRICKY
    for path in (tmp_path / "x.png", tmp_path / "x" / "000001.png"):
        with Image.open(path) as image:
            assert json.loads(image.text["Comment"]) == TRICKY
    assert json.loads((tmp_path / "x" / "clip.json").read_text()) == TRICKY


@pytest.mark.parametrize("text", ["not JSON", "[1]", "3", "[" * 100_000, '{"a": ' * 100_000, "9" * 10_000, '{"a"'])
def test_the_comment_of_another_tool_is_no_metadata(tmp_path, text):
    with Image.new("RGB", (4, 4)) as image:
        image.save(tmp_path / "x.gif", comment=text)
    assert read_metadata(tmp_path / "x.gif") == {}
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "clip.json").write_text(text)
    assert read_metadata(tmp_path / "x") == {}


def test_a_huge_comment_is_not_parsed(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "clip.json").write_text(json.dumps({"prompt": "x" * 2**21}))
    assert read_metadata(tmp_path / "x") == {}


def test_files_that_are_broken_or_missing_are_named(tmp_path):
    for name in NAMES[:-1]:
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n junk")
        with pytest.raises(MediaError, match=rf"{name} cannot be decoded"):
            read_metadata(tmp_path / name)
    with pytest.raises(MediaError, match="no file"):
        read_metadata(tmp_path / "none.mp4")
    (tmp_path / "folder").mkdir()
    with pytest.raises(MediaError, match=r"clip\.json"):
        read_metadata(tmp_path / "folder")


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_damaged_file_is_refused_or_read_and_never_crashes(tmp_path, name):
    write_clip(tmp_path / name, frames(name), 8.0, {"prompt": "a red circle"})
    whole = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            damaged[place] = rng.integers(0, 256)
        (tmp_path / name).write_bytes(damaged[: rng.integers(1, len(whole) + 1)] if rng.random() < 0.3 else damaged)
        with suppress(MediaError):
            assert isinstance(read_metadata(tmp_path / name), dict)
