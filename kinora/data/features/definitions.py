"""What Feast is told: its entities and views, and where its registry and its online store are.

Both are files beside the offline store, unless the environment names servers: `KINORA_FEATURES_REGISTRY`, a database as
SQLAlchemy writes it (`postgresql+psycopg://user:password@host/name`), and `KINORA_FEATURES_ONLINE`, a Redis
(`redis://:password@host:6379/0`, `rediss://` with TLS). They are read when a store is opened.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from kinora.data.columns import CLIP_COLUMNS, INSTANT
from kinora.errors import KinoraError, UsageError

if TYPE_CHECKING:
    from feast import FeatureStore

REGISTRY, ONLINE = "KINORA_FEATURES_REGISTRY", "KINORA_FEATURES_ONLINE"
# Of a clip everything is a feature, but its name and where it lies today.
FEATURES = tuple(name for name in CLIP_COLUMNS if name not in ("clip_id", "uri"))
# What the online store answers of a clip; it has a row for each, so that they are few.
ONLINE_FEATURES = (
    "caption", "short_caption", "caption_source", "split", "kind", "width", "height", "frames", "fps", "observed_at",
)  # fmt: skip
# The rows of the offline store: a state of a clip, since `event_timestamp`, which the publication of `dataset` found.
STATE_COLUMNS = {
    "clip_id": "object",
    **{name: CLIP_COLUMNS[name] for name in FEATURES},
    "state": "int64",  # a hash of the features, to see whether one changed
    "dataset": "object",
    "event_timestamp": INSTANT,
    "created_timestamp": INSTANT,
}
SECONDS_TO_ANSWER = 5  # of a Redis
SOURCE = "clips"  # the folder of the offline store, relative to where Feast is told to look
CLIPS, KNOWN_CLIPS, PUBLICATIONS = "clips", "known_clips", "publications"


def open_feast(folder: Path, sources: Path | None = None) -> "FeatureStore":
    """Open Feast with its files in `folder`, its offline store below `sources` (the same folder if None).

    What it must know of entities and views is registered if it is not, or is another.

    Raises:
        UsageError: if the environment names no registry or online store that can be used.
        KinoraError: if one does not answer.
    """
    from feast import FeatureStore, RepoConfig

    folder = folder.absolute()
    registry = os.environ.get(REGISTRY, "")
    with answered():
        store = FeatureStore(
            config=RepoConfig(
                project="kinora",
                provider="local",
                registry={"registry_type": "sql", "path": registry} if registry else str(folder / "registry.db"),
                online_store=_online_store(folder),
                offline_store={"type": "file"},
                entity_key_serialization_version=3,
                repo_path=sources or folder,  # what the path of a source is relative to
            )
        )
        if _registered(store) != DEFINITIONS:
            with contextlib.redirect_stdout(io.StringIO()):  # Feast prints what it does
                store.apply(_definitions())
    return store


@contextmanager
def answered() -> Iterator[None]:
    """Turn what the registry's database and the online store raise into one sentence."""
    import sqlite3

    from feast.errors import FeastExtrasDependencyImportError, FeastModuleImportError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (FeastExtrasDependencyImportError, FeastModuleImportError, ModuleNotFoundError) as error:
        raise UsageError(
            f"what {REGISTRY} or {ONLINE} names needs a package that is not here ({_first_line(error)}); "
            "install feast[redis,postgres]."
        ) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        if "disk is full" in str(error):  # which its folder is said of
            raise
        raise KinoraError(f"the feature store's database fails: {_first_line(error)}; look at it.") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "redis":  # which may not be installed
            raise
        raise KinoraError(f"the Redis of {ONLINE} fails: {_first_line(error)}; look at it.") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")


def online_is_shared() -> bool:
    """Say whether the online store is a server, which all machines share."""
    return bool(os.environ.get(ONLINE))


def _online_store(folder: Path) -> dict[str, Any]:
    """Return Feast's configuration of the online store.

    Raises:
        UsageError: if the environment names none that we know.
    """
    address = os.environ.get(ONLINE, "")
    if not address:
        return {"type": "sqlite", "path": str(folder / "online.db")}
    parts = urlsplit(address)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise UsageError(f"{ONLINE} is '{address}', which is no Redis; give redis://HOST:PORT/NUMBER.")
    options = {"db": parts.path.strip("/"), "username": parts.username, "password": parts.password}
    given = [f"{name}={unquote(value)}" for name, value in options.items() if value]
    given += ["ssl=true"] if parts.scheme == "rediss" else []
    given += [f"socket_timeout={SECONDS_TO_ANSWER}", f"socket_connect_timeout={SECONDS_TO_ANSWER}"]
    return {"type": "redis", "connection_string": ",".join([f"{parts.hostname}:{parts.port or 6379}", *given])}


def _registered(store: "FeatureStore") -> str:
    """Return which definitions the registry holds, "" for none."""
    found = store.list_feature_views(tags={"project": "kinora"})
    return {view.name: view.tags.get("definitions", "") for view in found}.get(CLIPS, "")


def _definitions() -> list[Any]:
    from feast import Entity, FeatureView, Field, FileSource
    from feast.types import Float64, Int64, String, UnixTimestamp
    from feast.value_type import ValueType

    kinds = {"object": String, "int64": Int64, "float64": Float64, INSTANT: UnixTimestamp}
    clip = Entity(name="clip", join_keys=["clip_id"], value_type=ValueType.STRING)
    publication = Entity(name="publication", join_keys=["publication"], value_type=ValueType.STRING)
    source = FileSource(
        name=SOURCE, path=SOURCE, timestamp_field="event_timestamp", created_timestamp_column="created_timestamp"
    )

    def view(name: str, entity: Any, features: tuple[str, ...], online: bool) -> Any:
        return FeatureView(
            name=name,
            entities=[entity],
            schema=[Field(name=feature, dtype=kinds[STATE_COLUMNS[feature]]) for feature in features],
            source=source,
            ttl=timedelta(0),
            online=online,
            tags={"project": "kinora", "definitions": DEFINITIONS},
        )

    return [
        clip,
        publication,
        view(CLIPS, clip, (*FEATURES, "state"), online=False),
        view(KNOWN_CLIPS, clip, ONLINE_FEATURES, online=True),
        view(PUBLICATIONS, publication, ("dataset",), online=True),
    ]


DEFINITIONS = hashlib.sha256(repr((STATE_COLUMNS, ONLINE_FEATURES)).encode()).hexdigest()[:16]
