"""The features of clips, published to a Feast feature store on disk, which training reads; and how they drift.

A published folder holds the offline store (`clips.parquet`), the online store (`online.db`, SQLite) and the registry.
Its paths are relative, so that the folder may be moved.
"""

import contextlib
import io
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kinora.data.clips import ClipDataset
from kinora.data.drift import comparable, drift_report, summary_report
from kinora.errors import KinoraError
from kinora.files import atomic_folder, friendly_os_errors

if TYPE_CHECKING:
    from feast import FeatureStore

TEXTS = ("caption", "short_caption", "caption_source", "split", "kind")
COUNTS = ("width", "height", "frames")
MEASURES = ("fps", "motion", "brightness", "contrast", "sharpness")
FEATURES = (*TEXTS, *COUNTS, *MEASURES)
CATEGORIES = ("kind", "caption_source", "width", "height", "frames", "fps")
VIEW = "clips"
# Features of a clip never change, so that one instant does for all; Feast wants one.
INSTANT = datetime(2026, 1, 1, tzinfo=UTC)


def publish_features(dataset: ClipDataset, out: str | Path) -> Path:
    """Publish every clip's features, offline and online, in folder `out`, whole or not at all."""
    from feast import Entity, FeatureView, Field, FileSource
    from feast.types import Float64, Int64, String
    from feast.value_type import ValueType

    out = Path(out)
    rows = dataset.clips[["clip_id", *FEATURES]].assign(event_timestamp=pd.Timestamp(INSTANT))
    with friendly_os_errors(out), atomic_folder(out) as folder:
        rows.to_parquet(folder / "clips.parquet", index=False)
        clip = Entity(name="clip", join_keys=["clip_id"], value_type=ValueType.STRING)
        types = {**dict.fromkeys(TEXTS, String), **dict.fromkeys(COUNTS, Int64), **dict.fromkeys(MEASURES, Float64)}
        view = FeatureView(
            name=VIEW,
            entities=[clip],
            schema=[Field(name=name, dtype=types[name]) for name in FEATURES],
            source=FileSource(name=VIEW, path="clips.parquet", timestamp_field="event_timestamp"),
            ttl=timedelta(0),
        )
        # Feast prints what it does; a step's output is for progress and failures.
        with contextlib.redirect_stdout(io.StringIO()):
            store = _store(folder)
            store.apply([clip, view])
            store.materialize(INSTANT - timedelta(days=1), INSTANT + timedelta(days=1))
    return out


def read_features(folder: str | Path, clip_ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Read features from the offline store: a row a clip, in the order asked, `clip_id` first; None reads all clips.

    Raises:
        KinoraError: if the folder holds no feature store, or lacks a clip that is asked for.
    """
    store, published = _store(_published(folder)), pd.read_parquet(Path(folder) / "clips.parquet", columns=["clip_id"])
    ids = list(published["clip_id"] if clip_ids is None else clip_ids)
    _refuse_unknown(folder, ids, published)
    asked = pd.DataFrame({"clip_id": ids, "event_timestamp": pd.Timestamp(INSTANT)})
    found = store.get_historical_features(asked, features=[f"{VIEW}:{name}" for name in FEATURES]).to_df()
    return found.set_index("clip_id").loc[ids, list(FEATURES)].reset_index()


def online_features(folder: str | Path, clip_ids: Iterable[str]) -> dict[str, list[Any]]:
    """Look features up in the online store: feature to values, in the order of `clip_ids`; None for unknown clips."""
    store = _store(_published(folder))
    return store.get_online_features(
        features=[f"{VIEW}:{name}" for name in FEATURES],
        entity_rows=[{"clip_id": clip_id} for clip_id in clip_ids],
    ).to_dict()


def feature_report(
    dataset: ClipDataset, folder: str | Path, reference: pd.DataFrame | None = None
) -> tuple[Path, dict[str, float]]:
    """Compare features with Evidently and write `features.html` into the published `folder`.

    The validation split is compared with the train split, or all clips with `reference` (the features that the model in
    service was trained on). With too few clips to compare, the page sums them up without a verdict.

    Returns:
        The page's path, the numbers of clips, and where they can be compared the figures of `drift_report`.

    Raises:
        KinoraError: if the folder holds no feature store.
    """
    features = read_features(folder, dataset.clips["clip_id"])
    held_out = features["split"] == "validation"
    current = features if reference is not None else features[held_out]
    reference = reference if reference is not None else features[~held_out]
    figures = {"clips": float(len(features)), "compared": float(len(current)), "reference": float(len(reference))}
    # A column without a single value (captions of a set that nobody captioned) has nothing to compare.
    categories = [name for name in CATEGORIES if current[name].notna().any() and reference[name].notna().any()]
    tables = _compared(current, categories), _compared(reference, categories)
    path = Path(folder) / "features.html"
    if comparable(*tables):
        return path, figures | drift_report(*tables, path, categories)
    summary_report(*tables, path, categories)
    return path, figures


def _compared(features: pd.DataFrame, categories: list[str]) -> pd.DataFrame:
    table = features[["motion", "brightness", "contrast", "sharpness"]].astype("float64")
    table["caption_words"] = [float(len(caption.split())) for caption in features["caption"]]
    return table.join(features[categories].astype(str).replace("", "none"))


def _published(folder: str | Path) -> Path:
    folder = Path(folder)
    if not (folder / "clips.parquet").is_file() or not (folder / "registry.db").is_file():
        raise KinoraError(f"{folder} holds no published features; publish a clip dataset's features there first.")
    return folder


def _refuse_unknown(folder: str | Path, ids: list[str], published: pd.DataFrame) -> None:
    unknown = sorted(set(ids) - set(published["clip_id"]))
    if unknown:
        raise KinoraError(
            f"{folder} has no features of {len(unknown)} clips, the first {unknown[0]}; publish that dataset."
        )


def _store(folder: Path) -> "FeatureStore":
    from feast import FeatureStore, RepoConfig

    folder = folder.absolute()
    return FeatureStore(
        config=RepoConfig(
            project="kinora",
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            offline_store={"type": "file"},
            entity_key_serialization_version=3,
            repo_path=folder,  # what the paths of sources are relative to
        )
    )
