"""An endpoint that speaks as OpenAI's chat completions do: asked at a bounded rate, again where it fails, and once.

What it answered is kept in an SQLite file on this machine, so that interrupted work, or the same again, asks only for
what is new.
"""

import base64
import hashlib
import json
import math
import os
import random
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import urllib3

from kinora.captioning.writers import whole_sentences
from kinora.errors import KinoraError, UsageError
from kinora.file_cache import cache_folder

OFFICIAL = "https://api.openai.com/v1"
TRIES = 8
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 120.0  # between tries: doubled each time, or as long as Retry-After says
TIMEOUT = urllib3.Timeout(connect=20, read=180)
AGAIN = (408, 409, 425, 429)  # besides 5xx: busy, or too many requests
FILTERED = ("content_filter", "content_policy_violation")  # codes of an endpoint that will not answer to this
MOST_KEPT = 200_000  # answers in the file
LONGEST_REASON = 200  # characters of an endpoint's message
UNTOLD = 0.5  # how sure an answer counts as where the endpoint does not say
ALTERNATIVES = 5  # tokens in each place of an answer that the endpoint is asked for: as many as all allow
WORD = re.compile(r"[^\W\d_]+")
Reading = Callable[[Mapping[str, Any]], tuple[str, float] | None]  # of a completion; None if it is none


