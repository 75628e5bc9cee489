"""What a person asks for, and the checks that turn impossible wishes into one sentence.

Axes: T frames, H rows, W columns; media are `uint8`, RGB.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from kinora.data.grid import Grid
from kinora.errors import UsageError
from kinora.generation.fitting import difference

SMALLEST_SIDE, LARGEST_SIDE = 16, 2048  # pixels
MOST_CHARACTERS = 2000  # of a prompt; how many words a model reads, its text encoder says
GREATEST_SEED = 2**63 - 1
MOST_FACTOR = 16  # of interpolation


class Task(StrEnum):
    """What a clip is made from, besides its prompt."""

    TEXT = "text"  # nothing
    IMAGE = "image"  # its first frame, its last, or both
    EXTEND = "extend"  # a video that goes on, or that is led up to
    EDIT = "edit"  # a video that is changed
    CONNECT = "connect"  # two videos, with a way from one to the other
    FILL = "fill"  # a video with frames or a region missing
    INTERPOLATE = "interpolate"  # a video at a lower frame rate


@dataclass(frozen=True)
class ClipFormat:
    """The size in pixels, the length in frames and the frames a second of clips."""

    width: int = 32
    height: int = 32
    frames: int = 17
    fps: float = 8.0


@dataclass(frozen=True, eq=False)
class GenerationRequest:
    """One clip to be made, of any size from 16 to 2048 pixels a side and any length.

    prompt: what the clip shows. Empty, it is no condition, which only a clip that is made from media can do without.
    width, height: pixels of the finished clip.
    frames: of the finished clip, whatever the task: of an extended video, the given frames and the new ones.
    seed: whole number from 0; another seed makes another clip.
    negative_prompt: what the clip should not show.
    expand: whether a short prompt becomes a descriptive caption first.
    image, last_image: `[H, W, 3]`, the first and the last frame.
    video: `[T, H, W, 3]`, what is extended, edited, filled or interpolated, or comes first in a connection.
    to_video: `[T, H, W, 3]`, what a connection leads to.
    direction: where an extension's new frames are: "forward", after the video, or "backward", before it.
    loop: the last frame leads into the first. Of text, or of a first image.
    strength: of an edit, above 0 (nothing changes) to 1 (nothing stays): of the steps from noise, the share made.
    missing: first and last frame, counted from 0, of each run of frames that is to be filled.
    region: (left, top, width, height) in pixels of `video`, what is to be filled of the missing frames, or of all
        where none is named.
    factor: of interpolation: frames of the clip to one of the video's.

    Raises:
        UsageError: if it cannot be made by any model.
    """

    prompt: str
    width: int = 32
    height: int = 32
    frames: int = 17
    fps: float = 8.0
    seed: int = 0
    negative_prompt: str = ""
    expand: bool = True
    task: Task = Task.TEXT
    image: np.ndarray | None = field(default=None, repr=False)
    last_image: np.ndarray | None = field(default=None, repr=False)
    video: np.ndarray | None = field(default=None, repr=False)
    to_video: np.ndarray | None = field(default=None, repr=False)
    direction: str = "forward"
    loop: bool = False
    strength: float = 0.6
    missing: tuple[tuple[int, int], ...] = ()
    region: tuple[int, int, int, int] | None = None
    factor: int = 2

    def __post_init__(self) -> None:
        self._check_prompts()
        self._check_format()
        self._check_media()
        {
            Task.IMAGE: self._check_images,
            Task.EXTEND: self._check_extension,
            Task.EDIT: self._check_edit,
            Task.CONNECT: self._check_connection,
            Task.FILL: self._check_fill,
            Task.INTERPOLATE: self._check_interpolation,
        }.get(self.task, lambda: None)()
        if self.loop and (self.task not in (Task.TEXT, Task.IMAGE) or self.last_image is not None):
            raise UsageError("a loop is made of a prompt, with or without a first image; leave the other media out.")
        if self.loop and self.frames == 1:
            raise UsageError("a loop of 1 frame stands still; ask for more frames.")

    def check(self, grid: Grid) -> None:
        """Check what depends on the `grid` of the model that is to make it.

        Raises:
            UsageError: if a given video is too short for its task, or a loop does not close on the grid.
        """
        for name, video in (("video", self.video), ("second video", self.to_video)):
            shortest = 1 if self.task in (Task.EDIT, Task.FILL) else grid.shortest_video
            if self.task is Task.INTERPOLATE:
                shortest = 2
            if video is not None and len(video) < shortest:
                raise UsageError(
                    f"the {name} has {len(video)} frames, too few for the task '{self.task}'; "
                    f"give at least {shortest} frames."
                )
        if self.loop and (self.frames % grid.frames or self.frames < 2 * grid.frames):
            near = max(2, round(self.frames / grid.frames)) * grid.frames
            raise UsageError(
                f"a loop of {self.frames} frames cannot be made; give a multiple of {grid.frames} from "
                f"{2 * grid.frames}, such as {near}."
            )

    @property
    def notes(self) -> list[str]:
        """What was chosen where media do not fit the clip, a sentence each, for the person who asked."""
        media = (
            ("image", self.image),
            ("last image", self.last_image),
            ("video", self.video),
            ("second video", self.to_video),
        )
        found = [difference(name, given, self.width, self.height) for name, given in media if given is not None]
        return [note for note in found if note]

    def _check_prompts(self) -> None:
        if self.task is Task.TEXT and not self.prompt.strip():
            raise UsageError("the prompt is empty; say what the video should show, or give an image or a video.")
        for name, text in (("prompt", self.prompt), ("negative prompt", self.negative_prompt)):
            if len(text) > MOST_CHARACTERS:
                raise UsageError(f"the {name} has {len(text):,} characters; give at most {MOST_CHARACTERS:,}.")

    def _check_format(self) -> None:
        for side, name in ((self.width, "width"), (self.height, "height")):
            if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
                raise UsageError(
                    f"a {name} of {side} pixels cannot be made; give {SMALLEST_SIDE} to {LARGEST_SIDE} pixels."
                )
        if not 0 <= self.seed <= GREATEST_SEED:
            raise UsageError(f"a seed of {self.seed} cannot be; give a whole number from 0 to {GREATEST_SEED}.")
        if self.frames < 1:
            raise UsageError(f"{self.frames} frames cannot be made; give 1 (an image) or more.")
        if not 0 < self.fps <= 120:
            raise UsageError(f"{self.fps:g} frames a second cannot be made; give a number above 0, up to 120.")
        if self.direction not in ("forward", "backward"):
            raise UsageError(f"there is no direction '{self.direction}'; give forward or backward.")
        if not 0 < self.strength <= 1:
            raise UsageError(f"a strength of {self.strength:g} cannot be; give a number above 0, up to 1.")
        if not 2 <= self.factor <= MOST_FACTOR:
            raise UsageError(f"a factor of {self.factor} cannot be; give a whole number from 2 to {MOST_FACTOR}.")

    def _check_media(self) -> None:
        """Check that what the task needs is there, and nothing else, and that media are what they should be."""
        given = {
            "a first image": self.image,
            "a last image": self.last_image,
            "a video": self.video,
            "a second video": self.to_video,
        }
        have = [name for name, value in given.items() if value is not None]
        may = {
            Task.TEXT: [],
            Task.IMAGE: ["a first image", "a last image"],
            Task.CONNECT: ["a video", "a second video"],
        }.get(self.task, ["a video"])
        extra = [name for name in have if name not in may]
        if extra:
            raise UsageError(f"the task '{self.task}' has no use for {extra[0]}; leave it out, or choose another task.")
        if may and (not have or (self.task is not Task.IMAGE and have != may)):
            needed = " or ".join(may) if self.task is Task.IMAGE else " and ".join(may)
            raise UsageError(f"the task '{self.task}' needs {needed}; give it.")
        for name, value in given.items():
            if value is not None:
                check_array(name, value)

    def _check_images(self) -> None:
        given = (self.image is not None) + (self.last_image is not None)
        if self.frames <= given:
            raise UsageError(
                f"{self.frames} frame{'s' * (self.frames > 1)} leave{'s' * (self.frames == 1)} nothing to generate "
                "beside the given images; ask for more frames."
            )

    def _check_extension(self) -> None:
        given = len(_needed(self.video))
        if self.frames <= given:
            raise UsageError(
                f"the video has {given} frames already; ask for more than these, for frames counts the finished clip."
            )

    def _check_edit(self) -> None:
        self._check_length(len(_needed(self.video)))

    def _check_connection(self) -> None:
        given = len(_needed(self.video)) + len(_needed(self.to_video))
        if self.frames <= given:
            raise UsageError(f"the two videos have {given} frames; ask for more, which are made between them.")

    def _check_fill(self) -> None:
        video = _needed(self.video)
        frames, height, width = video.shape[:3]
        self._check_length(frames)
        if not self.missing and self.region is None:
            raise UsageError("nothing is missing; say which frames or which region to fill.")
        for first, last in self.missing:
            if not 0 <= first <= last < frames:
                raise UsageError(
                    f"there are no frames {first} to {last} in a video of {frames} frames; give numbers from 0 to "
                    f"{frames - 1}, the first no greater than the last."
                )
        if self.missing and len(missing_frames(self.missing)) == frames and self.region is None:
            raise UsageError("all frames are missing; leave at least one, or make a new clip of the prompt alone.")
        if self.region is not None:
            left, top, across, down = self.region
            if min(left, top) < 0 or min(across, down) < 1 or left + across > width or top + down > height:
                raise UsageError(
                    f"a region of {across}x{down} pixels at ({left}, {top}) is not within frames of {width}x{height}; "
                    "give one that is."
                )
            if (across, down) == (width, height):
                raise UsageError("the region is the whole frame; leave some of it, or name the missing frames.")

    def _check_interpolation(self) -> None:
        self._check_length((len(_needed(self.video)) - 1) * self.factor + 1)

    def _check_length(self, frames: int) -> None:
        if self.frames != frames:
            raise UsageError(
                f"the task '{self.task}' makes {frames} frames of this video, and {self.frames} are asked for; "
                "leave the number of frames out."
            )


def check_array(name: str, media: np.ndarray) -> None:
    """Check that an array is what its name says, an image or a video.

    Raises:
        UsageError: if it is not.
    """
    dimensions = 3 if "image" in name else 4
    if media.dtype != np.uint8 or media.ndim != dimensions or media.shape[-1] != 3 or 0 in media.shape:
        axes = "[H, W, 3]" if dimensions == 3 else "[T, H, W, 3]"
        raise UsageError(f"{name} of type {media.dtype} and shape {list(media.shape)} is none; give uint8 {axes}.")


def missing_frames(ranges: Sequence[tuple[int, int]]) -> set[int]:
    """Return the numbers of the frames in ranges (first, last)."""
    return {frame for first, last in ranges for frame in range(first, last + 1)}


def _needed(media: np.ndarray | None) -> np.ndarray:
    assert media is not None  # `_check_media` saw to it
    return media
