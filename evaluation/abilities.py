"""The four abilities of a world simulator, each measured where a prompt calls for it.

- 3-D consistency: the camera circles a solid; one turn must explain all of the ground, and the solid must stay on it.
- permanence: what goes behind a wall comes out as it was; what is painted stays.
- acting on the world: paint is where the brush was and nowhere else; what shatters stays broken.
- digital worlds: a game's ball moves evenly between walls and paddle, and the paddle follows it.

A score is 0 to 1, the least of its parts; None, with the reason, where the prompt does not call for the ability or the
clip is too short for it. A clip that was to show an ability and shows nothing that can be followed scores 0.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from evaluation.fidelity.motions import find_bounces
from evaluation.fidelity.prompt import match
from evaluation.fidelity.scenes import PIECES, behind, breaking, off_ball, pieces, shattered
from evaluation.objects.ground import Geometry, find_turns
from evaluation.objects.observation import Observation
from evaluation.objects.strokes import Stroke, find_stroke
from evaluation.objects.tracking import Track
from kinora.worlds.game import WALL_WIDTH

SHORTEST_S = 1.0  # seconds that show an ability
ORBITS = ("orbit right", "orbit left")
BEHIND = ("behind right", "behind left")
PAINTING = ("paint right", "paint left", "paint up", "paint down")
SLOWEST, FASTEST = 0.1, 1.6  # world units a second of a game's ball
MIDDLE = 0.23  # height of a solid's middle above the ground, world units, about


@dataclass(frozen=True)
class AbilityScore:
    """How well a clip shows an ability; `score` None where it is not asked to, or cannot, for a `reason`."""

    score: float | None
    reason: str = ""
    parts: dict[str, float] = field(default_factory=dict)


def abilities(seen: Observation) -> dict[str, AbilityScore]:
    """Return the score of every ability in `ABILITIES` for one clip."""
    return {name: _measure(seen, ways) for name, ways in ABILITIES.items()}


def _measure(seen: Observation, ways: dict[tuple[str, ...], Callable[[Observation], dict[str, float]]]) -> AbilityScore:
    motion = seen.wanted.motion if seen.wanted is not None else None
    way = next((way for motions, way in ways.items() if motion in motions), None)
    if way is None:
        return AbilityScore(None, "the prompt does not call for it")
    if seen.frames < SHORTEST_S * seen.clip.fps:
        return AbilityScore(None, f"less than {SHORTEST_S:g} s does not show it")
    if seen.unseen:
        return AbilityScore(0.0, seen.unseen)
    parts = way(seen)
    if not parts:
        return AbilityScore(0.0, "what the prompt asks for cannot be followed")
    return AbilityScore(min(parts.values()), parts={name: round(part, 4) for name, part in parts.items()})


def rigid(seen: Observation) -> dict[str, float]:
    """Whether one turn explains the ground, evenly through the clip, and the solid stays in its place and size."""
    turns = find_turns(seen.luma, ~seen.scene.stands_out, seen.clip.fps)
    solid = max(seen.objects, key=lambda track: track.area * len(track.blobs), default=None)
    if len(turns) < 2 or solid is None:
        return {}
    explained = 1 - sum(turn.left for turn in turns) / max(sum(turn.change for turn in turns), 1e-6)
    rates = np.array([turn.angle / (turn.end - turn.start) for turn in turns])
    rate = float(np.median(rates))
    uneven = float(np.abs(rates - rate).mean() / max(abs(rate), 1e-3))
    off = _off_place(seen, solid, rate)
    sizes = np.array([blob.area for blob in solid.whole or solid.blobs])
    return {
        "the camera circles": _between(abs(rate) * seen.clip.fps, 0.1, 0.3),
        "the ground turns as one": _between(explained, 0.1, 0.45),
        "the turn is even": _between(-uneven, -0.6, -0.3),
        "the solid stays in its place": _between(-off, -0.15, -0.06),
        "the solid keeps its size": _between(-float(np.std(np.log(sizes))), -0.6, -0.35),
        "the solid is there all the time": _between(len(solid.blobs) / seen.frames, 0.6, 0.95),
    }


def _off_place(seen: Observation, solid: Track, rate: float) -> float:
    """Return how far the solid is from the place on the ground that suits it best, on average, in world units."""
    geometry = Geometry(seen.scene.height, seen.scene.width)
    x, y = (axis.ravel() for axis in np.meshgrid(np.linspace(-0.15, 0.15, 9), np.linspace(-0.15, 0.15, 9)))
    turned = rate * solid.frames[:, None]
    cosine, sine = np.cos(turned), np.sin(turned)
    points = np.stack(
        [cosine * x + sine * y, cosine * y - sine * x, np.full(np.broadcast(turned, x).shape, MIDDLE)], -1
    )
    errors = np.linalg.norm(geometry.project(points) - solid.centres[:, None], axis=-1) / geometry.unit
    return float(errors.mean(axis=0).min())


def returns(seen: Observation) -> dict[str, float]:
    """Whether what went behind a wall came out on the other side, where and as it should."""
    assert seen.wanted is not None
    tracks = [track for track, _ in match(seen, seen.wanted.objects)]
    mover, wall = [*tracks, None, None][:2]
    if mover is None or wall is None:
        return {}
    passed = behind(seen, tracks) in BEHIND
    alike = sorted((t for t in seen.objects if t is not wall), key=lambda t: t.start)
    wall_x = float(np.median(seen.steady(wall)[:, 0]))
    sides = [[], []]  # type: list[list[tuple[int, float, float, np.ndarray]]]
    side = np.sign(seen.steady(alike[0])[0, 0] - wall_x)
    for track in alike:
        zoom = np.exp(2 * seen.scene.camera.zooms[track.frames])
        for blob, (x, _), scale in zip(track.blobs, seen.steady(track), zoom, strict=True):
            sides[int(np.sign(x - wall_x) != side)].append((blob.frame, x / seen.unit, blob.area / scale, blob.rgb))
    if not passed or min(len(part) for part in sides) < 2:
        return {"it comes out on the other side": 0.0}
    before, after = sides
    whole = max(area for _, _, area, _ in before + after)
    first, last = ([p for p in part if p[2] > 0.85 * whole] or part for part in (before, after))
    ordered = float(np.mean([f < after[0][0] for f, *_ in before]))
    frames, places = np.array([p[0] for p in first + last]), np.array([p[1] for p in first + last])
    line = np.polyfit(frames, places, 1)
    off = float(np.abs(places - np.polyval(line, frames)).mean())
    size = abs(float(np.log(np.median([p[2] for p in last]) / np.median([p[2] for p in first]))))
    colour = float(np.linalg.norm(np.median([p[3] for p in last], axis=0) - np.median([p[3] for p in first], axis=0)))
    return {
        "it comes out on the other side": 1.0,
        "it does not turn back": _between(ordered, 0.6, 0.95),
        "it comes out when it should": _between(-off, -0.15, -0.06),
        "it has the size that it had": _between(-size, -0.8, -0.4),
        "it has the colour that it had": _between(-colour, -110, -60),
    }


def stays(seen: Observation) -> dict[str, float]:
    """Whether what was painted in the first half is there to the end, and paint becomes more, never less."""
    stroke = find_stroke(seen)
    return {} if stroke is None else {"what is painted stays": _between(stroke.kept, 0.5, 0.85), **_grows(stroke)}


def paints(seen: Observation) -> dict[str, float]:
    """Whether there is paint where the brush was, and nowhere else."""
    stroke = find_stroke(seen)
    if stroke is None:
        return {}
    return {
        "there is paint where the brush was": _between(stroke.painted, 0.5, 0.85),
        "there is none elsewhere": _between(-stroke.elsewhere, -0.4, -0.15),
        **_grows(stroke),
    }


def _grows(stroke: Stroke) -> dict[str, float]:
    return {
        "the line grows": _between(stroke.length, 0.1, 0.2),
        "it never shrinks": _between(stroke.growing, 0.6, 0.85),
    }


def breaks(seen: Observation) -> dict[str, float]:
    """Whether one thing becomes several, once and for good."""
    first, counts = breaking(seen), pieces(seen)
    if not 0 < first < seen.frames:
        return {"it breaks": 0.0}
    return {
        "it breaks": float(counts[first:].max() >= PIECES),
        "it is whole before": float((counts[:first] == 1).mean()),
        "it stays broken": _between(float(shattered(seen)[first:].mean()), 0.6, 0.98),
    }


def plays(seen: Observation) -> dict[str, float]:
    """Whether a ball moves evenly within the walls and turns at the paddle, which follows it."""
    assert seen.wanted is not None
    paddle, ball = [*(track for track, _ in match(seen, seen.wanted.objects)), None, None][:2]
    off = off_ball(seen, paddle, ball)
    if off is None or paddle is None or ball is None or len(ball.blobs) < 4:
        return {}
    unit = seen.unit
    x, y = ball.centres.T
    radius = float(np.median([blob.radius for blob in ball.blobs]))
    room = np.minimum.reduce([x, seen.scene.width - x, y]) - radius
    inside = float((room > 0.3 * WALL_WIDTH * unit).mean())
    below = float((y < np.median(paddle.centres[:, 1])).mean())
    steps = np.linalg.norm(np.diff(ball.centres, axis=0), axis=1) / np.diff(ball.frames) / unit * seen.clip.fps
    speed = float(np.median(steps))
    even = float((np.abs(steps - speed) < 0.35 * speed).mean()) if SLOWEST < speed < FASTEST else 0.0
    bounces = find_bounces(seen, ball)
    return {
        "the ball stays within the walls": _between(min(inside, below), 0.6, 0.95),
        "the ball moves evenly": _between(even, 0.5, 0.75),
        "the ball is returned": float(bounces.upward > 0),
        "the paddle follows": _between(-off, -0.2, -0.09),
    }


def _between(value: float, low: float, high: float) -> float:
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


ABILITIES: dict[str, dict[tuple[str, ...], Callable[[Observation], dict[str, float]]]] = {
    "3-D consistency": {ORBITS: rigid},
    "permanence": {BEHIND: returns, PAINTING: stays},
    "acting on the world": {PAINTING: paints, ("shatter",): breaks},
    "digital worlds": {("play",): plays},
}
