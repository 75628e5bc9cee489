"""What the demo asks its endpoint for, and how long it says that it takes."""

import re
import subprocess

import pytest

from pipelines.demo import main, shortened


def test_a_caption_longer_than_the_model_reads_is_cut_at_a_word():
    assert shortened("A red circle falls.", 24) == "A red circle falls."
    assert shortened("one-two three four", 3) == "one-two three"  # the model reads one-two as two words
    assert shortened("one-two three four", 1) == ""


def test_how_long_it_takes_is_said_wherever_a_person_looks_and_was_measured(root, capsys):
    measured = re.search(r"installation included: \*\*([0-9.]+) minutes", (root / "docs" / "benchmarks.md").read_text())
    said = f"about {float(measured[1]):.0f} minutes on two CPU cores"
    with pytest.raises(SystemExit):
        main(["--help"])
    helps = {
        "--help": " ".join(re.sub(r"[^\w -]", " ", capsys.readouterr().out).split()),
        "README": (root / "README.md").read_text(),
        "make help": subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout,
    }
    assert [name for name, text in helps.items() if said not in text] == []
