"""Whatever is sent, the answer is a result or one sentence in the API's shape, never a failure of the server."""

import json
import struct
import zlib

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.api import Endpoint
from serving.gateway import build_app
from serving.jobs import JobStore
from serving.media_store import MediaStore
from serving.requests import Limits

TOKEN = "secret"
JSON = {"Content-Type": "application/json"}
HOSTILE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(st.characters(), max_size=30)  # every code point, those that UTF-8 cannot carry too
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
names = (
    "prompt",
    "size",
    "seconds",
    "frames",
    "fps",
    "seed",
    "model",
    "n",
    "input_reference",
    "stream",
    "task",
    "loop",
)
names += ("negative_prompt", "expand", "allow_unknown_words", "direction", "strength", "missing", "region", "factor")
names += ("task", "loop", "last_image", "video", "to_video")
bodies = st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))
asked = st.fixed_dictionaries(
    {"prompt": texts},
    optional={
        "size": st.from_regex(r"[0-9]{1,6}x[0-9]{1,6}", fullmatch=True),
        "seconds": st.floats() | st.integers(),
        "frames": st.integers(),
        "fps": st.floats(),
        "seed": st.integers(),
        "strength": st.floats(),
        "missing": st.lists(st.lists(st.integers(), max_size=3), max_size=3),
        "region": st.lists(st.integers(), max_size=5),
        "factor": st.integers(),
    },
)


@pytest.fixture
def client(tmp_path):
    """The gateway's routes, without workers; a failure inside is raised here."""
    endpoint = Endpoint(JobStore(tmp_path / "jobs.sqlite"), MediaStore(tmp_path / "media"), Limits(queued=20))
    with TestClient(build_app(endpoint, TOKEN, local=False)) as client:
        yield client
    endpoint.jobs.close()


def test_any_json_gets_a_sentence(client):
    @HOSTILE
    @given(bodies | asked)
    def check(body):
        # As a hostile client writes it: NaN, Infinity and lone surrogates go through.
        answer = client.post("/v1/videos", content=json.dumps(body).encode(), headers=JSON)
        expect_result_or_sentence(answer)

    check()


def test_any_bytes_get_a_sentence(client):
    kinds = st.sampled_from(
        ["application/json", "multipart/form-data; boundary=a", "multipart/form-data", "text/plain"]
    )

    @HOSTILE
    @given(st.binary(max_size=200), kinds)
    def check(body, kind):
        expect_result_or_sentence(client.post("/v1/videos", content=body, headers={"Content-Type": kind}))

    check()


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1e1", "٣x", "000000001" + "9" * 30, "0000000101", ""])
def test_a_limit_is_from_1_to_100(client, limit):
    assert client.get("/v1/videos", params={"limit": limit}).status_code == 400


@pytest.mark.parametrize("n", [0, -1, 5, "00000000150", 1.5, "x", True, [3]])
def test_no_more_stills_than_four(client, n):
    answer = client.post("/v1/images/generations", json={"prompt": "a circle", "n": n})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "n"


@pytest.mark.parametrize("surrogate", ["prompt", "size", "model", "seed"])
def test_text_that_is_no_unicode_is_refused(client, surrogate):
    body = {"prompt": "a circle"} | {surrogate: "\ud800"}
    answer = client.post("/v1/videos", content=json.dumps(body).encode(), headers=JSON)
    expect_result_or_sentence(answer)
    assert answer.status_code == 400


@pytest.mark.parametrize("size", [(60_000, 1), (1, 60_000), (2000, 10)])
def test_an_image_that_would_be_scaled_to_a_huge_one_is_refused(client, size):
    files = {"prompt": (None, "a circle"), "input_reference": ("a.png", blank_png(*size))}
    answer = client.post("/v1/videos", files=files)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "input_reference"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"worker": 1}', b"[]", b"x"])
@pytest.mark.parametrize("path", ["claim", "jobs/none/renew", "jobs/none/fail"])
def test_a_broken_worker_gets_a_sentence(client, path, body):
    headers = JSON | {"Authorization": f"Bearer {TOKEN}"}
    answer = client.post(f"/internal/{path}", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    expect_result_or_sentence(answer)


def expect_result_or_sentence(answer) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"].endswith(".")
        assert not error["message"].endswith("..")


def blank_png(width: int, height: int) -> bytes:
    """A black image of any shape in a few bytes, which a library would first unpack."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(width + 1) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
