"""Captions from an endpoint that speaks as OpenAI's does: a real server, which is busy, breaks and talks nonsense."""

import json
import sqlite3
import time
from itertools import count

import numpy as np
import pytest

from kinora.captioning import endpoint as module
from kinora.captioning.endpoint import Endpoint
from kinora.captioning.expand import expand, open_rewriter
from kinora.captioning.openai import OpenAIWriter
from kinora.captioning.writers import PROMPT, CaptionConfig, open_writer
from kinora.errors import KinoraError, UsageError

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


def clip(colour: str, frames: int = 9, side: int = 24) -> np.ndarray:
    return np.broadcast_to(np.array(COLOURS[colour], np.uint8), (frames, side, 2 * side, 3)).copy()


def writer(chat, **options) -> OpenAIWriter:
    found = open_writer(
        CaptionConfig(writer="openai:seer", address=chat.address, requests_a_minute=60_000, frames=4, **options)
    )
    assert isinstance(found, OpenAIWriter)
    return found


def error(message: str, **fields) -> bytes:
    return json.dumps({"error": {"message": message, **fields}}).encode()


def test_each_clip_is_described_by_its_own_frames(chat):
    seer = writer(chat, side=32, most_tokens=50)
    found = seer.write([clip("red"), clip("blue", 1), clip("green", 3)], [8.0, 0.0, 8.0])
    said = ["A red clip of 4 pictures.", "A blue clip of 1 pictures.", "A green clip of 3 pictures."]
    assert [one.caption for one in found] == said
    assert [one.confidence for one in found] == pytest.approx([np.exp(-0.2)] * 3)
    assert (seer.source, seer.model, seer.prompt) == ("openai", "seer", PROMPT)
    body = chat.requests[0]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("seer", 50, 0)
    assert body["messages"][0]["content"][-1] == {"type": "text", "text": PROMPT}
    assert set(chat.keys) == {"Bearer a key"}


def test_what_is_busy_broken_or_nonsense_is_asked_again(chat):
    replies = [
        (429, {"Retry-After": "0.01"}, error("slow down", code="rate_limit_exceeded")),
        (500, {}, b"<html>oh no</html>"),
        (200, {}, b"not json"),
        (200, {}, b'{"choices": []}'),
        (200, {}, b'["a list"]'),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b""),
    ]
    numbers = count()
    chat.plan = lambda body: dict(enumerate(replies)).get(next(numbers))
    (found,) = writer(chat).write([clip("red")], [8.0])
    assert found.caption == "A red clip of 4 pictures."
    assert len(chat.requests) == len(replies) + 1


def test_a_server_that_asks_for_patience_gets_it(chat, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    numbers = count()
    chat.plan = lambda body: (429, {"Retry-After": "7"}, b"{}") if next(numbers) == 0 else None
    Endpoint("seer", chat.address, 60_000).ask("look", [], 8)
    assert 7.0 in slept
    chat.plan = lambda body: (429, {"Retry-After": "86400"}, b"{}") if next(numbers) == 2 else None
    Endpoint("seer", chat.address, 60_000).ask("look again", [], 8)
    assert max(slept) == module.LONGEST_WAIT_S


def test_what_stays_broken_ends_in_a_sentence_and_what_was_answered_is_kept(chat, monkeypatch):
    monkeypatch.setattr(module, "TRIES", 3)
    seer = writer(chat, requests_at_once=1)
    numbers = count()
    chat.plan = lambda body: (500, {}, error("no\n memory")) if next(numbers) >= 1 else None
    with pytest.raises(KinoraError, match=r"did not answer after 3 tries \(500 no memory\); what it answered before"):
        seer.write([clip("red"), clip("blue")], [8.0, 8.0])
    chat.plan = lambda body: None
    asked = len(chat.requests)
    found = writer(chat).write([clip("red"), clip("blue")], [8.0, 8.0])
    assert [one.caption[:6] for one in found] == ["A red ", "A blue"]
    assert len(chat.requests) == asked + 1


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, error("Incorrect API key"), r"refuses seer \(401 Incorrect API key\); check"),
        (404, error("The model does not exist"), "404 The model does not exist"),
        (400, error("too many images"), "400 too many images"),
        (403, b"<html>", r"refuses seer \(403\)"),
    ],
)
def test_what_will_not_change_is_refused_at_once(chat, status, body, sentence):
    chat.plan = lambda _: (status, {}, body)
    with pytest.raises(KinoraError, match=sentence):
        Endpoint("seer", chat.address, 60_000).ask("look", [], 8)
    assert len(chat.requests) == 1


