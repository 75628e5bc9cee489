"""What a continuation is compared by: the truth comes out above everything that is not it, on real and drawn clips."""

import io

import av
import cv2
import numpy as np
import pytest

from evaluation.continuation import MEASURES, agreement, mean_agreement
from evaluation.proving.real import clips_of
from kinora.media import open_video
from kinora.worlds import WorldsConfig, draw_sample

FPS, FRAMES, GIVEN = 8.0, 17, 5
SIDES = (40, 128)
IGNORING = ("noise", "grey", "a square that slides down")  # what has nothing of the footage
FILMS = ("camera", "thing", "fall", "light")


def real_clip(path, side, cuts):
    """Return the first 17 frames of the last shot of a video at 8 frames a second; None where it is shorter."""
    with open_video(path) as video:
        frames = [frame.rgb() for frame in video.frames()]
        rate = float(video.fps)
    frames = frames[max([0, *cuts]) :]
    places = [round(place * rate / FPS) for place in range(FRAMES)]
    if places[-1] >= len(frames):
        return None
    height, width = frames[0].shape[:2]
    size = tuple(max(8, round(length * side / max(height, width) / 8) * 8) for length in (width, height))
    return np.stack([cv2.resize(frames[place], size, interpolation=cv2.INTER_AREA) for place in places])


@pytest.fixture(scope="session")
def real_clips(shared_media):
    """Natural clips of the half that may be built on, at both sizes."""
    found = {side: {} for side in SIDES}
    for row in clips_of(shared_media / "natural", "dev"):
        for side in SIDES:
            clip = real_clip(shared_media / "natural" / row["file"], side, row["cuts"])
            if clip is not None:
                found[side][row["file"]] = clip
    return found


def made_film(kind, seed):
    """Return a film of soft texture, `uint8 [17, 48, 64, 3]`, in which a camera pans, a thing moves or falls, or it
    gets dark."""
    rng = np.random.default_rng(seed)

    def texture(height, width, sigma):
        noise = cv2.GaussianBlur(rng.normal(size=(height, width, 3)).astype(np.float32), (0, 0), sigma)
        return np.clip(128 + 55 * noise / noise.std(), 0, 255).astype(np.uint8)

    far, thing = texture(120, 160, 3.0), texture(16, 16, 2.0) // 2 + rng.integers(0, 128, 3).astype(np.uint8)
    dx, dy = rng.choice([-1, 1], 2) * rng.uniform(1, 2, 2)
    frames = []
    for t in range(FRAMES):
        x, y = (round(48 + dx * t), round(36 + dy * t)) if kind == "camera" else (48, 36)
        frame = far[y : y + 48, x : x + 64].copy()
        if kind in ("thing", "fall"):
            left, top = (24 + dx * (t - 8), 16 + dy * t / 4) if kind == "thing" else (24, 2 + 28 * (t / 16) ** 2)
            frame[round(top) : round(top) + 16, round(left) : round(left) + 16] = thing
        if kind == "light":
            frame = (frame * (1 - 0.04 * t)).astype(np.uint8)
        frames.append(frame)
    return np.stack(frames)


