"""The commands and paths of docs/how-to/deploy.md and the chart's README are those of the repository."""

import re
from pathlib import Path

import pytest
import yaml

from cli.main import COMMANDS
from pipelines.placement import STORAGE_VARIABLES

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "how-to" / "deploy.md"
CHART = ROOT / "charts" / "kinora" / "README.md"


def settings(page: Path) -> dict[str, str]:
    """The values that the page's helm commands set, with the page's placeholders made concrete."""
    text = page.read_text()
    for placeholder, value in {"REGISTRY/": "team/", "BUCKET": "bucket", "HOST:PORT": "s3:8333"}.items():
        text = text.replace(placeholder, value)
    return dict(re.findall(r"--set ([\w.]+)=(\S+)", text))


@pytest.mark.parametrize("page", [GUIDE, CHART], ids=lambda page: page.parent.name)
def test_the_helm_commands_give_complete_values(chart, page):
    values: dict = {}
    for name, text in settings(page).items():
        *sections, last = name.split(".")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = yaml.safe_load(text)
    assert chart.render(values, name="kinora", namespace="kinora-serving")


def test_objects_that_the_guide_names_are_made(chart, complete_values):
    rendered = chart.render(complete_values, name="kinora", namespace="kinora-serving")
    made = {
        f"{document['kind'].lower()}/{document['metadata']['name']}"
        for name, text in rendered.items()
        if name.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    }
    named = re.findall(r"\b(service|deployment|scaledobject)[ /](kinora-[\w-]+)", GUIDE.read_text())
    assert named
    assert {f"{kind}/{name}" for kind, name in named} <= made


def test_folders_targets_commands_and_keys_exist():
    text = GUIDE.read_text()
    for folder in re.findall(r"kubectl apply -k (\S+)", text):
        assert (ROOT / folder / "kustomization.yaml").exists(), folder
    dockerfile = (ROOT / "components" / "Dockerfile").read_text()
    for target in re.findall(r"--target (\w+)", text):
        assert re.search(rf"^FROM .* AS {target}$", dockerfile, re.MULTILINE | re.IGNORECASE), target
    for command in re.findall(r"`kinora (\w+)", text):
        assert command in COMMANDS
    assert set(re.findall(r"--from-literal=(\w+)=", text)) == set(STORAGE_VARIABLES) - {"AWS_REGION"}  # of few servers


def test_variables_of_the_storage_are_those_that_it_reads():
    source = (ROOT / "kinora" / "storage.py").read_text()
    for name in STORAGE_VARIABLES:
        assert f'"{name}"' in source, name
