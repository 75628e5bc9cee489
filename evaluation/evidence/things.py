"""One thing while it is followed: what was seen of it, and where it is expected (a Kalman filter of its centre)."""

from dataclasses import dataclass, field

import numpy as np

from evaluation.evidence.camera import carry

JITTER = 0.3  # pixels: standard deviation of a measured centre, beside 3 % of the radius
STEADIEST = 0.1  # pixels a frame, squared by frames: the least expected acceleration
TURNS = 0.5  # of its velocity, the least expected acceleration of a thing that may bounce
STEP = np.array([[1.0, 1.0], [0.0, 1.0]])  # of a frame: what place and velocity become
GAIN = np.array([[0.25, 0.5], [0.5, 1.0]])  # of their covariance by an acceleration's variance
JUMPED = 6.0  # standard deviations from where it was expected, from which a thing goes on from where it is


@dataclass
class Sight:
    """A thing in one frame."""

    frame: int
    area: float
    centre: np.ndarray
    box: np.ndarray
    colour: np.ndarray
    look: np.ndarray
    innovation: float  # distance from where it was expected, in standard deviations of that
    fit: float  # overlap of the thing carried on by the flow with what was found, intersection over union
    shared: bool  # its outline against another thing is a guess
    kept: bool  # it had no segment of its own: known by its pixels being as before


@dataclass(eq=False)
class Thing:
    """A thing while it is followed. `number` is its value in the map of owners."""

    number: int
    sights: list[Sight] = field(default_factory=list)
    state: np.ndarray = field(default_factory=lambda: np.zeros((2, 2)))  # position, velocity; x, y
    spread: np.ndarray = field(default_factory=lambda: np.eye(2))  # covariance of one axis' position and velocity
    acceleration: float = 1.0  # expected variance of an axis, pixels^2 a frame^4
    look: np.ndarray = field(default_factory=lambda: np.zeros(1))
    colour: np.ndarray = field(default_factory=lambda: np.zeros(3))
    variance: float = 0.0  # of its colours
    area: float = 0.0  # when last seen whole
    shape: np.ndarray = field(default_factory=lambda: np.zeros((1, 1), bool))  # the mask then
    corner: np.ndarray = field(default_factory=lambda: np.zeros(2))  # of the mask, from the centre

    @property
    def radius(self) -> float:
        """Radius of the disc of its area."""
        return float(np.sqrt(self.area / np.pi))

    def begin(self, velocity: np.ndarray, sight: Sight) -> None:
        """Take a first sight, with the velocity that the flow gives."""
        self.area = sight.area
        self.state = np.stack([sight.centre, velocity])
        self.acceleration = (0.1 * self.radius + STEADIEST) ** 2
        self.spread = np.diag([self._jitter(sight), (0.2 * np.hypot(*velocity) + 0.2 * self.radius) ** 2])
        self.look, self.colour = sight.look.astype(float), sight.colour
        self.sights.append(sight)

    def predict(self, to_next: np.ndarray) -> None:
        """Move on by one frame: its own velocity, then the camera's motion, a homography."""
        position, velocity = self.state
        at = carry(to_next, np.stack([position + velocity, position + 2 * velocity]))
        self.state = np.stack([at[0], at[1] - at[0]])
        acceleration = max(self.acceleration, (TURNS * np.hypot(*velocity)) ** 2)
        self.spread = STEP @ self.spread @ STEP.T + acceleration * GAIN

    def take(self, sight: Sight) -> None:
        """Correct the motion and the look by a sight; its innovation is put in."""
        error = sight.centre - self.state[0]
        expected = self.spread[0, 0] + self._jitter(sight)
        sight.innovation = float(np.hypot(*error) / np.sqrt(2 * expected))
        surprise = min(sight.innovation, 3.0) ** 2 * expected
        if sight.innovation > JUMPED:  # it jumped: it goes on from there
            self.state[0] = sight.centre
        else:
            gain = self.spread[:, 0] / expected
            self.state = self.state + gain[:, None] * error
            self.spread = self.spread - np.outer(gain, self.spread[0])
        self.acceleration = 0.8 * self.acceleration + 0.2 * max(surprise, STEADIEST**2)
        if not sight.shared:
            self.look = 0.8 * self.look + 0.2 * sight.look
            self.colour = 0.8 * self.colour + 0.2 * sight.colour
            if not sight.kept:
                self.area = sight.area if sight.area > self.area else 0.8 * self.area + 0.2 * sight.area
        self.sights.append(sight)

    def remember(self, mask: np.ndarray, box: np.ndarray, centre: np.ndarray) -> None:
        """Keep its mask `[h, w]` as the shape it has when it is seen whole."""
        x0, y0, x1, y1 = box
        self.shape, self.corner = mask[y0:y1, x0:x1].copy(), np.array([x0, y0]) - centre

    def drawn(self, centre: np.ndarray, height: int, width: int) -> np.ndarray:
        """Return its last whole shape at another centre, `bool [h, w]`."""
        mask = np.zeros((height, width), bool)
        x, y = np.round(centre + self.corner).astype(int)
        rows, columns = self.shape.shape
        top, left = max(0, -y), max(0, -x)
        piece = self.shape[top : max(top, min(rows, height - y)), left : max(left, min(columns, width - x))]
        mask[y + top : y + top + piece.shape[0], x + left : x + left + piece.shape[1]] = piece
        return mask

    def _jitter(self, sight: Sight) -> float:
        hidden = max(0.0, 1 - sight.area / max(self.area, 1.0))
        return (JITTER + 0.03 * self.radius + hidden * self.radius) ** 2
