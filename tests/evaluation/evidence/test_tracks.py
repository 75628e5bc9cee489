"""Things are followed through everything that honest footage does to them, and what they do is told."""

import zlib

import cv2
import numpy as np
import pytest

from evaluation.evidence.clip import gather
from evaluation.evidence.looks import unlike
from evaluation.evidence.tracks import links
from evaluation.findings import ClipInput
from evaluation.proving import paper
from evaluation.proving.filming import compressed
from evaluation.proving.stage.dynamics import simulate
from tests.evaluation.evidence.conftest import Drawn, along

BLUE = (60.0, 70.0, 210.0)
BEFORE = np.arange(40) < 20


def only(film):
    """The one track that counts."""
    (track,) = [t for t in film.evidence.tracks if t.quality > 0.4 and t.area > 60]
    return track


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"size": (64, 48), "radius": 5.0},
        {"grain": 7.0},
        {"frames": 10, "fps": 8.0},
        {"frames": 120, "fps": 240.0},
        {"camera": True},
        {"light": True},
    ],
    ids=str,
)
def test_two_things_that_pass_each_other_are_followed_as_two(film, how):
    how = {"frames": 36, "size": (128, 96), "radius": 10.0, **how}
    T, (w, h) = how.pop("frames"), how["size"]
    a, b = along(T, (0.15 * w, 0.3 * h), (0.85 * w, 0.45 * h)), along(T, (0.85 * w, 0.7 * h), (0.15 * w, 0.55 * h))
    radius = how.pop("radius")
    how |= {"camera": along(T, (0, 0), (12, 6))} if how.pop("camera", False) else {}
    how |= {"light": 1 + 0.12 * np.sin(np.arange(T) / 5)} if how.pop("light", False) else {}
    passing = film([Drawn(a, "disc", radius), Drawn(b, "box", radius, colour=BLUE)], **how)
    for thing in (1, 2):
        followed = np.array(passing.followed(thing))
        track = np.bincount(followed[followed >= 0]).argmax()
        assert (followed == track).mean() >= 0.9  # one track, no switch of identity
        errors = [
            np.hypot(*(passing.evidence.tracks[track].centres[t - passing.evidence.tracks[track].start] - centre))
            for t in range(T)
            if followed[t] == track
            for y, x in [np.nonzero(passing.owners[t] == thing)]
            for centre in [(x.mean(), y.mean())]
        ]
        assert np.median(errors) < 0.8


def test_a_jump_is_followed_and_seen_as_one_but_a_bounce_is_not(film):
    height = 75 - 50 * abs(np.cos(np.pi * np.arange(40) / 26))
    bounce = only(film([Drawn(np.stack([20 + 2.0 * np.arange(40), height], axis=1))]))
    path = along(40, (20, 25), (100, 25))
    path[24:, 1] += 40
    jump = only(film([Drawn(path)]))
    assert (jump.start, jump.end) == (0, 39)
    assert jump.frames[jump.innovation.argmax()] == 24
    assert jump.innovation.max() > 8
    assert bounce.innovation.max() < 5
    assert np.percentile(jump.innovation, 90) < 1.5


def test_a_look_stays_along_a_thing_and_tells_things_apart(film):
    light = np.linspace(0.9, 1.1, 30)
    tracks = film(
        [
            Drawn(along(30, (20, 20), (100, 25))),
            Drawn(along(30, (100, 45), (20, 50)), colour=BLUE),
            Drawn(along(30, (20, 75), (100, 75)), "box", colour=(210.0, 190.0, 60.0)),
        ],
        light=light,
    ).evidence.tracks
    looks = [track.look[track.whole] for track in tracks if track.quality > 0.4 and track.area > 60]
    assert len(looks) == 3
    along_one = [unlike(look, np.median(look, axis=0)).max() for look in looks]
    between = [unlike(looks[i].mean(axis=0), looks[j].mean(axis=0)) for i in range(3) for j in range(i)]
    assert max(along_one) < 0.3
    assert min(between) > 3 * max(along_one)


