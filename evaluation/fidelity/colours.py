"""Names for the colours that are seen, from the palette that prompts are written in."""

from collections.abc import Mapping

import numpy as np

FARTHEST = 100.0  # RGB distance from which a colour has no name in the palette


def name_colour(rgb: np.ndarray, palette: Mapping[str, tuple[int, int, int]]) -> str | None:
    """Return the name of the nearest colour of `palette` to `rgb [3]`, None where none is near."""
    distances = {name: float(np.linalg.norm(np.subtract(rgb, colour))) for name, colour in palette.items()}
    nearest = min(distances, key=lambda name: distances[name])
    return nearest if distances[nearest] < FARTHEST else None
