"""Things looked for by their pictures: some pixels of one, moved and turned to where a frame differs least from them.

Differences are capped, so that what covers a part of it counts little. What lies around it should not look like it: so
a plain thing does not slip along what hides a part of it.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.evidence.tracks import Track

POINTS, FEW, ROUGHLY = 120, 20, 3  # pixels compared, at least where it is eroded; every so many where it is searched
CAP, COVERED_CAP = 60.0, 35.0  # levels of the largest difference that counts, and where something else is before it
EXPECTED = 1.0  # levels by pixel from where it is expected: a half hidden thing may be anywhere along what hides it
KERNEL, BESIDE = np.ones((3, 3), np.uint8), 3  # pixels around it, beyond the first, that should not look like it
STEP, TURNED = 1.5, 0.26  # pixels and radians between the poses that are tried
TRIED = ((1.0, 0.26), (0.5, 0.13), (0.5, 0.07), (0.25, 0.04))  # pixels and radians, finer and finer
AROUND = np.array([(x, y, turn) for x in (-1, 0, 1) for y in (-1, 0, 1) for turn in (-1, 0, 1)], float)

Pose = np.ndarray  # float [3]: x, y of the centre in a frame, and its turn in radians


@dataclass(frozen=True, eq=False)
class Stamp:
    """A thing as seen in one frame: some pixels, `at [n, 2]` from its centre, and its mask.

    Those `inside` (bool `[n]`) have their colours `[n, 3]`; those around it have that of the nearest of it, which they
    should not show.
    """

    at: np.ndarray
    colours: np.ndarray
    inside: np.ndarray
    mask: np.ndarray
    corner: np.ndarray  # float [2], of the mask, from the centre

    def drawn(self, pose: Pose, height: int, width: int) -> np.ndarray:
        """Return its mask in a frame, `bool [h, w]`."""
        cos, sin = np.cos(pose[2]), np.sin(pose[2])
        turn = np.array([[cos, -sin], [sin, cos]])
        matrix = np.hstack([turn, (turn @ self.corner + pose[:2])[:, None]])
        flat = cv2.warpAffine(self.mask.astype(np.uint8), matrix, (width, height), flags=cv2.INTER_NEAREST)
        return np.asarray(flat > 0)


def stamp_of(evidence: Evidence, track: Track, sight: int) -> Stamp:
    """Return a thing as it looks in a sight of a track."""
    mask, corner = track.masks[sight], track.boxes[sight][:2]
    inner = cv2.erode(np.pad(mask, 1).astype(np.uint8), KERNEL)[1:-1, 1:-1] > 0
    picture = evidence.rgb[track.frames[sight]].astype(np.float32)
    rng = np.random.default_rng(0)
    y, x = np.nonzero(inner if inner.sum() >= FEW else mask)
    some = rng.permutation(len(x))[:POINTS]
    places = np.stack([x[some], y[some]], axis=1) + corner
    colours = picture[places[:, 1], places[:, 0]]
    wide = np.zeros(picture.shape[:2], np.uint8)
    wide[corner[1] : corner[1] + mask.shape[0], corner[0] : corner[0] + mask.shape[1]] = mask
    beyond = cv2.dilate(wide, KERNEL, iterations=1 + BESIDE)
    y, x = np.nonzero(beyond > cv2.dilate(wide, KERNEL))
    some = rng.permutation(len(x))[: len(places) // 2]
    outside = np.stack([x[some], y[some]], axis=1).reshape(-1, 2)
    nearest = ((outside[:, None] - places) ** 2).sum(axis=2).argmin(axis=1)
    differs = np.abs(picture[outside[:, 1], outside[:, 0]] - colours[nearest]).max(axis=1) > CAP / 2
    at = np.concatenate([places, outside[differs]]) - track.centres[sight]
    inside = np.arange(len(at)) < len(places)
    colours = np.concatenate([colours, colours[nearest[differs]]])
    return Stamp(at, colours, inside, mask, corner - track.centres[sight])


def shown(evidence: Evidence, t: int, limit: float) -> np.ndarray:
    """Return a frame and, as a fourth channel, where it shows the bare scene, 0..1: nothing covers the thing there."""
    scene = evidence.background
    frame = evidence.rgb[t].astype(np.float32)
    bare = (np.abs(frame - scene.rgb[t]).max(axis=2) < limit) & scene.known[t]
    return np.dstack([frame, bare.astype(np.float32)])


def best_pose(
    frame: np.ndarray, stamp: Stamp, guesses: np.ndarray, turn: float, reach: float, limit: float
) -> tuple[Pose, np.ndarray]:
    """Return the pose in which a frame is most like a thing, near one of some places, and its pixels' differences."""
    pose, off = _refined(frame, stamp, np.array([*guesses[0], turn]), guesses[0])
    if off.mean() < limit / 2:
        return pose, off
    steps = np.arange(-reach, reach + STEP, STEP)
    grid = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    places = np.unique(np.round(np.concatenate([guess + grid for guess in guesses])), axis=0)
    poses = np.concatenate(
        [np.column_stack([places, np.full(len(places), turn + more)]) for more in (-TURNED, 0.0, TURNED)]
    )
    few = replace(stamp, at=stamp.at[::ROUGHLY], colours=stamp.colours[::ROUGHLY], inside=stamp.inside[::ROUGHLY])
    costs = _costs(differences(frame, few, poses), poses, guesses[0])
    other = _refined(frame, stamp, poses[costs.argmin()], guesses[0])
    worse = [float(_costs(of[None], at[None], guesses[0])[0]) for at, of in ((pose, off), other)]
    return other if worse[1] < worse[0] else (pose, off)


def _refined(frame: np.ndarray, stamp: Stamp, pose: Pose, guess: np.ndarray) -> tuple[Pose, np.ndarray]:
    for pixels, radians in TRIED:
        poses = pose + AROUND * [pixels, pixels, radians]
        off = differences(frame, stamp, poses)
        best = int(_costs(off, poses, guess).argmin())
        pose = poses[best]
    return pose, off[best]


def _costs(off: np.ndarray, poses: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Return the mean differences of some poses, and a little more the farther they are from where it was expected."""
    return np.asarray(off.mean(axis=1) + EXPECTED * np.hypot(*(poses[:, :2] - guess).T))


def differences(frame: np.ndarray, stamp: Stamp, poses: np.ndarray) -> np.ndarray:
    """Return by how many levels each pixel of a thing differs from a frame in some poses `[n, 3]`, capped, `[n, k]`.

    For those around it, it is by how much less than that they differ from what they should not show. Where the scene is
    not bare, something else may cover the thing: less of the difference counts.
    """
    cos, sin = np.cos(poses[:, 2:]), np.sin(poses[:, 2:])
    x = cos * stamp.at[:, 0] - sin * stamp.at[:, 1] + poses[:, :1]
    y = sin * stamp.at[:, 0] + cos * stamp.at[:, 1] + poses[:, 1:2]
    seen = cv2.remap(
        frame, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(-255, -255, -255, 0),
    )  # fmt: skip
    most = COVERED_CAP + (CAP - COVERED_CAP) * seen[..., 3]
    off = np.abs(seen[..., :3] - stamp.colours).max(axis=2)
    return np.asarray(np.where(stamp.inside, np.minimum(off, most), np.maximum(CAP - off, 0)))
