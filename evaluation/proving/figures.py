"""The figures of the benchmark, from the rows that a run kept.

For a type, faultless clips count where it is due or was measured, failing ones where it was put in. What is due and not
measured counts as the least suspicious of all: a failure there is missed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from evaluation.calibration import strength_at, suspicion
from evaluation.findings import FAILS_FROM
from evaluation.intervals import clustered, poisson, wilson
from evaluation.proving.shards import AS_MADE, EDITED, FAILING, FAULTLESS, KINDS, NULL, RECONSTRUCTED

UNMEASURED = -1.0  # in place of a strength, which is 0 or more
FALSE_ALARMS = 0.01  # at which what is found is counted
NEAR = 2  # frames by which an onset may be off
TOUCHING = 0.1  # intersection over union from which a box is at the place
LEAST = 8  # failing clips, or faultless ones, from which a figure is given
RESAMPLES = 200

Entries = Mapping[str, Mapping[str, float]]


def by_type(table: pd.DataFrame, entries: Entries) -> list[dict[str, Any]]:
    """Return for each family and type: AUROC, found at 1 % false alarms, onset, overlaps and share measurable."""
    rows = []
    for family, part in table[table["group"].isin([FAULTLESS, FAILING])].groupby("family"):
        for kind in KINDS:
            rows.append({"family": family, "type": kind, **_figures(part[part["type"] == kind], kind, entries)})
    return rows


def _figures(rows: pd.DataFrame, kind: str, entries: Entries) -> dict[str, Any]:
    bad = rows[(rows["group"] == FAILING) & (rows["true_type"] == kind)]
    good = rows[(rows["group"] == FAULTLESS) & (rows["due"] | rows["measured"])]
    due = pd.concat([bad, good[good["due"]]])
    threshold = threshold_of(kind, entries)
    found = bad[_values(bad) >= threshold]
    near = (found["start"] - found["true_start"]).abs()
    boxes = [
        _overlap(a, b) for a, b in zip(found["box"], found["true_box"], strict=True) if a is not None and b is not None
    ]
    return {
        "failing": len(bad),
        "faultless": len(good),
        "auroc": auroc(_values(good), _values(bad)) if min(len(bad), len(good)) >= LEAST else None,
        "auroc_interval": _resampled(good, bad) if min(len(bad), len(good)) >= LEAST else None,
        "found": len(found) / len(bad) if len(bad) else None,
        "found_of": wilson(len(found), len(bad)),
        "false_alarms": float((_values(good) >= threshold).mean()) if len(good) else None,
        "onset_median": float(near.median()) if len(found) else None,
        "onset_near": float((near <= NEAR).mean()) if len(found) else None,
        "frames_overlap": float(np.median([_frames_overlap(row) for _, row in found.iterrows()]))
        if len(found)
        else None,
        "place_overlap": float(np.median(boxes)) if boxes else None,
        "place_found": float((np.array(boxes) > TOUCHING).mean()) if boxes else None,
        "measurable": float(due["measured"].mean()) if len(due) else None,
        "due": len(due),
    }


def beside(table: pd.DataFrame, entries: Entries) -> list[dict[str, Any]]:
    """Return for each family and type how failing clips compare with the very clips without the failure, in pairs.

    `above` is the share of pairs in which the failure makes the clip more suspicious of its type, ties counted half:
    what can be said where nobody knows which clips are faultless. `before` is the share already suspicious without it.
    """
    rows = []
    good = table[table["group"].isin([FAULTLESS, AS_MADE])][["case", "type", "strength"]]
    bad = table[table["group"].isin([FAILING, EDITED]) & (table["type"] == table["true_type"])]
    pairs = bad.merge(good, left_on=["twin", "type"], right_on=["case", "type"], suffixes=("", "_without"))
    for (family, kind), part in pairs.groupby(["family", "type"]):
        threshold = threshold_of(str(kind), entries)
        own, without = _values(part), part["strength_without"].fillna(UNMEASURED).to_numpy(dtype=float)
        found = part[own >= threshold]
        near = (found["start"] - found["true_start"]).abs() <= NEAR
        above = pd.Series((np.sign(own - without) + 1) / 2, index=pd.Index(part["base"], name="base"))
        rows.append(
            {
                "family": family,
                "type": kind,
                "pairs": len(part),
                "above": clustered(above),
                "found": wilson(len(found), len(part)),
                "before": wilson(int((without >= threshold).sum()), len(part)),
                "onset_near": float(near.mean()) if len(found) else None,
            }
        )
    return rows


def false_alarms(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return for each family, and its reconstructions, how many faultless clips alarm, and how often in an hour."""
    rows = []
    for (family, group), part in table[table["group"].isin([FAULTLESS, RECONSTRUCTED])].groupby(["family", "group"]):
        alarmed = part.assign(alarm=alarms(part))
        clips = alarmed.groupby(["base", "case", "way"]).agg(
            any=("alarm", "any"), count=("alarm", "sum"), frames=("frames", "first"), fps=("fps", "first")
        )
        count, hours = int(clips["count"].sum()), float((clips["frames"] / clips["fps"]).sum()) / 3600
        low, high = poisson(count)
        whose = alarmed[alarmed["alarm"]]["type"].value_counts()
        rows.append(
            {
                "family": family,
                "clips": "faultless" if group == FAULTLESS else "through the autoencoder",
                "count": len(clips),
                "bases": clips.index.get_level_values("base").nunique(),
                "any": clustered(clips["any"]),
                "alarms": count,
                "hours": hours,
                "an_hour": count / hours,
                "an_hour_interval": (low / hours, high / hours),
                "by_type": {str(kind): int(n) for kind, n in whose.items()},
            }
        )
    return rows