class Endpoint:
    """A model behind an endpoint.

    Args:
        model: its name there.
        address: such as http://localhost:8000/v1; "" for the environment's OPENAI_BASE_URL, or OpenAI's own. The key is
            the environment's OPENAI_API_KEY.
        requests_a_minute: at most, of all threads together.
        kept: the file that keeps answers; in the cache folder of this machine where none is given.

    Raises:
        UsageError: if the address is none.
        KinoraError: if it is OpenAI's own and there is no key.
    """

    def __init__(self, model: str, address: str, requests_a_minute: float, kept: Path | None = None):
        self.model, self.address = model, address_of(address)
        if not self.address.startswith(("http://", "https://")):
            raise UsageError(
                f"the endpoint's address is '{self.address}'; give it, or OPENAI_BASE_URL, as http://HOST:PORT/v1."
            )
        key = os.environ.get("OPENAI_API_KEY", "")
        if not key and self.address == OFFICIAL:
            raise KinoraError(
                "OPENAI_API_KEY is not set; set it, or name an endpoint of your own, by its address or OPENAI_BASE_URL."
            )
        self._headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        self._pool = urllib3.PoolManager(maxsize=32, retries=False, timeout=TIMEOUT)
        self._pace = _Pace(60 / requests_a_minute)
        self._kept = _Kept(kept or cache_folder() / "answers.sqlite")
        self._refused: set[str] = set()  # fields that not every model knows

    def ask(self, prompt: str, pictures: Sequence[bytes], most_tokens: int) -> tuple[str, float]:
        """Return the answer to a prompt and pictures, JPEG files, and how sure it is, 0..1 (`UNTOLD` if untold).

        It is the geometric mean of its tokens' probabilities. Threads may ask at once. An endpoint that will not answer
        because of what is shown gives "".

        Raises:
            KinoraError: if it refuses, or does not answer after `TRIES` tries.
        """
        body = {"messages": [_message(prompt, pictures)]}
        return self._once([prompt, most_tokens], pictures, lambda: self._ask(body, most_tokens, _whole_answer))

    def chances(self, question: str, pictures: Sequence[bytes], words: Sequence[str], most_tokens: int) -> list[float]:
        """Return how likely the answer begins with each of some words in lower case; as `ask`.

        Where the endpoint tells no probabilities, that of the word it begins with is 1.
        """
        body = {"messages": [_message(question, pictures)], "top_logprobs": ALTERNATIVES}
        said = [question, most_tokens, list(words)]
        text, _ = self._once(said, pictures, lambda: self._ask(body, most_tokens, partial(_beginning, words=words)))
        return [float(chance) for chance in json.loads(text)] if text else [0.0] * len(words)

    def _once(
        self, said: Sequence[Any], pictures: Sequence[bytes], ask: Callable[[], tuple[str, float]]
    ) -> tuple[str, float]:
        """Return what was answered to this before, else ask."""
        key = hashlib.sha256(json.dumps([self.address, self.model, *said]).encode())
        for picture in pictures:
            key.update(hashlib.sha256(picture).digest())
        known = self._kept.get(key.hexdigest())
        if known is None:
            known = ask()
            self._kept.put(key.hexdigest(), *known)
        return known

    def _ask(self, body: Mapping[str, Any], most_tokens: int, read: Reading) -> tuple[str, float]:
        tries, reason = 0, ""
        while tries < TRIES:
            optional = self._optional(body, most_tokens)
            reply = self._request({"model": self.model, "messages": body["messages"], **optional})
            found = read(reply.content) if reply.status == 200 else None
            if found is not None:
                return found
            code, param, message = reply.error
            if code in FILTERED:
                return "", 0.0
            reason = f"{reply.status or 'it cannot be reached'} {message}".strip()
            unknown = [name for name in optional if re.search(rf"\b{name}\b", f"{param} {message}")]
            if reply.status in (400, 422) and unknown:
                self._refused.update(unknown[:1])
                continue
            if 300 <= reply.status < 500 and reply.status not in AGAIN:
                raise KinoraError(
                    f"{self.address} refuses {self.model} ({reason}); check the model's name, the address and "
                    "OPENAI_API_KEY."
                )
            tries += 1
            if tries < TRIES:
                usual = FIRST_WAIT_S * 2 ** (tries - 1) * random.uniform(0.5, 1)
                time.sleep(min(LONGEST_WAIT_S, usual if reply.wait_s is None else reply.wait_s))
        raise KinoraError(
            f"{self.address} did not answer after {TRIES} tries ({reason}); what it answered before is kept: run again."
        )

    def _optional(self, body: Mapping[str, Any], most_tokens: int) -> dict[str, Any]:
        """Return the fields that some models refuse, without those that this one has refused."""
        limit = "max_completion_tokens" if "max_tokens" in self._refused else "max_tokens"
        fields = {"temperature": 0, "logprobs": True, limit: most_tokens}
        if "top_logprobs" in body and "logprobs" not in self._refused:  # the one goes only with the other
            fields["top_logprobs"] = body["top_logprobs"]
        return {name: value for name, value in fields.items() if name not in self._refused}

    def _request(self, body: Mapping[str, Any]) -> "_Reply":
        self._pace.wait()
        try:
            answer = self._pool.request(
                "POST", f"{self.address}/chat/completions", body=json.dumps(body), headers=self._headers
            )
        except urllib3.exceptions.HTTPError as error:
            return _Reply(0, {"message": str(error)}, None)
        return _Reply(answer.status, _json(answer.data), _seconds(answer.headers.get("Retry-After")))


@dataclass(frozen=True)
class _Reply:
    """What came back: the status, 0 where nothing did, the JSON object, and how long to wait where that is said."""

    status: int
    content: dict[str, Any]
    wait_s: float | None

    @property
    def error(self) -> tuple[str, str, str]:
        """The code, the field that is refused, and the message on one line, each "" where there is none."""
        error = self.content.get("error")
        error = error if isinstance(error, dict) else {"message": error or self.content.get("message")}
        code, param, message = (" ".join(str(error.get(name) or "").split()) for name in ("code", "param", "message"))
        return code, param, message[:LONGEST_REASON]


def address_of(address: str) -> str:
    """Return where an endpoint is asked: at an address, else the environment's, else OpenAI's own."""
    return (address or os.environ.get("OPENAI_BASE_URL") or OFFICIAL).rstrip("/")


class _Pace:
    """Lets threads pass one at a time, at least so many seconds apart."""

    def __init__(self, gap_s: float):
        self._gap_s, self._next, self._lock = gap_s, 0.0, threading.Lock()

    def wait(self) -> None:
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._gap_s
        time.sleep(start - now)


