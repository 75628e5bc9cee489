"""What an installation brings: plain, enough to generate; with an extra, all that the extra's code imports."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from cli.main import COMMANDS
from components.imports import PACKAGES
from kinora.config import to_dict
from kinora.diffusion.sampler import Sampling
from kinora.generation import write_version
from kinora.generation.reference import REFERENCE, put_reference
from kinora.media import read_video

PACKAGES_OF_EXTRAS = {
    "data": ("kinora.data", "kinora.captioning"),
    "training": ("kinora.training",),
    "evaluation": ("evaluation",),
    "serving": ("serving",),
    "all": PACKAGES,
}


def modules(root: Path, package: str) -> list[str]:
    files = (root / package.replace(".", "/")).rglob("*.py")
    return [".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize("extra", PACKAGES_OF_EXTRAS)
def test_an_extra_brings_what_its_packages_import(root, brought, uncovered, extra):
    wanted = [module for package in PACKAGES_OF_EXTRAS[extra] for module in modules(root, package)]
    assert wanted
    assert uncovered(wanted, brought(extra), started=extra == "all") == {}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "pipeline"])
def test_a_command_s_extra_brings_what_it_imports(brought, uncovered, name):
    command = COMMANDS[name]
    assert uncovered([command.load().__module__], brought(command.extra), started=False) == {}


def test_the_pipeline_is_compiled_and_submitted_with_its_extra(brought, uncovered):
    """To run it here takes all of them."""
    assert uncovered(["pipelines.compile", "pipelines.submit"], brought("pipeline"), started=False) == {}


def test_the_library_generates_with_what_a_plain_installation_brings(brought, uncovered):
    assert uncovered(["kinora.generation", "kinora.media"], brought("")) == {}


def test_every_extra_is_in_the_lock(root, brought):
    locked = {canonicalize_name(line.partition("==")[0]) for line in (root / "requirements.lock").read_text().split()}
    assert brought("all", "dev") - {"kinora"} <= locked


def test_the_page_says_how_much_that_is_and_lists_every_extra(root, brought):
    page = (root / "docs" / "how-to" / "install.md").read_text()
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(extras)
    assert f"{len(brought(''))} packages" in page
    assert f"{len(brought('all'))}" in page


@pytest.fixture(scope="module")
def plain(root, brought, version, tmp_path_factory) -> Path:
    """A folder with Kinora, built and installed from its sources, and the distributions of the plain installation.

    The model version that comes with it is a random one.
    """
    place = tmp_path_factory.mktemp("plain")
    sources = place / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(root / name, sources)
    for name in PACKAGES:
        shutil.copytree(root / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    put_reference(version, sources / "kinora" / "reference")
    site = place / "site"
    command = ["install", "-qq", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site), str(sources)]
    subprocess.run([sys.executable, "-m", "pip", *command], check=True, cwd=place)
    for name in brought("") - {"kinora"}:
        found = distribution(name)
        tops = {file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(found.locate_file(top))
    return site


@pytest.fixture(scope="module")
def version(model_folders, tmp_path_factory):
    """A model version with random weights."""
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    recipe = {"sampling": to_dict(Sampling(steps=2))}
    return write_version(tmp_path_factory.mktemp("versions"), *folders, recipe, {}, {})


@pytest.fixture
def run(plain, tmp_path):
    """Run Python with nothing but the plain installation."""

    def started(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", *arguments],
            cwd=tmp_path,
            env={n: v for n, v in os.environ.items() if n != REFERENCE} | {"PYTHONPATH": str(plain)} | environment,
            capture_output=True,
            text=True,
        )

    return started


def test_a_plain_installation_makes_a_clip_from_the_command_line(run, tmp_path):
    out = tmp_path / "clip.mp4"
    made = run("-m", "cli", "generate", "a red circle", "--out", str(out))  # by the model that comes with it
    assert made.returncode == 0, made.stderr
    assert read_video(out)[0].shape == (17, 32, 32, 3)


def test_a_plain_installation_makes_a_clip_in_python(run, version, tmp_path):
    script = f"""
from kinora.generation import GenerationRequest, VideoGenerator
from kinora.media import write_video
generator = VideoGenerator.from_version({str(version.path)!r})
frames = generator.generate([GenerationRequest("a red circle", 32, 32, 9, 8.0, 0)])[0]
write_video("clip.mp4", frames, 8.0)
"""
    made = run("-c", script)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "clip.mp4").stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "extra"), [("serve", "serving"), ("pipeline run", "all"), ("evaluate clips . --out x", "evaluation")]
)
def test_a_missing_extra_is_one_sentence(run, arguments, extra):
    command, *rest = arguments.split()
    refused = run("-m", "cli", command, *rest)
    assert refused.returncode == 1
    assert refused.stderr == f"kinora {command}: this needs the extra '{extra}': pip install 'kinora[{extra}]'\n"


def test_a_plain_installation_lacks_nothing_that_the_doctor_asks_for(run):
    said = run("-m", "cli", "doctor").stdout
    assert "Everything that generating needs is here." in said or "MISS" in said  # the machine itself may be too small
    assert "ok    kinora\n" in said
    assert re.search(r"^(none|part)  kinora\[training\]: .*pip install 'kinora\[training\]'$", said, re.MULTILINE)


def test_help_needs_no_extra(run):
    for name in COMMANDS:
        helped = run("-m", "cli", name, "--help")
        assert helped.returncode == 0, helped.stderr
