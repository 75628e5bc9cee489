"""Copies are found whatever was done to them; other moments of the same scene, and other scenes, are none."""

import io

import cv2
import numpy as np
import pytest

from kinora.data.code_index import like_pairs, signs
from kinora.data.ingest.split import held_out
from kinora.data.near_duplicates import fingerprint, near_duplicates
from kinora.media import read_video, write_video

FPS, LENGTH = 8.0, 17


def scene(seed, seconds=9.0, size=(96, 64)):
    """A video `uint8 [T, H, W, 3]` at 8 frames a second of a fixed camera: a still ground, and two things that wander.

    The ground depends on the thousands of `seed`, the ways of the things on all of it.
    """
    width, height = size
    still = np.random.default_rng(seed // 1000)
    ground = cv2.resize(still.normal(size=(6, 8, 3)).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    ground = np.clip(120 + 40 * ground, 0, 255)
    random = np.random.default_rng(seed)
    count = round(seconds * FPS)
    y, x = np.mgrid[:height, :width]
    frames = np.repeat(ground[None], count, axis=0)
    for colour in (230, 20):
        path = random.uniform(size=(2, 1)) + np.cumsum(random.normal(0, 0.05, (2, count)), axis=1)
        row, column = np.abs(path % 2 - 1) * np.array([[height], [width]])
        near = np.hypot(y - row[:, None, None], x - column[:, None, None]) < 10
        frames[near] = colour
    return frames.astype(np.uint8)


def clips(files):
    """Cut files (name to frames) into windows as ingest does; return the arguments of `near_duplicates`."""
    prints, sources, starts = [], [], []
    for name, frames in files.items():
        for first in range(0, len(frames) - LENGTH + 1, LENGTH):
            prints.append(fingerprint(frames[first : first + LENGTH], FPS))
            sources.append(name)
            starts.append(first / FPS)
    return np.concatenate(prints), [len(p) for p in prints], sources, starts, [FPS] * len(sources)


def encoded(frames):
    file = io.BytesIO()
    write_video(file, frames, FPS)
    file.seek(0)
    return read_video(file)[0]


def half_size(frames):
    height, width = frames.shape[1:3]
    return np.stack([cv2.resize(f, (width // 2, height // 2), interpolation=cv2.INTER_AREA) for f in frames])


COPIES = {
    "encoded again": encoded,
    "half size": half_size,
    "mirrored": lambda frames: frames[:, :, ::-1],
    "trimmed at the start": lambda frames: frames[6:],
    "trimmed at the end": lambda frames: frames[:-10],
    "brighter": lambda frames: np.clip(frames * 1.12, 0, 255).astype(np.uint8),
    "everything at once": lambda frames: encoded(half_size(frames)[11:, :, ::-1]),
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_found_and_other_moments_and_scenes_are_none(how):
    files = {"a": scene(1001), "b": COPIES[how](scene(1001)), "c": scene(1002), "d": scene(2001)}
    prints, snapshots, sources, starts, fps = clips(files)
    found = near_duplicates(prints, snapshots, sources, starts, fps)
    named = {(sources[i], starts[i]): (sources[j], starts[j]) for i, j in enumerate(found.copy_of.tolist()) if j >= 0}
    copies = [(name, start) for name, start in zip(sources, starts, strict=True) if name == "b"]
    assert sorted(named) == copies
    assert {name for name, _ in named.values()} == {"a"}
    assert len(set(found.group)) == 3
    assert len({group for name, group in zip(sources, found.group, strict=True) if name in "ab"}) == 1


def test_the_result_does_not_depend_on_the_order():
    files = {"a": scene(1001), "b": scene(1001)[5:, :, ::-1], "c": scene(3001), "d": scene(3001)[:60], "e": scene(4001)}
    prints, snapshots, sources, starts, fps = clips(files)
    found = near_duplicates(prints, snapshots, sources, starts, fps)
    order = np.random.default_rng(0).permutation(len(sources))
    parts = np.split(prints, np.cumsum(snapshots)[:-1])
    again = near_duplicates(
        np.concatenate([parts[i] for i in order]),
        [snapshots[i] for i in order],
        [sources[i] for i in order],
        [starts[i] for i in order],
        [fps[i] for i in order],
    )
    assert again.group.tolist() == found.group[order].tolist()
    copies = [order[j] if j >= 0 else -1 for j in again.copy_of]
    assert copies == found.copy_of[order].tolist()
    assert (found.copy_of >= 0).sum() == sum(name in "bd" for name in sources)


def test_a_copy_of_a_copy_leads_to_what_is_kept():
    files = dict(zip("abc", [scene(1001)] * 3, strict=True))
    *given, sources, starts, fps = clips(files)
    found = near_duplicates(*given, sources, starts, fps)
    assert {sources[j] for j in found.copy_of if j >= 0} == {"a"}
    assert all((copy >= 0) == (name != "a") for name, copy in zip(sources, found.copy_of, strict=True))


def test_what_shares_only_a_part_stays_together_but_the_rest_is_kept():
    mixed = np.concatenate([scene(5001)[:34], scene(1001)[:34]])
    *given, sources, starts, fps = clips({"a": scene(1001), "b": mixed, "c": scene(5002)})
    found = near_duplicates(*given, sources, starts, fps)
    dropped = [(sources[i], starts[i]) for i in np.flatnonzero(found.copy_of >= 0)]
    assert dropped == [("b", 34 / FPS), ("b", 51 / FPS)]
    groups = dict(zip(sources, found.group.tolist(), strict=True))
    assert groups["a"] == groups["b"] != groups["c"]


def test_two_clips_of_one_source_are_no_copies():
    *given, sources, starts, fps = clips({"a": np.concatenate([scene(1001)[:34]] * 2)})
    found = near_duplicates(*given, sources, starts, fps)
    assert (found.copy_of == -1).all()
    assert (found.group == 0).all()


def test_still_moments_are_copies_of_each_other_and_not_of_moving_ones():
    still = scene(1001)[:1].repeat(34, axis=0)
    moving = scene(1001)
    *given, sources, starts, fps = clips({"a": moving, "b": still})
    assert (near_duplicates(*given, sources, starts, fps).copy_of == -1).all()
    *given, sources, starts, fps = clips({"a": np.concatenate([moving[:34], still]), "b": encoded(still)})
    assert near_duplicates(*given, sources, starts, fps).copy_of.tolist() == [-1, -1, -1, -1, 2, 3]
    # Another still picture before the same ground is none, and neither are two that show next to nothing.
    *given, sources, starts, fps = clips({"a": still, "b": scene(1002)[:1].repeat(34, axis=0)})
    assert (near_duplicates(*given, sources, starts, fps).copy_of == -1).all()
    haze = np.linspace(100, 108, 96).astype(np.uint8)[None, None, :, None] * np.ones((34, 64, 1, 3), np.uint8)
    *given, sources, starts, fps = clips({"a": haze, "b": np.clip(haze, 102, 108)})
    assert (near_duplicates(*given, sources, starts, fps).copy_of == -1).all()


def test_copies_and_parts_never_lie_on_both_sides_of_the_split():
    files = {"a": scene(1001), "b": COPIES["everything at once"](scene(1001)), "c": scene(1002), "d": scene(4001)}
    files |= {"e": np.concatenate([scene(4001)[:34], scene(6001)[:34]]), "f": encoded(scene(6001)[3:])}
    files |= {f"g{i}": scene(7000 + 1000 * i)[:34] for i in range(8)}
    *given, sources, starts, fps = clips(files)
    found = near_duplicates(*given, sources, starts, fps)
    number = np.unique(sources, return_inverse=True)[1]
    sides = []
    for seed in range(20):
        held = held_out(found.group, number, np.ones(len(number), bool), 0.3, seed)
        assert 0 < held.sum() < len(held)
        sides.append({name: set(held[np.array(sources) == name].tolist()) for name in files})
    for together in ("ab", "def"):
        assert all(len(set().union(*(side[name] for name in together))) == 1 for side in sides)
        assert any(side[together[0]] == {True} for side in sides)
    assert any(side["a"] != side["c"] for side in sides)


def test_what_changes_slowly_is_found_too():
    fade = np.linspace(0, 1, 100)[:, None, None, None]
    slow = (scene(1001)[:1] * (1 - fade) + scene(2001)[:1] * fade).astype(np.uint8)
    files = {"a": slow, "b": encoded(slow[21:]), "c": np.concatenate([slow[:1]] * 34)}
    *given, sources, starts, fps = clips(files)
    assert ((near_duplicates(*given, sources, starts, fps).copy_of >= 0) == (np.array(sources) == "b")).all()


def test_of_many_equal_copies_each_is_found():
    names = [f"{i:02}" for i in range(15)]
    for content in (scene(1001)[:34], scene(1001)[:1].repeat(34, axis=0)):
        *given, sources, starts, fps = clips(dict.fromkeys(names, content))
        found = near_duplicates(*given, sources, starts, fps)
        assert {sources[i] for i in np.flatnonzero(found.copy_of < 0)} == {"00"}
        assert set(found.copy_of.tolist()) == {-1, 0, 1}


def test_images_are_compared_with_images(real_images):
    pictures = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in real_images]
    quality = [cv2.IMWRITE_JPEG_QUALITY, 40]
    copies = [
        cv2.imdecode(cv2.imencode(".jpg", cv2.pyrDown(p)[:, ::-1], quality)[1], cv2.IMREAD_COLOR) for p in pictures
    ]
    other = pictures[0].copy()
    cv2.circle(other, (other.shape[1] // 3, other.shape[0] // 3), other.shape[0] // 10, (0, 255, 0), -1)
    images = [*pictures, *copies, other]
    prints = [fingerprint(image[None], 0.0) for image in images]
    video = fingerprint(pictures[0][None].repeat(9, axis=0), FPS)
    count = len(images)
    found = near_duplicates(
        np.concatenate([*prints, video]),
        [*(len(p) for p in prints), len(video)],
        [f"{i:03}" for i in range(count + 1)],
        [0.0] * (count + 1),
        [0.0] * count + [FPS],
    )
    originals = list(range(len(pictures)))
    assert found.copy_of.tolist() == [-1] * len(pictures) + originals + [-1, -1]
    assert len(set(found.group)) == len(pictures) + 2


def test_nothing_is_found_among_nothing_and_among_one():
    assert len(near_duplicates(np.zeros((0, 8), np.uint64), [], [], [], []).copy_of) == 0
    one = fingerprint(scene(1001)[:5], FPS)
    assert near_duplicates(one, [len(one)], ["a"], [0.0], [FPS]).copy_of.tolist() == [-1]
    blank = fingerprint(np.zeros((9, 16, 16, 3), np.uint8), FPS)
    found = near_duplicates(np.concatenate([blank, blank]), [9, 9], ["a", "b"], [0.0, 0.0], [FPS, FPS])
    assert found.copy_of.tolist() == [-1, -1]


@pytest.mark.parametrize(("fps", "frames", "snapshots"), [(8.0, 17, 17), (24.0, 65, 22), (5.0, 9, 9), (12.0, 17, 9)])
def test_a_fingerprint_has_at_most_eight_snapshots_a_second(fps, frames, snapshots):
    made = fingerprint(np.zeros((frames, 24, 40, 3), np.uint8), fps)
    assert made.shape == (snapshots, 8)
    assert made.dtype == np.uint64
    grey = fingerprint(np.full((frames, 16, 16), 90, np.uint8), fps)
    assert (grey == fingerprint(np.full((frames, 24, 40, 3), 90, np.uint8), fps)).all()


def test_like_codes_are_found_as_when_all_are_compared():
    random = np.random.default_rng(0)
    codes = signs(random.normal(size=(400, 64)))
    for i in range(0, 400, 10):  # every tenth is like the next
        codes[i + 1] = codes[i] ^ np.uint64(1 << int(random.integers(64)))
    owners = np.arange(400)
    owners[1] = owners[0]
    distance = np.bitwise_count(codes[:, None] ^ codes)
    true = {(i, j) for i, j in np.argwhere(distance <= 6).tolist() if i < j and owners[i] != owners[j]}
    found = {
        (min(i, j), max(i, j))
        for a, b in like_pairs(codes, owners, 6)
        for i, j in zip(a.tolist(), b.tolist(), strict=False)
    }
    assert found == true
    assert len(true) >= 39
