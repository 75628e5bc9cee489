"""Colours come out as a player shows them, whatever matrix, range, transfer and depth a file has."""

import av
import numpy as np
import pytest
from PIL import Image

from kinora.media import MediaError, read_image, read_video
from kinora.media.colour import HLG, PQ, tone_mapped

ORANGE = (210, 120, 40)


def write(path, picture, pixels, params, *, matrix, full=False):
    """Encode one colour, or `uint16 [H, W, 3]`, with what the stream says of its colours."""
    frame = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(picture), "rgb48le" if picture.dtype == "uint16" else "rgb24"
    )
    coded = frame.reformat(format=pixels, dst_colorspace=matrix, dst_color_range=2 if full else 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixels
        stream.options = {"crf": "1", "x264-params": params}
        for _ in range(3):
            container.mux(stream.encode(coded))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("params", "matrix", "full", "height"),
    [
        ("colormatrix=bt709", 1, False, 64),
        ("colormatrix=bt709:fullrange=on", 1, True, 64),
        ("colormatrix=smpte170m", 5, False, 64),
        ("colormatrix=smpte170m:fullrange=on", 5, True, 720),
        ("fullrange=off", 5, False, 64),  # players guess by the size
        ("fullrange=off", 1, False, 720),
    ],
)
def test_the_matrix_and_range_of_a_file_count(tmp_path, params, matrix, full, height):
    picture = np.full((height, 64, 3), ORANGE, np.uint8)
    read = read_video(write(tmp_path / "a.mp4", picture, "yuv444p", params, matrix=matrix, full=full))[0]
    assert np.abs(read.astype(int) - ORANGE).max() <= 4


def signal_of_pq(nits: float) -> float:
    """SMPTE ST 2084, written down once more."""
    y = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


@pytest.mark.parametrize("nits", [1.0, 10.0, 50.0, 80.0])
def test_pq_light_that_a_screen_can_show_stays_as_it_is(tmp_path, nits):
    picture = np.full((32, 32, 3), round(65_535 * signal_of_pq(nits)), np.uint16)
    params = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    read = read_video(write(tmp_path / "a.mp4", picture, "yuv420p10le", params, matrix=9))[0]
    # A screen whose white has 203 nits, and a gamma of 2.4, gives the same light.
    assert (read / 255.0) ** 2.4 * 203 == pytest.approx(np.full(read.shape, nits), rel=0.06)


def test_what_is_brighter_is_compressed_and_keeps_its_order():
    codes = np.array([65_535 * signal_of_pq(nits) for nits in range(0, 1001, 20)]).round().astype(np.uint16)
    shown = tone_mapped(np.repeat(codes[None, :, None], 3, axis=2), PQ, 9)[0].astype(int)
    assert np.ptp(shown, axis=1).max() <= 1
    assert (np.diff(shown[:, 0]) >= 0).all()
    assert 200 < shown[10, 0] < 250  # 200 nits, the white of paper
    assert shown[-1, 0] == 255
    assert tone_mapped(np.full((1, 1, 3), 65_535, np.uint16), PQ, 9).min() == 255  # 10,000 nits


def test_hlg_at_half_its_signal():
    # BT.2100: scene light 1/12, of which a display of 1000 nits makes 1000 (1/12)^1.2 = 50.7.
    shown = tone_mapped(np.full((1, 1, 3), 32_768, np.uint16), HLG, 9)
    assert shown == pytest.approx(np.full((1, 1, 3), 255 * (50.7 / 203) ** (1 / 2.4)), abs=1)


def test_a_red_of_bt709_inside_of_bt2020_is_red_again():
    # BT.2087: the red of BT.709 at 50 nits, in BT.2020.
    red = 50 * np.array((0.6274, 0.0691, 0.0164))
    codes = np.array([65_535 * signal_of_pq(light) for light in red]).round().astype(np.uint16)
    shown = tone_mapped(codes[None, None], PQ, 9)[0, 0]
    assert abs(int(shown[0]) - 255 * (50 / 203) ** (1 / 2.4)) <= 1
    assert shown[1:].max() <= 12


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_of_16_bits_is_scaled(tmp_path, suffix):
    values = np.linspace(0, 65_535, 64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    read = read_image(tmp_path / f"a{suffix}")[0]
    assert (read == np.rint(values / 257)[..., None]).all()


def test_grey_whose_white_is_unknown_is_refused(tmp_path):
    Image.fromarray(np.ones((8, 8), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(MediaError, match="32 bits"):
        read_image(tmp_path / "a.tif")


def test_real_hdr_is_not_washed_out(shared_media):
    """Between its dark and its bright parts an HLG chart of colour patches has the contrast of an SDR picture."""
    frame = read_video(shared_media / "formats" / "media3" / "hlg10-color-test.mp4", max_frames=1)[0][0]
    assert frame.min() < 40
    assert 180 < np.percentile(frame, 90) <= 255
