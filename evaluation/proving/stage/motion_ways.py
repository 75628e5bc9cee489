"""Ways to fail that change the motion, so that all that follows is computed anew."""

from collections.abc import Callable
from functools import partial

import numpy as np

from evaluation.proving.stage.dynamics import Meddling, World, simulate
from evaluation.proving.stage.failures import Fault, Shot, Way
from evaluation.proving.stage.scene import Scene, Take


def jumps(shot: Shot) -> Fault | None:
    for index in shot.things():
        radius = shot.scene.things[index].radius
        start = shot.pick(shot.open_for(index, shot.frames(0.2, 2), 1))
        if start is None:
            continue
        here, velocity = shot.take.position[start - 1, index], shot.take.velocity[start - 1, index]
        step = np.linalg.norm(velocity) / shot.fps
        far = max(shot.graded(0.75, 1.3, 2.5) * 2 * radius, 3 * step)
        if shot.take.floor_touch[max(0, start - 2) : start + 2, index].any() or _rests(shot, index, start):
            along = velocity / np.linalg.norm(velocity) if np.linalg.norm(velocity) > 0.02 else np.array([1.0, 0.0])
            ways = [along, -along]
        else:
            turns = shot.rng.uniform(0, 2 * np.pi, 8)
            ways = list(np.stack([np.cos(turns), np.sin(turns)], 1))
        for way in (ways[i] for i in shot.rng.permutation(len(ways))):
            there = here + far * way
            if _fits(shot, index, start, there):
                take = simulate(shot.scene, _at(start, partial(_move, index=index, there=there)))
                return Fault("teleport", "jumps", shot.severity, take, start, start, (index,))
    return None


def _rests(shot: Shot, index: int, frame: int) -> bool:
    return bool(shot.scene.upright and shot.speed[frame, index] < 0.02)


def _fits(shot: Shot, index: int, frame: int, there: np.ndarray) -> bool:
    thing = shot.scene.things[index]
    x, y, zoom, _ = shot.take.camera[frame]
    reach = np.array([shot.scene.aspect, 1.0]) / (2 * zoom) - thing.radius
    if (np.abs(there - [shot.scene.aspect / 2 + x, 0.5 + y]) > reach).any():
        return False
    for x0, y0, x1, y1 in shot.scene.walls:
        along = np.array([x1 - x0, y1 - y0]) / np.hypot(x1 - x0, y1 - y0)
        if along[0] * (there[1] - y0) - along[1] * (there[0] - x0) < thing.radius * 0.98:
            return False
    for o in shot.scene.occluders:
        if (
            o.before <= thing.plane
            and o.x0 - thing.radius < there[0] < o.x1 + thing.radius
            and there[1] - thing.radius < o.y1
        ):
            return False
    return all(
        np.linalg.norm(there - shot.take.position[frame, other]) > 1.1 * (thing.radius + another.radius)
        for other, another in enumerate(shot.scene.things)
        if other != index
    )


def _at(start: int, act: Callable[[World], None]) -> Meddling:
    return lambda world, frame: act(world) if frame == start else None


def _move(world: World, index: int, there: np.ndarray) -> None:
    world.bodies[index].position = (float(there[0]), float(there[1]))
    world.space.reindex_shapes_for_body(world.bodies[index])


def gravity_fails(shot: Shot) -> Fault | None:
    own = np.array(shot.scene.gravity)
    for index in shot.things():
        before = shot.frames(0.25, 3)  # that are seen to be right
        for first, last in shot.flights(index, 0.55):
            way = str(shot.rng.choice(["falls upwards", "has no weight", "falls sideways", "falls harder", "hovers"]))
            latest = last - shot.frames(0.35, 3)
            start = int(shot.rng.integers(first + before, latest + 1)) if latest >= first + before else None
            if way == "hovers":
                top = first + int(np.argmax(shot.take.position[first : last + 1, index, 1]))
                start = top if first + before <= top <= latest else None
            if start is None:
                continue
            amount = shot.graded(0.6, 1.0, 1.6)
            pull = {
                "falls upwards": -own * (1 + amount),
                "has no weight": -own * min(1.0, 0.5 + 0.4 * amount),
                "falls sideways": np.array([float(shot.rng.choice([-1, 1])) * -own[1] * amount, -own[1] * 0.5]),
                "falls harder": own * 2.5 * amount,
                "hovers": -own,
            }[way]
            lasts = (last - start) / shot.fps
            if 0.5 * np.linalg.norm(pull) * lasts**2 < 1.2 * shot.scene.things[index].radius:
                continue

            def meddle(
                world: World,
                frame: int,
                index: int = index,
                start: int = start,
                pull: np.ndarray = pull,
                way: str = way,
            ) -> None:
                if frame == start:
                    world.pull[index] = pull
                    if way == "hovers":
                        world.bodies[index].velocity = (0.0, 0.0)

            take = simulate(shot.scene, meddle)
            end = _until_touch(take, index, start, shot.total)
            return Fault("gravity", way, shot.severity, take, start, end, (index,))
    return None


