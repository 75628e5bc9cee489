"""Compile the pipelines to `pipelines/compiled/`; `--check` says whether what is there is what the definitions say.

Run as `python -m pipelines.compile [--check]`.
"""

import importlib
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from kinora import recipes
from kinora.errors import KinoraError
from kinora.files import atomic_write
from pipelines.workflows import CHECK_DRIFT, LAW_STUDY, WORKFLOWS, WORLD_SIMULATOR

COMPILED = Path(__file__).parent / "compiled"
# Parameters with a list of values become a dropdown in the run form of Kubeflow's page.
LITERALS = {"recipe": (*recipes.NAMES, recipes.CUSTOM)}
# Steps that take as many GPUs as the recipe's `compute` has processes; a study's trainings have one process each.
TRAINING = ("train-autoencoder",)
TRAINING_OF_ONE_MODEL = (*TRAINING, "pretrain")
HEADER = "# Generated from pipelines/{name}.py by 'make compile'. Do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Writes the components' sources as readable blocks."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def compiled_text(name: str, gpus: int = 1) -> str:
    """Return one pipeline's compiled YAML: what the compiler gives, with the literals and a header of our own.

    `gpus` are those of the steps that train in several processes. A count cannot be a parameter of a run
    (`pipelines/placement.py`), so `kinora pipeline submit` compiles for the recipe that it submits; the YAML that is
    kept asks for one.

    The compiler's own header lists the keys of defaults in an order that changes from one run to the next.
    """
    from kfp import compiler

    pipeline = getattr(importlib.import_module(f"pipelines.{name}"), name)
    training = TRAINING_OF_ONE_MODEL if name in (WORLD_SIMULATOR.name, LAW_STUDY.name, CHECK_DRIFT.name) else TRAINING
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(pipeline, str(path))
        documents: list[dict[str, Any]] = list(yaml.safe_load_all(path.read_text()))
    parameters = documents[0]["root"]["inputDefinitions"]["parameters"]
    for parameter, values in LITERALS.items():
        parameters[parameter]["literals"] = list(values)
    executors = documents[0]["deploymentSpec"]["executors"]
    for step in training:
        asked = executors[f"exec-{step}"]["container"]["resources"]["accelerator"]
        asked["count"] = asked["resourceCount"] = str(gpus)
    return HEADER.format(name=name) + yaml.dump_all(documents, Dumper=_Dumper, sort_keys=True, width=120)


def compile_all(check: bool = False) -> list[Path]:
    """Write every pipeline's YAML and return the paths; with `check`, write nothing.

    Raises:
        KinoraError: with `check`, if a file differs from its definition.
    """
    paths = []
    for name in WORKFLOWS:
        path = COMPILED / f"{name}.yaml"
        text = compiled_text(name)
        if not check:
            with atomic_write(path) as temporary:
                temporary.write_text(text)
        elif not path.exists() or path.read_text() != text:
            raise KinoraError(f"{path} is not what pipelines/{name}.py compiles to; run 'make compile' and commit it.")
        paths.append(path)
    return paths


def main(argv: list[str]) -> int:
    """Compile, or check with `--check`."""
    if argv not in ([], ["--check"]):
        print("usage: python -m pipelines.compile [--check]", file=sys.stderr)
        return 2
    try:
        for path in compile_all(check=bool(argv)):
            print(f"{path.name}: {'is current' if argv else 'written'}")
    except KinoraError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