def test_nobody_there_is_a_sentence(chat, monkeypatch, free_port):
    monkeypatch.setattr(module, "TRIES", 2)
    with pytest.raises(KinoraError, match="did not answer after 2 tries"):
        Endpoint("seer", f"http://127.0.0.1:{free_port()}/v1", 60_000).ask("look", [], 8)


def test_fields_that_a_model_does_not_know_are_left_out(chat):
    """As newer models of OpenAI refuse a temperature, logprobs and max_tokens, one after another."""

    def plan(body):
        for name, message in (
            ("logprobs", "Unrecognized request argument supplied: logprobs"),
            ("temperature", "Unsupported value: 'temperature' does not support 0 with this model."),
            ("max_tokens", "Unsupported parameter: 'max_tokens' is not supported with this model."),
        ):
            if name in body:
                return 400, {}, error(message, param=name if name != "logprobs" else None)
        return None if body["max_completion_tokens"] == 8 else (500, {}, b"")

    chat.plan = plan
    thinker = Endpoint("seer", chat.address, 60_000)
    assert thinker.ask("look", [], 8)[0] == "look"
    asked = len(chat.requests)
    assert asked == 4
    thinker.ask("and again", [], 8)
    assert len(chat.requests) == asked + 1


def test_who_is_not_sure_or_will_not_look_abstains(chat, completion):
    said = ["UNSURE", "Unsure.", "", None, "**UNSURE**", "I cannot tell what it is: UNSURE", "<think>A dog? Or a"]
    said += ["I'm sorry, but I can't identify people.", "I’m unable to see any pictures.", "Sorry, I don't know."]
    answers = iter(said)
    chat.plan = lambda body: (200, {}, completion(next(answers)))
    clips = [clip("red", 1, side) for side in range(8, 8 + len(said))]
    found = writer(chat, requests_at_once=1).write(clips, [8.0] * len(said))
    chat.plan = lambda body: (400, {}, error("refused", code="content_filter"))
    found += writer(chat).write([clip("blue")], [8.0])
    assert [(one.caption, one.confidence) for one in found] == [("", 0.0)] * (len(said) + 1)


@pytest.mark.parametrize(
    ("answer", "caption"),
    [
        ("<think>\nA cat? No.\n</think>\n\nA dog runs.", "A dog runs."),
        ("A cat? No. </think> A dog runs.", "A dog runs."),  # where the template opens the thought
        ('**Caption:** "A dog runs."', "A dog runs."),
        ("### Description: A `dog` runs.", "A dog runs."),
        ("“A dog runs.”", "A dog runs."),
        ("A dog\0 runs\x1b.\n", "A dog runs."),
        ("Sorrel horses run. I am not sorry.", "Sorrel horses run. I am not sorry."),
        ('A sign says "Unsure?"', 'A sign says "Unsure?"'),
    ],
)
def test_a_caption_is_what_an_answer_says_of_the_clip(chat, completion, answer, caption):
    chat.plan = lambda body: (200, {}, completion(answer))
    (found,) = writer(chat).write([clip("red")], [8.0])
    assert found.caption == caption


@pytest.mark.parametrize(("answer", "caption"), [("A dog runs. It jumps over a fen", "A dog runs."), ("A dog ru", "")])
def test_an_answer_that_was_cut_off_ends_with_its_last_whole_sentence(chat, completion, answer, caption):
    chat.plan = lambda body: (200, {}, completion(answer).replace(b'"stop"', b'"length"'))
    (found,) = writer(chat).write([clip("red")], [8.0])
    assert found.caption == caption


