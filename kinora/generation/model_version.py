"""A model version: everything that is needed to generate, and where it came from, in one folder named by its digest."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinora.config import digest as config_digest
from kinora.config import read_json, write_json
from kinora.errors import KinoraError
from kinora.files import file_digest, folder_digest
from kinora.generation.model_card import Section, card_markdown, model_card

PARTS = ("vae", "dit", "captioner")
RECORDS = ("recipe.json", "evaluation.json", "lineage.json")
CARD = "README.md"
FILES = (*RECORDS, CARD)
NAME_LENGTH = 16


@dataclass(frozen=True)
class ModelVersion:
    """A whole model version: its folder and the sha256 of its content."""

    path: Path
    digest: str

    @property
    def name(self) -> str:
        """The folder's name: the beginning of the digest."""
        return self.digest[:NAME_LENGTH]

    def record(self, name: str) -> dict[str, Any]:
        """Read `recipe`, `evaluation` or `lineage`."""
        value: dict[str, Any] = read_json(self.path / f"{name}.json")
        return value

    def card(self) -> list[Section]:
        """Return the model card that its README.md holds."""
        return model_card(self.path, *(self.record(name) for name in ("recipe", "evaluation", "lineage")))


def write_version(
    out_root: str | Path,
    vae: str | Path,
    dit: str | Path,
    captioner: str | Path,
    recipe: dict[str, Any],
    evaluation: dict[str, Any],
    lineage: dict[str, Any],
) -> ModelVersion:
    """Put trained models and their records together as `out_root/<digest>`, whole or not at all.

    Args:
        vae, dit, captioner: model folders, as training wrote them.
        recipe: the resolved recipe; its `sampling` is how the version generates.
        evaluation: what was measured of this checkpoint.
        lineage: digests of dataset, code, evaluator and `parent`, the weights that training began from, if not from
            nothing; `data`, the figures of the dataset; `notes`, further sentences for the card.

    The model card is made of them and is a part of the version.
    """
    out_root = Path(out_root)
    out_root.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".version-", dir=out_root))
    try:
        work.chmod(0o755)
        for part, folder in zip(PARTS, (vae, dit, captioner), strict=True):
            shutil.copytree(folder, work / part, ignore=_only_model_files)
        for name, value in zip(RECORDS, (recipe, evaluation, lineage), strict=True):
            write_json(work / name, value)
        (work / CARD).write_text(card_markdown(model_card(work, recipe, evaluation, lineage)))
        digest = content_digest(work)
        path = out_root / digest[:NAME_LENGTH]
        if path.exists():  # the same content: nothing to replace
            return read_version(path)
        work.rename(path)
        return ModelVersion(path, digest)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read_version(path: str | Path) -> ModelVersion:
    """Open a model version and verify that it is whole and unchanged.

    Raises:
        KinoraError: if it is not.
    """
    path = Path(path)
    missing = [name for name in (*PARTS, *FILES) if not (path / name).exists()]
    if missing:
        raise KinoraError(f"{path} is no model version ({missing[0]} is missing); give the folder of a version.")
    digest = content_digest(path)
    if not path.resolve().name.startswith(digest[:NAME_LENGTH]):
        raise KinoraError(
            f"{path} was changed after it was written (its digest is {digest[:NAME_LENGTH]}); do not use it."
        )
    return ModelVersion(path, digest)


def content_digest(path: Path) -> str:
    """Return the sha256 of a version's parts, records and card; what else a model store keeps there is left out."""
    parts = {part: folder_digest(path / part) for part in PARTS}
    return config_digest(parts | {name: file_digest(path / name) for name in FILES})


def own_files(path: Path) -> list[Path]:
    """Return a version's own files, without what a store keeps beside them."""
    parts = (file for part in PARTS for file in (path / part).rglob("*") if file.is_file())
    return sorted(parts) + [path / name for name in FILES]


def _only_model_files(folder: str, names: list[str]) -> set[str]:
    """Leave out what training keeps beside a model, such as reports."""
    return {name for name in names if not name.endswith(".safetensors") and name != "config.json"}
