"""The files of jobs, named by the job: the finished clip, its first frame, and the image or video it is made from."""

from pathlib import Path

import numpy as np

from kinora.files import atomic_write
from kinora.media import read_video, write_image, write_video

VIDEO, IMAGE, SPRITESHEET = ".mp4", ".png", ".spritesheet.png"
CONDITIONING_IMAGE, CONDITIONING_VIDEO = ".conditioning.png", ".conditioning.mp4"


class MediaStore:
    """A folder. Only names of jobs that are in the queue come here, so none leaves it."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str, suffix: str) -> Path:
        """Return where a file of a job is."""
        return self.folder / f"{name}{suffix}"

    def put(self, name: str, suffix: str, content: bytes) -> None:
        """Keep a file, whole."""
        with atomic_write(self.path(name, suffix)) as temporary:
            temporary.write_bytes(content)

    def put_conditioning_image(self, name: str, frame: np.ndarray) -> None:
        """Keep the image to animate, `uint8 [H, W, 3]`."""
        with atomic_write(self.path(name, CONDITIONING_IMAGE)) as temporary:
            write_image(temporary, frame)

    def put_conditioning_video(self, name: str, frames: np.ndarray, fps: float) -> None:
        """Keep the video to extend, `uint8 [T, H, W, 3]`, nearly lossless."""
        with atomic_write(self.path(name, CONDITIONING_VIDEO)) as temporary:
            write_video(temporary, frames, fps, playable=False)

    def spritesheet(self, name: str) -> Path:
        """Return a picture of all frames of a clip beside each other, made when it is first asked for."""
        path = self.path(name, SPRITESHEET)
        if not path.exists():
            frames, _ = read_video(self.path(name, VIDEO))
            with atomic_write(path) as temporary:
                write_image(temporary, np.concatenate(list(frames), axis=1))
        return path

    def delete(self, name: str) -> None:
        """Remove all files of a job."""
        for suffix in (VIDEO, IMAGE, SPRITESHEET, CONDITIONING_IMAGE, CONDITIONING_VIDEO):
            self.path(name, suffix).unlink(missing_ok=True)
