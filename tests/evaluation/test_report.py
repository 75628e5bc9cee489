"""The evaluation's pages: they count clips beside percentages, and let a reader choose clips by failure and prompt."""

import re
from dataclasses import replace

import numpy as np
import pytest

from evaluation.checkpoint import judge_prompts
from evaluation.evaluator import evaluate_clips
from evaluation.findings import ClipInput
from evaluation.loading import read_clip
from evaluation.report import checkpoint_page, clips_page, describe_failures, worst_clips
from evaluation.report_tables import unmeasured_table
from kinora.media import write_video
from kinora.report import Page
from kinora.worlds import WorldsConfig, evaluation_prompts, simulate_prompt

WORLDS = WorldsConfig()


@pytest.fixture(scope="module")
def prompts():
    return evaluation_prompts(WORLDS, 6, seed=5)


@pytest.fixture(scope="module")
def clips(prompts) -> list[ClipInput]:
    """Six right clips, but the first shows nothing and the second stands still."""
    right = [ClipInput(f"{i:03d}", simulate_prompt(p, WORLDS), p.fps, p.prompt) for i, p in enumerate(prompts)]
    nothing = replace(right[0], frames=np.full_like(right[0].frames, 90))
    still = replace(right[1], frames=np.repeat(right[1].frames[:1], len(right[1].frames), axis=0))
    return [nothing, still, *right[2:]]


def tiles(html: str) -> dict[str, str]:
    return {
        name: re.sub("</?small>", "", value)
        for value, name in re.findall(r"<div><b>(.*?)</b><span>(.*?)</span></div>", html)
    }


def test_a_checkpoint_s_page_counts_clips_beside_percentages(clips, prompts, tmp_path):
    evaluation = judge_prompts(clips, prompts, "step-000100")
    page = checkpoint_page(evaluation, clips.__getitem__, lambda number: clips[number].frames)
    html = page.write(tmp_path / "r.html").read_text()
    assert evaluation["clips_with_failure"] == 2
    found = tiles(html)
    assert list(found)[:2] == ["clips without any failure", "overall score"]
    assert found["clips without any failure"] == "67% (30–90)"  # Wilson's of 4 of 6
    assert found["overall score"].startswith(f"{evaluation['rates']['overall']:.1%} (")
    assert "4 of 6 clips are without any failure: 67%; of all clips like these 30% to 90%" in page.summary
    assert "any failure (2)" in html
    assert "no failure (4)" in html


def test_more_seeds_of_a_prompt_make_no_interval_narrower(clips, prompts):
    once = judge_prompts(clips, prompts, "a model")
    again = judge_prompts(clips * 2, [*prompts, *(replace(prompt, seed=prompt.seed + 9) for prompt in prompts)], "it")
    pages = [checkpoint_page(one, (clips * 2).__getitem__) for one in (once, again)]
    assert "6 prompts that training never saw, one clip each." in pages[0].summary
    assert "6 prompts that training never saw, 12 clips. 8 of 12 clips are without any failure" in pages[1].summary
    assert pages[0].blocks[0]["items"] == pages[1].blocks[0]["items"]
    freeze = [next(b for b in page.blocks if b["kind"] == "table" and b["columns"][0] == "type") for page in pages]
    shares = [[row[table["columns"].index("share failed")] for row in table["rows"]] for table in freeze]
    assert shares[0] == shares[1]


def test_the_worst_clips_are_those_with_failures_outlined(clips, prompts):
    worst = worst_clips(judge_prompts(clips, prompts, "step-000100"), clips, 3)
    assert [clip.label for clip in worst] == [prompts[0].prompt, prompts[1].prompt]
    assert (worst[0].frames[-1, 0, 0] == (214, 60, 48)).all()
    assert "Nothing moves" in worst[1].note


