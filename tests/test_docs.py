"""What the documentation names exists: files, make targets, commands and their options."""

import re
import shlex
from pathlib import Path

import pytest

from cli import main as cli

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "k8s").glob("*.md"), *(ROOT / "charts").rglob("*.md")]
)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) + re.findall(r'src="([^"]+)"', text)
    broken = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page):
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(), re.MULTILINE)
    assert set(named) <= rules


def commands() -> list[tuple[str, str]]:
    """Every line of a code block that runs `kinora`."""
    lines = [(name(page), line.split("#")[0]) for page in PAGES for line in page.read_text().splitlines()]
    return [(page, line) for page, line in lines if re.match(r"kinora [a-z]", line)]


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_and_their_options_exist(page, line, capsys):
    words = shlex.split(line)[1:]
    assert words[0] in cli.COMMANDS
    subcommands = [word for word in words[1:2] if re.fullmatch(r"[a-z]+", word)]
    for asked in ([words[0], *subcommands, "--help"], [words[0], "--help"]):
        with pytest.raises(SystemExit):
            cli.main(asked)
    told = capsys.readouterr().out
    assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", told))
