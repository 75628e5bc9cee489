"""What is seen in one clip, measured once and shared by every detector."""

from dataclasses import dataclass, replace

import numpy as np

from evaluation.findings import ClipInput
from evaluation.objects.segmentation import LUMA, Segmentation, measuring_size, segment
from evaluation.objects.tracking import Track, begins_hidden, ends_hidden, follow
from kinora.worlds import Attributes, parse

LARGEST = 0.14  # square world units: the area of the largest things, of which there is one in a clip
MOST_TRACKS = 30  # in a whole clip; more are pieces of footage, not things before a background
SPECK = 0.12  # a track this small beside the clip's largest object is a speck, not an object of its own


@dataclass(frozen=True, eq=False)
class Observation:
    """A clip with its pixels at the measuring size, its objects and what its prompt asks for."""

    clip: ClipInput
    pixels: np.ndarray  # float32 [T, h, w, 3], at most segmentation.LONGEST_SIDE long
    scene: Segmentation
    tracks: list[Track]  # specks included
    wanted: Attributes | None  # None: no prompt, or one that names nothing that can be checked

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.pixels)

    @property
    def luma(self) -> np.ndarray:
        """Luma `[T, h, w]` in levels."""
        return np.asarray(self.pixels @ LUMA)

    @property
    def unit(self) -> float:
        """Pixels of the first frame in one world unit: the shorter side of what is in view all the time."""
        width, height = self.scene.width, self.scene.height
        return min(width, height) * self.scene.camera.shared(width, height)

    def steady(self, track: Track) -> np.ndarray:
        """Return the track's centres `[n, 2]` in the first frame's pixels, the camera's motion taken out."""
        return self.scene.camera.steady(track.frames, track.centres)

    @property
    def largest(self) -> float:
        """Area in pixels of the largest object, 0 where nothing is seen; a wall counts as the largest of things."""
        return min(max((track.area for track in self.tracks), default=0.0), LARGEST * self.unit**2)

    @property
    def objects(self) -> list[Track]:
        """The tracks that are more than specks."""
        return [track for track in self.tracks if track.area >= SPECK * self.largest]

    @property
    def counts(self) -> np.ndarray:
        """Number of objects in every frame `[T]`, specks left out."""
        counts = np.zeros(self.frames, dtype=int)
        for track in self.objects:
            counts[track.frames] += 1
        return counts

    @property
    def away(self) -> np.ndarray:
        """Number of objects in every frame `[T]` that are out of sight for a reason: beyond the edge, or covered."""
        away = np.zeros(self.frames, dtype=int)
        for track in self.objects:
            if track.end < self.frames - 1 and ends_hidden(track, self.tracks, self.scene):
                away[track.end + 1 :] += 1
            if track.start > 0 and begins_hidden(track, self.tracks, self.scene):
                away[: track.start] += 1
        return away

    @property
    def unseen(self) -> str:
        """Why no object can be followed in this clip; empty where one can."""
        if not self.scene.plain:
            return "the background is not plain enough to tell objects from it"
        if not self.tracks:
            return "no object is seen in front of the background"
        return ""


def observe(clip: ClipInput) -> Observation:
    """Segment and track one clip."""
    pixels = measuring_size(clip.frames)
    scene = segment(pixels)
    wanted = parse(clip.prompt) if clip.prompt else None
    tracks = follow(scene)
    if len(tracks) > MOST_TRACKS:
        scene, tracks = replace(scene, plain=False, blobs=[[] for _ in scene.blobs]), []
    return Observation(clip, pixels, scene, tracks, wanted)