def _until_touch(take: Take, index: int, start: int, total: int) -> int:
    touch = np.flatnonzero(take.floor_touch[start:, index] | take.thing_touch[start:, index].any(1))
    return start + int(touch[0]) if len(touch) else total - 1


def sinks_into_wall(shot: Shot) -> Fault | None:
    for index in shot.things():
        start = _blow(shot, index, 0.25)
        if start is None:
            continue
        factor = {"subtle": 0.45, "plain": 0.0, "gross": 0.0}[shot.severity] * shot.rng.uniform(0.8, 1.1)
        take = simulate(shot.scene, _at(start, partial(World.shrink, index=index, against="walls", factor=factor)))
        way = "passes through the floor or a wall" if factor == 0 else "sinks into the floor or a wall"
        inside = np.flatnonzero(depth_in_walls(shot.scene, take, index)[start:] > 0.1 * shot.scene.things[index].radius)
        if not len(inside):
            continue
        out = np.flatnonzero(np.diff(inside) > 1)
        end = start + int(inside[out[0]] if len(out) else inside[-1])
        return Fault("interpenetration", way, shot.severity, take, start, end, (index,))
    return None


def depth_in_walls(scene: Scene, take: Take, index: int) -> np.ndarray:
    """How deep the thing's outline is in a wall or floor, in heights (negative: how far from it): float `[T]`."""
    turn = take.angle[:, index]
    turned = np.stack([np.stack([np.cos(turn), -np.sin(turn)], 1), np.stack([np.sin(turn), np.cos(turn)], 1)], 1)
    corners = np.einsum("tij,kj->tki", turned, scene.things[index].outline * scene.things[index].radius)
    corners += take.position[:, None, index]
    deepest = np.full(len(turn), -np.inf)
    for x0, y0, x1, y1 in scene.walls:
        along = np.array([x1 - x0, y1 - y0]) / np.hypot(x1 - x0, y1 - y0)
        free = along[0] * (corners[..., 1] - y0) - along[1] * (corners[..., 0] - x0)
        deepest = np.maximum(deepest, -free.min(1))
    return deepest


def sink_into_one_another(shot: Shot) -> Fault | None:
    for one, other, start in _meetings(shot):
        factor = {"subtle": 0.5, "plain": 0.3, "gross": 0.1}[shot.severity] * shot.rng.uniform(0.8, 1.1)

        def meddle(
            world: World, frame: int, pair: tuple[int, int] = (one, other), start: int = start, factor: float = factor
        ) -> None:
            if frame == start:
                for index in pair:
                    world.shrink(index, "things", factor)

        take = simulate(shot.scene, meddle)
        apart = np.linalg.norm(take.position[:, one] - take.position[:, other], axis=1)
        both = shot.scene.things[one].radius + shot.scene.things[other].radius
        inside = np.flatnonzero((apart < 0.9 * both) & (np.arange(shot.total) >= start))
        if len(inside) < 2:
            continue
        end = int(inside[-1]) if (np.diff(inside) == 1).all() else int(inside[np.argmax(np.diff(inside) > 1)])
        return Fault("interpenetration", "sink into one another", shot.severity, take, start, end, (one, other))
    return None


def _blow(shot: Shot, index: int, least: float) -> int | None:
    """The frame of a first hard touch of wall or floor in the open."""
    touch = shot.take.floor_touch[:, index]
    first = np.flatnonzero(touch[1:] & ~touch[:-1]) + 1
    ok = []
    for t in map(int, first):
        if 3 <= t < shot.total - shot.frames(0.3, 3) and shot.open[t - 3 : t + 2, index].all():
            change = shot.take.velocity[t + 1, index] - shot.take.velocity[t - 1, index]
            if np.linalg.norm(change) > least:
                ok.append(t)
    return int(shot.rng.choice(ok)) if ok else None


def _meetings(shot: Shot) -> list[tuple[int, int, int]]:
    """Pairs that run into each other in the open, and the frame."""
    found = []
    for one in shot.things():
        for other in range(one):
            touch = np.flatnonzero(shot.take.thing_touch[:, one, other])
            if len(touch):
                t = int(touch[0])
                clear = 3 <= t < shot.total - shot.frames(0.3, 3) and bool(
                    (shot.seen[t - 2 : t + 3, [one, other]] > 0.7).all()
                )
                if clear and np.linalg.norm(shot.take.velocity[t - 1, one] - shot.take.velocity[t - 1, other]) > 0.15:
                    found.append((one, other, t))
    return found


