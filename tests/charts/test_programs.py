"""What the chart starts is what the repository has: commands, options, environment variables, metrics, the image."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from components.images import CPU_IMAGE, GPU_IMAGE

ROOT = Path(__file__).parents[2]
SERVING = "\n".join(path.read_text() for path in sorted((ROOT / "serving").rglob("*.py")))


def container(render, component: str, name: str) -> dict:
    pod = render()["Deployment", f"demo-kinora-{component}"]["spec"]["template"]["spec"]
    return next(c for c in pod.get("initContainers", []) + pod["containers"] if c["name"] == name)


@pytest.mark.parametrize(("component", "name"), [("gateway", "gateway"), ("worker", "worker"), ("worker", "model")])
def test_commands_and_their_options_exist(render, component, name):
    started = container(render, component, name)
    program, *rest = started["command"]
    command = [sys.executable, *(["-m", "cli"] if program == "kinora" else []), *rest, "--help"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})
    assert said.returncode == 0, said.stderr
    for option in (argument for argument in started["args"] if argument.startswith("--")):
        assert option in said.stdout


def test_environment_variables_are_read_by_the_programs(render):
    for component in ("gateway", "worker"):
        for variable in container(render, component, component)["env"]:
            if variable["name"].startswith("KINORA_"):
                assert variable["name"] in SERVING


def test_metrics_that_the_autoscaler_reads_are_exported(render):
    triggers = render()["ScaledObject", "demo-kinora-worker"]["spec"]["triggers"]
    for trigger in triggers:
        assert trigger["metadata"]["valueLocation"] in SERVING


def test_the_image_runs_as_the_user_of_the_chart(render):
    """Numeric in both, because the kubelet cannot tell whether a name is root."""
    dockerfile = (ROOT / "components" / "Dockerfile").read_text()
    user = render()["Deployment", "demo-kinora-gateway"]["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert re.findall(r"^USER (\d+)", dockerfile, re.MULTILINE)[-1] == str(user)
    for image in (CPU_IMAGE, GPU_IMAGE):
        target = image.rsplit("-", 1)[1]
        assert re.search(rf"^FROM .* AS {target}$", dockerfile, re.MULTILINE | re.IGNORECASE)
