"""Motion between bounces, in closed form and from event to event, so that it goes on for ever at any frame rate."""

import numpy as np

from kinora.worlds.scene import Body

LONGEST_S = 3600.0  # beyond which no event is looked for


def reflect(unfolded: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Fold a straight path into `low`..`high`; return the places and -1 where the direction is turned, else 1.

    This is a point between two walls that returns with the speed that it comes with.
    """
    width = high - low
    phase = np.mod(unfolded - low, 2 * width)
    turned = phase > width
    return low + np.where(turned, 2 * width - phase, phase), np.where(turned, -1.0, 1.0)


def drop(
    t: np.ndarray, height: float, speed: float, gravity: float, restitution: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the height above the floor and the upward velocity, at times `t`, of what starts at `height` downward.

    At each bounce the velocity v becomes -e v, so that the k-th flight (k = 1, 2, ...) lasts 2 e^k v / g, and the
    flights before it 2 v / g (e + ... + e^(k-1)); their sum is finite, and then it rests.
    """
    impact = np.sqrt(speed**2 + 2 * gravity * height)
    first = (impact - speed) / gravity
    place = height - speed * t - gravity * t**2 / 2
    velocity = -speed - gravity * t
    after = np.maximum(t - first, 0.0)
    ratio = restitution
    left = 1 - after * gravity * (1 - ratio) / (2 * impact * ratio)  # e^(k - 1) at the start of the k-th flight
    moving = left > 1e-9
    k = np.floor(np.log(np.where(moving, left, 1.0)) / np.log(ratio) + 1e-12)  # whole flights since the first bounce
    start = 2 * impact * ratio / gravity * (1 - ratio**k) / (1 - ratio)
    launch = impact * ratio ** (k + 1)
    since = np.maximum(after - start, 0.0)
    fallen = t < first
    place = np.where(fallen, place, np.where(moving, launch * since - gravity * since**2 / 2, 0.0))
    velocity = np.where(fallen, velocity, np.where(moving, launch - gravity * since, 0.0))
    return np.maximum(place, 0.0), velocity


def billiard(
    bodies: tuple[Body, ...], bounds: np.ndarray, radii: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and velocities `[T, bodies, 2]` of things of equal mass that lose no energy.

    Their centres are reflected by `bounds [bodies, 2, 2]` (axis; low, high), and they by each other as discs of
    `radii [bodies]`.
    """
    place = np.array([[body.x, body.y] for body in bodies])
    velocity = np.array([[body.vx, body.vy] for body in bodies])
    places, velocities = np.empty((2, len(times), len(bodies), 2))
    now = 0.0
    wait, event = _next_event(place, velocity, bounds, radii)
    for index, time in enumerate(times):
        while now + wait <= time:
            place = place + velocity * wait
            now += wait
            _bounce(place, velocity, event)
            wait, event = _next_event(place, velocity, bounds, radii)
        places[index] = place + velocity * (time - now)
        velocities[index] = velocity
    return places, velocities


def _next_event(
    place: np.ndarray, velocity: np.ndarray, bounds: np.ndarray, radii: np.ndarray
) -> tuple[float, tuple[int, int, bool]]:
    """Return in how many seconds what happens: (body, axis, False) at a bound, (body, body, True) between two."""
    wait, event = LONGEST_S, (0, 0, False)
    for i in range(len(place)):
        for axis in (0, 1):
            speed = velocity[i, axis]
            if speed:
                reached = max(0.0, (bounds[i, axis, int(speed > 0)] - place[i, axis]) / speed)
                wait, event = min((wait, event), (reached, (i, axis, False)))
        for j in range(i):
            apart, closing = place[i] - place[j], velocity[i] - velocity[j]
            b, a = apart @ closing, closing @ closing
            under = b**2 - a * (apart @ apart - (radii[i] + radii[j]) ** 2)
            if b < 0 and under > 0:
                reached = max(0.0, (-b - np.sqrt(under)) / a)
                wait, event = min((wait, event), (reached, (i, j, True)))
    return wait, event


def _bounce(place: np.ndarray, velocity: np.ndarray, event: tuple[int, int, bool]) -> None:
    i, other, between = event
    if not between:
        velocity[i, other] *= -1
        return
    normal = (place[i] - place[other]) / np.linalg.norm(place[i] - place[other])
    exchanged = ((velocity[i] - velocity[other]) @ normal) * normal  # equal masses exchange what is along the normal
    velocity[i] -= exchanged
    velocity[other] += exchanged
