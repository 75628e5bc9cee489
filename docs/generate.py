"""Write the generated parts of the documentation, or with `--check` say where they differ from the code.

Generated are the tree in README.md, the file map, the help of every command, and the names of the Python library. The
check also finds pages that the navigation lacks, and pages that do not say who they are for.
"""

import argparse
import ast
import contextlib
import io
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
WIDTH = 88  # columns of the commands' help, which fit beside the navigation
TREE = ("<!-- tree: written by `make docs` -->", "<!-- end of tree -->")

# One line for each folder that is no Python package, and for each file that cannot hold a comment.
FOLDERS = {
    "benchmarks": "Every figure in the documentation comes from a script here.",
    "charts": "Helm charts of what is deployed many times.",
    "charts/kinora": "The chart of the gateway and the GPU workers.",
    "charts/kinora/ci": "Values for the tests.",
    "charts/kinora/templates": "What the chart installs.",
    "charts/kinora/templates/tests": "What `helm test` runs.",
    "docs": "This documentation: tutorial, how-to, reference, explanation, decisions, figures, log.",
    "docs/adr": "Architecture decisions: what was chosen, what was not, and why.",
    "docs/contributing": "How to change the code, and where.",
    "docs/how-to": "One task a page.",
    "docs/media": "Pictures of the documentation; those of `docs/report.md` in `report/`, with how each was made.",
    "docs/reference": "What every command, step, route and file is.",
    "examples": "Short scripts that use the library: generate, extend, evaluate, a recipe. The tests run them.",
    "k8s": "What a cluster needs once: namespaces, queues, GPU pools, roles.",
    "k8s/base": "Namespaces, network policies, priorities and roles.",
    "k8s/kueue": "Queues in which steps wait for GPUs.",
    "k8s/volcano": "The queue of training on several nodes.",
    "pipelines/compiled": "The pipelines as Kubeflow reads them, generated.",
    "tests": "Mirrors the tree: the tests of `kinora/data/shots.py` are in `tests/kinora/data/test_shots.py`.",
}
FILES = {
    ".gitignore": "What git leaves out.",
    "LICENSE": "Apache License 2.0.",
    "charts/kinora/.helmignore": "What Helm leaves out of the package.",
    "charts/kinora/values.schema.json": "The JSON schema of the chart's values.",
    "docs/media/generated.webp": "The clips at the top of the README.",
    "evaluation/calibration.json": "Of every type of failure, the strengths that faultless clips reach.",
    "evaluation/evidence/instances.onnx": "The network that tells things in frames, by `benchmarks.fit_segments`.",
    "docs/reference/command-line.md": "The help of every command.",
    "docs/reference/files.md": "This page.",
    "docs/reference/python.md": "The public names of the library.",
    "requirements.lock": "The one set of versions that was tested together.",
}
# A Markdown title, or the first comment of a script, YAML, a template or HTML.
FIRST_COMMENT = re.compile(
    r"(?:#!.*\n)?(?:<!doctype html>\n)?(?:\{\{-?\s*/\*|\{#-?|<!--|/\*|#+)\s*(.+?)\s*(?:\*/|#\}|-->|\n)"
)


def tracked() -> list[str]:
    """Return every file of the repository that git does not ignore, sorted; no model, which is no source."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    sources = {name for name in names if not re.match("kinora/reference/[0-9a-f]{16}/", name)}
    return sorted(name for name in sources if name and (ROOT / name).is_file())


def first_line(name: str) -> str:
    """Return the line that says what a file is: of its docstring, its title or its first comment. Empty if none."""
    if name in FILES:
        return FILES[name]
    if name.startswith("docs/media/report/"):
        return "How a section of `docs/report.md` was made." if name.endswith(".json") else "A clip or a figure of it."
    text = (ROOT / name).read_text(errors="replace").lstrip()
    if name.endswith(".py"):
        return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
    comment = re.match(
        r"(?:#!.*\n)?(?:<!doctype html>\n)?(?:\{\{-?\s*/\*|\{#-?|<!--|/\*|#+)\s*(.+?)\s*(?:\*/|#\}|-->|\n)", text
    )
    return re.split(r"(?<=\.) ", comment[1])[0] if comment else ""


def folder_line(folder: str) -> str:
    """Return the line that says what a folder is: of its package, or of the table above. Empty if none."""
    if folder == "docs/media/report":  # is there once `python -m benchmarks.report` ran
        return "Clips and figures of `docs/report.md`, a JSON a section, written by `benchmarks/report/`."
    package = ROOT / folder / "__init__.py"
    return FOLDERS.get(folder) or (first_line(f"{folder}/__init__.py") if package.exists() else "")


def tree(names: list[str]) -> str:
    """Return the README's tree: the folders at the top, and the packages inside the library and the evaluation."""
    folders = {str(Path(name).parent) for name in names if "/" in name and not name.startswith(".")}
    tops = sorted({folder.split("/")[0] for folder in folders}, key=lambda top: (order(top), top))
    rows = []
    for top in tops:
        rows.append((f"{top}/", folder_line(top)))
        if top in ("kinora", "evaluation"):
            inner = sorted(folder for folder in folders if re.fullmatch(rf"{top}/\w+", folder))
            rows += [(f"  {folder.split('/')[1]}/", folder_line(folder)) for folder in inner]
    return "```\n" + "".join(f"{name:<15}{line.rstrip('.')}\n" for name, line in rows) + "```\n"


def order(top: str) -> int:
    """Return a folder's place in the tree: the story's order, from the library up to the command line."""
    places = ("kinora", "evaluation", "components", "pipelines", "serving", "cli", "k8s", "charts")
    return places.index(top) if top in places else len(places)


