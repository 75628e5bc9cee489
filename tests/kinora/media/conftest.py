"""Files of every odd kind, made by PyAV alone."""

from fractions import Fraction

import av
import numpy as np
import pytest


def make_video(
    path, frames, *, fps=8, times=None, aspect=None, matrix=None, codec="libx264", pixels=None, options=None
):
    """Encode frames `uint8 [T, H, W, 3]` nearly lossless.

    times: when each frame is shown, in seconds. aspect: of one pixel. matrix: the nine numbers of the display matrix,
    as real numbers. pixels: their format. options: of the container.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels or ("yuv444p" if codec == "libx264" else "yuv420p")
        stream.options = {"crf": "4", "bf": "0"}
        stream.codec_context.time_base = Fraction(1, 1000)
        if aspect:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        if matrix:
            units = (65536, 65536, 2**30) * 3
            stream.set_display_matrix([round(n * u) for n, u in zip(matrix, units, strict=True)])
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = round(1000 * (times[number] if times is not None else number / fps))
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def encode():
    """Return `make_video`."""
    return make_video


@pytest.fixture(scope="session")
def corners():
    """Return 9 frames of 48x32 whose corners are red, green, blue and white, and which grow brighter in between."""
    clip = np.empty((9, 32, 48, 3), np.uint8)
    for t in range(9):
        clip[t] = 60 + 10 * t
        clip[t, :12, :16], clip[t, :12, -16:] = (200, 30, 30), (30, 200, 30)
        clip[t, -12:, :16], clip[t, -12:, -16:] = (30, 30, 200), (230, 230, 230)
    return clip
