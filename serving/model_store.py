"""BentoML's model store: what a worker imports a version into, so that it loads it from its own disk."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kinora.errors import KinoraError
from kinora.files import friendly_os_errors
from kinora.generation.model_version import ModelVersion, own_files, read_version
from kinora.generation.registry import Registry

if TYPE_CHECKING:
    from bentoml._internal.models import ModelStore

MODEL = "kinora"
HOME = "BENTOML_HOME"
HOME_IN_WORK = "bentoml"


def store_home() -> Path:
    """Return the folder of this process's store: BENTOML_HOME, else work/bentoml."""
    return Path(os.environ.get(HOME) or Path("work") / HOME_IN_WORK).expanduser().absolute()


def import_version(registry: Registry, name: str, home: Path) -> Path:
    """Return a version's folder in the store at `home`, imported from the registry unless it is there whole.

    Raises:
        KinoraError: if the registry has no such version, it was changed, or the store cannot be written.
    """
    place = home / "models" / MODEL / name
    if not _whole(place):
        with friendly_os_errors(home):
            shutil.rmtree(place, ignore_errors=True)  # an import that was interrupted
            home.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".import-", dir=home) as temporary:
                _create(home, registry.fetch(name, Path(temporary)))
    return place


def _create(home: Path, version: ModelVersion) -> None:
    import bentoml

    lineage = version.record("lineage")
    labels = {key: value for key, value in lineage.items() if isinstance(value, str) and len(value) <= 63}
    with bentoml.models.create(f"{MODEL}:{version.name}", labels=labels, _model_store=_store(home)) as model:
        for file in own_files(version.path):
            copy = Path(model.path) / file.relative_to(version.path)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def _whole(place: Path) -> bool:
    try:
        read_version(place)
    except KinoraError:
        return False
    return (place / "model.yaml").is_file()


def _store(home: Path) -> "ModelStore":
    """Open BentoML's store at `home`; its own way reads the environment once for the whole process."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    from bentoml._internal.models import ModelStore

    (home / "models").mkdir(parents=True, exist_ok=True)
    return ModelStore(home / "models")
