"""What the documentation names exists: files, make targets, commands and their options."""

import importlib.util
import operator
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cli import main as cli
from kinora.recipes import get

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
    lines = [
        (name(page), line.split("#")[0].removeprefix(".venv/bin/"))
        for page in PAGES
        for line in page.read_text().splitlines()
    ]
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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_exist(page):
    tops = "|".join(folder.name for folder in ROOT.iterdir() if folder.is_dir() and folder.name[0] not in "._")
    named = re.findall(rf"`((?:{tops})/[\w./-]*)`", page.read_text())
    new = re.findall(r"New file `([^`]+)`", page.read_text())
    made = ("work/", "build/")  # by a run, and by `make docs`
    assert [p for p in named if p not in new and not p.startswith(made) and not (ROOT / p).exists()] == []
    assert [p for p in new if (ROOT / p).exists()] == []


def test_the_layers_are_those_that_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    checked = [layer for contract in contracts for layer in contract.get("layers", ())]
    shown = re.search(r"## Layers.*?```\n(.*?)```", (ROOT / "docs/contributing/index.md").read_text(), re.DOTALL)[1]
    assert [part for line in shown.splitlines() for part in re.split(r"\s{2,}", line.strip())] == checked


def walks() -> list[str]:
    """The steps and tests of the five walks, a paragraph or list item each."""
    text = re.sub(r"```.*?```", "", (ROOT / "docs/contributing/five-walks.md").read_text(), flags=re.DOTALL)
    return [" ".join(part.split()) for part in re.split(r"\n\n|\n(?=\d\. )", text) if "`" in part]


@pytest.mark.parametrize("step", walks(), ids=lambda step: step[:40])
def test_what_the_walks_name_exists(step):
    """Every name is in a file that the same step names."""
    quoted = re.findall(r"`([^`]+)`", step)
    paths = [word for word in quoted if "/" in word and " " not in word]
    sources = [(ROOT / path).read_text() for path in paths if (ROOT / path).is_file()]
    recipe = get("tiny")
    for name in (word for word in quoted if re.fullmatch(r"[\w.]+", word)):
        if name.startswith(("ingest.", "transformer.")):
            assert operator.attrgetter(name)(recipe) is not None
        elif sources and name not in ("verbatim", "openai", "extra_body"):  # the example, and another's names
            assert any(re.search(rf"\b{re.escape(name.split('.')[-1])}\b", source) for source in sources), name


def test_the_commands_of_the_walks_exist():
    text = (ROOT / "docs/contributing/five-walks.md").read_text()
    run = [line.split() for block in re.findall(r"```\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    tests = [word for words in run for word in words if word.startswith("tests/")]
    assert len(run) >= 5
    assert [path for path in tests if not (ROOT / path).exists()] == []


@pytest.fixture
def copy(tmp_path):
    """A copy of what the site is built from."""
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    return tmp_path


def built(folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "zensical", "build"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_site_asks_nothing_of_other_places(copy):
    assert built(copy).returncode == 0
    pages = list((copy / "build" / "site").rglob("*.html"))
    assert len(pages) > 20
    loaded = r"<(?:script|img|source|iframe|link)\b[^>]*(?:src|href)=\"?((?:https?:)?//[^\" >]+)"
    assert [(page.name, url) for page in pages for url in re.findall(loaded, page.read_text())] == []
    styles = "".join(style.read_text() for style in (copy / "build" / "site").rglob("*.css"))
    assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)\s]+", styles) == []


def test_a_broken_link_fails_the_build(copy):
    page = copy / "docs" / "tutorial.md"
    page.write_text(page.read_text() + "\nSee [nothing](nothing.md).\n")
    assert built(copy).returncode != 0


def test_a_page_says_who_it_is_for_and_stands_in_the_navigation(copy, monkeypatch):
    specification = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(generate)
    assert generate.problems() == []
    (copy / "docs" / "lost.md").write_text("# Lost\n\nNobody finds this.\n")
    monkeypatch.setattr(generate, "ROOT", copy)
    monkeypatch.setattr(generate, "tracked", lambda: ["docs/lost.md"])
    found = "\n".join(generate.problems())
    assert "docs/lost.md is not in the navigation: add it to `nav` in zensical.toml." in found
    assert "docs/lost.md does not say who it is for" in found
