"""Scores measure what was put into clips that the tests make; rules drop what breaks them, and nothing else."""

import io

import cv2
import numpy as np
import pandas as pd
import pytest

from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.curation import RULES, CurationConfig, curation_faults, curation_scores
from kinora.data.curation_report import curation_section
from kinora.data.grid import DEFAULT_GRID
from kinora.data.shots import resize_image
from kinora.data.stored_clip import store_clip
from kinora.errors import UsageError
from kinora.media import read_video, write_video
from kinora.report import Page
from kinora.worlds import WorldsConfig, draw_sample


def texture(width=120, height=64, seed=0):
    """A picture `uint8 [H, W, 3]` with detail everywhere."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def encoded(frames, fps=8.0):
    """What is left of frames after H.264 that loses something."""
    file = io.BytesIO()
    write_video(file, frames, fps)
    file.seek(0)
    return read_video(file)[0]


def test_brightness_contrast_motion_and_sharpness_are_what_they_say():
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    frames[:, :, 2:] = 255
    frames[2] = 255 - frames[2]
    scores = curation_scores(frames, 8.0)
    assert scores["brightness"] == pytest.approx(0.5)
    assert scores["contrast"] == pytest.approx(0.5)
    assert scores["motion"] == pytest.approx(0.5)  # nothing changes in one step, everything in the other
    assert scores["sharpness"] == pytest.approx((1 / 3 + 0) / 2)  # one of three differences along a row, none down
    assert scores["clipped"] == 1.0


@pytest.mark.parametrize(("speed", "fps", "scale"), [(1, 8.0, 1), (2, 8.0, 1), (2, 24.0, 1), (2, 24.0, 4)])
def test_flow_is_the_speed_in_diagonals_a_second(speed, fps, scale):
    wide = cv2.resize(texture(width=120), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    moved = speed * scale
    frames = np.stack([wide[:, i * moved : i * moved + 64 * scale] for i in range(17)])
    true = moved * fps / np.hypot(64 * scale, 64 * scale)
    assert curation_scores(frames, fps)["flow"] == pytest.approx(true, rel=0.15)


def test_noise_of_the_encoding_is_no_change():
    picture = texture(96, 64)
    assert curation_scores(encoded(np.stack([picture] * 17)), 8.0)["still_share"] == 1.0
    slides = np.stack([texture(96, 64, seed=i // 6) for i in range(18)])  # three pictures, two jumps
    assert curation_scores(encoded(slides), 8.0)["still_share"] == pytest.approx(15 / 17, abs=0.06)


def test_a_small_thing_that_moves_and_slow_change_are_change(draw):
    frames = draw([{"at": lambda t: (5 + t, 12), "radius": 2}], frames=17)
    assert curation_scores(frames, 8.0)["still_share"] < 0.2
    slow = np.stack([np.full((32, 32, 3), 60 + 2 * i, np.uint8) for i in range(17)])
    assert curation_scores(slow, 8.0)["still_share"] <= 0.5


def test_an_image_has_no_movement():
    scores = curation_scores(texture()[None], 0.0)
    assert scores["motion"] == scores["flow"] == scores["still_share"] == 0.0
    assert set(scores) >= {rule.score for rule in RULES}
    assert set(scores) <= set(CLIP_COLUMNS)


def rows(**scores):
    """A table of one good video and one good image, changed by `scores` in both."""
    good = curation_scores(texture()[None].repeat(9, axis=0), 8.0) | {"still_share": 0.0, "flow": 0.1}
    return pd.DataFrame([{"kind": kind, **good, **scores} for kind in ("video", "image")], index=[7, 3])


def test_nothing_is_wrong_with_good_clips():
    assert curation_faults(rows(), CurationConfig()).empty
    assert list(curation_faults(rows()[:0], CurationConfig()).columns) == ["reason", "explanation"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.reason)
def test_every_rule_drops_what_is_beyond_its_limit_and_says_so(rule):
    most = rule.limit.startswith("max_")
    config = CurationConfig(**{rule.limit: 0.3})
    faults = curation_faults(rows(**{rule.score: 0.31 if most else 0.29}), config)
    # By whichever rule it breaks first: contrast of 0.29 is not broken, brightness of 0.29 is.
    assert list(faults.index) == ([7] if rule.moving else [7, 3])
    assert set(faults["reason"]) == {rule.reason}
    said = faults["explanation"].iloc[0]
    assert format(0.31 if most else 0.29, rule.form) in said
    assert format(0.3, rule.form) in said
    assert curation_faults(rows(**{rule.score: 0.3}), config).empty


def test_rules_can_be_turned_off():
    off = {rule.limit: np.inf if rule.limit.startswith("max_") else 0.0 for rule in RULES}
    extreme = {rule.score: 0.0 if rule.limit.startswith("min_") else 1.0 for rule in RULES}
    assert curation_faults(rows(**extreme), CurationConfig(**off)).empty
    with pytest.raises(UsageError, match="max_text"):
        CurationConfig(max_text=-1.0)


def test_the_first_broken_rule_is_named():
    faults = curation_faults(rows(brightness=0.001, contrast=0.0, still_share=1.0), CurationConfig())
    assert set(faults["reason"]) == {"too_dark"}


def test_no_clip_of_the_simulated_worlds_is_dropped():
    made = []
    for i in range(60):
        sample = draw_sample(WorldsConfig(), np.random.default_rng(i), held_out=i % 2 == 0, image=i % 5 == 0)
        kind = "image" if len(sample.frames) == 1 else "video"
        made.append({"kind": kind, **curation_scores(sample.frames, sample.fps)})
    faults = curation_faults(pd.DataFrame(made), CurationConfig())
    assert faults.empty, faults.to_string()


def test_few_natural_clips_are_dropped_and_frozen_ones_are(shared_media):
    made = []
    for path in sorted((shared_media / "natural").glob("*.mp4"))[::6]:
        frames, fps = read_video(path, max_frames=20, fps=8.0)
        small = np.stack([resize_image(frame, 40, DEFAULT_GRID) for frame in frames])
        pictures = [frames[0], frames[-1]]
        made.append({"kind": "video", **curation_scores(small, fps, pictures)})
        frozen = np.stack([small[0]] * len(small))
        made.append({"kind": "video", **curation_scores(encoded(frozen), fps, pictures)})
    faults = curation_faults(pd.DataFrame(made), CurationConfig())
    assert set(faults.index) >= set(range(1, len(made), 2))
    assert (faults.index % 2 == 0).sum() <= 1


def test_the_report_shows_what_each_rule_dropped_playing(tmp_path, draw):
    clip = store_clip(
        tmp_path / "media", draw([{"at": lambda t: (10, 12)}], frames=9), 8.0, source="a.mp4", split="train"
    )
    fault = curation_faults(pd.DataFrame([clip]), CurationConfig())
    assert fault["reason"].tolist() == ["still"]
    gone = {"source": "b.mp4", "source_start_s": 0.0, "reason": "still", "explanation": "x", "uri": "media/gone.mp4"}
    dropped = table(
        [
            {"source": "a.mp4", "source_start_s": 2.0, **fault.iloc[0], "uri": clip["uri"]},
            gone,
            gone | {"reason": "undecodable", "uri": ""},
        ],
        QUARANTINE_COLUMNS,
    )
    dataset = ClipDataset.write(tmp_path, table([clip], CLIP_COLUMNS), dropped, {})
    page = curation_section(Page("Clips"), dataset)
    counts = {row[1]: row[2] for block in page.blocks if block["kind"] == "table" for row in block["rows"]}
    assert counts["still"] == 2
    assert counts["near_duplicate"] == 0
    assert "undecodable" not in counts
    (shown,) = [block for block in page.blocks if block["kind"] == "clips"]
    assert [clip["note"] for clip in shown["clips"]] == fault["explanation"].tolist()
    assert "100%" in fault["explanation"].iloc[0]
    assert "90%" in fault["explanation"].iloc[0]
    assert shown["clips"][0]["data"].startswith("data:video/mp4")
    assert "1 more" in shown["caption"]
