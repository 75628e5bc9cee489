"""Which formats are read. A file's first bytes decide where they can; its ending only where they are none of these."""

from pathlib import Path, PurePath
from typing import Literal

from kinora.media.errors import Source

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".wmv", ".asf", ".flv", ".ogv", ".gif"),
    *(".mpg", ".mpeg", ".vob", ".ts", ".mts", ".m2ts", ".mxf", ".dv", ".y4m"),
)
# Pillow's names. It would also open documents, and run other programs for some.
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF")
# FFmpeg's names. It would also open playlists and lists of files, which name other files and addresses.
CONTAINERS = "mov,mp4,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,flv,asf,ogg,h264,hevc,m4v,mxf,dv,ivf,obu,yuv4mpegpipe"
IMAGE_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*")
# Starts of containers that are no MP4.
OTHER_STARTS = (
    *(b"RIFF", b"\x1aE\xdf\xa3", b"OggS", b"FLV", b"GIF8", b"YUV4MPEG2", b"\x06\x0e\x2b\x34"),
    *(b"0&\xb2u\x8ef\xcf\x11", b"DKIF"),
)
# Brands of files that hold one picture, or several that are no video (ISO/IEC 23008-12; AV1 Image File Format).
IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1")
MOST_START = 16  # bytes


def media_kind(source: Source, name: str | None = None) -> Literal["image", "video", ""]:
    """Return what a file holds, judged by its first bytes, and where these say nothing by its ending; "" if neither.

    Args:
        source: a path, or a file that can be read and searched, which is left at its start.
        name: whose ending counts; that of `source` if not given.
    """
    start = first_bytes(source)
    if start.startswith(IMAGE_STARTS) or start[8:12] == b"WEBP":
        return "image"
    if start[4:8] == b"ftyp":
        return "image" if start[8:12] in IMAGE_BRANDS else "video"
    if start.startswith(OTHER_STARTS):
        return "video"
    name = name or (str(source) if isinstance(source, str | Path) else "")
    suffix = PurePath(name).suffix.lower()
    return "video" if suffix in VIDEO_SUFFIXES else "image" if suffix in IMAGE_SUFFIXES else ""


def first_bytes(source: Source) -> bytes:
    """Return the first 16 bytes of a file, or fewer; none if it cannot be read."""
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
