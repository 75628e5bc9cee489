"""Which formats are read. A file's first bytes decide where they can; its ending only where they are none of these."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import BinaryIO, Literal

from PIL import Image

from kinora.media.errors import MediaError, Source

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".ogv", ".gif"),
    *(".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts", ".mxf", ".dv", ".y4m"),
)
# Pillow's names. It would also open documents, and run other programs for some.
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF")
# FFmpeg's names. It would also open playlists and lists of files, which name other files and addresses.
CONTAINERS = "mov,mp4,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,flv,asf,ogg,h264,hevc,m4v,mxf,dv,ivf,obu,yuv4mpegpipe"
PNG_START, WEBP_ANIMATED = b"\x89PNG\r\n\x1a\n", 0x02  # the latter a flag of VP8X (RFC 9649)
IMAGE_STARTS = (PNG_START, b"\xff\xd8\xff", b"II*\0", b"MM\0*")
# Starts of containers that are no MP4.
OTHER_STARTS = (
    *(b"RIFF", b"\x1aE\xdf\xa3", b"OggS", b"FLV", b"GIF8", b"YUV4MPEG2", b"\x06\x0e\x2b\x34"),
    *(b"0&\xb2u\x8ef\xcf\x11", b"DKIF"),
)
# Boxes that an MP4 or QuickTime file, or a fragment of one, may begin with (ISO/IEC 14496-12; QuickTime File Format).
MP4_BOXES = frozenset(b"ftyp styp moov moof mdat sidx free skip wide pnot udta uuid".split())
# Starts of MPEG and H.26x streams, DV and AV1. MPEG-TS repeats its byte of synchronisation.
STREAM_STARTS = (b"\0\0\1", b"\0\0\0\1", b"\x1f\x07\0", b"\x12\0\n")
TS_SYNC, TS_PLACES = b"G", ((0, 188), (4, 196))  # ISO/IEC 13818-1, 2.4.3.2; Blu-ray puts 4 bytes before a packet
# Brands of files that hold one picture, or several that are no video (ISO/IEC 23008-12; AV1 Image File Format).
IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1")
MOST_START = 200  # bytes


def media_kind(source: Source, name: str | None = None) -> Literal["image", "video", ""]:
    """Return what a file holds, judged by its first bytes, and where these say nothing by its ending; "" if neither.

    Args:
        source: a path, or a file that can be read and searched, which is left at its start.
        name: whose ending counts; that of `source` if not given.
    """
    start = first_bytes(source)
    is_ftyp = start[4:8] == b"ftyp"
    if start.startswith(IMAGE_STARTS) or start[8:12] == b"WEBP" or (is_ftyp and start[8:12] in IMAGE_BRANDS):
        return "video" if moves(source) else "image"
    if is_ftyp:
        return "video"
    if start.startswith(OTHER_STARTS):
        return "video"
    name = name or (str(source) if isinstance(source, str | Path) else "")
    suffix = PurePath(name).suffix.lower()
    return "video" if suffix in VIDEO_SUFFIXES else "image" if suffix in IMAGE_SUFFIXES else ""


def moves(source: Source) -> bool:
    """Say whether a file is an animated WebP, PNG or AVIF: a video in a format of images.

    A file that is open is left at its start.
    """
    start = first_bytes(source)
    is_webp = start[12:16] == b"VP8X" and bool(int.from_bytes(start[20:21], "big") & WEBP_ANIMATED)
    if not (is_webp or start.startswith(PNG_START) or start[8:12] == b"avis"):
        return False
    with opened(source) as file, suppress(Exception), warnings.catch_warnings():  # of broken ones, whoever reads tells
        warnings.simplefilter("ignore")
        with Image.open(file, formats=("WEBP", "PNG", "AVIF")) as image:
            return bool(getattr(image, "is_animated", False))
    return False


def begins_like_video(source: Source) -> bool:
    """Say whether a file's first bytes are those of a container or stream that is read."""
    start = first_bytes(source)
    if start.startswith(OTHER_STARTS + STREAM_STARTS) or start[4:8] in MP4_BOXES:
        return True
    return any(start[a : a + 1] == start[b : b + 1] == TS_SYNC for a, b in TS_PLACES)


def first_bytes(source: Source) -> bytes:
    """Return the first 200 bytes of a file, or fewer; none if it cannot be read."""
    if isinstance(source, str | Path):
        try:
            with open(source, "rb") as file:
                return file.read(MOST_START)
        except OSError:
            return b""
    source.seek(0)
    start = source.read(MOST_START)
    source.seek(0)
    return start


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """Open a file at its start, to look at its bytes; one that is open already is left at its start.

    Raises:
        MediaError: if it cannot be read.
    """
    if isinstance(source, str | Path):
        try:
            file = open(source, "rb")  # noqa: SIM115  # closed below; errors of the `with` block are not ours
        except OSError as error:
            raise MediaError(source, "undecodable", f"cannot be read ({error.strerror})") from error
        with file:
            yield file
    else:
        source.seek(0)
        yield source
        source.seek(0)