def through_codec(frames, crf):
    """Return frames as H.264 of a constant rate factor leaves them."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=int(FPS), options={"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode())
    file.seek(0)
    with av.open(file) as read:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in read.decode(video=0)])


def wrong(clip, other):
    """Return continuations of a clip that are not the truth, by name; `other` is a foreign clip."""
    truth, last = clip[GIVEN:], clip[GIVEN - 1]
    height, width = truth.shape[1:3]
    square = np.full_like(truth, 128)
    for t, frame in enumerate(square):
        top = t * height // len(square)
        frame[top : top + height // 4, width // 3 : width // 3 + height // 4] = (40, 160, 60)
    blur = 1.5 * max(height, width) / 40
    return {
        "reversed": truth[::-1],
        "inverted": 255 - truth,
        "blurred": np.stack([cv2.GaussianBlur(frame, (0, 0), blur) for frame in truth]),
        "frozen": np.broadcast_to(last, truth.shape),
        "foreign": np.stack([cv2.resize(frame, (width, height)) for frame in other[GIVEN:]]),
        "noise": np.random.default_rng(0).integers(0, 256, truth.shape).astype(np.uint8),
        "grey": np.full_like(truth, 128),
        "a square that slides down": square,
        "mean": np.broadcast_to(truth.mean(axis=0).astype(np.uint8), truth.shape),
    }


def scores(clips, crf):
    """Return the agreement of the truth through a codec and of everything wrong, for every clip."""
    clips, rows = list(clips), []
    for clip, other in zip(clips, clips[1:] + clips[:1], strict=True):
        truth, last = clip[GIVEN:], clip[GIVEN - 1]
        made = {"truth": through_codec(clip, crf)[GIVEN:]} | wrong(clip, other)
        rows.append({name: agreement(frames, truth, last) for name, frames in made.items()})
    return rows


def overall(rows, name):
    return np.array([row[name]["overall"] for row in rows])


# Every copy that must lose: of the truth, of another clip, and what ignores the footage.
WRONG = ("reversed", "inverted", "blurred", "frozen", "foreign", *IGNORING)


@pytest.mark.parametrize("side", SIDES)
def test_the_truth_of_real_clips_is_above_what_is_not_the_truth(real_clips, side):
    """In every clip that moves, though a codec has changed the truth a little and the copies not at all."""
    rows = scores(real_clips[side].values(), crf=23)
    assert len(rows) > 25
    moving = [row for row in rows if row["truth"]["motion"] is not None]
    assert len(moving) > 0.8 * len(rows)
    truth = overall(moving, "truth")
    assert np.median(truth) > 0.85
    for name in WRONG:
        assert (truth > overall(moving, name)).all(), name
        assert truth.mean() > overall(moving, name).mean() + 0.3, name
    for name in ("inverted", "foreign", *IGNORING):
        assert overall(moving, name).mean() < overall(moving, "frozen").mean(), name
    assert overall(moving, "frozen").mean() < overall(moving, "reversed").mean()
    assert overall(moving, "mean").mean() < truth.mean() - 0.3


@pytest.mark.parametrize("film", FILMS)
def test_the_truth_of_films_made_here_is_above_what_is_not_the_truth(film):
    clips = [made_film(film, seed) for seed in range(6)]
    for row in scores(clips, crf=18):
        for name in WRONG:
            assert row["truth"]["overall"] > row[name]["overall"] + 0.05, name


def test_the_truth_of_simulated_clips_is_above_what_is_not_the_truth():
    rng = np.random.default_rng(1)
    worlds = WorldsConfig(frames=(FRAMES,))
    clips = [draw_sample(worlds, rng, held_out=True).frames for _ in range(24)]
    rows = [row for row in scores(clips, crf=18) if row["truth"]["motion"] is not None]
    assert len(rows) > 18
    truth = overall(rows, "truth")
    for name in WRONG:
        assert (truth > overall(rows, name)).all(), name


def test_a_blurred_truth_is_farther_the_more_it_is_blurred():
    """What a model makes that is unsure is soft: it must not pass for the truth, whatever moves in it."""
    clip = made_film("camera", 0)
    truth, last = clip[GIVEN:], clip[GIVEN - 1]
    soft = [np.stack([cv2.GaussianBlur(frame, (0, 0), sigma) for frame in truth]) for sigma in (0.7, 1.5, 3.0, 6.0)]
    found = [agreement(frames, truth, last)["overall"] for frames in (truth, *soft)]
    assert found == sorted(found, reverse=True)
    assert found[0] > found[2] + 0.1 > found[3] + 0.2


def test_a_perfect_continuation_scores_one(noise):
    moving = np.stack([np.roll(noise[0], t, axis=1) for t in range(FRAMES)])
    assert agreement(moving[5:], moving[5:], moving[4]) == dict.fromkeys(MEASURES, 1.0)


def test_two_clips_in_which_nothing_moves_have_no_motion_to_agree(noise):
    """The hole of masks: two empty ones agree wholly."""
    still = np.repeat(noise[:1], 12, axis=0)
    found = agreement(still, still, still[0])
    assert {name: found[name] for name in MEASURES[2:]} == dict.fromkeys(MEASURES[2:])
    assert found["overall"] == found["appearance"] == 1.0
    invented = agreement(np.roll(still, 5, axis=2), still, still[0])
    assert invented["motion"] is None
    assert invented["overall"] < 0.05


def test_what_a_codec_does_to_a_clip_that_stands_still_is_no_motion(real_clips):
    for clip in real_clips[40].values():
        still = np.repeat(clip[:1], FRAMES, axis=0)
        seen = through_codec(still, 23)
        assert agreement(seen[5:], seen[5:], seen[4])["motion"] is None


def test_each_measure_sees_its_own_failure():
    """A bright square moves right; continuations that are wrong in one way each."""

    def clip(x, y=12, size=8, contrast=100):
        frames = np.full((13, 32, 48, 3), 60, np.uint8)
        for t, frame in enumerate(frames):
            left = round(x(t))
            frame[y : y + size, left : left + size] += np.uint8(contrast)
        return frames

    truth = clip(lambda t: 2 + 3 * t)
    late = clip(lambda t: 2 + 3 * max(0, t - 4))
    elsewhere, faint = clip(lambda t: 2 + 3 * t, y=2), clip(lambda t: 2 + 3 * t, contrast=50)
    backwards = np.concatenate([truth[:1], truth[:0:-1]])
    found = {
        name: agreement(made[1:], truth[1:], truth[0])
        for name, made in (("late", late), ("elsewhere", elsewhere), ("faint", faint), ("backwards", backwards))
    }
    assert found["elsewhere"]["where"] < 0.1
    assert found["backwards"]["where"] > 0.6
    assert found["backwards"]["when"] < 0.2
    assert found["late"]["when"] < 0.2 < 0.5 < found["late"]["where"]
    assert 0.3 < found["faint"]["how_much"] < 0.6
    held = agreement(np.repeat(truth[:1], 12, axis=0), truth[1:], truth[0])
    assert held["motion"] == 0
    assert held["appearance"] == pytest.approx(0.5, abs=0.02)


def test_what_a_codec_does_to_vivid_colours_of_a_small_clip_is_not_held_against_it():
    """Colour of every second pixel only, in a clip in which little moves: through 4:2:0 it is still the truth."""
    rng = np.random.default_rng(0)
    vivid = np.kron(rng.choice([[220, 40, 40], [40, 120, 200], [230, 200, 30]], (24, 40)), np.ones((1, 1, 1)))
    clip = np.repeat(vivid[None].astype(np.uint8), FRAMES, axis=0)
    for t in range(FRAMES):
        clip[t, 10:13, t : t + 3] = 20
    truth, last = clip[GIVEN:], clip[GIVEN - 1]
    seen = agreement(through_codec(clip, 16)[GIVEN:], truth, last)
    held = agreement(np.broadcast_to(last, truth.shape), truth, last)
    assert seen["overall"] > held["overall"] + 0.3


def test_means_leave_out_what_was_not_measured():
    one, other = dict.fromkeys(MEASURES, 0.5), dict.fromkeys(MEASURES) | {"overall": 0.9, "appearance": 0.9}
    means = mean_agreement([one, other])
    assert (means["overall"], means["motion"]) == (pytest.approx(0.7), 0.5)
    assert mean_agreement([other])["where"] is None


def test_shapes_that_do_not_fit_are_refused(noise):
    with pytest.raises(ValueError, match="does not continue"):
        agreement(noise[1:], noise[2:], noise[0])