def test_clips_are_chosen_by_failure_and_prompt(clips, prompts, tmp_path, in_browser):
    evaluation = judge_prompts(clips, prompts, "step-000100")
    pages = [
        checkpoint_page(evaluation, clips.__getitem__).write(tmp_path / "checkpoint.html"),
        clips_page(evaluate_clips(clips), clips.__getitem__).write(tmp_path / "clips.html"),
    ]
    for page in pages:  # the clips are what a person came for: wide tables are below them, on a phone too
        html = page.read_text()
        assert html.index('class="figures"') < html.index("<video") < html.index("<table")
    script = """
    const [select, input] = document.querySelectorAll(".filter select, .filter input");
    const shown = (tag, words) => {
        select.value = tag; input.value = words;
        input.dispatchEvent(new Event("input", {bubbles: true}));
        return [...document.querySelectorAll(".clips figure:not([hidden]) .label")].map(label => label.textContent);
    };
    [shown("any", "").length, shown("tag:freeze", "").length, shown("all", PROMPT).length,
        document.documentElement.scrollWidth]"""
    prompt = prompts[3].prompt
    same = sum(other.prompt == prompt for other in prompts)
    frozen = evaluation["summary"]["types"]["freeze"]["failed"]
    assert in_browser(pages, script.replace("PROMPT", repr(prompt))) == [[2, frozen, same, 390]] * 2


def test_of_a_long_clip_the_seconds_around_its_worst_failure_are_shown_and_what_was_not_judged_is_said(tmp_path):
    frames = np.full((300, 32, 32, 3), 90, np.uint8)
    frames[260] = 200  # a flash, 26 seconds in
    frames[:, 8:16, 8:16] = np.random.default_rng(0).integers(60, 120, (300, 8, 8, 3))
    clip = ClipInput("long.mp4", frames, 10.0, whole=False)
    report = evaluate_clips([clip])
    assert 260 in {failure["start_frame"] for failure in report["clips"][0]["failures"]}
    html = clips_page(report, lambda number: clip).write(tmp_path / "r.html").read_text()
    start, end = map(int, re.search(r"Shown are frames (\d+)–(\d+)\.", html).groups())
    assert start <= 260 <= end == start + 99 <= 299
    assert "Only the first 300 frames were judged" in html


def test_a_note_names_the_worst_failure_of_each_type_and_why_what_was_due_was_not_measured():
    def failure(kind, score):
        return {
            "type": kind,
            "start_frame": 2,
            "end_frame": 2,
            "score": score,
            "explanation": f"{kind} {score}.",
            "box": None,
        }

    record = {
        "frames": 9, "measurable": {"gravity": False, "momentum": False}, "scores": {}, "due": ["gravity", "momentum"],
        "failures": [failure(*f) for f in [("flicker", 0.9), ("flicker", 0.8), ("freeze", 0.7), ("teleport", 0.6)]],
        "not_measurable": {"gravity": "it is mush", "momentum": "it is mush"},
    }  # fmt: skip
    note = describe_failures(record)
    assert [score for score in ("0.9", "0.8", "0.7", "0.6") if score in note] == ["0.9", "0.7", "0.6"]
    assert "Due but not measurable: gravity, momentum: it is mush. And 1 more." in note


def test_the_verdict_tells_of_files_that_could_not_be_judged(clips, tmp_path):
    report = evaluate_clips(clips[2:3]) | {"unreadable": [{"clip": "a.mp4", "reason": "a.mp4 is no video."}]}
    page = clips_page(report, lambda number: clips[2])
    assert page.summary.startswith("1 of 1 clip is without any failure: 100%; of all clips like these 21% to 100%")
    assert page.summary.endswith("1 file could not be judged.")


def test_a_clip_longer_than_what_is_read_of_it_is_not_whole(monkeypatch, tmp_path):
    monkeypatch.setattr("evaluation.loading.MAX_FRAMES", 5)
    for frames, whole in ((5, True), (6, False)):
        file = tmp_path / f"{frames}.mp4"
        write_video(file, np.full((frames, 32, 32, 3), 90, np.uint8), 8.0)
        clip = read_clip(file, file.name)
        assert (len(clip.frames), clip.whole) == (5, whole)


def test_a_reason_that_types_share_is_told_once():
    page, reasons = Page("a page"), {"gravity": "it is mush", "state_change": "it is mush", "momentum": "it is dark"}
    unmeasured_table(page, [{"not_measurable": reasons}] * 2)
    assert page.blocks[-1]["rows"] == [["gravity, state change", 2, "it is mush"], ["momentum", 2, "it is dark"]]
