"""Small uploads that decode to much are refused, or decoded few at a time: measured in a process of their own."""

import io
import json
import subprocess
import sys
import zlib

import av
import numpy as np
import pytest
from PIL import Image

from serving.given import DECODERS

# Sends every file at once, as clients do, and prints the answers and the memory that decoding took, in MiB.
PROGRAM = """
import asyncio, io, json, resource, sys
import numpy as np
from starlette.datastructures import UploadFile
from kinora.data.grid import Grid
from kinora.generation import ClipFormat
from kinora.media import video_bytes
from serving.errors import ApiError
from serving.given import Room, given_media


ROOM = Room(Grid(), ClipFormat(), 2**17)  # 128 frames of 32x32

async def ask(kind, data):
    field = {"video": "video", "image": "input_reference"}[kind]
    try:
        given = await given_media({field: UploadFile(io.BytesIO(data))}, (32, 32), ROOM, None)
        return list(given.media[kind].shape)
    except ApiError as error:
        return str(error)

async def ask_all(kind, files):
    return await asyncio.gather(*(ask(kind, data) for data in files))

kind = sys.argv[1]
files = [open(name, "rb").read() for name in sys.argv[2:]]
small = io.BytesIO()
from PIL import Image
Image.new("RGB", (32, 32)).save(small, "PNG")
first = video_bytes(np.zeros((5, 32, 32, 3), np.uint8), 8.0) if kind == "video" else small.getvalue()
asyncio.run(ask_all(kind, [first]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
answers = asyncio.run(ask_all(kind, files))
print(json.dumps([answers, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024]))
"""


def asked(kind, *files) -> tuple[list, float]:
    """Return the answers to uploads made at once, and the memory that they took at most, in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, *map(str, files)], capture_output=True, text=True, check=True
    )
    answers, taken = json.loads(done.stdout.splitlines()[-1])
    return answers, taken


def grey_video(path, frames: int, side: int):
    """A video of nothing: a few bytes a frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = side
        stream.pix_fmt, stream.options = "yuv420p", {"preset": "ultrafast", "crf": "40"}
        frame = av.VideoFrame.from_ndarray(np.full((side, side, 3), 128, np.uint8), format="rgb24")
        for number in range(frames):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_small_video_of_many_large_frames_is_refused_from_its_header(tmp_path):
    path = grey_video(tmp_path / "grey.mp4", 200, 1024)
    assert path.stat().st_size < 200_000  # and 600 MB decoded
    (answer,), taken = asked("video", path)
    assert "send a shorter or smaller one" in answer
    assert taken < 100


def test_a_video_that_hides_its_length_is_refused_while_it_is_decoded(tmp_path):
    grey_video(tmp_path / "grey.mp4", 200, 512)
    # A fragmented file announces no number of frames.
    with av.open(str(tmp_path / "grey.mp4")) as source:
        target = av.open(str(tmp_path / "hidden.mp4"), "w", options={"movflags": "frag_keyframe+empty_moov"})
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
        target.close()
    (answer,), taken = asked("video", tmp_path / "hidden.mp4")
    assert "send a shorter or smaller one" in answer
    assert taken < 150


def test_large_frames_of_a_short_video_are_scaled_as_they_come(tmp_path):
    (shape,), taken = asked("video", grey_video(tmp_path / "grey.mp4", 100, 1400))
    assert shape == [100, 32, 32, 3]  # 588 MB at their own size
    assert taken < 350


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_many_small_images_of_many_pixels_are_decoded_few_at_a_time(tmp_path, mode):
    buffer = io.BytesIO()
    Image.new(mode, (4000, 4000)).save(buffer, "PNG")
    assert len(zlib.compress(buffer.getvalue())) < 20_000
    (tmp_path / "grey.png").write_bytes(buffer.getvalue())
    answers, taken = asked("image", *[tmp_path / "grey.png"] * 16)
    assert answers == [[32, 32, 3]] * 16
    assert taken < 450  # 16 times 64 MB is the least that decoding all at once takes
    assert DECODERS._max_workers == 2
