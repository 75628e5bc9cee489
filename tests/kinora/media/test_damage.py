"""Damaged and shortened files are refused, whole ones of odd make are not."""

import random
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from kinora.media import MediaError, media_kind, open_video, read_image, read_video
from kinora.media.bitstream import holds_forbidden_bytes

DAMAGE = ("corrupt", "truncated", "undecodable")
# What cannot be read of the shared collection, and why: broken, hostile, without video, or of an unknown codec.
REFUSED = {
    "corrupted.mp4": "corrupt",
    "alpha_noispe.avif": "undecodable",
    "clap_irot_imir_non_essential.avif": "undecodable",
    "sofa_grid1x5_420_dimg_repeat.avif": "undecodable",
    "uncompressed_pix_ABGR.heic": "undecodable",
    "full_blocks.mkv": "undecodable",
    "long_edit_list_audioonly.mp4": "undecodable",
    "sample_audio_only.mp4": "undecodable",
    "sample_malformed_free_box.mp4": "undecodable",
    "sample_with_invalid_nalu.mp4": "corrupt",
    "chunk_out_of_range.mp4": "undecodable",
    "invalid_userdata.mp4": "truncated",
    "no_timescale.mp4": "corrupt",
    "short-cenc.mp4": "corrupt",
    "zero_empty_stsc.mp4": "corrupt",
    "bad_huffman.jpg": "corrupt",
    "corrupt.jpg": "undecodable",
    "heapbof.png": "undecodable",
    "sigsegv.png": "undecodable",
}


@pytest.fixture(scope="module")
def moving(real_videos):
    """40 frames of real footage, small."""
    return read_video(real_videos[2], max_frames=40, size=lambda width, height: (96, 72))[0]


def damaged(content: bytes, how: str) -> bytes:
    data, middle = bytearray(content), len(content) // 2
    if how == "zeros":
        data[middle : middle + 512] = bytes(512)
    elif how == "bytes are lost":
        del data[middle : middle + 64]
    elif how == "bits flip":
        rng = random.Random(0)
        for _ in range(20):
            data[rng.randrange(len(data) // 4, len(data) * 3 // 4)] ^= 1 << rng.randrange(8)
    elif how == "the end is missing":
        del data[middle:]
    return bytes(data)


@pytest.mark.parametrize("how", ["zeros", "bytes are lost", "bits flip", "the end is missing"])
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "libx264"), (".mkv", "libx264"), (".avi", "mpeg4"), (".flv", "flv1")]
)
def test_damage_is_found(tmp_path, moving, suffix, codec, how):
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=8)
        stream.height, stream.width = moving.shape[1:3]
        for frame in moving:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    assert len(read_video(path)[0]) == 40
    path.write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(MediaError, match=r"damaged|too early|announces|cannot be decoded") as refused:
        read_video(path)
    assert refused.value.reason in DAMAGE


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_what_announces_only_a_duration_is_found_truncated(tmp_path, moving, encode, suffix, share):
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    path = encode(tmp_path / f"a{suffix}", moving, codec=codec)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(MediaError) as refused:
        read_video(path)
    assert refused.value.reason in ("truncated", "corrupt")


def test_a_recording_that_announces_no_duration_is_whole(tmp_path, moving, encode):
    path = encode(tmp_path / "live.webm", moving, codec="libvpx-vp9", options={"live": "1"})
    with av.open(str(path)) as container:
        assert container.duration is None
    assert len(read_video(path)[0]) == 40


def test_a_picture_that_ends_before_the_sound_is_whole(tmp_path, moving):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video, sound = container.add_stream("libx264", rate=8), container.add_stream("aac", rate=44_100)
        video.height, video.width = moving.shape[1:3]
        video.pix_fmt = "yuv420p"
        for frame in moving[:8]:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode())
        for number in range(5 * 44_100 // 1024):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts, silence.time_base = 44_100, 1024 * number, Fraction(1, 44_100)
            container.mux(sound.encode(silence))
        container.mux(sound.encode())
    with av.open(str(path)) as container:
        assert container.duration > 4.5e6
    assert len(read_video(path)[0]) == 8


def test_the_same_error_in_the_next_file_is_heard_too(tmp_path, corners):
    frames = [Image.fromarray(frame) for frame in corners]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    content = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "a.gif").write_bytes(content[: int(0.6 * len(content))])
    for _ in range(3):
        with pytest.raises(MediaError, match="LZW"):
            read_video(tmp_path / "a.gif")


def test_a_damaged_jpeg_is_refused(tmp_path, real_images):
    path = tmp_path / "a.jpg"
    with Image.open(next(path for path in real_images if path.suffix == ".jpg")) as image:
        image.save(path, quality=90)
    content = bytearray(path.read_bytes())
    assert read_image(path).shape[0] == 1
    (tmp_path / "motion.jpg").write_bytes(bytes(content) + b"\0\0\0\x18ftypmp42" + bytes(100))
    assert (read_image(tmp_path / "motion.jpg") == read_image(path)).all()  # a phone's picture with a video behind it
    content[len(content) // 2 : len(content) // 2 + 512] = bytes(512)
    path.write_bytes(content)
    with pytest.raises(MediaError) as refused:
        read_image(path)
    assert refused.value.reason in DAMAGE


def test_a_png_whose_checksum_is_wrong_is_refused(tmp_path, real_images):
    content = bytearray(real_images[0].read_bytes())
    at = content.index(b"IDAT") + 5000
    content[at] ^= 1
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(MediaError) as refused:
        read_image(tmp_path / "a.png")
    assert refused.value.reason in DAMAGE


def test_bytes_that_no_unit_may_hold():
    def packet(*units: bytes) -> bytes:
        return b"".join(struct.pack(">I", len(unit)) + unit for unit in units)

    assert not holds_forbidden_bytes(packet(b"\x65\1\0\0\3\1", b"\x41\0\0\3"), 4)
    assert not holds_forbidden_bytes(packet(b"\x65\1\2" + bytes(15)), 4)  # filled up, as phones do
    assert holds_forbidden_bytes(packet(b"\x65\1\2", b"\x41\0\0\1\5"), 4)
    assert holds_forbidden_bytes(packet(b"\x65\1\2" + bytes(64)), 4)
    assert not holds_forbidden_bytes(b"\0\0\0\1\x65\0\0\0", 0)


@pytest.mark.timeout(300)
def test_odd_files_are_read_and_broken_ones_refused(shared_media):
    found = {}
    for path in sorted((shared_media / "formats").rglob("*")):
        kind = media_kind(path) if path.is_file() else ""
        try:
            if kind == "image":
                read_image(path)
            elif kind == "video" and path.suffix not in (".wav", ".swf"):
                with open_video(path) as video:
                    for number, frame in enumerate(video.frames()):
                        if number == 0:
                            frame.rgb()
        except MediaError as error:
            found[path.name] = error.reason
    assert found == REFUSED


def test_natural_clips_are_whole(shared_media):
    for path in sorted((shared_media / "natural").glob("*.mp4"))[::4]:
        with open_video(path) as video:
            assert sum(1 for _ in video.frames()) == video.promised
