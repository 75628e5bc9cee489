"""The files of jobs, named by the job: what it is made from, a preview of it, the finished clip, its first frame."""

from pathlib import Path

import numpy as np

from kinora.files import atomic_write
from kinora.media import read_video, write_image, write_video

VIDEO, IMAGE, PREVIEW, SPRITESHEET = ".mp4", ".png", ".preview.webp", ".spritesheet.png"
MOST_FRAMES, MOST_SIDE = 100, 256  # of a spritesheet: browsers show pictures of up to 32,767 pixels


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

    def put_given(self, name: str, what: str, frames: np.ndarray, fps: float) -> None:
        """Keep a given image `uint8 [H, W, 3]`, or a given video `uint8 [T, H, W, 3]`, nearly lossless."""
        with atomic_write(self.given(name, what)) as temporary:
            if frames.ndim == 3:
                write_image(temporary, frames)
            else:
                write_video(temporary, frames, fps, playable=False)

    def given(self, name: str, what: str) -> Path:
        """Return where a given `image`, `last_image`, `video` or `to_video` of a job is."""
        return self.path(name, f".{what}.png" if "image" in what else f".{what}.mp4")

    def spritesheet(self, name: str) -> Path:
        """Return a picture of a clip's frames beside each other, made when it is first asked for.

        Large frames are made smaller, and of many every so many is shown, so that browsers can show the picture.
        """
        path = self.path(name, SPRITESHEET)
        if not path.exists():
            frames, _ = read_video(self.path(name, VIDEO), size=_small)
            with atomic_write(path) as temporary:
                write_image(temporary, np.concatenate(list(frames[:: -(-len(frames) // MOST_FRAMES)]), axis=1))
        return path

    def remove(self, name: str, suffix: str) -> None:
        """Remove one file of a job, where it is."""
        self.path(name, suffix).unlink(missing_ok=True)

    def delete(self, name: str) -> None:
        """Remove all files of a job."""
        for file in self.folder.glob(f"{name}.*"):
            file.unlink(missing_ok=True)


def _small(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, MOST_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
