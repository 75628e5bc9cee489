"""What the chart starts is what the repository has: commands, options, environment variables, metrics, the image."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from components.images import CPU_IMAGE, GPU_IMAGE

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "serving").rglob("*.py")), ROOT / "kinora" / "storage.py"]
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
        for variable in container(render, component)["env"]:
            if variable["name"].startswith("KINORA_"):
                assert variable["name"] in READ


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
