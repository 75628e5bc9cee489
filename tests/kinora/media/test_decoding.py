"""Ingest, evaluation and `read_video` see the same file in the same way, which is how a player shows it."""

import itertools
import struct
import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image

from evaluation.loading import read_clip
from kinora.data.grid import DEFAULT_GRID
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.footage import Footage
from kinora.data.shots import Rejected
from kinora.errors import KinoraError
from kinora.media import MediaError, open_video, read_image, read_video, write_video
from kinora.media.mp4 import refuse_impossible_counts

# The eight ways to hold a camera: what takes an upright picture to how it is stored, and the display matrix (column p
# and row q of the stored picture are shown at x = a p + c q, y = b p + d q) as a, b, c, d.
HELD = {
    "upright": (lambda p: p, (1, 0, 0, 1)),
    "mirrored": (lambda p: p[:, :, ::-1], (-1, 0, 0, 1)),
    "upside down": (lambda p: p[:, ::-1, ::-1], (-1, 0, 0, -1)),
    "flipped": (lambda p: p[:, ::-1], (1, 0, 0, -1)),
    "quarter left": (lambda p: np.rot90(p, 1, axes=(1, 2)), (0, 1, -1, 0)),
    "quarter right": (lambda p: np.rot90(p, -1, axes=(1, 2)), (0, -1, 1, 0)),
    "transposed": (lambda p: p.swapaxes(1, 2), (0, 1, 1, 0)),
    "transversed": (lambda p: np.rot90(p, 2, axes=(1, 2)).swapaxes(1, 2), (0, -1, -1, 0)),
}


def ingested(path, fps=8.0, max_side=48):
    """Return what ingest sees of a file."""
    footage = Footage(path, IngestConfig(fps=fps, max_side=max_side), DEFAULT_GRID)
    return np.stack([frame for frame, _ in footage.frames()])


def seen(path, fps=8.0, max_side=48):
    """Return what ingest, evaluation and `read_video` see of a file, in that order."""
    return ingested(path, fps, max_side), read_clip(path, path.name).frames, read_video(path)[0]


def close(a, b, tolerance=4.0) -> bool:
    return a.shape == b.shape and np.abs(a.astype(int) - b).mean() < tolerance


@pytest.mark.parametrize("held", HELD)
def test_however_the_camera_was_held_the_picture_is_upright(tmp_path, corners, encode, held):
    store, (a, b, c, d) = HELD[held]
    path = encode(tmp_path / "held.mp4", store(corners), matrix=(a, b, 0, c, d, 0, 0, 0, 1))
    for frames in seen(path):
        assert close(frames, corners)


def test_pixels_that_are_not_square_are_shown_square(tmp_path, corners, encode):
    path = encode(tmp_path / "wide.mp4", corners[:, :, ::2], aspect="2/1")
    at_ingest, evaluated, read = seen(path)
    assert (at_ingest == evaluated).all()
    assert (at_ingest == read).all()
    assert close(at_ingest, corners, 6)


def test_turned_and_not_square_at_once(tmp_path, corners, encode):
    turned = np.rot90(corners, 1, axes=(1, 2))[:, :, ::2]
    path = encode(tmp_path / "both.mp4", turned, aspect="2/1", matrix=(0, 1, 0, -1, 0, 0, 0, 0, 1))
    for frames in seen(path):
        assert close(frames, corners, 6)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_variable_frame_rate_is_what_a_player_shows(tmp_path, corners, encode, suffix):
    shown = [0, 1, 2, 2, 2, 3, 4, 4, 5, 6, 7, 8]  # the frame at each instant, eight a second
    times = [shown.index(number) / 8 for number in range(9)]
    path = encode(tmp_path / f"variable{suffix}", corners, times=times)
    for frames in seen(path):
        assert close(frames[:12], corners[shown])
        assert len(frames) == 12
    assert read_video(path)[1] == pytest.approx(8, rel=0.01)
    assert len(read_video(path, max_frames=4)[0]) == 4


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
@pytest.mark.parametrize("fps", [8, 24, 30000 / 1001, 60])
def test_a_constant_frame_rate_gives_every_frame_once(tmp_path, corners, encode, suffix, fps):
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    path = encode(tmp_path / f"constant{suffix}", corners, fps=fps, codec=codec)
    frames, rate = read_video(path)
    assert close(frames, corners, 6)
    assert rate == pytest.approx(fps, rel=0.01)
    assert (read_clip(path, path.name).frames == frames).all()


