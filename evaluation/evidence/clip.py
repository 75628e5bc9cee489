"""The evidence in one clip: its pixels at the size of measuring, and what is measured there once, when first asked for.

T frames of h x w pixels, at most `LONGEST_SIDE` long. Coordinates are (x, y) in pixels of that size, the centre of the
first pixel at (0, 0); levels are 0..255.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.background import Background, find_background
from evaluation.evidence.camera import Camera, follow_camera
from evaluation.evidence.flow import Flow, follow_flow, measure_noise
from evaluation.evidence.shots import Shot, find_shots
from evaluation.findings import ClipInput
from kinora.recipes.backends import NONE, Backends
from kinora.worlds import Attributes, parse

if TYPE_CHECKING:
    from evaluation.evidence.changes import Changes
    from evaluation.evidence.tracks import Track
    from evaluation.evidence.turning_measures import Turned

LONGEST_SIDE = 128
SHORTEST_SIDE = 32  # of the longer side, where a clip is so long that it is measured smaller
MOST_PIXELS = 2000 * LONGEST_SIDE**2  # in all frames: what is kept of a longer clip takes no more memory


@dataclass(frozen=True, eq=False)
class Evidence:
    """What can be seen in a clip, whoever made it."""

    clip: ClipInput
    rgb: np.ndarray  # uint8 [T, h, w, 3]
    luma: np.ndarray  # float32 [T, h, w] in levels
    scale: float  # pixels here for one of the clip
    wanted: Attributes | None  # the prompt in the worlds' language; None where it is not wholly of it
    backends: Backends = NONE  # networks that measure in place of, or beside, what is measured here

    @cached_property
    def shots(self) -> tuple[Shot, ...]:
        """The stretches between hard cuts, which together are the clip."""
        return find_shots(self.rgb)

    @cached_property
    def camera(self) -> Camera:
        """How the camera moves."""
        return follow_camera(self.luma, self.shots)

    @cached_property
    def flow(self) -> Flow:
        """How every pixel moves, and what motion does not explain."""
        return follow_flow(self.rgb, self.luma, self.camera, self.shots)

    @cached_property
    def noise(self) -> float:
        """Standard deviation, in levels, of what changes by itself: grain, and what coding leaves."""
        return measure_noise(self.luma, self.flow, self.shots)

    @cached_property
    def background(self) -> Background:
        """The scene without what moves in it."""
        return find_background(self.rgb, self.camera, self.shots, self.noise)

    @cached_property
    def tracks(self) -> tuple["Track", ...]:
        """The things that are followed."""
        from evaluation.evidence.tracks import follow

        return follow(self)

    @cached_property
    def changes(self) -> "Changes":
        """What vanishes and what appears."""
        from evaluation.evidence.changes import find_changes

        return find_changes(self)

    @cached_property
    def _seen(self) -> np.ndarray:
        from evaluation.backends.looks import seen_in

        return seen_in(self)

    def features(self, t: int) -> np.ndarray | None:
        """Return what the network of `backends.looks` sees in every pixel of a frame, `[h, w, n]`; None without one."""
        if not self.backends.looks:
            return None
        h, w = self.luma.shape[1:]
        rows, columns = self._seen.shape[1:3]
        return np.asarray(self._seen[t][np.arange(h)[:, None] * rows // h, np.arange(w) * columns // w])

    @cached_property
    def turned(self) -> tuple["Turned", ...]:
        """What turns into something else, the surest first."""
        from evaluation.evidence.turning_measures import find_turned

        return find_turned(self)

    def box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[int, int, int, int]:
        """Return a box of these pixels (x1, y1 exclusive) in the clip's, rounded outwards and kept within the frame."""
        height, width = self.clip.frames.shape[1:3]
        across, down = width / self.rgb.shape[2], height / self.rgb.shape[1]
        left, top = int(np.clip(x0 * across, 0, width - 1)), int(np.clip(y0 * down, 0, height - 1))
        right, bottom = int(np.ceil(x1 * across)), int(np.ceil(y1 * down))
        return left, top, int(np.clip(right, left + 1, width)), int(np.clip(bottom, top + 1, height))


def gather(clip: ClipInput, backends: Backends = NONE) -> Evidence:
    """Bring a clip, T at least 1, to the size of measuring; everything else waits until it is asked for."""
    frames, height, width = clip.frames.shape[:3]
    longest = max(SHORTEST_SIDE, min(LONGEST_SIDE, (MOST_PIXELS / frames) ** 0.5))
    scale = min(1.0, longest / max(height, width))
    rgb = clip.frames
    if scale < 1:
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        rgb = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in clip.frames])
    luma = np.stack([cv2.cvtColor(frame.astype(np.float32), cv2.COLOR_RGB2GRAY) for frame in rgb])
    return Evidence(clip, rgb, luma, scale, parse(clip.prompt) if clip.prompt else None, backends)
