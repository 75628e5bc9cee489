"""Every version has a card: its data, its recipe, what it scores, where it fails, how to make it again."""

import re
import shlex

import numpy as np
import pytest
from safetensors.numpy import load_file

from cli.main import COMMANDS
from evaluation.checkpoint import evaluate_checkpoint
from kinora import recipes
from kinora.config import to_dict
from kinora.errors import KinoraError
from kinora.generation import read_version, write_version
from kinora.generation.version_report import version_markdown, version_page
from kinora.worlds import WorldsConfig, evaluation_prompts

WORLDS = WorldsConfig()
LINEAGE = {
    "dataset": "d" * 64, "code": "c" * 64, "evaluator": "e" * 64, "checkpoint": "step-000200", "parent": "a" * 64,
    "notes": ["The captioner learned from other clips."],
    "data": {
        "clips": 60.0, "videos": 50.0, "images": 10.0, "train": 48.0, "validation": 12.0, "captioned": 60.0,
        "seconds": 106.25, "quarantined": 0.0, "captions": {"captioner": 20, "simulator": 40},
    },
}  # fmt: skip


class Grey:
    """A model that shows nothing."""

    def generate(self, requests, on_step=None):
        return [np.full((r.frames, r.height, r.width, 3), 128, np.uint8) for r in requests]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation")
    return evaluate_checkpoint(Grey(), evaluation_prompts(WORLDS, 4, 0), out, name="step-000200", worlds=WORLDS)


@pytest.fixture
def version(model_folders, tmp_path, evaluation):
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    return write_version(tmp_path / "versions", *folders, to_dict(recipes.get("smoke")), evaluation, LINEAGE)


@pytest.fixture
def card(version) -> str:
    return (version.path / "README.md").read_text()


def test_it_says_what_there_is_to_know(version, card, evaluation):
    headings = re.findall(r"^## (.+)$", card, re.MULTILINE)
    assert headings == [
        "What it holds", "What it was trained on", "By which recipe", "What it scores", "Where it fails",
        "What to expect of it", "How to make it again",
    ]  # fmt: skip
    assert "50 videos (106 s in all) and 10 images" in card
    assert "40 by the simulator" in card
    assert "20 by the captioner, so they repeat its mistakes" in card
    assert "`smoke`" in card
    assert "`step-000200`" in card
    assert f"Training began from the weights with the digest `{'a' * 64}`, not from nothing." in card
    assert "The captioner learned from other clips." in card
    for digest in ("d" * 64, "c" * 64, "e" * 64):
        assert digest in card
    files = (version.path / "dit").glob("*.safetensors")
    assert f"{sum(tensor.size for file in files for tensor in load_file(file).values()):,}" in card
    rate, own = evaluation["rates"]["overall"], evaluation["reference"]["rates"]["overall"]
    assert f"| overall | {rate:.1%} | {own:.1%} |" in card


def test_it_hides_no_failure_and_nothing_unknown(version, card, evaluation):
    types = evaluation["summary"]["types"]
    assert any(row["failed"] for row in types.values())
    for kind, row in types.items():
        if row["failed"]:
            assert f"| {kind.replace('_', ' ')} | {row['failed']} of 4" in card
    for kind in evaluation["evaluator"]["not_detected"]:
        assert kind.replace("_", " ") in re.search("Nothing is known about these, .+: (.+)", card).group(1)
    assert "background, black, blue, circle" in card  # the words that it knows


def test_what_makes_it_again_is_a_command_that_makes_the_same_recipe(version, card):
    command = shlex.split(re.search(r"```\n(kinora .+)\n```", card).group(1).replace("$(cat recipe.json)", "RECIPE"))
    assert command[:3] == ["kinora", "pipeline", "run"]
    assert "pipeline" in COMMANDS
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options == {"--recipe": "custom", "--set": "RECIPE", "--source": "worlds"}
    assert recipes.get("custom", (version.path / "recipe.json").read_text()) == recipes.get("smoke")


def test_it_is_a_part_of_the_version(version):
    (version.path / "README.md").write_text("# A perfect model")
    with pytest.raises(KinoraError, match="was changed"):
        read_version(version.path)


def test_the_report_shows_the_card(version, card, tmp_path):
    page = version_page(version, "s3://bucket/models/x", "On trial: nothing is proved.")
    html = page.write(tmp_path / "report.html").read_text()
    assert "On trial: nothing is proved." in html
    for text in (version.digest, "s3://bucket/models/x", "Where it fails", "d" * 64, "kinora pipeline run"):
        assert text in html
    assert version_markdown(version, "s3://bucket/models/x", "Better.").endswith(card)


def test_what_is_not_known_is_left_out(model_folders, tmp_path):
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    bare = write_version(tmp_path, *folders, {"sampling": {}}, {}, {})
    assert "None" not in (bare.path / "README.md").read_text()


def test_a_world_that_asks_for_no_shape_has_none(model_folders, tmp_path):
    rates = {"overall": 0.5, "colour_right": 1.0, "shape_right": None, "motion_right": 0.25, "exactly_prompted": 1.0}
    evaluation = {
        "by_world": {"painter": {"clips": 4, "rates": rates}, "game": {"clips": 1, "rates": rates}},
        "abilities": {"permanence": {"score": 0.75, "measured": 4, "not_measured": {}}},
    }
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    made = write_version(tmp_path / "v", *folders, to_dict(recipes.get("smoke")), evaluation, LINEAGE)
    card = (made.path / "README.md").read_text()
    assert "| painter | 4 | 50% | 100% | – | 25% | 100% |" in card
    assert "permanence 75% (4 clips)" in card