def nulls(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return for each family and null in how many pairs it is more suspicious than the clip that it stands for.

    It is as well where the evaluator counts against it, and not against the clip, that something cannot be measured.
    """
    rows = []
    suspicions = suspicion_of(table[table["group"].isin([FAULTLESS, AS_MADE, NULL])])
    good = suspicions[suspicions["group"] != NULL]
    clips = dict(zip(good["case"], good["suspicion"], strict=True))
    for (family, way), part in suspicions[suspicions["group"] == NULL].groupby(["family", "way"]):
        own = np.array([clips[case] for case in part["case"]])
        wins = int((part["suspicion"].to_numpy() > own).sum())
        rows.append({"family": family, "null": way, "pairs": len(part), "loses": wilson(wins, len(part))})
    return rows


def by_way(table: pd.DataFrame, entries: Entries) -> list[dict[str, Any]]:
    """Return for each way of failing how much of it is found at 1 % false alarms, by severity too."""
    rows = []
    bad = table[table["group"].isin([FAILING, EDITED]) & (table["type"] == table["true_type"])]
    for (family, kind, way), part in bad.groupby(["family", "type", "way"]):
        caught = _values(part) >= threshold_of(str(kind), entries)
        row = {"family": family, "type": kind, "way": way, "clips": len(part), "found": float(caught.mean())}
        for severity in ("subtle", "plain", "gross"):
            mine = caught[(part["severity"] == severity).to_numpy()]
            row[severity] = float(mine.mean()) if len(mine) else None
        rows.append(row)
    return rows


def unmeasured(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the reasons why what was due could not be measured, the most frequent first."""
    missed = table[table["due"] & ~table["measured"] & table["group"].isin([FAULTLESS, FAILING])]
    counts = missed.groupby(["family", "type", "reason"], as_index=False).size().sort_values("size", ascending=False)
    return [
        {str(name): value for name, value in row.items()}
        for row in counts.rename(columns={"size": "clips"}).to_dict("records")
    ]


def speed(table: pd.DataFrame) -> float:
    """Return how many frames a second of processor time are judged, for all types together."""
    cases = table.drop_duplicates(["case", "group", "way"])
    return float(cases["frames"].sum() / cases["seconds"].sum())


def threshold_of(kind: str, entries: Entries) -> float:
    """Return the strength that 1 % of the fitting set's faultless clips reach; 1 where none was fitted."""
    return strength_at(entries[kind], FALSE_ALARMS) if kind in entries else 1.0


def alarms(rows: pd.DataFrame) -> np.ndarray:
    """Say for each row whether it counts against its clip, a failure or what could not be measured: `bool [n]`."""
    from evaluation.calibration import score

    strengths = rows["strength"].fillna(0.0)
    scores = [score(kind, s) for kind, s in zip(rows["type"], strengths, strict=True)]
    return np.asarray((np.array(scores) >= FAILS_FROM) | rows["missed"].to_numpy(bool))


def suspicion_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row a case, with the suspicion of its most suspicious type; none is more so than one missed."""
    values = [
        float("inf") if missed else suspicion(kind, strength)
        for kind, strength, missed in zip(rows["type"], rows["strength"].fillna(0.0), rows["missed"], strict=True)
    ]
    told = rows.assign(suspicion=values)
    return told.groupby(["family", "group", "case", "way"])["suspicion"].max().reset_index()


def auroc(good: np.ndarray, bad: np.ndarray) -> float:
    """Return the share of pairs in which the failing clip is the more suspicious, ties counted half."""
    order = np.sort(good)
    below, upto = np.searchsorted(order, bad, "left"), np.searchsorted(order, bad, "right")
    return float((below + upto).mean() / (2 * len(good)))


def curve(good: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the receiver operating characteristic: shares of false alarms and of found, for every threshold."""
    limits = np.unique(np.concatenate([good, bad, [np.inf]]))[::-1]
    return np.array([(good >= x).mean() for x in limits]), np.array([(bad >= x).mean() for x in limits])


def values_of(table: pd.DataFrame, family: str, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the strengths of a family's faultless and failing clips of one type."""
    rows = table[(table["family"] == family) & (table["type"] == kind)]
    good = rows[(rows["group"] == FAULTLESS) & (rows["due"] | rows["measured"])]
    return _values(good), _values(rows[(rows["group"] == FAILING) & (rows["true_type"] == kind)])


def _values(rows: pd.DataFrame) -> np.ndarray:
    return rows["strength"].fillna(UNMEASURED).to_numpy(dtype=float)


def _resampled(good: pd.DataFrame, bad: pd.DataFrame) -> tuple[float, float]:
    """Return the interval of 95 % of the AUROC, resampled by base clip."""
    rng = np.random.default_rng(0)
    bases = sorted({*good["base"], *bad["base"]})
    parts = {base: (_values(good[good["base"] == base]), _values(bad[bad["base"] == base])) for base in bases}
    found = list(_draws(parts, bases, rng))
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def _draws(
    parts: dict[str, tuple[np.ndarray, np.ndarray]], bases: list[str], rng: np.random.Generator
) -> Iterator[float]:
    for _ in range(RESAMPLES):
        drawn = [parts[bases[i]] for i in rng.integers(len(bases), size=len(bases))]
        good, bad = (np.concatenate([part[i] for part in drawn]) for i in (0, 1))
        if len(good) and len(bad):
            yield auroc(good, bad)


def _frames_overlap(row: "pd.Series[Any]") -> float:
    both = min(row["end"], row["true_end"]) - max(row["start"], row["true_start"]) + 1
    either = max(row["end"], row["true_end"]) - min(row["start"], row["true_start"]) + 1
    return float(max(0, both) / either)


def _overlap(a: list[int], b: list[int]) -> float:
    """Return the intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0, width) * max(0, height)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)
