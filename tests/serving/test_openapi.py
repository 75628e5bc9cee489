"""The OpenAPI file says what the endpoint is: its routes, its fields, its answers."""

import re

import pytest
import yaml

from kinora.generation.request import Task
from serving.api import VARIANTS, Endpoint, public_routes, video_object
from serving.given import FIELD_OF
from serving.jobs import JobRequest, JobStore
from serving.media_store import MediaStore
from serving.requests import OPTIONS, Limits


@pytest.fixture(scope="module")
def described(root) -> dict:
    return yaml.safe_load((root / "docs" / "reference" / "openapi.yaml").read_text())


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory) -> Endpoint:
    folder = tmp_path_factory.mktemp("gateway")
    return Endpoint(JobStore(folder / "jobs.sqlite"), MediaStore(folder / "media"), Limits())


def test_its_routes_are_those_that_are_served(described, endpoint):
    served = {
        (route.path.removeprefix("/v1"), method.lower())
        for route in public_routes(endpoint).routes
        if route.endpoint.__name__ not in ("nothing", "not_here")
        for method in route.methods - {"HEAD"}
    }
    told = {(path, method) for path, item in described["paths"].items() for method in set(item) - {"parameters"}}
    assert told == served
    content = described["paths"]["/videos/{name}/content"]["get"]["parameters"]
    assert tuple(content[0]["schema"]["enum"]) == VARIANTS


def test_its_fields_are_those_of_a_request_and_of_the_page(described, root):
    fields = described["components"]["schemas"]["VideoRequest"]["properties"]
    assert set(OPTIONS) | set(FIELD_OF.values()) <= set(fields)
    assert fields["task"]["enum"] == list(Task)
    told = (root / "docs" / "reference" / "endpoint.md").read_text()
    assert [name for name in fields if f"`{name}`" not in told] == []
    source = "".join((root / "serving" / name).read_text() for name in ("requests.py", "given.py", "api.py"))
    assert [name for name in fields if not re.search(rf'"{name}"', source)] == []


def test_an_answer_is_what_it_says(described, endpoint):
    job, _ = endpoint.jobs.create(JobRequest("video", "a red circle", 32, 32, 9, 8.0, 1), "f", 10)
    options = set(OPTIONS)  # which a job has of every request
    assert set(video_object(endpoint, job)) | options == set(described["components"]["schemas"]["Video"]["properties"])
