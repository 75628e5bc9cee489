"""The examples run as they stand, with a small model that the tests make. Training with examples/own_recipe.py is in
tests/integration/test_files_to_model.py."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kinora import recipes
from kinora.config import to_dict
from kinora.diffusion.sampler import Sampling
from kinora.generation import Registry, write_version
from kinora.media import read_image, read_video, write_image, write_video

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def artifact_root(model_folders, tmp_path_factory) -> Path:
    """An artifact root whose registry has a model with random weights deployed."""
    folder = tmp_path_factory.mktemp("root")
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    version = write_version(folder / "made", *folders, {"sampling": to_dict(Sampling(steps=2))}, {}, {})
    Registry(str(folder)).promote(version.path, verdict="for the examples")
    return folder


@pytest.fixture
def run(artifact_root, tmp_path):
    """Run an example in an empty folder; return what it prints."""

    def started(name: str | Path, *arguments: object) -> str:
        command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
        environment = os.environ | {"KINORA_ARTIFACT_ROOT": str(artifact_root)}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return started


def test_generate(run, tmp_path):
    assert "17 frames of 32x32" in run("generate.py")
    assert read_video(tmp_path / "circle.mp4")[0].shape == (17, 32, 32, 3)
    assert read_image(tmp_path / "square.png").shape == (1, 32, 32, 3)


def test_extend(run, tmp_path):
    write_image(tmp_path / "image.png", np.zeros((24, 40, 3), np.uint8))
    assert "25 frames of 40x24" in run("extend.py", tmp_path / "image.png")
    assert read_video(tmp_path / "longer.gif")[0].shape == (25, 24, 40, 3)


def test_evaluate_clips(run, tmp_path, draw):
    (tmp_path / "clips").mkdir()
    write_video(tmp_path / "clips" / "gone.mp4", draw([{"at": lambda t: (10 + 0.5 * t, 16) if t < 9 else None}]), 8.0)
    assert "gone.mp4, frames 9 to 16: " in run("evaluate_clips.py", tmp_path / "clips")
    assert (tmp_path / "judged" / "report.html").exists()


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/notebook.md"])
def test_the_python_of_the_pages_runs_as_it_stands(run, tmp_path, draw, page):
    code = re.findall(r"```python\n(.*?)```", (EXAMPLES.parent / page).read_text(), re.DOTALL)
    assert len(code[0].split("\n")) - code[0].count("\n\n") - 1 == 4, "four lines from import to a saved clip"
    (tmp_path / "my_clips").mkdir()
    write_video(tmp_path / "my_clips" / "a.mp4", draw([{"at": lambda t: (10 + 0.5 * t, 16)}]), 8.0)
    (tmp_path / "page.py").write_text("\n".join(code))
    run(tmp_path / "page.py")
    assert read_video(tmp_path / "circle.mp4")[0].shape == (17, 32, 32, 3)


def test_own_recipe_is_found_by_its_file():
    found = recipes.get(f"{EXAMPLES / 'own_recipe.py'}:small")
    assert (found.name, found.transformer.model.depth) == ("small", 3)


def test_every_example_is_run():
    said = Path(__file__).read_text()
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in said] == []
