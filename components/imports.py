"""What programs import from outside the repository, read in their source; `python -m components.imports TARGET` proves
that an image has all of it.

Imports inside functions count, and so does what the imported modules import in turn. What only a type checker reads
does not count.
"""

import ast
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import components
from components.images import PROGRAMS

PACKAGES = ("kinora", "evaluation", "serving", "components", "pipelines", "cli")
ROOT = Path(components.__file__).parents[1]  # where the packages lie beside each other


def programs(target: str) -> list[str]:
    """Return the modules that the image `target` starts: its components, and what else runs in it."""
    marker = f"base_image={target.upper()}_IMAGE"
    steps = [path.parent.name for path in sorted(ROOT.glob("components/*/component.py")) if marker in path.read_text()]
    return [f"components.{step}.component" for step in steps] + list(PROGRAMS[target])


def imports(modules: Sequence[str], started: bool = True) -> dict[tuple[str, str], str]:
    """Return what `modules` of ours import from outside, directly or through others of ours, and which one does.

    Without `started`, of the others only what they import when they are imported themselves, not in their functions.

    A key is a module and what is taken from it: ("torch", "nn") of `from torch import nn`, ("torch", "") of `import
    torch`.
    """
    found: dict[tuple[str, str], str] = {}
    seen, todo = set[str](), list(modules)
    while todo:
        parts = todo.pop().split(".")
        for name in (".".join(parts[: length + 1]) for length in range(len(parts))):
            source = _source(name)
            if name in seen or source is None:
                continue
            seen.add(name)
            for module, attribute in _statements(ast.parse(source.read_text()), started or name in modules):
                if module.partition(".")[0] in PACKAGES:
                    todo += [module, f"{module}.{attribute}"]
                elif module.partition(".")[0] not in sys.stdlib_module_names:
                    found.setdefault((module, attribute), name)
    return found


def _source(module: str) -> Path | None:
    """Return the file of a module of ours, or None where the name is not a module's."""
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


def _statements(tree: ast.AST, functions: bool) -> Iterator[tuple[str, str]]:
    """Yield (module, attribute) of each import below `tree`; an `import a.b` has no attribute."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "imports are absolute"
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not functions:
            continue
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from _statements(node, functions)


def main(target: str) -> int:
    """Import everything that the programs of the image `target` import; return 1 if anything is not there."""
    outside = imports(programs(target))
    failures = 0
    for (module, attribute), importer in sorted(outside.items()):
        try:
            if attribute and not hasattr(importlib.import_module(module), attribute):
                importlib.import_module(f"{module}.{attribute}")
            importlib.import_module(module)
        except Exception as error:
            failures += 1
            print(f"{importer} imports {module}, which fails here: {error}", file=sys.stderr)
    print(f"{len(outside) - failures} of {len(outside)} imports of the {target} image's programs work.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
