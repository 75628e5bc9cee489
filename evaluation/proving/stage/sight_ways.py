"""Ways to fail that leave the motion as it is: what is seen of things, of the light, of the scene and of time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from evaluation.proving.stage.failures import Fault, Shot, Way


def appears(shot: Shot) -> Fault | None:
    for index in shot.things():
        fade = {"subtle": int(shot.rng.integers(4, 9)), "plain": int(shot.rng.integers(0, 4)), "gross": 0}[
            shot.severity
        ]
        start = shot.pick(shot.open_for(index, 0, fade + shot.frames(0.3)))
        if start is not None and not shot.take.thing_touch[: start + 1, index].any():
            take = shot.changed(opacity=(index, slice(None), shot.ramp(start, fade)))
            return Fault(
                "appearance", "fades in" if fade else "pops up", shot.severity, take, start, start + fade, (index,)
            )
    return None


def disappears(shot: Shot) -> Fault | None:
    for index in shot.things():
        fade = {"subtle": int(shot.rng.integers(4, 9)), "plain": int(shot.rng.integers(0, 4)), "gross": 0}[
            shot.severity
        ]
        start = shot.pick(shot.open_for(index, shot.frames(0.25, 2), fade + shot.frames(0.3, 3)))
        if start is not None and shot.alone(index, start):
            take = shot.changed(opacity=(index, slice(None), 1 - shot.ramp(start, fade)))
            return Fault(
                "disappearance", "fades out" if fade else "is gone", shot.severity, take, start, start + fade, (index,)
            )
    return None


def blinks(shot: Shot) -> Fault | None:
    for index in shot.things():
        length = shot.frames(shot.graded(0.15, 0.3, 0.6), 2)
        start = shot.pick(shot.open_for(index, shot.frames(0.25, 2), length + shot.frames(0.2, 2)))
        if start is not None and not shot.take.thing_touch[start : start + length, index].any():
            take = shot.changed(opacity=(index, slice(start, start + length), 0.0))
            return Fault("permanence", "vanishes and returns", shot.severity, take, start, start + length - 1, (index,))
    return None


def _hidden(shot: Shot) -> Fault | None:
    """The ways of a thing behind an occluder; one at random."""
    for index in shot.things():
        for first, last in shot.gaps(index):
            if not shot.alone(index, first) or (shot.seen[last:, index] > 0.85).sum() < shot.frames(0.3, 3):
                continue
            after = np.arange(shot.total) >= first
            out = last + int(np.argmax(shot.seen[last:, index] > 0.85))
            speed = float(shot.speed[last, index])
            way = str(shot.rng.choice(["never", "late", "early", "another"]))
            if way == "never":
                take = shot.changed(opacity=(index, after, 0.0))
            elif way == "another":
                share = shot.graded(0.7, 0.9, 1.0)
                take = shot.changed(turned=(index, after, min(share, 1.0)))
                if shot.severity == "gross":
                    take = take.with_(morphed=np.where(np.arange(len(shot.scene.things)) == index, after[:, None], 0.0))
            else:
                if speed < 0.08:
                    continue
                delay = shot.frames(shot.graded(1.0, 1.7, 2.6) * 2 * shot.scene.things[index].radius / speed, 2)
                moments = np.arange(shot.total)
                if way == "early":
                    if last - first < 2:
                        continue
                    delay = -min(delay, last - first)
                    if -delay * speed / shot.fps < 0.9 * shot.scene.things[index].radius:
                        continue
                moments = np.where(after, np.clip(np.maximum(moments - delay, first), 0, shot.total - 1), moments)
                if moments[-1] <= last:
                    way, moments = "never", moments  # so late that it does not come at all
                names = ("position", "velocity", "angle", "size")
                take = shot.changed(
                    **{name: (index, slice(None), getattr(shot.take, name)[moments, index]) for name in names}
                )
                out = min(out + max(delay, 0), shot.total - 1)
            return Fault("permanence", f"hidden: {way} comes out" if way == "never" else f"hidden: comes out {way}",
                         shot.severity, take, first, out, (index,))  # fmt: skip
    return None


def turns_into_another(shot: Shot) -> Fault | None:
    share = min(1.0, shot.graded(0.5, 0.8, 1.0))
    return _drift(shot, "colour and pattern", lambda ramp: {"turned": ramp * share})


def morphs(shot: Shot) -> Fault | None:
    share = min(1.0, shot.graded(0.9, 1.0, 1.0))
    return _drift(
        shot, "shape", lambda ramp: {"morphed": ramp * share} | ({"turned": ramp} if shot.severity == "gross" else {})
    )


def swells(shot: Shot) -> Fault | None:
    factor = shot.graded(1.4, 1.75, 2.3) ** float(shot.rng.choice([-1, 1]))
    return _drift(shot, "size", lambda ramp: {"size": 1 + ramp * (factor - 1)})


def _drift(shot: Shot, what: str, values: Callable[[np.ndarray], dict[str, np.ndarray]]) -> Fault | None:
    for index in shot.things():
        length = 0 if shot.rng.random() < 0.35 else shot.frames(shot.rng.uniform(0.4, 1.2))
        start = shot.pick(shot.open_for(index, shot.frames(0.3, 3), length + shot.frames(0.3, 3)))
        if start is None or (what in ("size", "shape") and not shot.alone(index, start)):
            continue
        new = values(shot.ramp(start, length))
        if "size" in new:
            new["size"] = new["size"] * shot.take.size[:, index]
        take = shot.changed(**{name: (index, slice(None), value) for name, value in new.items()})
        if "size" in new and shot.take.floor_touch[start:, index].any():
            lift = (new["size"] - shot.take.size[:, index]) * shot.scene.things[index].radius
            position = take.position.copy()
            position[:, index, 1] += lift  # still stands on the floor
            take = take.with_(position=position)
        pace = "switches" if length == 0 else "drifts"
        return Fault("identity_drift", f"{what} {pace}", shot.severity, take, start, start + length, (index,))
    return None


def light_flickers(shot: Shot) -> Fault | None:
    start, pattern = _flicker(shot)
    strength = shot.graded(0.08, 0.16, 0.35)
    light = shot.take.light.copy()
    light[start : start + len(pattern)] *= 1 + strength * pattern
    take = shot.take.with_(light=light)
    return Fault("flicker", "the light flickers", shot.severity, take, start, start + len(pattern) - 1)


def thing_flickers(shot: Shot) -> Fault | None:
    for index in shot.things():
        start, pattern = _flicker(shot)
        during = slice(start, start + len(pattern))
        if (shot.seen[during, index] > 0.6).mean() < 0.9:
            continue
        if shot.rng.random() < 0.5:
            take = shot.changed(gain=(index, during, 1 + shot.graded(0.15, 0.3, 0.5) * pattern))
        else:
            take = shot.changed(turned=(index, during, shot.graded(0.25, 0.5, 0.9) * np.clip(pattern, 0, 1)))
        return Fault("flicker", "one thing flickers", shot.severity, take, start, start + len(pattern) - 1, (index,))
    return None


def _flicker(shot: Shot) -> tuple[int, np.ndarray]:
    """Where it flickers, and how: -1..1 for every frame, never long the same."""
    length = min(shot.total, shot.frames(shot.rng.uniform(0.5, 3.0), 6))
    start = int(shot.rng.integers(0, shot.total - length + 1))
    if shot.rng.random() < 0.5:
        return start, np.where(np.arange(length) % 2, -1.0, 1.0)
    pattern = shot.rng.choice([-1.0, -0.5, 0.6, 1.0], length)
    pattern[0] = 1.0
    return start, pattern


def state_fails(shot: Shot) -> Fault | None:
    """A mark that heals, one that comes of itself, or one that should come and does not."""
    way = str(shot.rng.choice(["heals", "comes of itself", "does not come"]))
    if way == "does not come":
        return leaves_no_mark(shot)
    fade = {"subtle": 4, "plain": 2, "gross": 0}[shot.severity]
    starts = _marked(shot)
    for index in shot.things():
        if way == "heals" and index in starts:
            whole = shot.take.mark[:, index] >= 1
            late = np.arange(shot.total) > starts[index] + shot.frames(0.4)
            start = shot.pick(shot.open_for(index, 2, fade + shot.frames(0.25, 2)) & whole & late)
            if start is not None:
                mark = shot.take.mark[:, index] * (1 - shot.ramp(start, fade))
                take = shot.changed(mark=(index, slice(None), mark))
                return Fault("state_change", "a mark heals", shot.severity, take, start, start + fade, (index,))
        elif way == "comes of itself":
            before = np.arange(shot.total) < starts.get(index, shot.total) - shot.frames(0.3)
            calm = ~np.convolve(shot.touch[:, index] & (shot.speed[:, index] > 0.3), np.ones(5), "same").astype(bool)
            start = shot.pick(shot.open_for(index, shot.frames(0.25, 2), fade + shot.frames(0.25, 2)) & before & calm)
            if start is not None:
                mark = np.maximum(shot.ramp(start, fade) * min(1.0, shot.graded(0.7, 1, 1)), shot.take.mark[:, index])
                take = shot.changed(mark=(index, slice(None), mark))
                return Fault(
                    "state_change", "a mark comes of itself", shot.severity, take, start, start + fade, (index,)
                )
    return None


def leaves_no_mark(shot: Shot) -> Fault | None:
    """What painted or broke one thing before everyone's eyes does nothing to the next that it happens to."""
    starts, span = _marked(shot), shot.frames(0.3)
    for index in shot.things():
        start = starts.get(index, 0)
        told = [
            other
            for other, earlier in starts.items()
            if 0 < earlier < start - span and _in_sight(shot, other, earlier, span)
        ]
        if told and _in_sight(shot, index, start, span):
            known_by, fault = (_unmarked(shot, *one, span) for one in ((told[0], starts[told[0]]), (index, start)))
            return replace(fault, known_by=known_by)
    return None


