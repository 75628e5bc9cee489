"""The evaluation's pages: they count clips beside percentages, and let a reader choose clips by failure and prompt."""

import re
from dataclasses import replace

import numpy as np
import pytest

from evaluation.checkpoint import judge_prompts
from evaluation.evaluator import evaluate_clips
from evaluation.findings import ClipInput
from evaluation.report import checkpoint_page, clips_page, worst_clips
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
    return {name: value for value, name in re.findall(r"<div><b>(.*?)</b><span>(.*?)</span></div>", html)}


def test_a_checkpoint_s_page_counts_clips_beside_percentages(clips, prompts, tmp_path):
    evaluation = judge_prompts(clips, prompts, "step-000100")
    page = checkpoint_page(evaluation, clips.__getitem__, lambda number: clips[number].frames)
    html = page.write(tmp_path / "r.html").read_text()
    assert evaluation["clips_with_failure"] == 2
    found = tiles(html)
    assert found["overall score"] == f"{evaluation['rates']['overall']:.0%}"
    assert found["clips have a failure"] == "2 of 6"
    assert "any failure (2)" in html
    assert "no failure (4)" in html


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
