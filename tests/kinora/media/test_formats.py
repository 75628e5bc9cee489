"""What a file is, is judged by its content; playlists and headers that announce too much are refused."""

import io
import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image
from pillow_heif import register_heif_opener

from kinora.media import VIDEO_SUFFIXES, MediaError, MediaLimits, media_kind, open_video, read_image, read_video
from kinora.media.formats import begins_like_video

PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "list.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" '
    'bandwidth="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "list.txt": "ffconcat version 1.0\nfile '{}'\n",
    "list.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
@pytest.mark.parametrize("suffix", ["", ".mp4", ".ts"])
def test_no_list_of_other_files_is_opened(tmp_path, real_videos, name, suffix):
    (tmp_path / "video.mp4").write_bytes(real_videos[2].read_bytes())
    path = tmp_path / (name + suffix)
    path.write_text(PLAYLISTS[name].format("video.mp4"))
    with pytest.raises(MediaError, match="cannot be decoded") as refused:
        read_video(path)
    assert refused.value.reason == "undecodable"


@pytest.mark.parametrize("suffix", ["", *VIDEO_SUFFIXES])
@pytest.mark.parametrize(
    "content", [b"this is no video", b"Good morning, " * 200, b"PK\3\4" + bytes(range(256)) * 9, bytes(5000)]
)
def test_what_begins_like_no_video_is_called_that(tmp_path, content, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    for source in (path, io.BytesIO(content)):
        with pytest.raises(MediaError, match="is no video that is known") as refused:
            read_video(source)
        assert refused.value.reason == "undecodable"


@pytest.mark.parametrize("before", [b"", b"\0\0\0\x08wide"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_recording_that_was_never_finished_is_truncated(tmp_path, encode, corners, suffix, before):
    content = encode(tmp_path / f"a{suffix}", corners).read_bytes()
    start = content.index(b"mdat") - 4
    begin = before or content[:start]
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(begin + content[start : start + 400])
    with pytest.raises(MediaError, match="ends too early") as refused:
        read_video(path)
    assert refused.value.reason == "truncated"


STREAMS = {".ts": "libx264", ".m2ts": "libx264", ".h264": "libx264", ".avi": "mpeg4", ".flv": "flv1", ".wmv": "wmv2"}
STREAMS |= {".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9", ".ivf": "libvpx-vp9", ".y4m": "rawvideo"}


@pytest.mark.parametrize("suffix", STREAMS)
def test_a_container_is_known_by_its_beginning(tmp_path, encode, corners, suffix):
    assert begins_like_video(encode(tmp_path / f"a{suffix}", corners, fps=25, codec=STREAMS[suffix]))


def test_a_name_with_a_number_is_no_sequence_of_images(tmp_path):
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    with pytest.raises(MediaError, match="there is no file"):
        read_video(tmp_path / "%d.png")


@pytest.mark.parametrize("suffix", [".heic", ".avif", ".webp", ".jpg", ".bmp", ".tiff"])
def test_images_are_read_whatever_their_name(tmp_path, real_images, suffix):
    register_heif_opener()
    with Image.open(real_images[0]) as image:
        small = image.convert("RGB").resize((96, 64))
    small.save(tmp_path / f"a{suffix}", quality=95)
    path = (tmp_path / f"a{suffix}").rename(tmp_path / "b.png")
    assert media_kind(path) == "image" or suffix == ".bmp"
    read = read_image(path)
    assert read.shape == (1, 64, 96, 3)
    assert np.abs(read[0].astype(int) - np.asarray(small)).mean() < 6


def test_the_kind_of_a_file(tmp_path, encode, corners):
    for suffix in (".mp4", ".mkv", ".avi"):
        path = encode(tmp_path / f"a{suffix}", corners).rename(tmp_path / "a.png")
        assert media_kind(path) == "video"
        with open(path, "rb") as file:
            assert media_kind(file) == "video"
            assert file.tell() == 0
    (tmp_path / "notes.txt").write_text("MM and BM are letters")
    assert media_kind(tmp_path / "notes.txt") == ""
    (tmp_path / "a.mts").write_bytes(b"\0" * 20)
    assert media_kind(tmp_path / "a.mts") == "video"


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (MediaLimits(pixels=1000), "48x32 exceeds"),
        (MediaLimits(frames=8), "announces 9 frames; at most 8"),
        (MediaLimits(seconds=0.5), "seconds; at most 0.5"),
        (MediaLimits(streams=0), "announces 1 streams; at most 0"),
        (MediaLimits(samples=17), "announces 9 samples and 1 edits"),
    ],
)
def test_a_header_that_announces_more_than_the_limits_is_refused(tmp_path, encode, corners, limits, sentence):
    path = encode(tmp_path / "a.mp4", corners)
    with pytest.raises(MediaError, match=sentence) as refused, open_video(path, limits=limits):
        pass
    assert refused.value.reason == "too_large"


def test_a_sound_recording_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.m4a"), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44_100)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 44_100
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(MediaError, match="no video stream"):
        read_video(tmp_path / "a.m4a")


def test_nothing_is_printed_of_a_broken_file(tmp_path, encode, corners):
    path = encode(tmp_path / "a.mp4", corners)
    path.write_bytes(path.read_bytes()[:-200])
    program = (
        "import sys; from kinora.media import MediaError, read_video\n"
        "try: read_video(sys.argv[1])\nexcept MediaError as error: print(error.reason)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.strip() in ("truncated", "corrupt", "undecodable")
