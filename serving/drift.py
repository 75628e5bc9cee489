"""Drift between what the endpoint is asked for and what the deployed model was trained on, reported by Evidently.

`kinora drift` runs it.
"""

import sqlite3
from pathlib import Path

import pandas as pd

from kinora.config import write_json
from kinora.data.drift import MIN_ROWS, comparable, drift_report
from kinora.errors import KinoraError
from kinora.files import friendly_os_errors
from kinora.models.text_encoder import split_words

COLUMNS = ("prompt", "width", "height", "frames", "fps")


def read_requests(work: Path) -> pd.DataFrame:
    """Return what was asked for: one row a request that is still kept, with `prompt, width, height, frames, fps`.

    Raises:
        KinoraError: if nothing was served there.
    """
    path = work / "serving" / "jobs.sqlite"
    if not path.is_file():
        raise KinoraError(f"{work} holds no requests; name the folder that `kinora serve --work` was given.")
    # Not read-only: the gateway may be running, and a reader of its journal writes the index beside it.
    database = sqlite3.connect(path)
    try:
        return pd.read_sql_query(f"SELECT {', '.join(COLUMNS)} FROM jobs ORDER BY number", database)
    except (sqlite3.Error, pd.errors.DatabaseError) as error:
        raise KinoraError(f"{path} cannot be read ({error}); name another --work.") from error
    finally:
        database.close()


def features(table: pd.DataFrame, known: set[str]) -> pd.DataFrame:
    """Return what is compared of requests or training clips.

    Args:
        table: with `width, height, frames, fps` and `prompt` or `caption`.
        known: words of the training captions.

    Returns:
        `width, height` in pixels, `frames`, `fps`, `words` in the text, `unknown_words`, the share of them never seen.
    """
    texts = table["prompt" if "prompt" in table else "caption"].fillna("").map(split_words)
    found = table[["width", "height", "frames", "fps"]].astype(float)
    return found.assign(
        words=texts.map(len).astype(float),
        unknown_words=texts.map(lambda words: sum(word not in known for word in words) / max(len(words), 1)),
    )


def request_drift(requests: pd.DataFrame, training: pd.DataFrame, out: Path) -> dict[str, float]:
    """Compare requests with the clips that the model was trained on; write `drift.html` and `drift.json` below `out`.

    Args:
        requests: as `read_requests` returns.
        training: `caption, width, height, frames, fps`, one row a clip.

    Returns:
        The population stability index of each feature as `psi_<feature>` (0 is none, 0.2 and above is drift), and
        `drifted_share`, the share of features that drifted.

    Raises:
        KinoraError: if there is too little to compare.
    """
    # An image has no frame rate: the comparison is of what is there.
    training = training.dropna(subset=["caption", "width", "height", "frames", "fps"])
    if training.empty:
        raise KinoraError("the reference holds no captioned clips; give the training clips of the deployed model.")
    known = {word for caption in training["caption"] for word in split_words(caption)}
    tables = features(requests, known), features(training, known)
    if not comparable(*tables):
        raise KinoraError(
            f"{len(requests)} requests and {len(training)} clips say nothing about drift; "
            f"compare again when there are {MIN_ROWS} of each."
        )
    figures = drift_report(*tables, out / "drift.html")
    with friendly_os_errors(out):
        write_json(out / "drift.json", figures)
    return figures
