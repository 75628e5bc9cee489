"""The model version that comes with the package: what generates where nothing was ever promoted.

It is one folder below `kinora/reference`, named by its digest as any version is. `python -m kinora.reference` puts
another there. The environment's KINORA_REFERENCE names another folder of a version instead, or none where it is empty.
"""

import os
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from kinora.errors import KinoraError
from kinora.files import atomic_folder, friendly_os_errors
from kinora.generation.model_version import PARTS, ModelVersion, own_files, read_version, write_version
from kinora.models.folder import write_weights

REFERENCE = "KINORA_REFERENCE"
PLACE = Path(__file__).parents[1] / "reference"
MOST_BYTES = 30 * 10**6


def reference_folder() -> Path | None:
    """Return the folder of the version that comes with the package; None where there is none."""
    named = os.environ.get(REFERENCE)
    if named is not None:
        return Path(named) if named else None
    return next((path.parent for path in sorted(PLACE.glob("*/lineage.json"))), None)


def put_reference(version: ModelVersion, place: Path = PLACE) -> ModelVersion:
    """Put a version into the package in place of the one that is there; return it as it is there.

    One that is too large has its weights rounded to float16 first; as its scores are then those of the weights before,
    its lineage and its model card say so, and it is another version, of another digest.

    Raises:
        KinoraError: if it is larger than 30 MB even so, or cannot be written.
    """
    with friendly_os_errors(place), tempfile.TemporaryDirectory() as temporary:
        if _bytes(version) > MOST_BYTES:
            version = _rounded(version, Path(temporary))
        if _bytes(version) > MOST_BYTES:
            raise KinoraError(
                f"the version has {_bytes(version) / 1e6:.1f} MB with weights of 16 bits, and at most "
                f"{MOST_BYTES / 1e6:.0f} MB come with the package; train a smaller model."
            )
        before = [path.parent for path in place.glob("*/lineage.json") if path.parent.name != version.name]
        if version.path.resolve() != (place / version.name).resolve():
            with atomic_folder(place / version.name) as folder:
                for file in own_files(version.path):
                    copy = folder / file.relative_to(version.path)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(file, copy)
        for folder in before:
            shutil.rmtree(folder)
    return read_version(place / version.name)


def _rounded(version: ModelVersion, out: Path) -> ModelVersion:
    """Return a version with weights of 16 bits: float16, whose steps are an eighth of bfloat16's."""
    for part in PARTS:
        shutil.copytree(version.path / part, out / part)
        for file in (out / part).glob("*.safetensors"):
            weights = load_file(file)
            write_weights(file, {name: w.half() if w.dtype == torch.float32 else w for name, w in weights.items()})
    vae, dit, captioner = (out / part for part in PARTS)
    recipe, evaluation = version.record("recipe"), version.record("evaluation")
    lineage = version.record("lineage") | {"rounded": {"to": "float16", "from": version.name}}
    return write_version(out / "versions", vae, dit, captioner, recipe, evaluation, lineage)


def _bytes(version: ModelVersion) -> int:
    return sum(file.stat().st_size for file in own_files(version.path))
