"""Names for the colours that are seen, from the palette that prompts are written in."""

from collections.abc import Mapping

import numpy as np

FARTHEST = 100.0  # RGB distance from which a colour has no name in the palette
SHADES = (0.65, 1.1)  # how much darker and lighter a surface may be lit


def name_colour(rgb: np.ndarray, palette: Mapping[str, tuple[int, int, int]]) -> str | None:
    """Return the name of the nearest colour of `palette` to `rgb [3]`, in any light; None where none is near."""
    distances = {name: shaded_distance(rgb, np.array(colour, dtype=float)) for name, colour in palette.items()}
    nearest = min(distances, key=lambda name: distances[name])
    return nearest if distances[nearest] < FARTHEST else None


def shaded_distance(rgb: np.ndarray, colour: np.ndarray) -> float:
    """Return the distance of `rgb` from the nearest of a colour's shades s c, in levels."""
    shade = np.clip((rgb @ colour) / (colour @ colour), *SHADES)
    return float(np.linalg.norm(rgb - shade * colour))
