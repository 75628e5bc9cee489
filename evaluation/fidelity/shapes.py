"""The shape of an object, from its soft matte: circle, square or triangle, whatever its size and rotation.

With z = x + iy about the centroid, the moments m_k = sum alpha z^k of a disc vanish, those of a regular n-gon vanish
unless n divides k, and |m_k| / A^(1 + k/2) depends on neither size nor rotation. Since z^k is harmonic, a round blur
changes neither m_k nor the area A (mean value property): a blurred square still measures as a square.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.objects.segmentation import Blob

# |m_3| / A^2.5 of an equilateral triangle and |m_4| / A^3 of a square, by integration over the figures.
TRIANGLE_M3 = 0.067541
SQUARE_M4 = 1 / 60
CENTRES = {"circle": (0.0, 0.0), "square": (0.0, 1.0), "triangle": (1.0, 0.0)}  # in units of the two figures above
# The median outlines of a ball, a cube and a pyramid that a camera circles, about 35 degrees above the ground.
SOLIDS = {"circle": (0.0, 0.0), "square": (0.16, 0.45), "triangle": (0.46, 0.8)}
FARTHEST = 0.75  # a figure farther than this from all three is none of them


def shape_moments(blob: Blob) -> tuple[float, float]:
    """Return the triangle-likeness and the square-likeness of a whole blob: 1 for the ideal figure, 0 for a disc."""
    x0, y0, x1, y1 = blob.box
    z = (np.arange(x0, x1) + 0.5 - blob.x)[None] + 1j * (np.arange(y0, y1) + 0.5 - blob.y)[:, None]
    # Beyond a triangle's corner, 1.56 radii from its centre, there is only noise, which z^4 would magnify.
    matte = np.where(np.abs(z) < 1.7 * blob.radius + 1.0, blob.matte, 0.0)
    area = matte.sum()
    m3 = abs((matte * z**3).sum()) / area**2.5
    m4 = abs((matte * z**4).sum()) / area**3
    return float(m3 / TRIANGLE_M3), float(m4 / SQUARE_M4)


def classify_shape(
    blobs: Sequence[Blob], centres: Mapping[str, tuple[float, float]] = CENTRES
) -> tuple[str | None, float]:
    """Name the shape, of those with `centres`, shown by several views of one object, and how sure it is (0..1).

    The name is None where the median view lies far from every shape, or where there is no view at all.
    """
    if not blobs:
        return None, 0.0
    view = np.median([shape_moments(blob) for blob in blobs], axis=0)
    distances = {name: float(np.hypot(*(view - centre))) for name, centre in centres.items()}
    first, second = sorted(distances, key=lambda name: distances[name])[:2]
    if distances[first] > FARTHEST:
        return None, 0.0
    return first, 1.0 - distances[first] / distances[second]
