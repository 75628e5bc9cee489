"""What is asked becomes a job that can be made, or one sentence that names the field; nothing is sampled here."""

import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from kinora.generation import GenerationRequest
from kinora.media import read_image, read_video, video_bytes
from serving.api import Endpoint
from serving.gateway import build_app
from serving.jobs import Job, JobRequest, JobStore
from serving.making import request_of
from serving.media_store import VIDEO, MediaStore
from serving.requests import Limits

FACTS = {
    "version": "v",
    "sizes": [[48, 32]],
    "frames": 17,
    "fps": 8.0,
    "vocabulary": ["a", "red", "blue", "circle", "moves"],
    "max_words": 12,
}


class Served:
    """The gateway's routes in this process, with a worker that has told what it serves."""

    def __init__(self, folder, limits: Limits):
        self.endpoint = Endpoint(JobStore(folder / "jobs.sqlite"), MediaStore(folder / "media"), limits)
        self.endpoint.jobs.claim("w", "v", FACTS)
        self.http = TestClient(build_app(self.endpoint, "secret", local=False))

    def ask(self, path: str = "videos", files: dict | None = None, **fields):
        if files:
            texts = {name: str(value) for name, value in ({"prompt": "a red circle"} | fields).items()}
            return self.http.post(f"/v1/{path}", data=texts, files=files)
        return self.http.post(f"/v1/{path}", json={"prompt": "a red circle"} | fields)

    def made(self, name: str = "video_made", frames: int = 9) -> dict:
        """A finished video, to be named by its id."""
        job, _ = self.endpoint.jobs.create(ASKED, name, 100)
        claims = iter(lambda: self.endpoint.jobs.claim("w", "v", FACTS), None)
        claimed = next(claim for claim in claims if claim.id == job.id)
        self.endpoint.media.put(job.id, VIDEO, video_bytes(clip(frames), 8.0))
        self.endpoint.jobs.finish(job.id, claimed.lease)
        return {"id": job.id}

    def request(self, answer) -> GenerationRequest:
        """What a worker makes of the job that an answer names, from the files that it is given."""
        assert answer.status_code == 200, answer.text
        job: Job = self.endpoint.jobs.get(answer.json()["id"])
        given = {name: self.endpoint.media.given(job.id, name).read_bytes() for name in job.media}
        return request_of(vars(job), given)


ASKED = JobRequest("video", "a red circle", 48, 32, 9, 8.0, 1)


def clip(frames: int = 9, height: int = 32, width: int = 48) -> np.ndarray:
    ramp = np.linspace(0, 200, frames).astype(np.uint8)[:, None, None, None]
    return np.broadcast_to(ramp, (frames, height, width, 3)) + np.arange(3, dtype=np.uint8)


def png(width: int = 48, height: int = 32) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


def mp4(frames: int = 9, fps: float = 8.0, **size: int) -> bytes:
    return video_bytes(clip(frames, **size), fps)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Served:
    return Served(tmp_path_factory.mktemp("gateway"), Limits(queued=1000))


def test_text_alone(served):
    asked = served.request(
        served.ask(size="50x1080", seconds=2, negative_prompt="a blue  circle", expand=False, loop=True, seed=4)
    )
    assert (asked.task, asked.width, asked.height, asked.frames, asked.seed) == ("text", 50, 1080, 16, 4)
    assert (asked.negative_prompt, asked.expand, asked.loop) == ("a blue circle", False, True)


def test_first_and_last_image(served):
    answer = served.ask(files={"input_reference": png(96, 32), "last_image": png()}, frames=9)
    asked = served.request(answer)
    assert (asked.task, asked.image.shape, asked.last_image.shape) == ("image", (32, 96, 3), (32, 96, 3))
    (note,) = answer.json()["notes"]  # the last one has another aspect ratio
    assert "48x32" in note
    assert "96x32" in note


def test_a_large_image_sets_the_shape_and_not_the_size(served):
    asked = served.request(served.ask(files={"input_reference": png(1600, 800)}))
    assert (asked.width, asked.height) == (56, 32)  # the nearest to 2 to 1 and the usual area on the grid


