"""Interlaced video comes out without combs."""

from fractions import Fraction

import av
import numpy as np
import pytest

from kinora.media import read_video


def bar(time: float) -> np.ndarray:
    """A white bar that moves 4 pixels a field."""
    picture = np.full((64, 96, 3), 30, np.uint8)
    left = round(8 + 4 * time)
    picture[:, left : left + 12] = 220
    return picture


def comb(frames: np.ndarray) -> float:
    """How much lines differ from their neighbours."""
    return float(np.abs(np.diff(frames.astype(int), axis=1)).mean())


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_the_two_fields_of_a_frame_are_not_shown_at_once(tmp_path, codec):
    path = tmp_path / ("a.mp4" if codec == "libx264" else "a.ts")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.options = (
            {"crf": "4", "x264-params": "tff=1"} if codec == "libx264" else {"flags": "+ildct+ilme", "qmax": "2"}
        )
        for number in range(8):
            woven = bar(2 * number)
            woven[1::2] = bar(2 * number + 1)[1::2]  # the second field is half a frame later
            frame = av.VideoFrame.from_ndarray(woven, format="rgb24").reformat(format="yuv420p")
            container.mux(stream.encode(_marked(frame, number)))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        stored = list(container.decode(video=0))
        if not all(frame.interlaced_frame for frame in stored):
            pytest.skip("this build of FFmpeg cannot write interlaced video from here")
        combed = np.stack([frame.to_ndarray(format="rgb24") for frame in stored])
    frames, fps = read_video(path)
    assert len(frames) == 8
    assert fps == pytest.approx(25, rel=0.01)
    assert comb(combed) > 4
    assert comb(frames) < comb(combed) / 4
    first = np.stack([bar(2 * number) for number in range(8)])
    assert np.abs(frames[1:-1].astype(int) - first[1:-1]).mean() < 8


def _marked(frame: av.VideoFrame, number: int) -> av.VideoFrame:
    """Return a frame that its encoder takes as interlaced, which PyAV cannot say: a filter can."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=1)
    graph.link_nodes(source, graph.add("setfield", "tff"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    marked = graph.vpull()
    marked.pts, marked.time_base = number, Fraction(1, 25)
    return marked
