"""The grid: which sizes and lengths of clips a model takes."""

from dataclasses import dataclass

from kinora.errors import UsageError


@dataclass(frozen=True)
class Grid:
    """Sides are multiples of `side` pixels; an image has 1 frame, a video 1 + k * `frames` frames with k of 1 or more.

    The first frame has a latent of its own (see `kinora.models.vae`), hence the 1. A model's grid follows from its
    autoencoder's compression and its transformer's patch: `VAEConfig.grid`.

    Raises:
        UsageError: if either is less than 1.
    """

    side: int = 8
    frames: int = 4

    def __post_init__(self) -> None:
        if self.side < 1 or self.frames < 1:
            raise UsageError(f"a grid of {self.side} pixels and {self.frames} frames cannot be; give 1 or more.")

    @property
    def shortest_video(self) -> int:
        """Frames of the shortest video: two latent frames."""
        return 1 + self.frames

    def has_side(self, pixels: int) -> bool:
        """Say whether a clip may be `pixels` wide or high."""
        return pixels >= self.side and pixels % self.side == 0

    def has_length(self, frames: int) -> bool:
        """Say whether a clip may have `frames` frames; 1 is an image."""
        return frames >= 1 and (frames - 1) % self.frames == 0

    def nearest_side(self, pixels: float) -> int:
        """Return the side that comes nearest to `pixels`."""
        return max(1, round(pixels / self.side)) * self.side

    def nearest_video(self, frames: float) -> int:
        """Return the length of a video that comes nearest to `frames`."""
        return 1 + max(1, round((frames - 1) / self.frames)) * self.frames

    def longest_within(self, frames: int) -> int:
        """Return the greatest length of at most `frames` frames, which are 1 or more."""
        return 1 + (frames - 1) // self.frames * self.frames


DEFAULT_GRID = Grid()