def test_a_gif_is_read_alike_with_its_own_delays(tmp_path, corners):
    pictures = [Image.fromarray(frame) for frame in corners]
    delays = [120, 120, 360, 120, 120, 120, 120, 120, 120]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=delays, loop=0)
    at_ingest, evaluated, read = seen(tmp_path / "a.gif", fps=1 / 0.12)
    assert (evaluated == read).all()
    assert close(read, corners[[0, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8]], 6)
    assert (at_ingest == read).all()


@pytest.mark.parametrize("index", [0, 1, 2])
def test_real_clips_are_read_alike(real_videos, index):
    path = real_videos[index]
    frames, fps = read_video(path)
    evaluated = read_clip(path, path.name).frames
    assert len(ingested(path, fps, 320)) == len(evaluated) == len(frames)
    assert len(read_video(path, fps=8)[0]) == len(ingested(path, 8, 40))


@pytest.mark.parametrize("playlist", ["ffconcat version 1.0\nfile '{}'\n", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n{}\n"])
def test_a_playlist_is_refused_alike(tmp_path, real_videos, playlist):
    path = tmp_path / "list.mp4"
    path.write_text(playlist.format(real_videos[0]))
    for read in (seen, read_video, lambda p: read_clip(p, p.name)):
        with pytest.raises((KinoraError, Rejected), match="cannot be decoded"):
            read(path)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "1", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_images_of_every_kind_are_read_alike(tmp_path, mode, orientation, corners):
    image = Image.fromarray(corners[0]).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / ("image.jpg" if mode == "CMYK" else "image.png")
    image.save(path, exif=exif)
    upright = np.rot90(np.asarray(image.convert("RGB")), -1 if orientation == 6 else 0)
    assert close(read_image(path)[0], upright, 3)
    assert close(read_clip(path, path.name).frames[0], upright, 3)


def test_what_pillow_would_open_with_other_programs_is_no_image(tmp_path, corners):
    Image.fromarray(corners[0]).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(KinoraError, match=r"a\.png cannot be decoded as an image"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("faststart", [True, False])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_a_file_that_stops_early_is_one_sentence_everywhere(tmp_path, real_videos, faststart, share):
    frames, fps = read_video(real_videos[2], max_frames=100)
    write_video(tmp_path / "index-first.mp4", frames, fps)
    with open(tmp_path / "index-last.mp4", "wb") as file:
        write_video(file, frames, fps)  # the muxer cannot open a file object again, so the index comes last
    content = (tmp_path / f"index-{'first' if faststart else 'last'}.mp4").read_bytes()
    assert (content.index(b"moov") < content.index(b"mdat")) == faststart
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: int(share * len(content))])
    for read in (seen, read_video, lambda p: read_clip(p, p.name)):
        with pytest.raises((KinoraError, Rejected), match=r"ends too early|is damaged|cannot be") as refused:
            read(path)
        assert refused.value.reason in ("truncated", "corrupt", "undecodable")


def test_what_an_edit_list_leaves_out_is_not_missed(tmp_path, corners, encode):
    path = encode(tmp_path / "a.mp4", np.repeat(corners, 4, axis=0))
    content = bytearray(path.read_bytes())
    start = content.index(b"elst") + 16  # the media time at which the edit starts
    timescale = content.index(b"mdhd") + 16
    ticks = struct.unpack(">I", content[timescale : timescale + 4])[0]
    content[start : start + 4] = struct.pack(">I", ticks)  # a second later: at frame 8
    length = struct.unpack(">I", content[start - 4 : start])[0]  # of the edit, in thousandths of a second
    content[start - 4 : start] = struct.pack(">I", length - 1000)
    path.write_bytes(content)
    frames = read_video(path)[0]
    assert len(frames) == 28
    assert len(read_clip(path, path.name).frames) == 28


def test_a_missing_file_is_called_missing(tmp_path):
    for read in (read_video, read_image, lambda path: read_clip(path, path.name)):
        with pytest.raises(KinoraError, match=r"there is no file .*nowhere\.png"):
            read(tmp_path / "nowhere.png")


def test_a_name_is_never_an_address(tmp_path, corners, encode, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encode(tmp_path / "a.mp4", corners).rename(tmp_path / "concat:a.mp4")
    assert len(read_video("concat:a.mp4")[0]) == 9
    with pytest.raises(KinoraError, match="there is no file"):
        read_video("concat:a.mp4|a.mp4")


def uniform_samples(content: bytes, count: int) -> bytes:
    """Announce `count` samples of one byte each in an MP4."""
    data = bytearray(content)
    for box, offset, values in ((b"stsz", 8, (1, count)), (b"stsc", 16, (count,)), (b"stts", 12, (count,))):
        at = data.index(box) + offset
        data[at : at + 4 * len(values)] = struct.pack(f">{len(values)}I", *values)
    return bytes(data)


def fragment_samples(content: bytes, count: int) -> bytes:
    """Add a fragment that announces `count` samples of the size that its header gives to all."""

    def box(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", 8 + len(content)) + name + content

    header = box(b"tfhd", struct.pack(">IIII", 0x18, 1, 1, 1))
    run = box(b"trun", struct.pack(">II", 0, count))
    return content + box(b"moof", box(b"mfhd", bytes(8)) + box(b"traf", header + run)) + box(b"mdat", b"\0")


@pytest.mark.parametrize("announce", [uniform_samples, fragment_samples])
def test_a_small_file_that_announces_millions_of_frames_takes_no_memory(tmp_path, corners, encode, announce):
    path = tmp_path / "bomb.mp4"
    options = {"movflags": "frag_keyframe+empty_moov"} if announce is fragment_samples else {}
    path.write_bytes(announce(encode(tmp_path / "a.mp4", corners, options=options).read_bytes(), 8_000_000))
    program = (
        "import resource, sys; from kinora.media import MediaError, read_video\n"
        "try: read_video(sys.argv[1])\nexcept MediaError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    quiet = subprocess.run([sys.executable, "-c", program, tmp_path / "a.mp4"], capture_output=True, text=True)
    bomb = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    refusal, kilobytes = bomb.stdout.splitlines()
    assert "announces 8,000,000 samples" in refusal
    assert int(kilobytes) - int(quiet.stdout) < 50_000


def test_samples_and_edits_are_counted_over_all_tracks(tmp_path, corners, encode):
    path = encode(tmp_path / "a.mp4", corners)
    refuse_impossible_counts(path, 18)  # 9 samples and the one edit that the muxer writes
    with pytest.raises(MediaError, match="announces 9 samples and 1 edits"):
        refuse_impossible_counts(path, 17)


def test_a_video_that_would_fill_the_memory_is_refused_from_its_header(tmp_path, monkeypatch, corners, encode):
    path = encode(tmp_path / "a.mp4", corners)
    monkeypatch.setattr("kinora.media.decoding.MAX_VIDEO_PIXELS", 8 * 32 * 48)
    with pytest.raises(MediaError, match="more than 8 frames of 48x32 pixels"):
        read_video(path)
    assert len(read_video(path, max_frames=8)[0]) == 8
    assert len(read_video(path, size=lambda width, height: (width // 2, height // 2))[0]) == 9


def test_a_pause_of_days_is_not_held_in_memory(tmp_path, corners, encode):
    times = [*(number / 8 for number in range(8)), 5e5]
    with pytest.raises(MediaError, match="too many to be held"):
        read_video(encode(tmp_path / "pause.mkv", corners, times=times))


def test_frames_that_change_their_size_are_shown_at_that_of_the_first(tmp_path, corners, encode):
    # An H.264 stream may change its size: two streams joined as they are.
    parts = [encode(tmp_path / "a.mkv", corners), encode(tmp_path / "b.mkv", np.repeat(corners, 2, axis=2))]
    with open(tmp_path / "joined.h264", "wb") as joined:
        for part in parts:
            with av.open(str(part)) as container, av.open(str(part.with_suffix(".h264")), "w") as raw:
                stream = raw.add_stream_from_template(container.streams.video[0])
                for packet in container.demux(video=0):
                    if packet.dts is not None:
                        packet.stream = stream
                        raw.mux(packet)
            joined.write(part.with_suffix(".h264").read_bytes())
    frames = read_video(tmp_path / "joined.h264")[0]
    assert frames.shape == (18, 32, 48, 3)
    assert close(frames, np.concatenate([corners, corners]), 8)


def test_the_eight_ways_are_different(corners):
    pictures = [store(corners)[0] for store, _ in HELD.values()]
    assert not any(close(a[None], b[None], 1) for a, b in itertools.combinations(pictures, 2))


def thumbnails(path):
    with open_video(path) as video:
        return np.stack([frame.thumbnail(8) for frame in video.frames()])


@pytest.mark.parametrize(("pixels", "codec"), [("yuv420p", "libx264"), ("yuv420p10le", "libx264"), ("bgr0", "ffv1")])
def test_a_thumbnail_is_the_frame_in_small(tmp_path, corners, encode, pixels, codec):
    small = thumbnails(encode(tmp_path / "a.mkv", corners, codec=codec, pixels=pixels))
    luma = (corners @ (0.299, 0.587, 0.114)).reshape(9, 8, 4, 8, 6).mean((2, 4))
    assert small.shape == (9, 8, 8)
    # Luma of limited range: 16 to 235.
    limited = small if pixels == "bgr0" else (small.astype(float) - 16) * 255 / 219
    assert min(np.abs(limited - luma).mean(), np.abs(small - luma).mean()) < 4


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "gray", "yuv420p10le"])
@pytest.mark.parametrize("held", ["upright", "quarter left"])
def test_luma_is_that_of_the_rgb_frame(tmp_path, corners, encode, held, pixels):
    store, (a, b, c, d) = HELD[held]
    path = encode(tmp_path / "a.mp4", store(corners), matrix=(a, b, 0, c, d, 0, 0, 0, 1), pixels=pixels)
    with open_video(path) as video:
        for frame in video.frames():
            for size in (video.size, tuple(side // 2 for side in video.size)):
                luma = frame.rgb(size) @ (0.299, 0.587, 0.114)
                assert frame.luma(size).shape == luma.shape
                assert np.abs(frame.luma(size) - luma).mean() < 3


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv444p10le"])
@pytest.mark.parametrize("held", HELD)
def test_however_the_camera_was_held_the_thumbnail_is_upright(tmp_path, corners, encode, held, pixels):
    large = corners.repeat(4, axis=1).repeat(4, axis=2)  # of which some pixels are looked at
    store, (a, b, c, d) = HELD[held]
    path = encode(tmp_path / "held.mp4", store(large), matrix=(a, b, 0, c, d, 0, 0, 0, 1), pixels=pixels)
    upright = thumbnails(encode(tmp_path / "upright.mp4", large, pixels=pixels))
    assert close(thumbnails(path), upright, 2)
    assert held == "upright" or not close(store(upright), upright, 10)
