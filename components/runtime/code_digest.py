"""A digest of the code that steps run: it is what decides, with their inputs, whether a finished step still holds."""

import hashlib
import importlib.util
from pathlib import Path

# Serving and the command line are not among them: they change what is done with a model, not how one is made.
PACKAGES = ("kinora", "evaluation", "components")


def code_digest() -> str:
    """Return the sha256 over the installed sources of `PACKAGES`, and what is fitted beside them."""
    total = hashlib.sha256()
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec, package
        root = Path(str(spec.origin)).parent
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root.parent).as_posix()
            if path.suffix in (".py", ".j2", ".json", ".onnx"):
                total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()
