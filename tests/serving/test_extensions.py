"""A video, made here or uploaded, goes on, is changed, connected, filled and smoothed."""

import io

import httpx
import numpy as np
import pytest

from kinora.media import read_video, video_bytes

PROMPT = "A large red circle moves slowly to the right on a grey background."


@pytest.fixture(scope="module")
def made(client):
    """A finished video of 9 frames."""
    return client.videos.create_and_poll(prompt=PROMPT, size="32x32", extra_body={"frames": 9, "seed": 3})


def alike(before: np.ndarray, after: np.ndarray) -> bool:
    """Say whether two clips are the same but for being encoded once more, which costs noise its fine colours."""
    return np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.95


def extend(served, **fields) -> httpx.Response:
    """Ask by id, as the API's reference has it; the client's own method takes only files."""
    return httpx.post(
        f"{served.address}/v1/videos/extensions", json={"prompt": PROMPT, "seconds": 1} | fields, timeout=None
    )


def frames_of(client, video) -> np.ndarray:
    assert video.status == "completed", video.error
    return read_video(io.BytesIO(client.videos.download_content(video.id).read()))[0]


def test_a_video_made_here_goes_on(served, client, made):
    longer = client.videos.poll(extend(served, video={"id": made.id}, seconds=2).json()["id"])
    before, after = frames_of(client, made), frames_of(client, longer)
    # 16 frames more are two windows: what the first one made is given to the second.
    assert len(before) == 9
    assert len(after) == longer.frames == 25
    assert float(longer.seconds) == 25 / 8
    assert alike(before, after[:9])


def test_backward_the_new_frames_come_before(served, client, made):
    longer = client.videos.poll(extend(served, video={"id": made.id}, direction="backward").json()["id"])
    before, after = frames_of(client, made), frames_of(client, longer)
    assert len(after) == 17
    assert alike(before, after[-9:])
    assert not alike(before, after[:9])


@pytest.mark.parametrize(
    ("asked", "task", "frames"),
    [
        ({"strength": 0.5}, "edit", 9),
        ({"missing": "3:5"}, "fill", 9),
        ({"region": "8,8,16,16"}, "fill", 9),
        ({"factor": 2}, "interpolate", 17),
        ({"to_video": True, "frames": 26}, "connect", 26),
    ],
)
def test_a_worker_makes_every_task_of_a_video(served, client, made, asked, task, frames):
    fields = {"prompt": PROMPT, "video": {"id": made.id}} | asked
    if "to_video" in asked:
        fields["to_video"] = {"id": made.id}
    answer = httpx.post(f"{served.address}/v1/videos", json=fields, timeout=None).json()
    assert answer["task"] == task
    assert frames_of(client, client.videos.poll(answer["id"], poll_interval_ms=100)).shape == (frames, 32, 32, 3)


def test_an_edit_by_the_client_s_own_method(client):
    file = ("a.mp4", video_bytes(np.full((5, 32, 32, 3), 90, np.uint8), 8.0), "video/mp4")
    edited = client.videos.poll(client.videos.edit(prompt=PROMPT, video=file).id, poll_interval_ms=100)
    assert (edited.task, edited.frames) == ("edit", 5)


def test_an_uploaded_video_goes_on_at_its_own_size(client):
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 255, (1, 24, 40, 3), dtype=np.uint8), 6, axis=0)
    file = ("a.mp4", video_bytes(frames, 8.0), "video/mp4")
    longer = client.videos.poll(client.videos.extend(prompt=PROMPT, seconds="1", video=file).id)
    assert longer.size == "40x24"
    assert frames_of(client, longer).shape == (14, 24, 40, 3)


def test_a_real_video_is_scaled_to_what_the_model_makes(client, real_videos):
    with open(real_videos[0], "rb") as file:
        clip = read_video(file, max_frames=7)[0]
    file = ("bikes.mp4", video_bytes(clip[:, :-2], 8.0), "video/mp4")  # sides that the model cannot make
    longer = client.videos.poll(client.videos.extend(prompt=PROMPT, seconds="1", video=file).id)
    width, height = map(int, longer.size.split("x"))
    assert width * height < 4 * 32 * 32
    assert len(frames_of(client, longer)) == 15
    assert "is scaled to" in longer.notes[0]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"video": {"id": "video_none"}}, "video"),
        ({"video": {}}, "video"),
        ({"video": 7}, "video"),
        ({"seconds": 0}, "seconds"),
        ({"direction": "sideways"}, "direction"),
        ({"direction": ["forward"]}, "direction"),
    ],
)
def test_what_cannot_be_extended_is_refused(served, made, asked, param):
    refused(extend(served, **{"video": {"id": made.id}} | asked), param)


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n",  # a playlist, which would make a decoder open files
        b"",
        video_bytes(np.zeros((3, 32, 32, 3), np.uint8), 8.0),
        video_bytes(np.zeros((9, 16, 512, 3), np.uint8), 8.0),
        video_bytes(np.zeros((9, 32, 32, 3), np.uint8), 8.0)[:900],
    ],
    ids=["playlist", "empty", "too short", "too narrow", "cut off"],
)
def test_a_file_that_cannot_be_extended_is_refused(served, content):
    files = {"prompt": (None, PROMPT), "seconds": (None, "1"), "video": ("a.mp4", content)}
    refused(httpx.post(f"{served.address}/v1/videos/extensions", files=files, timeout=None), "video")


def refused(answer: httpx.Response, param: str) -> None:
    error = answer.json()["error"]
    assert answer.status_code in (400, 404)
    assert error["param"] == param
    assert error["message"].endswith(".")


@pytest.mark.parametrize("path", ["characters", "video_1/remix"])
def test_what_is_not_served_says_so(served, path):
    answer = httpx.post(f"{served.address}/v1/videos/{path}", json={}, timeout=None)
    assert answer.status_code == 400
    assert "is not served" in answer.json()["error"]["message"]
