"""Media of any size brought to the size of a clip."""

import cv2
import numpy as np

from kinora.data.grid import Grid


def fitted(frames: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale `uint8 [T, H, W, 3]` to cover `width` x `height` and cut off what stands over, from both sides alike."""
    rows, columns = frames.shape[1:3]
    if (rows, columns) == (height, width):
        return frames
    size = _covering(columns, rows, width, height)
    method = cv2.INTER_AREA if size[0] < columns else cv2.INTER_CUBIC
    scaled = np.stack([cv2.resize(frame, size, interpolation=method) for frame in frames])
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return scaled[:, top : top + height, left : left + width]


def difference(name: str, media: np.ndarray, width: int, height: int) -> str:
    """Say how `fitted` brings an image `[H, W, 3]` or a video `[T, H, W, 3]` to the size of the clip; "" if it fits."""
    rows, columns = media.shape[-3:-1]
    if (columns, rows) == (width, height):
        return ""
    across, down = _covering(columns, rows, width, height)
    over = f"{across - width} columns" if across > width else f"{down - height} rows"
    cut = "" if (across, down) == (width, height) else f", and {over} are cut off, half on either side"
    return (
        f"The {name} has {columns}x{rows} pixels and the clip {width}x{height}: it is scaled to {across}x{down}{cut}."
    )


def within_area(aspect: float, area: float, grid: Grid) -> tuple[int, int]:
    """Return the width and height on the grid that come nearest to an aspect ratio (width / height) and an area."""
    width = grid.nearest_side((area * aspect) ** 0.5)
    return width, grid.nearest_side(width / aspect)


def _covering(columns: int, rows: int, width: int, height: int) -> tuple[int, int]:
    """Return the size to which `columns` x `rows` are scaled so that they cover `width` x `height`."""
    scale = max(width / columns, height / rows)
    return max(width, round(columns * scale)), max(height, round(rows * scale))