class _Kept:
    """Answers in an SQLite file, at most `MOST_KEPT` of them: those that were asked for last."""

    def __init__(self, path: Path):
        self._path, self._lock = path, threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except sqlite3.DatabaseError:  # damaged: it holds nothing that cannot be asked for again
            path.unlink()
            self._open()

    def get(self, key: str) -> tuple[str, float] | None:
        with self._lock, self._base:
            row = self._base.execute("SELECT text, confidence FROM answers WHERE key = ?", (key,)).fetchone()
            if row is not None:
                self._base.execute("UPDATE answers SET used = ? WHERE key = ?", (time.time(), key))
        return (str(row[0]), float(row[1])) if row is not None else None

    def put(self, key: str, text: str, confidence: float) -> None:
        with self._lock, self._base:
            self._base.execute("REPLACE INTO answers VALUES (?, ?, ?, ?)", (key, text, confidence, time.time()))
            (count,) = self._base.execute("SELECT count(*) FROM answers").fetchone()
            if count > MOST_KEPT:  # a tenth at once, so that this is rare
                least = "SELECT key FROM answers ORDER BY used LIMIT ?"
                self._base.execute(f"DELETE FROM answers WHERE key IN ({least})", (count - MOST_KEPT * 9 // 10,))

    def _open(self) -> None:
        self._base = sqlite3.connect(self._path, timeout=60, check_same_thread=False)
        with self._base:
            self._base.execute(
                "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, text TEXT, confidence REAL, used REAL)"
            )
            self._base.execute("CREATE INDEX IF NOT EXISTS by_use ON answers (used)")


def _message(prompt: str, pictures: Sequence[bytes]) -> dict[str, Any]:
    if not pictures:
        return {"role": "user", "content": prompt}
    shown = [f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" for picture in pictures]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in shown]
    return {"role": "user", "content": [*images, {"type": "text", "text": prompt}]}


def _json(data: bytes) -> dict[str, Any]:
    """Return a JSON object, an empty one where there is none."""
    try:
        content = json.loads(data)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _answer(content: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return the text of a completion and how sure it is; None if it is none."""
    try:
        choice = content["choices"][0]
        text = choice["message"].get("content") or ""
        told = (choice.get("logprobs") or {}).get("content") or []
        chances = [min(0.0, float(token["logprob"])) for token in told]
    except (KeyError, IndexError, TypeError, AttributeError, ValueError):
        return None
    if not isinstance(text, str):
        return None
    return text, math.exp(sum(chances) / len(chances)) if chances else UNTOLD


def _whole_answer(content: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return an answer as `_answer` does, of one that the limit of tokens cut off the whole sentences."""
    answer = _answer(content)
    if answer is None or content["choices"][0].get("finish_reason") != "length":
        return answer
    return whole_sentences(answer[0]), answer[1]


def _beginning(content: Mapping[str, Any], words: Sequence[str]) -> tuple[str, float] | None:
    """Return how likely a completion begins with each of some words, as JSON; None if it is none."""
    answer = _answer(content)
    if answer is None:
        return None
    chances = [float(_word(answer[0]) == word) for word in words]
    try:
        told = (content["choices"][0].get("logprobs") or {}).get("content") or []
        first: Mapping[str, Any] = next((token for token in told if _word(token["token"])), {})
        among = [(_word(one["token"]), math.exp(one["logprob"])) for one in first.get("top_logprobs") or [first]]
        heard = [sum(chance for said, chance in among if said == word) for word in words]
        chances = heard if sum(heard) else chances
    except (KeyError, TypeError, AttributeError):  # told in another form
        pass
    return json.dumps(chances), answer[1]


def _word(text: str) -> str:
    """Return the first word of a text in lower case, "" where there is none."""
    found = WORD.search(text.lower())
    return found[0] if found else ""


def _seconds(retry_after: str | None) -> float | None:
    """Return what a Retry-After header says, if that is a number of seconds."""
    try:
        return max(0.0, float(retry_after or ""))
    except ValueError:
        return None
