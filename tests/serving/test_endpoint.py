"""The endpoint as its clients see it: the unmodified `openai` client, and plain HTTP for what that cannot send."""

import base64
import io
import re
from pathlib import Path

import av
import httpx
import openai
import pytest
from PIL import Image

from kinora.media import read_image, read_metadata, read_video

PROMPT = "A large red circle moves slowly to the right on a grey background."


pytestmark = pytest.mark.filterwarnings("ignore")


def picture(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def video(client):
    return client.videos.create_and_poll(
        prompt=PROMPT, model="kinora", size="40x24", seconds="1", extra_body={"seed": 7}, poll_interval_ms=100
    )


def test_a_video_is_made_and_says_how(video, version):
    assert (video.status, video.progress, video.size, video.object) == ("completed", 100, "40x24", "video")
    assert (video.frames, video.seconds, video.seed, video.model_version) == (8, "1", 7, version.name)
    assert video.completed_at >= video.created_at
    assert (video.unknown_words, video.task, video.notes) == ([], "text", [])
    assert "red circle moves slowly" in video.sampled


def test_its_files_are_what_was_asked_for(client, video):
    file = io.BytesIO(client.videos.download_content(video.id).read())
    told = read_metadata(file)
    assert (told["prompt"], told["sampled"]) == (PROMPT, video.sampled)
    assert (told["seed"], told["model_version"]) == (7, video.model_version)
    frames, fps = read_video(file)
    assert (frames.shape, fps) == ((8, 24, 40, 3), 8)
    image = read_image(io.BytesIO(client.videos.download_content(video.id, variant="thumbnail").read()))
    assert image.shape == (1, 24, 40, 3)
    sheet = read_image(io.BytesIO(client.videos.download_content(video.id, variant="spritesheet").read()))
    assert sheet.shape == (1, 24, 8 * 40, 3)


def test_the_seed_makes_the_clip_again(client, video):
    again = client.videos.create_and_poll(
        prompt=PROMPT, size="40x24", seconds="1", extra_body={"seed": 7}, poll_interval_ms=100
    )
    assert again.id != video.id
    assert client.videos.download_content(again.id).read() == client.videos.download_content(video.id).read()


def test_listing_pages_through_all_videos(client, video):
    for _ in range(2):
        client.videos.create_and_poll(prompt=PROMPT, extra_body={"frames": 1}, poll_interval_ms=100)
    listed = [item.id for item in client.videos.list(limit=1)]
    assert len(listed) == len(set(listed)) >= 3
    assert video.id in listed
    assert [item.id for item in client.videos.list(limit=2, order="asc")] == listed[::-1]


def test_delete_removes_video_and_files(client, served):
    made = client.videos.create_and_poll(prompt=PROMPT, extra_body={"frames": 5}, poll_interval_ms=100)
    assert list((served.work / "serving" / "media").glob(f"{made.id}*"))
    assert client.videos.delete(made.id).deleted
    assert not list((served.work / "serving" / "media").glob(f"{made.id}*"))
    with pytest.raises(openai.NotFoundError):
        client.videos.retrieve(made.id)


def test_a_slow_video_is_seen_on_its_way_and_ends_when_it_is_deleted(client, served, wait_until):
    slow = client.videos.create(prompt=PROMPT, size="384x384", extra_body={"frames": 33})
    wait_until(lambda: client.videos.retrieve(slow.id).previews)
    preview = Image.open(io.BytesIO(client.videos.download_content(slow.id, variant="preview").read()))
    assert (preview.format, max(preview.size) <= 192) == ("WEBP", True)
    client.videos.delete(slow.id)
    wait_until(lambda: f"{slow.id} abandoned" in (served.work / "serving" / "worker.log").read_text())
    assert not list((served.work / "serving" / "media").glob(f"{slow.id}*"))


@pytest.mark.parametrize("prompt", [PROMPT, ""])
def test_an_image_is_animated(client, prompt):
    made = client.videos.create_and_poll(
        prompt=prompt, input_reference=picture(300, 100), extra_body={"frames": 5}, poll_interval_ms=100
    )
    assert (made.status, made.prompt, bool(made.sampled)) == ("completed", prompt, bool(prompt))


def test_an_image_may_come_as_a_data_url(client, served):
    """The client declares this form and does not send it; others do."""
    url = f"data:image/png;base64,{base64.b64encode(picture(8, 8)).decode()}"
    for asked in ({"data": {"input_reference[image_url]": url}}, {"json": {"input_reference": {"image_url": url}}}):
        content = next(iter(asked.values())) | {"prompt": PROMPT, "frames": 5}
        made = httpx.post(f"{served.address}/v1/videos", **{next(iter(asked)): content}, timeout=None).json()
        assert client.videos.poll(made["id"], poll_interval_ms=100).status == "completed"


def test_stills_come_as_images(client):
    made = client.images.generate(prompt=PROMPT, n=2, size="40x24", extra_body={"seed": 1})
    images = [read_image(io.BytesIO(base64.b64decode(item.b64_json))) for item in made.data]
    assert [image.shape for image in images] == [(1, 24, 40, 3)] * 2
    assert (images[0] != images[1]).any()


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"prompt": " "}, 400, "prompt"),
        ({"prompt": "..."}, 400, "prompt"),
        ({"prompt": "x" * 1001}, 400, "prompt"),
        ({"prompt": "circle " * 30}, 400, "prompt"),
        ({"prompt": PROMPT, "size": "15x32"}, 400, "size"),
        ({"prompt": PROMPT, "size": "big"}, 400, "size"),
        ({"prompt": PROMPT, "size": "0x0"}, 400, "size"),
        ({"prompt": PROMPT, "size": "99999x99999"}, 400, "size"),
        ({"prompt": PROMPT, "seconds": "x"}, 400, "seconds"),
        ({"prompt": PROMPT, "seconds": "-1"}, 400, "seconds"),
        ({"prompt": PROMPT, "seconds": "nan"}, 400, "seconds"),
        ({"prompt": PROMPT, "frames": "0"}, 400, "frames"),
        ({"prompt": PROMPT, "frames": "1e9"}, 400, "frames"),
        ({"prompt": PROMPT, "fps": "0"}, 400, "fps"),
        ({"prompt": PROMPT, "seed": "-1"}, 400, "seed"),
        ({"prompt": PROMPT, "model": "sora-2"}, 404, "model"),
        ({"prompt": PROMPT, "model": "kinora:0123456789abcdef"}, 404, "model"),
        ({"prompt": PROMPT, "input_reference": "x"}, 400, "input_reference"),
        ({"prompt": PROMPT, "input_reference[image_url]": "http://127.0.0.1/x.png"}, 400, "input_reference"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_sentence(served, asked, status, param):
    answer = httpx.post(f"{served.address}/v1/videos", data=asked, timeout=None)
    refused(answer, status, param)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n rubbish", b"x" * 100])
def test_a_broken_image_is_refused(served, content):
    answer = httpx.post(
        f"{served.address}/v1/videos", data={"prompt": PROMPT}, files={"input_reference": content}, timeout=None
    )
    refused(answer, 400, "input_reference")


def test_an_image_with_too_many_pixels_is_refused_before_it_is_decoded(served):
    answer = httpx.post(
        f"{served.address}/v1/videos",
        data={"prompt": PROMPT},
        files={"input_reference": picture(8000, 2001)},
        timeout=None,
    )
    refused(answer, 400, "input_reference")


def test_too_large_an_upload_is_refused(served):
    files = {"input_reference": b"x" * (25 * 2**20)}
    refused(httpx.post(f"{served.address}/v1/videos", data={"prompt": PROMPT}, files=files, timeout=None), 413, None)


@pytest.mark.parametrize("path", ["videos/video_none", "videos/video_none/content", "nothing", "videos/..%2f..%2fjobs"])
def test_what_is_not_there_is_not_found(served, path):
    answer = httpx.get(f"{served.address}/v1/{path}", timeout=None)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"]


def test_a_retried_create_makes_no_second_job(served):
    asked = {"prompt": "A red circle moves.", "frames": "1"}

    def create(**headers: str) -> str:
        return httpx.post(f"{served.address}/v1/videos", data=asked, headers=headers, timeout=None).json()["id"]

    first = create()
    assert create(**{"x-stainless-retry-count": "1"}) == first
    assert create() != first
    assert create(**{"Idempotency-Key": "one"}) == create(**{"Idempotency-Key": "one"}) != first


def test_pages_of_other_sites_are_refused(served):
    for headers in ({"Origin": "http://elsewhere.example"}, {"Host": "elsewhere.example"}):
        assert httpx.get(f"{served.address}/v1/videos", headers=headers, timeout=None).status_code == 403
    assert httpx.get(f"{served.address}/v1/videos", headers={"Origin": served.address}, timeout=None).status_code == 200


def test_the_workers_routes_need_the_token(served):
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        assert httpx.post(f"{served.address}/internal/claim", json={}, headers=headers, timeout=None).status_code == 401


def test_the_token_is_in_no_file(served):
    environments = b"".join(Path(f"/proc/{child}/environ").read_bytes() for child in children(served.process.pid))
    token = re.search(rb"KINORA_WORKER_TOKEN=([^\0]+)", environments)[1]
    assert len(token) >= 32
    assert not [path for path in served.work.rglob("*") if path.is_file() and token in path.read_bytes()]


def test_metrics_and_health(served):
    for path in ("livez", "readyz"):
        assert httpx.get(f"{served.address}/{path}", timeout=None).status_code == 200
    text = httpx.get(f"{served.address}/metrics", timeout=None).text
    for name in ("kinora_jobs_queued", "kinora_jobs_in_progress"):
        assert re.search(rf"^{name} \d", text, re.MULTILINE)
    assert "video_" not in text


def test_the_page_needs_nothing_from_elsewhere(served):
    answer = httpx.get(served.address, timeout=None)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    outside = re.findall(r"""(?:src|href)=["'](?!data:)[^"']*|url\(|https?://[^"'\s]+""", answer.text)
    assert [found for found in outside if "www.w3.org" not in found] == []


def test_a_downloaded_clip_plays_everywhere(client, video):
    with av.open(io.BytesIO(client.videos.download_content(video.id).read())) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt) == ("h264", "yuv420p")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def refused(answer: httpx.Response, status: int, param: str | None) -> None:
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param), error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"].rstrip().endswith(".")


def test_a_create_that_was_refused_and_retried_makes_a_new_video(start, free_port, tmp_path, wait_until):
    """The older, equal request was answered, and its client never asked for it: nothing tells it from a lost answer."""
    port, token = free_port(), {"Authorization": "Bearer secret"}
    gateway = start(
        "serving.gateway", "--work", str(tmp_path), "--port", str(port), "--queue", "1", KINORA_WORKER_TOKEN="secret"
    )
    api = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=None)

    def answers() -> bool:
        assert gateway.poll() is None
        try:
            return api.get("/livez").status_code == 200
        except httpx.TransportError:
            return False

    def create(retries: int = 0) -> httpx.Response:
        return api.post("/v1/videos", data={"prompt": PROMPT}, headers={"x-stainless-retry-count": str(retries)})

    wait_until(answers)
    older = create()
    assert create().status_code == create(retries=1).status_code == 429
    claim = {"worker": "w", "version": "v", "facts": {}}
    assert api.post("/internal/claim", json=claim, headers=token).json()["id"] == older.json()["id"]
    newer = create(retries=2)
    assert newer.status_code == 200
    assert newer.json()["id"] != older.json()["id"]
