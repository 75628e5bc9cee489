"""Torn and missing packets of MPEG-TS and Ogg are found; recordings that begin anywhere are whole."""

import io

import av
import pytest

from kinora.media import MediaError, open_video, read_video
from kinora.media.bitstream import holds_forbidden_bytes

STEPS = {".ts": 188, ".m2ts": 192}  # bytes from packet to packet
PIDS = {".ts": 0x100, ".m2ts": 0x1011}  # of the video, as FFmpeg writes them


@pytest.fixture(
    scope="module", params=[(".ts", "libx264"), (".m2ts", "libx264"), (".ts", "libx265"), (".ts", "mpeg2video")]
)
def recording(request, tmp_path_factory, real_videos):
    """The bytes of a recording of 24 frames, how many are from packet to packet, and where packets of video begin."""
    suffix, codec = request.param
    path, step = tmp_path_factory.mktemp("packets") / f"a{suffix}", STEPS[suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 120, "yuv420p", 6
        stream.bit_rate = 1_500_000
        for frame in read_video(real_videos[2], max_frames=24, size=lambda width, height: (160, 120))[0]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    content = path.read_bytes()
    places = range(0, len(content), step)
    before = step - 188
    pids = [int.from_bytes(content[at + before + 1 : at + before + 3], "big") & 0x1FFF for at in places]
    return content, step, [at for at, pid in zip(places, pids, strict=True) if pid == PIDS[suffix]]


def count(content: bytes) -> int:
    with open_video(io.BytesIO(content)) as video:
        return sum(1 for _ in video.frames())


def refused(content: bytes) -> str:
    with pytest.raises(MediaError, match=r"damaged|too early") as error:
        count(content)
    return error.value.reason


def test_a_recording_may_begin_anywhere(recording):
    content, _, places = recording
    assert count(content) == 24
    for start in (places[len(places) // 3], places[len(places) // 3] + 77):
        assert 6 <= count(content[start:]) < 24


def test_a_recording_that_ends_within_a_packet_is_refused(recording):
    content, step, places = recording
    for end in (places[-1] + 100, places[len(places) // 2] + step - 60):
        assert refused(content[:end]) in ("truncated", "corrupt")


def test_a_packet_that_is_missing_is_noticed_even_before_the_first_key_frame(recording):
    content, step, places = recording
    for at in (*places[1:4], places[len(places) // 2], places[-2]):
        refused(content[:at] + content[at + step :])
        refused(content[: at + 50] + content[at + 57 :])
        refused(content[:at] + bytes(512) + content[at + 512 :])


def test_a_packet_that_announces_that_its_counter_jumps_is_no_damage(recording):
    content, step, places = recording
    start = step - 188  # of a packet that has an adaptation field of more than its length
    at = next(a for a in places[1:] if content[a + start + 3] & 0x20 and content[a + start + 4])
    jumping = bytearray(content)
    for place in (place for place in places if place >= at):
        counter = jumping[place + start + 3]
        jumping[place + start + 3] = counter & 0xF0 | counter + 5 & 0x0F
    refused(bytes(jumping))
    jumping[at + start + 5] |= 0x80
    assert count(bytes(jumping)) == 24


def test_an_ogg_without_its_end_is_refused(tmp_path, encode, corners):
    content = encode(tmp_path / "a.ogv", corners.repeat(4, 0), codec="libvpx").read_bytes()
    assert count(content) == 36
    assert refused(content[: int(0.8 * len(content))]) == "truncated"
    assert refused(content[: content.rindex(b"OggS")]) == "truncated"
    assert refused(content[:-1]) == "truncated"


def test_zeros_within_units_that_have_start_codes():
    units = b"\0\0\0\1\x67\1\0\0\3\1" + b"\0\0\1\x65\1\2\3"
    assert not holds_forbidden_bytes(units, 0)
    assert not holds_forbidden_bytes(units + bytes(20) + units + bytes(3), 0)  # filled up
    for damaged in (units + b"\0\0\2", units + b"\0\0\0\7", units + bytes(64) + b"\1"):
        assert holds_forbidden_bytes(damaged, 0)
        assert not holds_forbidden_bytes(damaged, None)  # of other codecs


def test_a_refusal_is_one_sentence(tmp_path, encode, corners):
    content = encode(tmp_path / "a.mp4", corners, options={"movflags": "faststart"}).read_bytes()
    with pytest.raises(MediaError, match=r"Invalid NAL unit size \(\d+ > \d+\)\); replace"):
        count(content[: content.index(b"mdat") + 900])