@pytest.mark.parametrize(
    ("thing", "pillar", "first", "last"),
    [
        (Drawn(along(40, (20, 40), (100, 50))), None, "clip", "clip"),
        (Drawn(along(40, (-20, 40), (148, 50))), None, "border", "border"),
        (Drawn(along(40, (30, 40), (90, 50)), seen=~BEFORE), None, "unexplained", "clip"),
        (Drawn(along(40, (30, 40), (90, 50)), seen=BEFORE), None, "clip", "unexplained"),
        (Drawn(along(40, (60, 40), (60, 40)), seen=BEFORE), None, "clip", "unexplained"),
        (Drawn(along(40, (60, 40), (60, 40)), seen=~BEFORE), None, "unexplained", "clip"),
        (Drawn(along(40, (20, 40), (80, 50))), (66, 98), "clip", "occluded"),
        (Drawn(along(40, (82, 40), (20, 50))), (66, 98), "occluded", "clip"),
        (Drawn(along(12, (20, 40), (90, 50)), radius=9.0), (66, 98), "clip", "occluded"),
    ],
    ids=[
        "stays",
        "passes",
        "appears",
        "vanishes",
        "vanishes at rest",
        "appears at rest",
        "hides",
        "emerges",
        "hides fast",
    ],
)
def test_why_a_track_begins_and_ends(film, thing, pillar, first, last):
    track = only(film([thing], pillar=pillar))
    assert (track.begins, track.ends) == (first, last)
    assert (track.appears > 0.7) == (first == "unexplained")
    assert (track.vanishes > 0.7) == (last == "unexplained")


def test_what_goes_behind_something_and_comes_out_is_linked(film):
    hidden = film([Drawn(along(40, (15, 40), (115, 45)))], pillar=(52, 80))
    ((earlier, later, gap),) = links(hidden.evidence.tracks, 24.0)
    assert (earlier.ends, later.begins) == ("occluded", "occluded")
    assert 0 < gap == later.start - earlier.end - 1


def test_what_is_another_is_not_linked(film):
    path = along(40, (15, 40), (115, 45))
    changed = film(
        [Drawn(path, seen=path[:, 0] < 66), Drawn(path, seen=path[:, 0] >= 66, colour=BLUE)], pillar=(52, 80)
    )
    assert not links(changed.evidence.tracks, 24.0)


def test_what_keeps_its_shape_is_rigid(film):
    path = along(30, (25, 40), (100, 50))
    assert only(film([Drawn(path, "box", 14.0)])).rigid
    assert not only(film([Drawn(path, "blob", 24.0)])).rigid


def test_things_of_paper_are_followed():
    """On faultless clips whose truth is known, what moves is followed, by one track, and its ends are explained."""
    followed, frames, switches, things, unexplained, tracks = 0, 0, 0, 0, 0, 0
    for number in range(6):
        rng = np.random.default_rng([90, number, zlib.crc32(b"paper")])
        scene, painter = paper.stage(rng, None, (128, 96))
        take = simulate(scene).at(np.arange(min(scene.frames, 30)))
        picture = painter.paint(take)
        clip = ClipInput("x", compressed(painter.finish(picture.frames), scene.fps, 23), scene.fps)
        evidence = gather(clip)
        h, w = evidence.luma.shape[1:]
        good = [track for track in evidence.tracks if track.quality > 0.4]
        tracks += len(good)
        unexplained += sum((track.begins == "unexplained") + (track.ends == "unexplained") for track in good)
        for thing in range(len(scene.things)):
            if np.ptp(take.position[:, thing], axis=0).max() * h < 4:
                continue
            masks = picture.owner == thing
            full = np.percentile(masks.sum(axis=(1, 2)), 90)
            last, things = None, things + 1
            for t in np.flatnonzero(masks.sum(axis=(1, 2)) > max(12, 0.3 * full)):
                found = [
                    (float((m & masks[t]).sum() / (m | masks[t]).sum()), n)
                    for n, track in enumerate(evidence.tracks)
                    if track.start <= t <= track.end
                    for m in [track.mask(t - track.start, h, w)]
                ]
                overlap, track = max(found, default=(0.0, -1))
                frames += 1
                if overlap > 0.45:
                    followed += 1
                    switches += last is not None and track != last
                    last = track
    assert followed > 0.85 * frames
    assert switches < 0.4 * things
    assert unexplained <= 0.1 * 2 * tracks


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("content", ["black", "noise", "one frame", "tiny", "two shots"])
def test_whatever_comes_in_gives_tracks_or_none(content):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (12, 48, 64, 3)).astype(np.uint8)
    if content == "black":
        frames = np.zeros_like(frames)
    elif content == "one frame":
        frames = frames[:1]
    elif content == "tiny":
        frames = frames[:, :8, :8]
    elif content == "two shots":
        scenes = [cv2.resize(rng.integers(40, 200, (6, 8, 3)).astype(np.uint8), (64, 48)) for _ in range(2)]
        frames = np.repeat(np.stack(scenes), 12, axis=0)
        for t, frame in enumerate(frames):
            cv2.circle(frame, (10 + 2 * (t % 12), 24), 6, (255, 20, 20), -1)
    tracks = gather(ClipInput("x", frames, 24.0)).tracks
    for track in tracks:
        assert np.isfinite(track.innovation).all()
        assert 0 <= track.quality <= 1
        assert (np.diff(track.frames) == 1).all()
    if content == "two shots":
        assert {(t.begins, t.ends) for t in tracks if t.quality > 0.4} == {("clip", "cut"), ("cut", "clip")}