def _unmarked(shot: Shot, index: int, start: int, span: int) -> Fault:
    take, end = shot.changed(mark=(index, slice(None), 0.0)), min(start + span, shot.total - 1)
    return Fault("state_change", "a cause without its mark", shot.severity, take, start, end, (index,))


def _marked(shot: Shot) -> dict[int, int]:
    """The first frame in which each thing has a mark, of those that get one."""
    mark = shot.take.mark
    return {index: int(np.argmax(mark[:, index] > 0)) for index in shot.things() if mark[:, index].max() > 0}


def _in_sight(shot: Shot, index: int, start: int, span: int) -> bool:
    return bool(shot.seen[start : start + span, index].min() > 0.6)


def scene_bends(shot: Shot) -> Fault | None:
    if not shot.camera_moves:
        return None
    start = int(shot.rng.integers(2, max(3, shot.total // 3)))
    time = np.maximum(np.arange(shot.total) - start, 0) / shot.fps
    bend = shot.graded(0.025, 0.05, 0.1) * np.sin(2 * np.pi * time / shot.rng.uniform(1.2, 2.5))
    return Fault("view_inconsistency", "the scene bends as it is looked at", shot.severity, shot.take.with_(bend=bend),
                 start, shot.total - 1)  # fmt: skip


def things_shift_with_view(shot: Shot) -> Fault | None:
    if not shot.camera_moves:
        return None
    still = [i for i in shot.things() if shot.speed[:, i].max() < 0.05 and (shot.seen[:, i] > 0.6).mean() > 0.7]
    if not still:
        return None
    index = still[0]
    start = int(shot.rng.integers(2, max(3, shot.total // 3)))
    view = np.abs(shot.take.camera[:, :3] - shot.take.camera[start, :3]).sum(1)
    view[:start] = 0
    sway = shot.graded(0.8, 1.5, 2.5) * shot.scene.things[index].radius * view / view.max()
    position = shot.take.position.copy()
    position[:, index, 1] += sway
    take = shot.take.with_(position=position)
    return Fault(
        "view_inconsistency", "a still thing shifts with the view", shot.severity, take, start, shot.total - 1, (index,)
    )


def another_scene(shot: Shot) -> Fault | None:
    length = {
        "subtle": shot.frames(shot.rng.uniform(1.0, 2.0)),
        "plain": shot.frames(shot.rng.uniform(0.3, 1.0)),
        "gross": 0,
    }[shot.severity]
    length = min(length, shot.total // 2)
    start = int(shot.rng.integers(max(3, shot.total // 5), max(4, shot.total - length - shot.frames(0.3, 3)) + 1))
    way = "turns into another scene" if length else "is spliced to another scene"
    mix = shot.ramp(start, length)  # from then on all is of another scene
    return Fault("incoherence", way, shot.severity, shot.take, start, shot.total - 1, mix=mix)


def stops(shot: Shot) -> Fault | None:
    length = shot.frames(shot.graded(0.45, 0.9, 9.0), 4)
    good = shot.moving() & (
        np.convolve(shot.moving(), np.ones(2 * min(length, shot.frames(0.5)) + 1), "same")
        >= 0.9 * min(length, shot.frames(0.5))
    )
    start = shot.pick(good)
    if start is None:
        return None
    length = min(length, shot.total - start)
    if not shot.moving()[start : start + length].mean() > 0.7 or length < 4:
        return None
    moments = np.arange(shot.total)
    moments[start : start + length] = start - 1
    if shot.rng.random() < 0.5:  # goes on where it stopped
        moments[start + length :] -= length
    return Fault("freeze", "all stops", shot.severity, shot.take.at(moments), start, start + length - 1)


def loops(shot: Shot) -> Fault | None:
    length = shot.frames(shot.rng.uniform(0.5, 1.0), 5)
    times = {"subtle": 1, "plain": 2, "gross": 9}[shot.severity]
    if shot.total < 2 * length + 4:
        return None
    start = int(shot.rng.integers(length, shot.total - length + 1))
    if shot.moving()[start - length : start].mean() < 0.8:
        return None
    end = min(shot.total, start + times * length)
    moments = np.arange(shot.total)
    moments[start:end] = start - length + np.arange(end - start) % length
    return Fault("freeze", "a loop repeats", shot.severity, shot.take.at(moments), start, end - 1)


WAYS: dict[str, tuple[Way, ...]] = {
    "appearance": (appears,),
    "disappearance": (disappears,),
    "permanence": (_hidden, _hidden, blinks),
    "identity_drift": (turns_into_another, morphs, swells),
    "flicker": (light_flickers, thing_flickers),
    "state_change": (state_fails, state_fails, state_fails),
    "view_inconsistency": (scene_bends, scene_bends, things_shift_with_view),
    "incoherence": (another_scene,),
    "freeze": (stops, loops),
}
