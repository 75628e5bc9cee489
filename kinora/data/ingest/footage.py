"""A video file as the frames that become clips: without its bars, resized, and sampled at one frame rate.

Frames are `uint8 [H, W, 3]` RGB. Times are seconds from the first frame of the file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kinora.data.curation import Box, picture_box, picture_size
from kinora.data.grid import Grid
from kinora.data.ingest.config import IngestConfig
from kinora.data.shots import THUMBNAIL, Fit, fit, mark_cuts, rejections
from kinora.media import Frame, Video, open_video, sample

LOOK_S, LOOKS_PER_S = 20.0, 1.0  # how far and how often frames are looked at that tell bars from a dark scene
FADED_IN = 64  # the brightest level of a first frame from which on it is more than a fade from black
PICTURES = 3  # of a window, at most, in which overlaid text is looked for


@dataclass(slots=True)  # frozen, it would take three times as long to make
class _Marked:
    """A frame of the file, its thumbnail, and whether a new shot starts at it."""

    frame: Frame
    thumbnail: np.ndarray
    starts_shot: bool

    @property
    def start_s(self) -> float:
        return self.frame.start_s

    @property
    def end_s(self) -> float:
        return self.frame.end_s


@dataclass(frozen=True)
class _Geometry:
    """How a file's frames are brought to the size of its clips: scaled `whole` (width, height), then cut."""

    box: Box
    how: Fit
    whole: tuple[int, int]

    def frame(self, shown: Frame) -> np.ndarray:
        """Return a frame as it is in a clip."""
        return self.how.crop(self.box.crop(shown.rgb(self.whole)))


class Footage:
    """One video file, read once from its start."""

    def __init__(self, path: Path, config: IngestConfig, grid: Grid):
        self.path, self.config, self.grid = path, config, grid
        self.unread = False  # whether the file goes on after `max_seconds`
        self._pictures: dict[int, np.ndarray] = {}  # larger grey ones of the last frames, by number
        self._glimpses: dict[int, np.ndarray] = {}  # what is seen from each of the last frames to the one before it

    def frames(self) -> Iterator[tuple[np.ndarray, bool]]:
        """Yield frames, `fps` a second, each with whether a new shot starts at it.

        At each instant it is the picture that a player would show.

        Raises:
            Rejected: if the file cannot be decoded to its end (or to `max_seconds`).
        """
        config, every = self.config, max(1, self.config.max_frames // PICTURES)
        most = int(config.max_seconds * config.fps)
        number, cut = 0, False
        geometry: _Geometry | None = None
        passed: list[np.ndarray] = []  # thumbnails of the file's frames since the last that was yielded
        with rejections(), open_video(self.path) as video:
            for shown, count in sample(self._marked(video), config.fps):
                if number >= most:
                    self.unread = True
                    return
                if shown.starts_shot:
                    cut, passed = True, []
                passed.append(shown.thumbnail)
                if not count:
                    continue
                if number % every == 0:
                    picture = shown.frame.luma(picture_size(*video.size))
                    if geometry is None:
                        geometry = self._geometry(picture, video.size)
                    self._pictures[number] = geometry.box.crop(picture)
                assert geometry is not None  # number was 0 first
                frame = geometry.frame(shown.frame)
                glimpse = geometry.box.crop(np.rint(np.add.reduce(passed, dtype=np.float64) / len(passed)))
                glimpse, passed = glimpse.astype(np.uint8), []
                for i in range(min(count, most - number)):
                    self._glimpses[number + i] = glimpse
                    yield frame, cut
                    cut = False
                number += count

    def pictures(self, start_s: float, frames: int) -> list[np.ndarray] | None:
        """Return larger grey pictures of the window that starts there, None if none was kept; forget those before."""
        first = round(start_s * self.config.fps)
        self._pictures = {number: picture for number, picture in self._pictures.items() if number >= first}
        return [picture for number, picture in self._pictures.items() if number < first + frames] or None

    def glimpses(self, start_s: float, frames: int) -> np.ndarray:
        """Return small grey pictures `uint8 [T, h, w]` of the window that starts there, and forget those before.

        Each is the mean of all frames of the file since the frame before, so that a copy that is sampled at other
        instants has nearly the same.
        """
        first = round(start_s * self.config.fps)
        self._glimpses = {number: glimpse for number, glimpse in self._glimpses.items() if number >= first}
        return np.stack([self._glimpses[number] for number in range(first, first + frames)])

    def _geometry(self, first: np.ndarray, size: tuple[int, int]) -> "_Geometry":
        box = self._box(first)
        rows, columns = box.bottom - box.top, box.right - box.left
        inside = (round(columns * size[0]), round(rows * size[1]))
        how = fit(*inside, self.config.max_side, self.grid)
        return _Geometry(box, how, (round(how.scaled[0] / columns), round(how.scaled[1] / rows)))

    def _box(self, first: np.ndarray) -> Box:
        """Find the picture within its bars; only where the first frame may have some, others are looked at too."""
        if picture_box([first]).share == 1.0 and first.max() > FADED_IN:
            return Box()
        pictures = [first]
        with open_video(self.path) as video:
            for shown, count in sample(video.frames(), LOOKS_PER_S):
                if shown.start_s > LOOK_S:
                    break
                if count:
                    pictures.append(shown.luma(picture_size(*video.size)))
        return picture_box(pictures)

    def _marked(self, video: Video) -> Iterator[_Marked]:
        # Cuts are looked for among all frames of the file: at few frames a second fast motion looks like one.
        for (frame, thumbnail), starts_shot in mark_cuts(self._with_thumbnails(video)):
            yield _Marked(frame, thumbnail, starts_shot)

    def _with_thumbnails(self, video: Video) -> Iterator[tuple[tuple[Frame, np.ndarray], np.ndarray]]:
        for number, frame in enumerate(video.frames()):
            if number == 0:
                fit(*video.size, self.config.max_side, self.grid)  # refuse before more of it is decoded
            thumbnail = frame.thumbnail(THUMBNAIL)
            yield (frame, thumbnail), thumbnail
