"""`kinora ingest` and `kinora validate`, as a person calls them."""

import sys

import pytest
from PIL import Image

from cli.main import main


@pytest.fixture
def pictures(tmp_path):
    """A folder with two small pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, colour in (("a.png", "red"), ("b.png", "blue")):
        Image.linear_gradient("L").resize((48, 32)).convert("RGB").save(folder / name)  # a blank one would be dropped
        picture = Image.open(folder / name)
        picture.paste(colour, (8, 8, 30, 24))
        picture.save(folder / name)
    return folder


def test_ingest_then_validate(pictures, tmp_path, capsys):
    assert main(["ingest", str(pictures), "--out", str(tmp_path / "clips"), "--recipe", "tiny"]) == 0
    assert "2 clips, 0 inputs in quarantine" in capsys.readouterr().out
    assert (tmp_path / "clips" / "report.html").exists()
    assert main(["validate", str(tmp_path / "clips"), "--out", str(tmp_path / "valid")]) == 0
    assert "2 clips kept, 0 moved" in capsys.readouterr().out
    assert (tmp_path / "valid" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["ingest", "/nowhere", "--out", "{out}"], 1, "there is no folder or file /nowhere"),
        (["ingest", "worlds", "--out", "{out}", "--recipe", "huge"], 2, "no recipe 'huge'"),
        (["validate", "/nowhere", "--out", "{out}"], 1, "holds no clip dataset"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(arguments, code, sentence, tmp_path, capsys):
    assert main([argument.format(out=tmp_path / "out") for argument in arguments]) == code
    printed = capsys.readouterr().err
    assert sentence in printed
    assert len(printed.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["ingest", "validate"])
def test_bad_usage_exits_2_and_help_imports_nothing_heavy(command):
    with pytest.raises(SystemExit) as left:
        main([command])
    assert left.value.code == 2
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert "cli.options" in sys.modules
