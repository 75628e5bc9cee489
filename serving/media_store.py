"""The files of jobs: the finished clip, its first frame, and what a client gave. Named by the job."""

from pathlib import Path

import numpy as np

from kinora.files import atomic_write
from kinora.media import read_video, write_image, write_video

VIDEO, STILL, GIVEN, GIVEN_VIDEO, SHEET = ".mp4", ".png", ".given.png", ".given.mp4", ".sheet.png"


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

    def put_image(self, name: str, frame: np.ndarray) -> None:
        """Keep the image that a client gave, `uint8 [H, W, 3]`."""
        with atomic_write(self.path(name, GIVEN)) as temporary:
            write_image(temporary, frame)

    def put_video(self, name: str, frames: np.ndarray, fps: float) -> None:
        """Keep the video that a client gave, `uint8 [T, H, W, 3]`, nearly lossless."""
        with atomic_write(self.path(name, GIVEN_VIDEO)) as temporary:
            write_video(temporary, frames, fps, playable=False)

    def spritesheet(self, name: str) -> Path:
        """Return a picture of all frames of a clip beside each other, made when it is first asked for."""
        path = self.path(name, SHEET)
        if not path.exists():
            frames, _ = read_video(self.path(name, VIDEO))
            with atomic_write(path) as temporary:
                write_image(temporary, np.concatenate(list(frames), axis=1))
        return path

    def delete(self, name: str) -> None:
        """Remove all files of a job."""
        for suffix in (VIDEO, STILL, GIVEN, GIVEN_VIDEO, SHEET):
            self.path(name, suffix).unlink(missing_ok=True)