def test_extension_forward_and_backward(served):
    made = served.made()
    for direction in ("forward", "backward"):
        asked = served.request(served.ask("videos/extensions", video=made, seconds=2, direction=direction))
        assert (asked.task, asked.frames, len(asked.video), asked.direction) == ("extend", 25, 9, direction)
        assert np.abs(asked.video.astype(int) - clip().astype(int)).mean() < 3


def test_edit_connect_fill_and_interpolate(served):
    made = served.made()
    edit = served.request(served.ask("videos/edits", video=made, strength=0.4))
    assert (edit.task, edit.strength, edit.frames) == ("edit", 0.4, 9)
    connect = served.request(served.ask(files={"video": mp4(9), "to_video": mp4(6, height=64, width=64)}, seconds=1))
    assert (connect.task, connect.frames, connect.to_video.shape) == ("connect", 9 + 6 + 8, (6, 32, 48, 3))
    for missing in ("2:4,6:6", [[2, 4], [6, 6]]):
        assert served.request(served.ask(video=made, missing=missing)).missing == ((2, 4), (6, 6))
    for region in ("8,0,16,16", [8, 0, 16, 16]):
        fill = served.request(served.ask(video=made, region=region))
        assert (fill.task, fill.region) == ("fill", (8, 0, 16, 16))
    more = served.request(served.ask(video=made, factor=3))
    assert (more.task, more.frames, more.fps) == ("interpolate", 25, 24)


def test_an_uploaded_video_keeps_its_rate_and_a_large_one_is_scaled(served):
    asked = served.request(served.ask("videos/extensions", files={"video": mp4(6, 12.0, width=640, height=640)}))
    assert (asked.fps, asked.width, asked.video.shape) == (12, asked.height, (6, asked.height, asked.width, 3))
    assert asked.width < 100


def test_images_of_any_size(served):
    answer = served.http.post("/v1/images/generations", json={"prompt": "a red circle", "size": "2049x64"})
    assert answer.json()["error"]["param"] == "size"


def test_unknown_words_are_named_unless_they_are_allowed(served):
    refused(served.ask(prompt="a red dragon moves"), "prompt", "'dragon'")
    answer = served.ask(prompt="a red dragon moves", allow_unknown_words=True)
    assert answer.json()["unknown_words"] == ["dragon"]
    refused(served.ask(prompt="a red circel"), "prompt", "did you mean 'circle'")


@pytest.mark.parametrize("prompt", ["", "  ", "..."])
def test_with_media_the_prompt_may_have_no_words(served, prompt):
    answer = served.ask(files={"input_reference": png()}, prompt=prompt)
    asked = served.request(answer)
    assert (asked.task, asked.prompt) == ("image", prompt.strip())
    assert answer.json()["unknown_words"] == []
    assert served.request(served.ask("videos/extensions", video=served.made(), prompt=prompt)).task == "extend"
    assert served.request(served.ask(video=served.made(), prompt=prompt, factor=2)).task == "interpolate"
    error = refused(served.ask(prompt=prompt), "prompt", "say what the video should show, or give an image or a video")
    assert error["code"] == "invalid_prompt"
    answer = served.http.post("/v1/images/generations", json={"prompt": prompt})
    refused(answer, "prompt", "say what the video should show")


def test_too_large_a_clip_is_told_what_would_fit(tmp_path):
    small = Served(tmp_path, Limits(pixels=100_000))
    refused(small.ask(size="48x32", frames=66), "frames", "65 frames would fit")
    refused(small.ask(size="500x400", frames=1), "size", "353x282 pixels would fit")
    assert small.ask(size="353x282", frames=1).status_code == 200
    refused(small.ask(files={"video": mp4(66)}, strength=0.5), "video", "65 frames")
    small.endpoint.jobs.claim("w", "v", FACTS | {"pixels": 48 * 32 * 20})  # a worker with little memory
    refused(small.ask(size="48x32", frames=21), "frames", "20 frames would fit")


