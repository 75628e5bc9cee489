"""Why a video is refused, in one sentence, of what libav raises and says of it."""

from typing import Any

import av

from kinora.media.errors import MediaError, Source
from kinora.media.formats import begins_like_video
from kinora.media.listening import is_cut_short, listening
from kinora.media.mp4 import ends_within_a_box


class refusing(listening):  # used as a function
    """As `listening`, and what libav raises within the `with` block is a `MediaError` of one sentence.

    Args:
        source: the file that is read.
        frames: how many frames of it have been decoded, to be kept up to date.
    """

    def __init__(self, source: Source, frames: int = 0):
        self._source, self.frames = source, frames

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        error = raised[1]
        if isinstance(error, av.FFmpegError | ValueError | MemoryError):
            what = self._said[0] if self._said else str(getattr(error, "strerror", None) or error).rstrip(".")
            raise refusal(self._source, what, self.frames, ended=True) from error


def refusal(source: Source, what: str, frames: int, *, ended: bool = False) -> MediaError:
    """Return the error to raise of a file that is not read.

    Args:
        source: the file.
        what: what libav says of it, or what was found.
        frames: how many frames were decoded before.
        ended: whether decoding cannot go on; otherwise it could, with a picture that is damaged.
    """
    if "exceeds specified max pixel count" in what:
        return MediaError(source, "too_large", f"has frames of too many pixels ({what.partition(', see')[0]})")
    if "Format not on whitelist" in what:
        what = "its format is none of those that are read, such as a playlist or a list of other files"
    elif not frames and not begins_like_video(source):
        what, ended = "it is no video that is known", True
    elif is_cut_short(what) or ends_within_a_box(source):
        return MediaError(source, "truncated", f"ends too early ({what})")
    if ended and not frames:
        return MediaError(source, "undecodable", f"cannot be decoded as video ({what})")
    where = f"after {frames} frames" if frames else "at its beginning"
    return MediaError(source, "corrupt", f"is damaged {where} ({what})")
