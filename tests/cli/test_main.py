"""The console command: every name in its table exists, help is light, and failures are sentences."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli import main as cli
from kinora.errors import KinoraError, UsageError
from kinora.media import write_video


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_exists_and_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, "--help"])
    assert stopped.value.code == 0
    assert f"kinora {name}" in capsys.readouterr().out


def test_help_lists_every_command_and_imports_nothing_heavy():
    script = (
        "import sys; from cli.main import main; main(['--help']);"
        "print(len({'torch', 'tyro', 'kfp'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert all(f"  {name} " in out for name in cli.COMMANDS)
    assert out.splitlines()[-1] == "0"


def helps(words, capsys):
    """Yield a command and its subcommands, each with what --help prints."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([*words, "--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    inner = re.search(r"usage: [^{]*\[-h\] \{([\w,-]+)\}", told)
    if inner is None:
        yield words, told
    for word in inner[1].split(",") if inner else ():
        yield from helps([*words, word], capsys)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_option_has_a_sentence_and_is_named_for_what_it_takes(name, capsys):
    for words, told in helps([name], capsys):
        lines = re.sub(r"\s*\n {10,}(?=\S)", "  ", told).splitlines()  # what is broken over lines becomes whole again
        rows = [line.strip() for line in lines if re.match(r"  \S", line) and not line.startswith("  -h, --help")]
        assert rows or name == "doctor", words
        for row in rows:
            option, _, sentence = row.partition("  ")
            said = re.sub(r"\((default|required|optional|repeatable)[^()]*\)", "", sentence).strip()
            assert re.fullmatch(r"[A-Z].*\w.*[.]", said), f"{words}: {row}"
            assert not re.search(r"\b(PATH\|None|STR|INT|FLOAT|\{None)", option), f"{words}: {row}"


def test_an_unknown_command_is_bad_usage(capsys):
    assert cli.main(["trian"]) == 2
    assert "no command 'trian'" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["a-file", "a-file/below", "/proc/nowhere", "/dev/null/below", "locked/new"])
def test_a_place_that_nothing_can_be_written_to_is_said(out, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-file").touch()
    (tmp_path / "locked").mkdir()
    allowed = os.access  # whoever may write everywhere is told as others are
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked" and allowed(path, mode))
    write_video(tmp_path / "clip.mp4", np.full((3, 16, 16, 3), 90, np.uint8), 8.0)
    assert cli.main(["evaluate", "clips", "clip.mp4", "--out", out]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"kinora evaluate: nothing can be written to {out} (")
    assert said.endswith("name another place with --out.")


@pytest.mark.parametrize(("error", "code"), [(KinoraError, 1), (UsageError, 2)])
def test_a_failure_is_one_sentence_and_an_exit_code(error, code, monkeypatch, capsys):
    def fail(argv):
        raise error("clips/ is empty; put videos in it.")

    monkeypatch.setattr("cli.doctor.doctor", fail)
    assert cli.main(["doctor"]) == code
    assert capsys.readouterr().err == "kinora doctor: clips/ is empty; put videos in it.\n"
