"""Fix the scale of every detector on faultless clips: the file `calibration.json` that scores are made by."""

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.calibration import FILE, fitted
from evaluation.evaluator import OF_OBJECTS
from evaluation.proving.shards import FAULTLESS, KINDS, RECONSTRUCTED
from kinora.config import write_json
from kinora.recipes.backends import NONE, Backends


def fit(table: pd.DataFrame, file: Path = FILE, backends: Backends = NONE) -> dict[str, Any]:
    """Write the calibration of every type from the rows of a run on the fitting set, judged with some backends.

    Faultless clips and their reconstructions count wherever a type was measured, due or not: what a detector dares to
    measure, it must not raise an alarm on.

    Returns:
        What was written.
    """
    good = table[table["group"].isin([FAULTLESS, RECONSTRUCTED]) & table["measured"]]
    clips = table[table["group"].isin([FAULTLESS, RECONSTRUCTED])].drop_duplicates(["case", "way"])
    made: dict[str, Any] = {"backends": backends.evidence} if backends.evidence else {}
    made |= {
        "clips": dict(Counter(clips["family"] + ", " + clips["group"])),
        "types": {
            kind: {name: round(value, 6) for name, value in fitted(part["strength"].to_numpy()).items()}
            for kind in KINDS
            if kind not in OF_OBJECTS and len(part := good[good["type"] == kind])
        },
    }
    write_json(file, made)
    return made
