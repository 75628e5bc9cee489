"""Video and image files as arrays of frames: `uint8 [T, H, W, 3]`, RGB. The one way in and out of every format.

Importing it does not import torch, which processes that only decode have no use for; `kinora.media.tensors` does.
"""

from kinora.media.decoding import Frame, Video, open_video, read_video
from kinora.media.encoding import CLIP_SUFFIXES, check_clip_path, clip_writer, video_bytes, write_clip, write_video
from kinora.media.errors import MediaError
from kinora.media.formats import IMAGE_SUFFIXES, VIDEO_SUFFIXES, media_kind
from kinora.media.images import enlarge, image_size, read_image, write_image
from kinora.media.limits import MediaLimits
from kinora.media.metadata import read_metadata
from kinora.media.timing import sample

__all__ = [
    "CLIP_SUFFIXES",
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "Frame",
    "MediaError",
    "MediaLimits",
    "Video",
    "check_clip_path",
    "clip_writer",
    "enlarge",
    "image_size",
    "media_kind",
    "open_video",
    "read_image",
    "read_metadata",
    "read_video",
    "sample",
    "video_bytes",
    "write_clip",
    "write_image",
    "write_video",
]
