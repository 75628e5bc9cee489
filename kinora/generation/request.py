"""What a person asks for, and the checks that turn impossible wishes into one sentence."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from kinora.data.grid import Grid
from kinora.diffusion.conditioning import Task
from kinora.errors import KinoraError, UsageError
from kinora.media import read_image, read_video

LARGEST_SIDE, MOST_FRAMES = 1024, 257
Media = np.ndarray | str | Path  # frames `uint8`, or the file that holds them


@dataclass(frozen=True)
class ClipFormat:
    """The size in pixels, the length in frames and the frames a second of clips."""

    width: int = 32
    height: int = 32
    frames: int = 17
    fps: float = 8.0


@dataclass(frozen=True, eq=False)
class GenerationRequest:
    """One clip to be made. Whether a model can make its size and length says `check`.

    width, height: pixels.
    frames: 1 is an image. When a video is extended, the frames that the model sees at once: some of the given video,
        the others new.
    image: `uint8 [H, W, 3]`, the first frame of the clip.
    video: `uint8 [T, H, W, 3]`, the clip to extend, in `direction` "forward" or "backward".

    Raises:
        UsageError: if it cannot be made.
    """

    prompt: str
    width: int = 32
    height: int = 32
    frames: int = 17
    fps: float = 8.0
    seed: int = 0
    image: np.ndarray | None = None
    video: np.ndarray | None = None
    direction: str = "forward"

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise UsageError("the prompt is empty; say what the video should show.")
        if not 0 < self.fps <= 120:
            raise UsageError(f"{self.fps:g} frames a second cannot be made; give a number above 0, up to 120.")
        if self.direction not in ("forward", "backward"):
            raise UsageError(f"there is no direction '{self.direction}'; give forward or backward.")
        if self.image is not None and self.video is not None:
            raise UsageError("an image and a video were given; give one of them.")
        if self.task is not Task.TEXT and self.frames == 1:
            raise UsageError("an image leaves nothing to generate beside what is given; ask for more frames.")

    def check(self, grid: Grid) -> None:
        """Check that a model with this `grid` can make the clip.

        Raises:
            UsageError: if it cannot.
        """
        for side, name in ((self.width, "width"), (self.height, "height")):
            if not grid.has_side(side) or side > LARGEST_SIDE:
                raise UsageError(
                    f"a {name} of {side} pixels cannot be made; "
                    f"give a multiple of {grid.side} from {grid.side} to {LARGEST_SIDE}."
                )
        if not grid.has_length(self.frames) or self.frames > MOST_FRAMES:
            raise UsageError(
                f"{self.frames} frames cannot be made; "
                f"give 1, or 1 more than a multiple of {grid.frames}, up to {MOST_FRAMES}."
            )
        shortest = grid.shortest_video
        if self.video is not None and (self.frames < shortest + grid.frames or len(self.video) < shortest):
            raise UsageError(
                f"extending a video of {len(self.video)} frames by a window of {self.frames} cannot be done; "
                f"give a video of at least {shortest} frames and ask for at least {shortest + grid.frames}."
            )

    @property
    def task(self) -> Task:
        """What is given besides the prompt."""
        if self.image is not None:
            return Task.IMAGE
        if self.video is not None:
            return Task(self.direction)
        return Task.TEXT

    def context_frames(self, grid: Grid) -> int:
        """Return how many frames of the given video the model sees: at most about half of the window."""
        assert self.video is not None
        return grid.longest_within(min(len(self.video), self.frames // 2 + 1))


def request_for(
    prompt: str,
    grid: Grid,
    usual: ClipFormat,
    *,
    size: tuple[int, int] | None = None,
    frames: int | None = None,
    fps: float | None = None,
    seed: int = 0,
    image: Media | None = None,
    extend: Media | None = None,
    direction: str = "forward",
) -> GenerationRequest:
    """Return a request with what is None filled in.

    The size is that of the image or video given, each side rounded to the nearest multiple that the model takes; the
    rate is that of a video file. All else is as `usual`.

    Args:
        grid: the sizes and lengths that the model takes.
        usual: what it makes unless told otherwise.
        size: width and height in pixels.
        image: the first frame, `[H, W, 3]`, or a file.
        extend: the video to extend in `direction`, `[T, H, W, 3]`, or a file.

    Raises:
        UsageError: if the model cannot make it.
        KinoraError: if a file is missing or cannot be decoded.
    """
    for source in (image, extend):
        if isinstance(source, str | Path) and not Path(source).is_file():
            raise KinoraError(f"there is no file {source}; name one that is there.")
    picture = read_image(image)[0] if isinstance(image, str | Path) else image
    video, rate = read_video(extend) if isinstance(extend, str | Path) else (extend, usual.fps)
    shown = picture if picture is not None else video[0] if video is not None else None
    if size is None and shown is not None:
        size = grid.nearest_side(shown.shape[1]), grid.nearest_side(shown.shape[0])
    width, height = size or (usual.width, usual.height)
    rate = fps if fps is not None else rate
    request = GenerationRequest(
        prompt, width, height, usual.frames if frames is None else frames, rate, seed, picture, video, direction
    )
    request.check(grid)
    return request


def fitted(frames: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale `uint8 [T, H, W, 3]` to cover `width` x `height` and cut off what stands over, from both sides alike."""
    rows, columns = frames.shape[1:3]
    if (rows, columns) == (height, width):
        return frames
    scale = max(width / columns, height / rows)
    size = max(width, round(columns * scale)), max(height, round(rows * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.stack([cv2.resize(frame, size, interpolation=method) for frame in frames])
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return scaled[:, top : top + height, left : left + width]
