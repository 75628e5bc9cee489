"""The scene without what moves in it: for every stretch of known camera motion one picture, the median of its frames.

Frames are brought to the first of their shot by the camera's motion, and the median over some of them is taken there.
Seen from a frame again, with that frame's light, it tells what is not a part of the scene. What rests for longer than
half of the time is a part of the scene.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.camera import Camera, carry
from evaluation.evidence.medians import level_at, median
from evaluation.evidence.shots import Shot

SAMPLES = 40  # frames of a stretch, at most, that the median is taken of
FEWEST = 5  # frames of a stretch that have a background, and frames that see a place
LARGEST = 3.0  # sides of the frame that the picture of a scene is long and high, at most
BEYOND, LEVELS = 5.0, 8.0  # times the noise, and levels more, by which what is no background differs from it
GAINS, DARK = (0.6, 1.6), 8  # limits of the change of light between a frame and the scene; levels added to tell ratios
SAMPLED = 3  # every so many pixels, across and down, tell the light
WINDOW, TEXTURE, LIKE = 7, 4.0, 0.85  # pixels, levels and correlation from which texture is the scene's, light aside
MOST_FOREGROUND, MOST_PIECES = 0.45, 8  # of the frame; in a frame: more are water, leaves or a crowd
SPECKS = 0.04  # of the frame: less in many pieces is what a scene's own texture leaves
MOST_NOISE = 15.0  # levels
LEAST_KNOWN = 0.7  # of all pixels


@dataclass(frozen=True, eq=False)
class Background:
    """The scene as seen from every frame, in the light of that frame.

    `rgb` float32 [T, h, w, 3], the frame itself where the scene is not known; `known` bool [T, h, w]; `foreground` bool
    [T, h, w]: what is surely not the background. `reliable`: it means something; `reason` says why where it does not.
    """

    rgb: np.ndarray
    known: np.ndarray
    foreground: np.ndarray
    reliable: bool
    reason: str = ""


def find_background(rgb_THWC: np.ndarray, camera: Camera, shots: Sequence[Shot], noise: float) -> Background:
    """Return the background of `uint8 [T, H, W, 3]`, whose noise is in levels."""
    T, H, W, _ = rgb_THWC.shape
    rgb, known, foreground = rgb_THWC.astype(np.float32), np.zeros((T, H, W), bool), np.zeros((T, H, W), bool)
    for stretch in _stretches(camera, shots):
        if len(stretch) < FEWEST:
            continue
        for t, scene, seen in _views(rgb_THWC, camera, stretch):
            known[t] = seen
            lit = in_light_of(rgb_THWC[t], scene, seen)
            rgb[t] = lit if seen.all() else np.where(seen[..., None], lit, rgb[t])
            foreground[t] = seen & _differs(rgb_THWC[t], rgb[t], noise)
    reason = _objection(known, foreground, noise)
    return Background(rgb, known, foreground, not reason, reason)


def _objection(known: np.ndarray, foreground: np.ndarray, noise: float) -> str:
    if noise > MOST_NOISE:
        return "nothing stays as it is from frame to frame"
    if known.mean() < LEAST_KNOWN:
        return "too few frames show the same scene, or the camera's motion is not known"
    share = foreground.mean()
    if share > MOST_FOREGROUND:
        return "most of the picture moves"
    if share > SPECKS and np.mean([_pieces(mask) for mask in foreground]) > MOST_PIECES:
        return "the scene moves all over, as water, leaves and crowds do"
    return ""


def _pieces(mask: np.ndarray) -> int:
    return cv2.connectedComponents(mask.astype(np.uint8))[0] - 1


def _stretches(camera: Camera, shots: Sequence[Shot]) -> Iterator[np.ndarray]:
    """Yield the frames of every shot, parted where a camera that moves is lost."""
    for shot in shots:
        frames = np.arange(shot.start, shot.end + 1)
        moves = np.ptp(camera.to_first[frames], axis=0).max() > 0
        lost = np.flatnonzero(~camera.reliable[shot.start : shot.end]) if moves else np.zeros(0, int)
        yield from np.split(frames, lost + 1)


def _views(rgb_THWC: np.ndarray, camera: Camera, frames: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each frame with the scene as seen from it, float32, and where that is known."""
    H, W = rgb_THWC.shape[1:3]
    corners = np.array([[0, 0], [W - 1, 0], [0, H - 1], [W - 1, H - 1]], dtype=float)
    from_middle = np.linalg.inv(camera.to_first[frames[len(frames) // 2]])
    places = [from_middle @ camera.to_first[t] for t in frames]  # to the stretch's middle frame, nearest to all others
    seen = np.concatenate([carry(matrix, corners) for matrix in places])
    size = np.array([W, H])
    low = np.maximum(np.floor(seen.min(axis=0)), -size * (LARGEST - 1) / 2)
    high = np.minimum(np.ceil(seen.max(axis=0)), size * (LARGEST + 1) / 2)
    shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]])
    wide, tall = (int(n) for n in high - low + 1)
    chosen = np.unique(np.linspace(0, len(frames) - 1, SAMPLES).round().astype(int))
    whole = np.full((H, W), 255, np.uint8)
    pictures = np.stack([cv2.warpPerspective(rgb_THWC[frames[i]], shift @ places[i], (wide, tall)) for i in chosen])
    inside = np.stack([cv2.warpPerspective(whole, shift @ places[i], (wide, tall)) for i in chosen]) == 255
    scene = masked_median(pictures, inside)
    often = (inside.sum(axis=0) >= min(FEWEST, len(chosen))).astype(np.float32)
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    last = None
    for t, place in zip(frames.tolist(), places, strict=True):
        if last is None or not np.array_equal(place, last):
            view, known = (cv2.warpPerspective(x, shift @ place, (W, H), flags=how) for x in (scene, often))
            last = place
        yield t, np.asarray(view), known > 0.99


