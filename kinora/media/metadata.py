"""Reading how a clip was made from its file: JSON in the field for comments, which ffprobe and exiftool show.

MP4 and WebM have a `comment`, GIF a comment block, PNG a text chunk "Comment", WebP the EXIF tag ImageDescription, and
a folder of PNG frames a file `clip.json` besides.
"""

import warnings
from pathlib import Path
from typing import Any

from kinora.media.comment import MOST_CHARACTERS, metadata_of
from kinora.media.decoding import open_video
from kinora.media.errors import MediaError, Source, require_file
from kinora.media.formats import first_bytes, media_kind, moves
from kinora.media.images import COMMENT, IMAGE_DESCRIPTION, open_image

CLIP_JSON = "clip.json"  # in a folder of PNG frames


def read_metadata(source: Source) -> dict[str, Any]:
    """Return the metadata that `clip_writer` left in a video, an image or a folder of PNG frames.

    Empty where there is none, or what there is was not written by `clip_writer`. Nothing of it is to be trusted:
    anybody may have written the file.

    Args:
        source: a path, or a file that can be read and searched.

    Raises:
        MediaError: if there is no such file, or it is no video or image.
    """
    require_file(source)
    if isinstance(source, str | Path) and Path(source).is_dir():
        return metadata_of(_json_of_folder(Path(source)))
    if not _is_image(source):
        with open_video(source) as video:
            return metadata_of(video.comment)
    with open_image(source) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of damaged EXIF
        exif = image.getexif().get(IMAGE_DESCRIPTION) if image.format == "WEBP" else None
        text = exif or image.info.get(COMMENT) or image.info.get("comment")
        return metadata_of(text if isinstance(text, str | bytes) else None)


def _json_of_folder(folder: Path) -> str:
    try:
        with open(folder / CLIP_JSON, encoding="utf-8") as file:
            return file.read(MOST_CHARACTERS + 1)
    except (OSError, ValueError) as error:
        raise MediaError(folder, "undecodable", f"is a folder without a {CLIP_JSON} that can be read") from error


def _is_image(source: Source) -> bool:
    return media_kind(source) == "image" or moves(source) or first_bytes(source).startswith(b"GIF8")
