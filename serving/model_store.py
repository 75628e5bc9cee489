"""Which model version is in service: the newest of BentoML's model store, where a version keeps its digest as name."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from kinora.errors import KinoraError
from kinora.files import atomic_write, friendly_os_errors
from kinora.generation.model_version import read_version

if TYPE_CHECKING:
    from bentoml._internal.models import ModelStore

MODEL = "kinora"
HOME = "BENTOML_HOME"
HOME_IN_WORK = "bentoml"


def store_home(work: Path | None = None) -> Path:
    """Return the folder of the model store: the one in a work folder, else `BENTOML_HOME`, else the one in `work`."""
    if work is None and os.environ.get(HOME):
        return Path(os.environ[HOME]).expanduser().absolute()
    return (work or Path("work")).absolute() / HOME_IN_WORK


def promote(version: str | Path, home: Path | None = None) -> Path:
    """Put a model version into the store and into service; return its folder there.

    A version that is there already is put into service again, which is how one goes back.

    Raises:
        KinoraError: if it is no whole, unchanged model version, or the store cannot be written.
    """
    found = read_version(version)
    home = home or store_home()
    with friendly_os_errors(home):
        place = _folder(home) / found.name
        if not _whole(place):
            shutil.rmtree(place, ignore_errors=True)  # a promotion that was interrupted
            _create(home, found.path, found.name, found.record("lineage"))
        with atomic_write(_folder(home) / "latest") as temporary:
            temporary.write_text(found.name)
    return place


def current(home: Path | None = None) -> Path | None:
    """Return the folder of the version in service, or None where nothing was promoted."""
    home = home or store_home()
    if not (_folder(home) / "latest").is_file():
        return None
    return Path(_store(home).get(MODEL).path)


def in_service(home: Path | None = None) -> Path:
    """Return the folder of the version in service, verified.

    Raises:
        KinoraError: if nothing was promoted, or what was is damaged.
    """
    home = home or store_home()
    path = current(home)
    if path is None:
        raise KinoraError(
            f"no model version is in service in {home}; promote one with `kinora promote VERSION`, or run `make demo`."
        )
    return read_version(path).path


def _create(home: Path, version: Path, name: str, lineage: dict[str, object]) -> None:
    import bentoml

    labels = {key: value for key, value in lineage.items() if isinstance(value, str) and len(value) <= 63}
    with bentoml.models.create(f"{MODEL}:{name}", labels=labels, _model_store=_store(home)) as model:
        shutil.copytree(version, model.path, dirs_exist_ok=True)


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


def _folder(home: Path) -> Path:
    return home / "models" / MODEL