def file_map(names: list[str]) -> str:
    """Return the page with one line for each file."""
    page = "# Every file\n\nFor: somebody who looks for the place of a change.\n\n"
    page += "Written by `make docs` from each file's first line.\n"
    folders = sorted({str(Path(name).parent) for name in names}, key=lambda folder: folder.split("/"))
    for folder in folders:
        inside = [name for name in names if str(Path(name).parent) == folder and Path(name).name != "__init__.py"]
        title, line = (f"`{folder}/`", folder_line(folder)) if folder != "." else ("At the top", "")
        page += f"\n## {title}\n\n" + (f"{line}\n\n" if line else "")
        page += "".join(f"- `{Path(name).name}`: {first_line(name)}\n" for name in inside)
    return page


def command_line() -> str:
    """Return the page with the help of every command and subcommand."""
    from cli.main import COMMANDS

    page = "# The command line\n\nFor: everyone who uses `kinora` in a terminal.\n\n"
    page += "Written by `make docs` from the commands' own help.\n\n```\n" + help_of([]) + "```\n"
    for command in COMMANDS:
        for words, told in helps([command]):
            page += f"\n{'#' * (1 + len(words))} kinora {' '.join(words)}\n\n```\n{told}```\n"
    return page


def helps(words: list[str]) -> Iterator[tuple[list[str], str]]:
    """Yield a command and, below it, its subcommands, each with its help."""
    told = help_of(words)
    yield words, told
    usage = " ".join(told.split("\n\n")[0].split())
    if inner := re.search(r"\[-h\] \{([\w,-]+)\}", usage):
        for word in inner[1].split(","):
            yield from helps([*words, word])


def help_of(words: list[str]) -> str:
    """Return what `kinora WORDS --help` prints."""
    from cli.main import main

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().split("\n")) + "\n"


def python_names(names: list[str]) -> str:
    """Return the page with the public classes and functions of the library, by module."""
    page = "# The Python library\n\nFor: somebody who calls Kinora from Python.\n\n"
    page += (
        "Written by `make docs` from the docstrings: every public class and function, and the first line of what it\n"
    )
    page += "says. `help(NAME)` in Python shows the rest: shapes, units, ranges and errors.\n"
    modules = [name for name in names if name.endswith(".py")]
    for name in [m for m in modules if m.startswith("kinora/")] + [m for m in modules if m.startswith("evaluation/")]:
        module = ast.parse((ROOT / name).read_text())
        public = [
            n for n in module.body if isinstance(n, ast.ClassDef | ast.FunctionDef) and not n.name.startswith("_")
        ]
        told = [(n.name, (ast.get_docstring(n) or "").split("\n")[0]) for n in public]
        if told:
            page += f"\n## {name.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}\n\n"
            page += f"{first_line(name)}\n\n" + "".join(f"- `{what}`: {line}\n" for what, line in told)
    return page


def generated() -> dict[Path, str]:
    """Return every generated file with what it should hold."""
    pages = ("docs/reference/command-line.md", "docs/reference/files.md", "docs/reference/python.md")
    names = sorted({*tracked(), *pages})
    readme = (ROOT / "README.md").read_text()
    start, end = (readme.index(mark) for mark in TREE)
    texts = (command_line(), file_map(names), python_names(names))
    return {
        ROOT / "README.md": f"{readme[:start]}{TREE[0]}\n\n{tree(names)}\n{readme[end:]}",
        **{ROOT / page: text for page, text in zip(pages, texts, strict=True)},
    }


def problems() -> list[str]:
    """Return what is wrong with the pages, one sentence each."""
    names = tracked()
    navigation = listed(tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"])
    found = []
    for folder in sorted({str(Path(name).parent) for name in names if "/" in name}):
        if not folder_line(folder) and not folder.startswith(("tests/", ".")):
            found.append(
                f"{folder}/ says nowhere what it is: give its __init__.py a docstring, or add it to docs/generate.py."
            )
    gone = [name for name in (*FOLDERS, *FILES) if not (ROOT / name).exists()]
    found += [f"{name} is not there any more: remove it from docs/generate.py." for name in gone]
    found += [f"{name} does not say in its first line what it is." for name in names if is_silent(name)]
    for name in (name for name in names if name.startswith("docs/") and name.endswith(".md")):
        if name.removeprefix("docs/") not in navigation:
            found.append(f"{name} is not in the navigation: add it to `nav` in zensical.toml.")
        if not re.match(r"# .+\n\nFor: .+", (ROOT / name).read_text()):
            found.append(f"{name} does not say who it is for: below its title, write a line that begins with 'For: '.")
    return found


def is_silent(name: str) -> bool:
    """Say whether a file lacks its first line. An `__init__.py` speaks for its folder."""
    return not first_line(name) and not name.endswith("__init__.py")


def listed(navigation: list) -> set[str]:
    """Return the pages of a navigation, however deep."""
    pages = set()
    for entry in navigation:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            pages |= listed(value) if isinstance(value, list) else {value}
    return pages


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something differs")
    check = parser.parse_args().check
    found = problems() if check else []
    for path, text in generated().items():
        if path.exists() and path.read_text() == text:
            continue
        if check:
            found.append(f"{path.relative_to(ROOT)} is not what the code says: run 'make docs' and commit it.")
        else:
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    print("".join(f"{problem}\n" for problem in found), end="", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    os.environ |= {"COLUMNS": str(WIDTH), "NO_COLOR": "1"}
    sys.exit(main())
