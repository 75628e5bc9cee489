"""How raw clips become a dataset."""

from dataclasses import dataclass, field
from typing import Any

from kinora.config import digest, to_dict
from kinora.data.curation import CurationConfig
from kinora.data.grid import Grid
from kinora.errors import UsageError
from kinora.worlds import WorldsConfig

WORLDS = "worlds"
READER = 5  # counts changes of what is made of an input: shards that another reader made are made again


@dataclass(frozen=True)
class SimulatedClips:
    """How many clips of the simulated worlds make a dataset.

    `captioned` is the share of the training clips that keep the simulator's caption; the others arrive without one.
    """

    videos: int = 2000
    images: int = 600
    captioned: float = 0.5


@dataclass(frozen=True)
class ReadingLimits:
    """What reading one input may take: `seconds` of time and `memory_mb` mebibytes; an input beyond is rejected."""

    seconds: float = 300.0
    memory_mb: int = 2048

    def __post_init__(self) -> None:
        if self.seconds <= 0 or self.memory_mb < 64:
            raise UsageError("limits.seconds must be above 0, and limits.memory_mb 64 or more.")


@dataclass(frozen=True)
class IngestConfig:
    """How raw clips become a dataset.

    `worlds` says what is simulated when the source is "worlds", and `simulated` how much of it; everything else is for
    a person's own files. Videos are sampled at `fps` frames a second for at most `max_seconds` each, cut at scene
    changes and then into windows of at most `max_frames` frames. `max_side` is the longest side in pixels; the aspect
    ratio is kept. `curation` says which clips are dropped, and `near_duplicates` whether copies are.
    `validation_fraction` of the clips, whole files where possible, is held out. `limits` bound what one input may take.
    A shard holds `shard_items` inputs; on a cluster the shards are dealt to as many as `pods`.
    """

    worlds: WorldsConfig = field(default_factory=WorldsConfig)
    simulated: SimulatedClips = field(default_factory=SimulatedClips)
    max_seconds: float = 60.0
    max_side: int = 40
    fps: float = 8.0
    max_frames: int = 17
    curation: CurationConfig = field(default_factory=CurationConfig)
    near_duplicates: bool = True
    validation_fraction: float = 0.1
    seed: int = 0
    limits: ReadingLimits = field(default_factory=ReadingLimits)
    shard_items: int = 64
    pods: int = 1

    def __post_init__(self) -> None:
        if self.fps <= 0 or self.max_seconds <= 0 or not 0 < self.validation_fraction < 1:
            raise UsageError("fps and max_seconds must be above 0, and validation_fraction between 0 and 1.")
        if self.shard_items < 1 or self.pods < 1:
            raise UsageError("shard_items and pods must be 1 or more.")

    def check(self, grid: Grid) -> None:
        """Check that sizes and lengths are on the grid of the model that is to learn from the clips.

        Raises:
            UsageError: if one is not.
        """
        drawn = (("sizes", self.worlds.sizes), ("fine_sizes", self.worlds.fine_sizes))
        drawn_sides = [(f"worlds.{name}", side) for name, sizes in drawn for size in sizes for side in size]
        sides = [("max_side", self.max_side), *drawn_sides]
        lengths = [("max_frames", self.max_frames), *(("worlds.frames", length) for length in self.worlds.frames)]
        for name, pixels in sides:
            if not grid.has_side(pixels):
                raise UsageError(f"{name} has {pixels} pixels, and this model takes multiples of {grid.side}.")
        for name, frames in lengths:
            if not grid.has_length(frames) or frames == 1:
                possible = ", ".join(str(1 + k * grid.frames) for k in (1, 2, 3))
                raise UsageError(
                    f"{name} has {frames} frames, and this model takes 1 more than a multiple of {grid.frames}: "
                    f"{possible}, ..."
                )

    def reading(self, source: str, grid: Grid) -> dict[str, Any]:
        """Return all that decides what is made of one input, as plain values."""
        made: dict[str, Any] = {"reader": READER, "grid": to_dict(grid)}
        if source == WORLDS:
            return made | {"worlds": to_dict(self.worlds), "captioned": self.simulated.captioned}
        names = ("max_seconds", "max_side", "fps", "max_frames", "limits")
        return made | {name: to_dict(getattr(self, name)) for name in names}

    def reading_digest(self, source: str, grid: Grid) -> str:
        """Return a digest of `reading`."""
        return digest(self.reading(source, grid))