def test_one_that_tells_no_probabilities_is_half_sure(chat, completion):
    chat.plan = lambda body: (200, {}, completion("A thing.\n\nIt moves. " + "very " * 500))
    (found,) = writer(chat).write([clip("red")], [8.0])
    assert found.confidence == module.UNTOLD
    assert found.caption.startswith("A thing. It moves. very very")
    assert 1900 < len(found.caption) <= 2000


def test_nothing_is_asked_twice_and_what_is_kept_is_bounded(chat, monkeypatch):
    clips = [clip("red", side=side) for side in range(8, 28, 2)]
    first = writer(chat).write(clips, [8.0] * 10)
    assert writer(chat).write(clips, [8.0] * 10) == first
    assert len(chat.requests) == 10
    writer(chat, prompt="Say it in French.").write(clips[:1], [8.0])
    assert len(chat.requests) == 11
    monkeypatch.setattr(module, "MOST_KEPT", 5)
    writer(chat, prompt="Say it in Dutch.").write(clips[:1], [8.0])
    kept = module.cache_folder() / "answers.sqlite"
    with sqlite3.connect(kept) as base:
        (rows,) = base.execute("SELECT count(*) FROM answers").fetchone()
    assert rows <= 5
    asked = len(chat.requests)
    writer(chat, prompt="Say it in Dutch.").write(clips[:1], [8.0])  # the last stays
    assert len(chat.requests) == asked
    kept.write_bytes(b"damaged" * 999)
    assert writer(chat).write(clips[:1], [8.0]) == first[:1]


def test_no_more_is_asked_at_once_or_in_a_minute_than_is_allowed(chat, monkeypatch):
    writer(chat, requests_at_once=3).write([clip("red", side=side) for side in range(8, 48, 2)], [8.0] * 20)
    assert chat.at_once == 3
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = module._Pace(60 / 120)
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.time, "sleep", sleep)
    for _ in range(121):
        pace.wait()
    assert sum(slept) == pytest.approx(60)


def test_without_a_key_only_an_endpoint_of_one_s_own_is_asked(chat, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(KinoraError, match="OPENAI_API_KEY is not set"):
        OpenAIWriter(CaptionConfig(writer="openai:seer"))
    monkeypatch.setenv("OPENAI_BASE_URL", f"{chat.address}/")
    OpenAIWriter(CaptionConfig(writer="openai:seer")).write([clip("red")], [8.0])
    assert chat.keys == [None]
    with pytest.raises(UsageError, match=r"address is 'localhost:8000/v1'; give"):
        OpenAIWriter(CaptionConfig(writer="openai:seer", address="localhost:8000/v1"))


def test_prompts_go_through_the_language_model_and_lose_nothing(chat, completion):
    rewrite = open_rewriter(CaptionConfig(expander="openai:poet", address=chat.address, requests_a_minute=60_000))
    answers = {
        "a cat jumps over a box": '"A grey cat is jumping over a brown cardboard box in a bright room."',
        "two dogs run": "Dogs are running on a beach.",
        "snow falls": "",
    }
    chat.plan = lambda body: (200, {}, completion(answers[body["messages"][0]["content"].rpartition("Prompt: ")[2]]))
    assert expand("a cat jumps over a box", rewrite) == answers["a cat jumps over a box"].strip('"')
    assert expand("two dogs run", rewrite) == "two dogs run"  # how many was lost
    assert expand("snow falls", rewrite) == "snow falls"
    asked = len(chat.requests)
    assert expand("a red ball falls", rewrite) == "A red circle falls on a grey background."
    assert expand("", rewrite) == ""
    assert len(chat.requests) == asked
    assert chat.requests[0]["model"] == "poet"
    assert open_rewriter(CaptionConfig()) is None
