"""Video and image files as arrays of frames: `uint8 [T, H, W, 3]`, RGB. The one way in and out of every format."""

from kinora.media.decoding import CONTAINERS, VIDEO_SUFFIXES, read_video
from kinora.media.encoding import CLIP_SUFFIXES, check_clip_path, video_bytes, write_clip, write_video
from kinora.media.images import IMAGE_SUFFIXES, enlarge, read_image, write_image
from kinora.media.tensors import to_frames, to_tensor

__all__ = [
    "CLIP_SUFFIXES",
    "CONTAINERS",
    "IMAGE_SUFFIXES",
    "VIDEO_SUFFIXES",
    "check_clip_path",
    "enlarge",
    "read_image",
    "read_video",
    "to_frames",
    "to_tensor",
    "video_bytes",
    "write_clip",
    "write_image",
    "write_video",
]
