"""What the chart starts is what the repository has: commands, options, environment variables, metrics, the image."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from components.images import CPU_IMAGE, GPU_IMAGE
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.features import Features
from kinora.storage import open_store
from serving.request_log import REQUESTS, read_requests

ROOT = Path(__file__).parents[2]
SOURCES = [
    *sorted((ROOT / "serving").rglob("*.py")),
    ROOT / "kinora" / "storage.py",
    ROOT / "kinora" / "data" / "features" / "definitions.py",
]
READ = "\n".join(path.read_text() for path in SOURCES)
STAYING = {"model": {"version": "0123456789abcdef"}}


def container(render, component: str, changes: dict | None = None) -> dict:
    pod = render(changes or {})["Deployment", f"demo-kinora-{component}"]["spec"]["template"]["spec"]
    return next(c for c in pod["containers"] if c["name"] == component)


@pytest.mark.parametrize(("component", "changes"), [("gateway", {}), ("worker", {}), ("worker", STAYING)])
def test_programs_take_the_arguments_that_they_are_given(render, component, changes):
    """What a program does not know ends with 2; without its token, the first thing it looks for, it ends with 1."""
    started = container(render, component, changes)
    command = [sys.executable, *started["command"][1:], *started["args"]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "KINORA_WORKER_TOKEN is not set" in done.stderr) == (1, True), done.stderr


def test_environment_variables_are_read_by_the_programs(render):
    for component in ("gateway", "worker"):
        for variable in container(render, component, {"features": {"existingSecret": "features"}})["env"]:
            if variable["name"].startswith("KINORA_"):
                assert variable["name"] in READ


def test_the_gateway_uses_the_artifact_root(render, s3_root, s3_address, free_port, wait_until, tmp_path, monkeypatch):
    """As the chart starts it, but on this machine and its folders: it knows published clips, and keeps requests."""
    row = {"clip_id": "c" * 64, "caption": "A man skis.", "caption_source": "human", "split": "train", "kind": "image"}
    row |= {"width": 32, "height": 32, "frames": 1, "observed_at": pd.Timestamp("2026-11-01T00:00Z")}
    clips = ClipDataset.write(tmp_path / "clips", table([row], CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where copies from S3 are kept
    Features.open(s3_root).publish(clips)

    storage = {"endpoint": s3_address, "secure": False}
    started, port = container(render, "gateway", {"model": {"artifactRoot": s3_root, "storage": storage}}), free_port()
    here = {"--work=/data": f"--work={tmp_path}", "--host=0.0.0.0": "--host=127.0.0.1", "--port=3000": f"--port={port}"}
    secrets = {"KINORA_WORKER_TOKEN": "token", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    environment = {e["name"]: e.get("value") or secrets[e["name"]] for e in started["env"]}
    home = tmp_path / "home"
    home.mkdir()
    environment |= {"HOME": str(home), "TMPDIR": str(home), "BENTOML_HOME": str(home)}
    command = [sys.executable, *started["command"][1:], *(here.get(given, given) for given in started["args"])]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)

    def known() -> Any:
        assert process.poll() is None
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/v1/clips/{'c' * 64}")
        except httpx.ConnectError:
            return None
        return answer.json() if answer.is_success else None

    try:
        assert wait_until(known)["caption"] == "A man skis."
        prompt = "A large red circle moves slowly to the right on a grey background."
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/videos", json={"model": "kinora", "prompt": prompt})
        assert answer.is_success, answer.text
        wait_until(lambda: open_store(s3_root).list(REQUESTS))
        assert list(read_requests(s3_root, days=1)["prompt"]) == [prompt]
    finally:
        process.terminate()
        process.wait()


def test_metrics_that_the_autoscaler_reads_are_exported(render):
    triggers = render()["ScaledObject", "demo-kinora-worker"]["spec"]["triggers"]
    for trigger in triggers:
        assert trigger["metadata"]["valueLocation"] in READ


def test_the_image_runs_as_the_user_of_the_chart(render):
    """Numeric in both, because the kubelet cannot tell whether a name is root."""
    dockerfile = (ROOT / "components" / "Dockerfile").read_text()
    user = render()["Deployment", "demo-kinora-gateway"]["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert re.findall(r"^USER (\d+)", dockerfile, re.MULTILINE)[-1] == str(user)
    for image in (CPU_IMAGE, GPU_IMAGE):
        target = image.rsplit("-", 1)[1]
        assert re.search(rf"^FROM .* AS {target}$", dockerfile, re.MULTILINE | re.IGNORECASE)