def pushed_by_nothing(shot: Shot) -> Fault | None:
    for index in shot.things():
        radius = shot.scene.things[index].radius
        near = np.convolve(shot.take.thing_touch[:, index].any(1), np.ones(7), "same").astype(bool)
        start = shot.pick(shot.open_for(index, shot.frames(0.25, 3), shot.frames(0.3, 3)) & ~near)
        if start is None:
            continue
        velocity = shot.take.velocity[start - 1, index]
        speed = float(np.linalg.norm(velocity))
        floor = bool(shot.take.floor_touch[start - 2 : start + 2, index].any()) or _rests(shot, index, start)
        push = max(shot.graded(0.8, 1.3, 2.2) * max(speed, 0.15), shot.graded(1.6, 2.6, 4.0) * radius)
        if floor:
            along = velocity / speed if speed > 0.05 else np.array([1.0, 0.0])
            change = push * along * shot.rng.choice([-1, -1, 1])
        else:
            turn = shot.rng.uniform(0, 2 * np.pi)
            change = push * np.array([np.cos(turn), np.sin(turn)])

        def act(world: World, index: int = index, change: np.ndarray = change, floor: bool = floor) -> None:
            body = world.bodies[index]
            body.velocity += tuple(change)
            if floor and world.scene.things[index].round:
                body.angular_velocity -= float(change[0]) / world.scene.things[index].radius

        take = simulate(shot.scene, _at(start, act))
        return Fault("momentum", "is pushed by nothing", shot.severity, take, start, start + 1, (index,))
    return None


def bounces_too_high(shot: Shot) -> Fault | None:
    for index in shot.things():
        start = _blow(shot, index, 0.6)
        if start is None or shot.scene.bounce > 0.999:
            continue
        gain = shot.graded(1.35, 1.7, 2.2) / np.sqrt(shot.scene.bounce)

        def meddle(world: World, frame: int, index: int = index, start: int = start, gain: float = gain) -> None:
            hull = world.hulls[index]["walls"]
            if frame == start:
                hull.elasticity = gain
            elif frame == start + 1:
                hull.elasticity = float(np.sqrt(world.scene.bounce))

        take = simulate(shot.scene, meddle)
        before, after = np.linalg.norm(take.velocity[[start - 1, start + 1], index], axis=1)
        if after < 1.1 * before:  # it hit with a corner and only turns faster
            continue
        return Fault("momentum", "gains energy at a bounce", shot.severity, take, start, start + 1, (index,))
    return None


def collision_fails(shot: Shot) -> Fault | None:
    for one, other, start in _meetings(shot):
        before = {k: shot.take.velocity[start - 1, k] for k in (one, other)}
        striker, struck = sorted((one, other), key=lambda k: -np.linalg.norm(before[k]))
        way = str(
            shot.rng.choice(["both stop dead", "the struck one is shot off", "the striker goes on as if nothing were"])
        )
        along = before[striker] / max(np.linalg.norm(before[striker]), 1e-6)
        speed = float(np.linalg.norm(before[striker]))
        if way == "both stop dead":
            new = {striker: np.zeros(2), struck: np.zeros(2)}
        elif way == "the struck one is shot off":
            new = {struck: along * speed * shot.graded(1.8, 2.4, 3.5)}
        else:
            new = {striker: before[striker], struck: along * speed * shot.graded(1.3, 1.6, 2.0)}
        if (
            max(np.linalg.norm(v - shot.take.velocity[start + 1, k]) for k, v in new.items())
            < 2.5 * shot.scene.things[one].radius
        ):
            continue

        def act(world: World, new: dict[int, np.ndarray] = new) -> None:
            for index, velocity in new.items():
                world.bodies[index].velocity = float(velocity[0]), float(velocity[1])
                world.bodies[index].angular_velocity = (
                    -float(velocity[0]) / world.scene.things[index].radius * world.scene.upright
                )

        take = simulate(shot.scene, _at(start + 1, act))
        return Fault("momentum", way, shot.severity, take, start + 1, start + 2, (one, other))
    return None


WAYS: dict[str, tuple[Way, ...]] = {
    "teleport": (jumps,),
    "gravity": (gravity_fails, gravity_fails),
    "interpenetration": (sinks_into_wall, sink_into_one_another),
    "momentum": (pushed_by_nothing, bounces_too_high, collision_fails),
}
