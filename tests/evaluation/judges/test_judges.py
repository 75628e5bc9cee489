"""Prompts in anyone's words, held against a clip by a model that is asked: over HTTP, and one of transformers."""

import json

import numpy as np
import pytest

from cli.main import main
from evaluation.checkpoint import judge_prompts
from evaluation.evaluator import clip_record, evaluate_clips, evaluator, failing, judge
from evaluation.fidelity.judged import WHOLE
from evaluation.findings import ClipInput
from evaluation.gate.measures import check_comparable
from evaluation.judges.judge import open_judge
from evaluation.recent import judge_recent
from kinora.data.drift import DriftConfig
from kinora.errors import KinoraError, UsageError
from kinora.media import write_video
from kinora.recipes.backends import NONE, Backends
from kinora.worlds import Attributes, EvaluationPrompt
from tests.evaluation.judges.conftest import answer, colours, question
from tests.evaluation.test_recent import deploy, requests

TYPE = "prompt_mismatch"


def judged(frames, prompt, source, **options):
    return judge(ClipInput("clip", frames, 8.0, prompt), [TYPE], Backends(source, **options))[TYPE]


@pytest.fixture
def address(seer) -> str:
    return f"openai:seer@{seer.address}"


def test_what_a_clip_shows_agrees_and_what_it_does_not_is_named(film, seer, address):
    clip = film("red", "blue", "blue")
    right = judged(clip, "a red dog chases its tail", address, judge_frames=3)
    assert right.score == pytest.approx(1 - 0.9 / 0.96)
    assert right.failures == ()
    wrong = judged(clip, "a green frog hops", address)
    assert wrong.score == pytest.approx(0.9 / 0.96)
    (failure,) = wrong.failures
    assert (failure.start_frame, failure.end_frame) == (0, 17)
    assert "a green frog hops" in failure.explanation
    assert address in failure.explanation
    assert wrong.strength is None  # it is not calibrated
    shown = [colours(body) for body in seer.requests if "a red dog" in question(body) and colours(body)]
    assert shown == [["red", "blue", "blue"]]  # spread over the clip


def test_each_part_of_a_prompt_is_a_question_where_the_model_can_split_it(film, seer, address):
    look = seer.plan
    lines = (
        "1. Is there a red ball?\n- Does it roll?\n\n* Is a green box beside the red ball?\nThese are the questions."
    )

    def plan(body):
        if colours(body) and "Does it roll" in question(body):
            return 200, {}, answer("Yes", {"Yes": 0.7, "No": 0.3})
        return look(body) if colours(body) else (200, {}, answer(lines))

    seer.plan = plan
    found = judged(film("red"), "a red ball rolls beside a green box", address)
    chances = {"Is there a red ball?": 0.9375, "Does it roll?": 0.7, "Is a green box beside the red ball?": 0.0625}
    assert found.parts == pytest.approx(chances)
    assert found.score == pytest.approx(1 - np.mean(list(chances.values())))
    assert ["green box" in failure.explanation for failure in found.failures] == [True]
    split = [body for body in seer.requests if not colours(body)]
    judged(film("blue"), "a red ball rolls beside a green box", address)
    assert [body for body in seer.requests if not colours(body)] == split  # once, whatever the clip


def test_questions_that_lose_a_word_of_the_prompt_are_not_used(film, seer, address):
    look = seer.plan
    seer.plan = lambda body: look(body) if colours(body) else (200, {}, answer("Is there a red ball?"))
    found = judged(film("red"), "a red ball beside a dinosaur", address)
    assert list(found.parts) == [WHOLE.format(prompt="a red ball beside a dinosaur")]


@pytest.mark.parametrize(
    ("reply", "chance"),
    [
        (answer("Yes."), 1.0),
        (answer("No, it shows a cat."), 0.0),
        (answer("**no**", {"**": 1.0}), 0.0),
        (answer("Yes", {"Yes": 0.3, " yes": 0.1, "No": 0.1, "The": 0.5}), 0.8),
        (answer("yes", {"yes": 0.75}), 1.0),
    ],
    ids=["untold", "untold no", "a mark first", "alternatives", "one alternative"],
)
def test_what_a_model_tells_of_its_answer_is_its_probability(film, chat, reply, chance):
    chat.plan = lambda body: (200, {}, reply)
    assert judged(film("red"), "a dog barks", f"openai:any@{chat.address}").score == pytest.approx(1 - chance)


def test_a_model_that_refuses_probabilities_is_asked_without(film, chat):
    def plan(body):
        if "top_logprobs" in body or "logprobs" in body:
            field = "logprobs" if "top_logprobs" not in body else "top_logprobs"
            return 400, {}, json.dumps({"error": {"message": f"unknown field {field}", "param": field}}).encode()
        return 200, {}, answer("No")

    chat.plan = plan
    assert judged(film("red"), "a dog barks", f"openai:old@{chat.address}").score == 1.0


