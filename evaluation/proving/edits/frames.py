"""Edits of whole frames and regions: flicker, stops and loops, foreign ends, regions that do not hold to the scene."""

import cv2
import numpy as np

from evaluation.proving.case import Known
from evaluation.proving.edits.degrees import GAINS, MESS, MORPH_SECONDS, STAINS, STOP_SECONDS, SWIMS, degree
from evaluation.proving.edits.workbench import Bench
from evaluation.proving.real import moving

Edited = tuple[np.ndarray, Known]
LEAST_SHOWN = 6  # frames before anything fails
SEEN = 10, 0.004  # levels by which a share of the picture differs where an eye sees it


def flickering(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """The whole picture becomes brighter and darker from frame to frame."""
    severity, (start, end) = degree(rng), _stretch(bench, rng)
    frames = bench.frames.astype(np.float32)
    for number, t in enumerate(range(start, end + 1)):
        sign = 1 if number % 2 else -1
        frames[t] *= 1 + sign * GAINS[severity] * rng.uniform(0.7, 1.3)
    return _bytes(frames), Known("flicker", start, end, None, severity)


def flashing(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """One frame is far brighter or darker than its neighbours."""
    severity, t = degree(rng), int(rng.integers(LEAST_SHOWN, len(bench.frames) - LEAST_SHOWN))
    frames = bench.frames.astype(np.float32)
    frames[t] *= 1 + rng.choice([-1.4, 1.4]) * GAINS[severity]
    return _bytes(frames), Known("flicker", t, t, None, severity)


def region_flickering(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """The texture of a region changes from frame to frame."""
    severity, (start, end) = degree(rng), _stretch(bench, rng)
    alpha, box = _region(bench, rng, 0.3)
    frames = bench.frames.astype(np.float32)
    height, width = frames.shape[1:3]
    for t in range(start, end + 1):
        coarse = rng.normal(0, 1.6 * 255 * GAINS[severity], (max(2, height // 8), max(2, width // 8))).astype(
            np.float32
        )
        noise = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
        frames[t] += alpha * noise
    return _bytes(frames), Known("flicker", start, end, box, severity)


def stopped(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """The picture stands still, down to its last bit but for what the codec does."""
    return _stopped(bench, rng, grain=0.0)


def stopped_with_grain(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """The picture stands still, under grain that goes on."""
    return _stopped(bench, rng, grain=float(rng.uniform(1.0, 2.5)))


def looped(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """A few frames are repeated again and again."""
    T, period = len(bench.frames), int(rng.integers(3, 8))
    t = _moving_moment(bench, rng, max(LEAST_SHOWN + period, T // 4), T - 3 * period)
    if t is None:
        return None
    order = np.arange(T)
    order[t:] = t - period + (np.arange(T - t) % period)
    return bench.frames[order], Known("freeze", t, T - 1, None, "plain" if period < 6 else "subtle")


def turned_back(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """Time runs backward for a while, and forward again."""
    severity, T = degree(rng), len(bench.frames)
    t = _moving_moment(bench, rng, max(LEAST_SHOWN, T // 4), T - LEAST_SHOWN)
    if t is None:
        return None
    count = min(max(LEAST_SHOWN, round(STOP_SECONDS[severity] * bench.piece.fps)), t, T - 1 - t)
    order = np.arange(T)
    order[t + 1 : t + 1 + count] = t - 1 - np.arange(count)
    order[t + 1 + count :] -= 2 * count
    return bench.frames[order], Known("freeze", t + 1, t + count, None, severity)


def cut_away(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """The clip goes on as another one."""
    other = _foreign(bench, rng)
    if other is None:
        return None
    t = int(rng.integers(len(bench.frames) // 3, 2 * len(bench.frames) // 3))
    frames = bench.frames.copy()
    frames[t:] = other[t:]
    return frames, Known("incoherence", t, len(frames) - 1, None, "gross")


def morphed(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """The clip turns into another one by and by."""
    other = _foreign(bench, rng)
    if other is None:
        return None
    severity, T = degree(rng), len(bench.frames)
    over = max(4, min(T // 2, round(MORPH_SECONDS[severity] * bench.piece.fps)))
    t = int(rng.integers(T // 4, max(T // 4 + 1, T - over - 4)))
    share = np.clip((np.arange(T) - t + 1) / over, 0, 1).astype(np.float32)[:, None, None, None]
    share = share * share * (3 - 2 * share)
    frames = _bytes((1 - share) * bench.frames + share * other)
    return frames, Known("incoherence", seen_from(frames, bench.frames, t), T - 1, None, severity)


def dissolved(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """The picture falls apart into noise and blur, more and more."""
    severity, T = degree(rng), len(bench.frames)
    t = int(rng.integers(T // 4, T // 2))
    frames = bench.frames.astype(np.float32)
    strength = MESS[severity]
    mess = rng.normal(0, 1, (max(2, frames.shape[1] // 4), max(2, frames.shape[2] // 4), 3))
    for frame in range(t, T):
        mess = 0.5 * mess + np.sqrt(0.75) * rng.normal(0, 1, mess.shape)
        share = strength * min(1.0, (frame - t + 1) / (0.4 * (T - t)))
        noise = 128 + 50 * cv2.resize(mess.astype(np.float32), frames.shape[2:0:-1], interpolation=cv2.INTER_CUBIC)
        soft = cv2.GaussianBlur(frames[frame], (0, 0), 0.1 + 3 * share)
        frames[frame] = (1 - share) * soft + share * noise
    mixed = _bytes(frames)
    return mixed, Known("incoherence", seen_from(mixed, bench.frames, t), T - 1, None, severity)


def swimming(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """While the camera moves, a region of the scene swims about against the rest of it."""
    severity = degree(rng)
    alpha, box = _region(bench, rng, 0.4, textured=True)
    return _warped(bench, rng, severity, alpha, box)


def wobbling(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """While the camera moves, the whole scene wobbles as if it were of jelly."""
    severity = degree(rng)
    return _warped(bench, rng, severity, np.ones((*bench.frames.shape[1:3], 1), np.float32), None)


def stained(bench: Bench, rng: np.random.Generator) -> Edited | None:
    """A region of the resting scene is another from a frame on, and nothing has touched it."""
    if not bench.piece.steady:
        return None
    severity, T = degree(rng), len(bench.frames)
    busy = np.any(bench.scene.differs, axis=0)
    for _ in range(20):
        alpha, box = _region(bench, rng, float(rng.uniform(0.18, 0.3)))
        wide = cv2.dilate((alpha[..., 0] > 0.05).astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
        if not (busy & wide).any() and bench.frames[0][alpha[..., 0] > 0.5].mean() > 70:
            break
    else:
        return None
    t = int(rng.integers(T // 3, 2 * T // 3))
    frames = bench.frames.astype(np.float32)
    frames[t:] *= 1 - STAINS[severity] * alpha * rng.uniform(0.4, 1.0, 3).astype(np.float32)
    return _bytes(frames), Known("state_change", t, t, box, severity)


def seen_from(frames: np.ndarray, right: np.ndarray, start: int) -> int:
    """Return the first frame from `start` on in which an eye sees that something is not as it should be."""
    levels, share = SEEN
    wrong = (
        t for t in range(start, len(frames)) if (cv2.absdiff(frames[t], right[t]) > levels).any(axis=2).mean() > share
    )
    return next(wrong, start)


def _stopped(bench: Bench, rng: np.random.Generator, grain: float) -> Edited | None:
    severity, T = degree(rng), len(bench.frames)
    count = max(4, min(round(STOP_SECONDS[severity] * bench.piece.fps), T))
    t = _moving_moment(bench, rng, LEAST_SHOWN, max(LEAST_SHOWN + 1, T - min(count, T // 3)))
    if t is None:
        return None
    end = min(T - 1, t + count)
    order = np.arange(T)
    order[t : end + 1] = t
    order[end + 1 :] = np.minimum(np.arange(t + 1, t + T - end), T - 1)  # it goes on from where it stopped
    frames = bench.frames[order].astype(np.float32)
    if grain:
        frames += rng.normal(0, grain, (*frames.shape[:3], 1)).astype(np.float32)
    return _bytes(frames), Known("freeze", t + 1, end, None, severity)


def _moving_moment(bench: Bench, rng: np.random.Generator, first: int, last: int) -> int | None:
    """Return a frame around which an eye sees something move all the time, so that a stop is seen."""
    steps = moving(bench.frames)
    moments = [t for t in range(first, last) if steps[max(0, t - 6) : t + 6].all()]
    return int(rng.choice(moments)) if moments else None


def _warped(bench: Bench, rng: np.random.Generator, severity: str, alpha: np.ndarray, box: object) -> Edited | None:
    """Return the frames of a moving camera whose scene is displaced by a wave, where `alpha [H, W, 1]` says."""
    if bench.piece.steady or not bench.camera.reliable or not _travels(bench):
        return None
    T, height, width, _ = bench.frames.shape
    t = int(rng.integers(T // 4, T // 2))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    length, phase, turn = 0.5 * height, rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
    hertz = float(rng.uniform(1.0, 2.0))
    frames = bench.frames.copy()
    for frame in range(t, T):
        time = (frame - t + 1) / bench.piece.fps
        size = SWIMS[severity] * width * min(1.0, 4 * time) * np.sin(2 * np.pi * hertz * time)
        wave = np.sin(2 * np.pi * y / length + phase) if box is None else np.ones_like(y)
        dx, dy = size * np.cos(turn) * wave * alpha[..., 0], size * np.sin(turn) * wave * alpha[..., 0]
        across, down = (x + dx).astype(np.float32), (y + dy).astype(np.float32)
        frames[frame] = cv2.remap(frames[frame], across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    start = seen_from(frames, bench.frames, t)
    return frames, Known("view_inconsistency", start, T - 1, box, severity)  # type: ignore[arg-type]


def _travels(bench: Bench) -> bool:
    """Say whether the camera moves by an eighth of the picture."""
    height, width = bench.frames.shape[1:3]
    middles = bench.camera.to_scene @ (width / 2, height / 2, 1.0)
    middles = middles[:, :2] / middles[:, 2:]
    return bool(np.ptp(middles, axis=0).max() > width / 8)


def _region(
    bench: Bench, rng: np.random.Generator, size: float, *, textured: bool = False
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Return a soft ellipse `[H, W, 1]` inside the picture, about `size` of its height, and its box."""
    height, width = bench.frames.shape[1:3]
    ry, rx = 0.5 * size * height * rng.uniform(0.8, 1.2, 2)
    rx = min(rx * 1.3, 0.45 * width)
    tries = []
    for _ in range(12 if textured else 1):
        cx, cy = rng.uniform(rx + 1, width - rx - 1), rng.uniform(ry + 1, height - ry - 1)
        part = bench.frames[len(bench.frames) // 2, int(cy - ry) : int(cy + ry), int(cx - rx) : int(cx + rx)]
        tries.append((float(part.std()) if part.size else 0.0, cx, cy))
    _, cx, cy = max(tries)
    y, x = np.mgrid[:height, :width]
    far = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
    alpha = np.clip((1 - far) * 4, 0, 1).astype(np.float32)[..., None]
    box = (max(0, int(cx - rx)), max(0, int(cy - ry)), min(width, int(cx + rx) + 1), min(height, int(cy + ry) + 1))
    return alpha, box


def _foreign(bench: Bench, rng: np.random.Generator) -> np.ndarray | None:
    """Return as many frames of another clip, of the same size."""
    piece = bench.foreign(rng)
    if piece is None:
        return None
    T, height, width, _ = bench.frames.shape
    order = np.minimum(np.arange(T), len(piece.frames) - 1)
    return np.stack([cv2.resize(piece.frames[t], (width, height), interpolation=cv2.INTER_AREA) for t in order])


def _stretch(bench: Bench, rng: np.random.Generator) -> tuple[int, int]:
    """Return the first and last frame of a stretch in which something may flicker."""
    T = len(bench.frames)
    length = int(np.clip(rng.uniform(0.25, 0.6) * bench.piece.fps, 5, T // 2))
    start = int(rng.integers(min(LEAST_SHOWN, T // 4), T - length))
    return start, start + length - 1


def _bytes(frames: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(frames, 0, 255).round().astype(np.uint8))
