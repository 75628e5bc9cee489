"""The preview of `kinora generate`: a small picture of what is being made, rewritten as it goes."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_write

if TYPE_CHECKING:
    import numpy as np

    from kinora.generation import Step

SECONDS_BETWEEN, SHARE = 2.0, 0.1  # pictures are no nearer to each other, and take no more of the time
MOST_FRAMES, HEIGHT = 6, 96  # of the picture: frames beside each other, and pixels


class Preview:
    """A PNG file that holds the picture: whole each time, and gone where the work does not end well.

    Without a path it does nothing.
    """

    def __init__(self, path: Path | None):
        """Take the place of the picture.

        Raises:
            UsageError: if it is no PNG file.
        """
        if path is not None and (path.suffix.lower() != ".png" or path.is_dir()):
            raise UsageError(f"the preview {path} is no PNG file; name it *.png.")
        self.path = path
        self._next: float | None = None  # when the next picture is due; none was written yet

    def __enter__(self) -> "Preview":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self.path is not None and self._next is not None:
            self.path.unlink(missing_ok=True)

    def show(self, step: "Step") -> None:
        """Write what is estimated after a step, unless the picture is fresh.

        Raises:
            KinoraError: if it cannot be written.
        """
        start = time.monotonic()
        fresh = self._next is not None and start < self._next
        if self.path is None or (fresh and step.done < step.steps):
            return
        from kinora.media import write_image

        try:
            with atomic_write(self.path) as temporary:
                write_image(temporary, strip(step.preview()))
        except OSError as error:
            raise KinoraError(
                f"the preview {self.path} cannot be written ({error.strerror or error}); choose another place."
            ) from error
        now = time.monotonic()
        self._next = now + max(SECONDS_BETWEEN, (now - start) / SHARE)


def strip(frames: "np.ndarray") -> "np.ndarray":
    """Return some of the frames `uint8 [T, H, W, 3]`, from first to last, small and beside each other, `[h, w, 3]`."""
    import cv2
    import numpy as np

    chosen = np.linspace(0, len(frames) - 1, min(MOST_FRAMES, len(frames))).round().astype(int)
    rows, columns = frames.shape[1:3]
    width = max(1, round(columns * HEIGHT / rows))
    method = cv2.INTER_AREA if rows > HEIGHT else cv2.INTER_NEAREST
    return np.concatenate([cv2.resize(frames[t], (width, HEIGHT), interpolation=method) for t in chosen], axis=1)