def masked_median(pictures: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the median over n of `[n, H, W, 3]` where `inside` `[n, H, W]`, float32; 0 where nothing is inside."""
    if inside.all():
        return median(pictures)
    last, white = pictures.copy(), np.full_like(pictures[0], 255)
    for picture, outside in zip(last, (~inside).view(np.uint8), strict=True):  # what is outside comes last
        cv2.copyTo(white, outside, picture)
    count = np.repeat(inside.sum(axis=0, dtype=np.uint8)[..., None], 3, axis=-1)
    low, high = level_at(last, (np.maximum(count, 1) - 1) // 2), level_at(last, count // 2)
    return np.asarray(np.where(count > 0, (low.astype(np.float32) + high) / 2, 0))


def in_light_of(frame: np.ndarray, scene: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the scene, float32, with each channel as bright as it is in most of the frame."""
    every = (slice(None, None, SAMPLED), slice(None, None, SAMPLED))
    clear = known[every]
    if not clear.any():
        return scene
    ratios = (frame[every][clear] + np.float32(DARK)) / (scene[every][clear] + DARK)
    gain = median(ratios).clip(*GAINS)
    matrix = np.column_stack([np.diag(gain), (gain - 1) * DARK])
    return np.asarray(cv2.transform(scene, matrix))


def _differs(frame: np.ndarray, scene: np.ndarray, noise: float) -> np.ndarray:
    """Return where a frame lies beyond what the scene shows around each pixel, `bool [H, W]`, specks left out."""
    kernel = np.ones((3, 3), np.uint8)
    seen = frame.astype(np.float32)
    beyond = cv2.max(cv2.subtract(seen, cv2.dilate(scene, kernel)), cv2.subtract(cv2.erode(scene, kernel), seen))
    level = LEVELS + BEYOND * noise
    mask = (cv2.inRange(beyond, (-np.inf,) * 3, (level,) * 3) == 0).astype(np.uint8)
    if not mask.any():
        return np.asarray(mask, bool)
    x, y, wide, high = cv2.boundingRect(mask)
    place = slice(max(0, y - WINDOW), y + high + WINDOW), slice(max(0, x - WINDOW), x + wide + WINDOW)
    mask[place][_same_texture(seen[place], scene[place])] = 0
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel)
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)), bool)


def _same_texture(frame: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """Return where a frame shows the texture of the scene in another light, as in a shadow, `bool [H, W]`."""
    a, b = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY)
    mean_a, mean_b, both, square_a, square_b = (cv2.blur(x, (WINDOW, WINDOW)) for x in (a, b, a * b, a * a, b * b))
    var_a, var_b = np.maximum(square_a - mean_a**2, 0), np.maximum(square_b - mean_b**2, 0)
    textured = (var_a > TEXTURE**2) & (var_b > TEXTURE**2)
    return np.asarray(textured & (both - mean_a * mean_b > LIKE * np.sqrt(var_a * var_b)))
