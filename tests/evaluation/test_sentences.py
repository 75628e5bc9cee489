"""What a finding says agrees with the frames that it names: never "gone from frame 13 to 12"."""

import re

import numpy as np
import pytest

from evaluation.evaluator import clip_record, judge
from evaluation.findings import ClipInput
from evaluation.proving import paper
from evaluation.report import describe_failures
from kinora.worlds import WorldsConfig, draw_sample

RANGE = re.compile(r"[Ff]rames? (\d+) to (\d+)")
FRAME = re.compile(r"[Ff]rames? (\d+)(?: to (\d+))?")


def torn(frames, rng):
    """Return copies of a clip that are wrong from somewhere to somewhere, anywhere from the first frame to the last."""
    T, width = len(frames), frames.shape[2]
    start, end = sorted(int(t) for t in rng.integers(0, T + 1, 2))
    part = slice(start, end)
    ways = {
        "still": np.broadcast_to(frames[min(start, T - 1)], frames[part].shape),
        "noise": rng.integers(0, 256, frames[part].shape),
        "dark": frames[part] * rng.uniform(0.3, 0.9, (end - start, 1, 1, 1)),
        "empty": np.broadcast_to(np.median(frames, axis=(0, 1, 2)), frames[part].shape),
        "aside": np.roll(frames[part], width // 3, axis=2),
        "backwards": frames[part][::-1],
        "another": np.rot90(frames[part], 2, axes=(1, 2)),
    }
    for way in ways.values():
        made = frames.copy()
        made[part] = np.clip(way, 0, 255).astype(np.uint8)
        yield made


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(8)
    right = [draw_sample(WorldsConfig(frames=(13, 17)), rng, held_out=False).frames for _ in range(3)]
    drawn = [ClipInput("", made, 8.0) for frames in right for made in torn(frames, rng)]
    return drawn + [case.clip for case in paper.cases(2, 6101)]


def test_frames_of_findings_and_of_their_sentences_agree(clips):
    said = 0
    for clip in clips:
        T, height, width, _ = clip.frames.shape
        found = judge(clip)
        for kind, finding in found.items():
            for one in (*finding.candidates, *finding.failures):
                assert 0 <= one.start_frame <= one.end_frame < T, (kind, one)
                if one.box is not None:
                    x0, y0, x1, y1 = one.box
                    assert 0 <= x0 < x1 <= width, (kind, one)
                    assert 0 <= y0 < y1 <= height, (kind, one)
                named = [int(n) for pair in FRAME.findall(one.explanation) for n in pair if n]
                assert all(0 <= n < T for n in named), (kind, one)
                assert all(int(a) <= int(b) for a, b in RANGE.findall(one.explanation)), (kind, one)
                assert not named or any(one.start_frame <= n <= one.end_frame for n in named), (kind, one)
                said += bool(named)
        for start, end in re.findall(r"frames (\d+)–(\d+)", describe_failures(clip_record(clip, found))):
            assert int(start) <= int(end) < T
    assert said > 60