@pytest.mark.parametrize(
    ("asked", "param", "said"),
    [
        ({"prompt": ""}, "prompt", "empty"),
        ({"prompt": "a " * 50_000}, "prompt", "characters"),
        ({"prompt": "a red circle moves " * 4}, "prompt", "reads 12"),
        ({"negative_prompt": "a " * 50_000}, "negative_prompt", "characters"),
        ({"negative_prompt": "a dragon"}, "negative_prompt", "'dragon'"),
        ({"seconds": 1, "frames": 9}, "frames", "give one of them"),
        ({"size": "10x10"}, "size", "16 to 2048"),
        ({"task": "dance"}, "task", "choose from"),
        ({"task": "edit"}, "task", "needs a video"),
        ({"strength": 1.5}, "strength", "up to 1"),
        ({"factor": 99}, "factor", "from 2 to 16"),
        ({"loop": True, "frames": 13}, "frames", "multiple of 4"),
        ({"loop": "maybe"}, "loop", "true or false"),
        ({"missing": "5"}, "missing", "such as 5:12"),
        ({"missing": [[1, 2.5]]}, "missing", "such as 5:12"),
        ({"region": "1,2,3"}, "region", "such as 8,8,16,16"),
        ({"seconds": 1e9}, "seconds", "up to"),
        ({"video": {"id": "video_none"}}, "video", "no video"),
        ({"to_video": {"id": "video_none"}}, "to_video", "no video"),
        ({"last_image": "x"}, "last_image", "nothing is fetched"),
    ],
)
def test_what_cannot_be_made_is_refused_by_its_field(served, asked, param, said):
    refused(served.ask(**asked), param, said)


@pytest.mark.parametrize(
    ("asked", "param", "said"),
    [
        ({"missing": "5:20"}, "missing", "from 0 to 8"),
        ({"missing": "0:8"}, "missing", "all frames"),
        ({"region": "40,0,16,16"}, "region", "not within"),
        ({"strength": 0}, "strength", "above 0"),
        ({"strength": 0.5, "frames": 12}, "frames", "leave the number of frames out"),
        ({"strength": 0.5, "seconds": 2}, "seconds", "leave the number of frames out"),
        ({"strength": 0.5, "loop": True}, "loop", "leave the other media out"),
        ({"frames": 9}, "frames", "ask for more"),
        ({"task": "text"}, "task", "no use"),
        ({"direction": "sideways"}, "direction", "forward or backward"),
    ],
)
def test_what_does_not_fit_the_video_is_refused_by_its_field(served, asked, param, said):
    refused(served.ask(video=served.made(), **asked), param, said)


def test_a_video_that_is_too_short_or_is_still_made_is_refused(served):
    refused(served.ask("videos/extensions", files={"video": mp4(3)}), "video", "at least 5 frames")
    waiting = served.ask().json()["id"]
    refused(served.ask("videos/edits", video={"id": waiting}), "video", "is queued")
    refused(served.ask("videos/edits"), "video", "needs a video")


def test_what_is_given_is_removed_with_the_job(served):
    name = served.ask(files={"input_reference": png()}, frames=9).json()["id"]
    folder = served.endpoint.media.folder
    assert read_image(folder / f"{name}.image.png").shape == (1, 32, 48, 3)
    served.http.delete(f"/v1/videos/{name}")
    assert not list(folder.glob(f"{name}*"))


def test_a_spritesheet_stays_one_that_browsers_show(served):
    media = served.endpoint.media
    media.put("video_long", VIDEO, mp4(230, width=512, height=256))
    sheet = read_image(media.spritesheet("video_long"))
    assert sheet.shape[1] == 128
    assert sheet.shape[2] == 256 * 77
    assert read_video(media.path("video_long", VIDEO))[0].shape[0] == 230


def refused(answer, param: str, said: str) -> dict:
    assert answer.status_code in (400, 404), answer.text
    error = answer.json()["error"]
    assert (error["param"], said in error["message"]) == (param, True), error
    assert error["message"].endswith(".")
    return error
