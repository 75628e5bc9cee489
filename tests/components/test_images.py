"""The images, as far as that needs no build; components/verify_images.sh does the rest."""

import re
import sys
from typing import NamedTuple

import pytest

from components.images import CPU_IMAGE, GPU_IMAGE, PROGRAMS, VERSION
from components.imports import PACKAGES, imports, main, programs
from kinora import __version__


class Step(NamedTuple):
    """An instruction of a Dockerfile, such as RUN, and what follows it."""

    instruction: str
    rest: str


@pytest.fixture(scope="module")
def stages(root) -> dict[str, list[Step]]:
    """The stages of the Dockerfile by name: the instructions of each, after those of the stages that it builds on."""
    text = re.sub(r"^#.*\n", "", (root / "components" / "Dockerfile").read_text(), flags=re.MULTILINE)
    found: dict[str, list[Step]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        step = Step(*line.split(maxsplit=1))
        if step.instruction == "FROM":
            parent, _, name = step.rest.split()
            current = found[name] = list(found.get(parent, ()))
        else:
            current.append(step)
    return found


def extras(steps: list[Step]) -> list[str]:
    """Return the extras that a target installs, and insist that it installs them once, with their dependencies."""
    (command,) = [rest for instruction, rest in steps if instruction == "RUN" and "pip install" in rest]
    assert "--no-deps" not in command
    assert "--constraint requirements.lock" in command
    return re.search(r'"\.\[([\w,]+)\]"', command)[1].split(",")


def test_the_images_carry_the_version_of_the_code():
    assert __version__ == VERSION
    assert f"kinora/python:{__version__}-cpu" == CPU_IMAGE
    assert f"kinora/python:{__version__}-gpu" == GPU_IMAGE


def test_targets_are_built_as_the_comment_says(root, stages):
    dockerfile = (root / "components" / "Dockerfile").read_text()
    for image in (CPU_IMAGE, GPU_IMAGE):
        target = image.rsplit("-", 1)[1]
        assert f"--target {target} -t {image} ." in dockerfile
        assert target in stages
        assert target in PROGRAMS


def test_what_is_copied_exists_and_is_sent_to_the_builder_and_every_package_is_copied(root, stages):
    copies = [step.rest.split()[:-1] for step in stages["project"] + stages["code"] if step.instruction == "COPY"]
    copied = {name for names in copies if not names[0].startswith("--") for name in names}
    assert all((root / name).exists() for name in copied)
    ignored = (root / ".dockerignore").read_text().splitlines()
    assert copied <= {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert set(PACKAGES) <= copied
    packages = re.search(r"root_packages = \[(.+)\]", (root / "pyproject.toml").read_text())[1]
    assert set(re.findall(r'"(\w+)"', packages)) == set(PACKAGES)


def test_what_the_chart_starts_is_among_the_programs(root):
    templates = root / "charts" / "kinora" / "templates"
    for component, target in (("gateway", "cpu"), ("worker", "gpu")):
        started = re.findall(
            r"command: \[python, -m, ([\w.]+)", (templates / f"{component}-deployment.yaml").read_text()
        )
        assert started
        assert set(started) <= set(PROGRAMS[target])


@pytest.mark.parametrize("target", PROGRAMS)
def test_a_target_installs_what_its_programs_import(stages, brought, uncovered, target):
    assert uncovered(programs(target), brought(*extras(stages[target]))) == {}


def test_an_image_takes_no_more_than_its_own(stages, brought):
    """What only work on Kinora needs is in neither image, and what checks raw data is not on GPU nodes."""
    assert "pytest" not in brought(*extras(stages["cpu"]))
    assert not {"pytest", "great-expectations"} & brought(*extras(stages["gpu"]))


@pytest.mark.parametrize("target", PROGRAMS)
def test_a_target_proves_its_imports_and_does_not_run_as_root(stages, target):
    steps = stages[target]
    proof = steps.index(Step("RUN", f"python -m components.imports {target}"))
    assert proof > steps.index(Step("COPY", "--from=code /opt/kinora/built /usr/local"))
    (user,) = [step for step in steps if step.instruction == "USER"]
    assert int(user.rest) > 0  # a kubelet cannot tell whether a name is root
    assert steps.index(user) < proof


@pytest.mark.parametrize("target", PROGRAMS)
def test_the_proof_follows_the_code_of_the_components(target):
    found = {module.partition(".")[0] for module, _ in imports(programs(target))}
    assert {"torch", "kfp", "bentoml", "deepspeed"} <= found
    assert ("great_expectations" in found) == (target == "cpu")
    assert not found & set(PACKAGES)


def test_the_proof_names_what_is_missing_and_who_imports_it(monkeypatch, capsys):
    monkeypatch.setitem(PROGRAMS, "small", ("kinora.storage",))
    assert main("small") == 0
    monkeypatch.setitem(sys.modules, "minio", None)
    assert main("small") == 1
    assert "kinora.storage imports minio" in capsys.readouterr().err


def test_one_version_of_torch_is_locked(root):
    assert len(re.findall(r"^torch==\S+$", (root / "requirements.lock").read_text(), re.MULTILINE)) == 1