@pytest.mark.parametrize(
    "reply", [answer("Perhaps."), answer(""), answer("Maybe", {"Maybe": 0.9, "Yes": 0.05, "No": 0.05})]
)
def test_what_is_no_answer_is_not_measurable(film, chat, reply):
    chat.plan = lambda body: (200, {}, reply)
    source = f"openai:shy@{chat.address}"
    clip = ClipInput("clip", film("red"), 8.0, "a dog barks")
    found = judge(clip, [TYPE], Backends(source))[TYPE]
    assert (found.score, found.due) == (None, False)
    assert found.reason.startswith(f"{source} answers neither yes nor no")
    assert not failing(clip_record(clip, {TYPE: found}), TYPE)


def test_the_worlds_own_language_needs_no_judge_and_without_one_others_are_not_measurable(film, seer, address):
    assert judged(film("red"), "a red circle falls on a grey background", address).score is not None
    assert judged(film("red"), None, address).reason == "there is no prompt"
    assert seer.requests == []
    alone = judge(ClipInput("clip", film("red"), 8.0, "a dog barks"), [TYPE])[TYPE]
    assert alone.reason == "the prompt names nothing that can be checked"


def test_a_checkpoint_asked_in_a_persons_words_is_held_to_them(film, address):
    words = ["a red dog chases its tail", "a green frog hops"]
    prompts = [EvaluationPrompt(said, Attributes(()), 32, 32, 6, 8.0, seed) for seed, said in enumerate(words)]
    clips = [ClipInput(str(prompt.seed), film("red"), 8.0, prompt.prompt) for prompt in prompts]
    alone, judged = (judge_prompts(clips, prompts, "step-1", backends) for backends in (NONE, Backends(address)))
    assert [record["rates"]["fidelity"] for record in alone["clips"]] == [None, None]
    assert [record["rates"]["fidelity"] for record in judged["clips"]] == pytest.approx([0.9375, 0.0625])
    assert judged["clips"][0]["rates"]["overall"] > judged["clips"][1]["rates"]["overall"]
    with pytest.raises(KinoraError, match="different versions of the evaluator"):
        check_comparable(alone, judged)


def test_evaluations_by_different_judges_are_told_apart(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://here/v1")
    sources = ["", "openai:a", "openai:b", "openai:a@http://there/v1", "hf:a"]
    known = [evaluator(Backends(source)) for source in sources]
    known += [evaluator(Backends("openai:a", judge_frames=4))]
    assert len({one["digest"] for one in known}) == len(known)
    assert known[1]["backends"] == {"judge": "openai:a@http://here/v1"}
    assert evaluator(Backends("openai:a@http://here/v1"))["digest"] == known[1]["digest"]
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere/v1")
    assert evaluator(Backends("openai:a"))["digest"] != known[1]["digest"]


def test_a_report_says_who_judged_and_asks_nothing_twice(tmp_path, film, seer, address):
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "a.mp4", np.repeat(film("red"), 2, axis=1).repeat(2, axis=2), 8.0)
    (tmp_path / "clips" / "a.txt").write_text("a blue whale sings")
    arguments = ["evaluate", "clips", str(tmp_path / "clips"), "--judge", address, "--judge-frames", "2", "--out"]
    assert main([*arguments, str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["evaluator"]["backends"] == {"judge": address, "judge_frames": 2}
    assert report["clips"][0]["scores"][TYPE] == pytest.approx(0.9375)
    assert TYPE in [f["type"] for f in report["clips"][0]["failures"]]
    assert address in (tmp_path / "out" / "report.html").read_text()
    asked = len(seer.requests)
    assert main([*arguments, str(tmp_path / "again")]) == 0
    assert len(seer.requests) == asked


def test_recent_requests_in_a_persons_words_are_shown_to_the_judge_of_the_recipe(
    seer, address, model_folders, tmp_path
):
    root, prompt = str(tmp_path / "artifacts"), "a red dog chases its tail"
    deploy(model_folders, tmp_path, root)
    _, figures = judge_recent(requests(*[prompt] * 10), DriftConfig(fewest_requests=10), root, Backends(address))
    assert figures["judged"] == 1
    assert any(prompt in question(body) and colours(body) for body in seer.requests)


def test_a_model_of_transformers_judges_by_the_probability_of_yes(film, tiny_judge):
    source = f"hf:{tiny_judge}"
    clips = [ClipInput(name, film(name), 8.0, "a dog in red") for name in ("red", "blue")]
    report = evaluate_clips(clips, backends=Backends(source))
    red, blue = (record["scores"][TYPE] for record in report["clips"])
    assert red < 0.1 < 0.9 < blue
    assert report["evaluator"]["backends"] == {"judge": source}
    assert [f["type"] for f in report["clips"][1]["failures"] if f["type"] == TYPE] == [TYPE]
    parts = report["clips"][0]["parts"][TYPE]
    assert list(parts) == [WHOLE.format(prompt="a dog in red")]  # it cannot split


def test_what_cannot_judge_is_refused_in_one_sentence(hf_language, monkeypatch):
    for source in ("gpt-4o", "openai:", "hf:"):
        with pytest.raises(UsageError, match=f"the judge is '{source}'; give hf:FOLDER"):
            Backends(source)
    with pytest.raises(UsageError, match="0 frames"):
        Backends(judge_frames=0)
    with pytest.raises(KinoraError, match="cannot judge: it takes no pictures, or no questions"):
        open_judge(f"hf:{hf_language('llama')}")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(KinoraError, match="OPENAI_API_KEY is not set"):
        open_judge("openai:nobody")
