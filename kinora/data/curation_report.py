"""What a person sees of curation: what each rule dropped, playing, with the measured value and the limit."""

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from kinora import config as configuration
from kinora.data.clips import ClipDataset
from kinora.data.columns import QUARANTINE_COLUMNS
from kinora.data.curation import RULES, CurationConfig
from kinora.errors import KinoraError
from kinora.media import read_image, read_video
from kinora.report import Clip, Page

NEAR_DUPLICATE = "near_duplicate"
SHOWN = 4  # dropped clips of each rule


def curation_section(page: Page, dataset: ClipDataset) -> Page:
    """Add what the rules of curation dropped to a report.

    Args:
        page: the report.
        dataset: the dataset that they were dropped from, which has its quarantine, their media and the limits.
    """
    limits = configuration.from_dict(CurationConfig, dataset.config.get("ingest", {}).get("curation", {}))
    rules = [(f"{rule.limit.replace('_', ' ')} {getattr(limits, rule.limit):g}", rule.reason) for rule in RULES]
    rules.append(("no copies", NEAR_DUPLICATE))
    counts: Counter[str] = Counter()
    shown = {reason: pd.DataFrame(columns=[*QUARANTINE_COLUMNS]) for _, reason in rules}
    for piece in dataset.rejected():
        counts.update(piece["reason"])
        for reason, few in shown.items():
            shown[reason] = _first_of_sources([few, piece[(piece["reason"] == reason) & (piece["uri"] != "")]])
    rows = [{"rule": rule, "reason": reason, "dropped": counts[reason]} for rule, reason in rules]
    page.heading("Curation").table(rows, caption="A clip is dropped by the first rule that it breaks.")
    for rule, reason in rules:
        clips = list(_playing(shown[reason], dataset))
        if clips:
            more = counts[reason] - len(clips)
            rest = f"; {more} more are in quarantine.parquet" if more else ""
            page.clips(clips, caption=f"Dropped by {rule} ({reason}){rest}.")
    return page


def _first_of_sources(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """Return some of the rows of a table's parts, of as many sources as there are."""
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    turn = rows.groupby("source").cumcount()
    order = rows.assign(turn=turn).sort_values(["turn", "source"], kind="stable")
    return rows.loc[order.index[:SHOWN]]


def _playing(dropped: pd.DataFrame, dataset: ClipDataset) -> Iterator[Clip]:
    """Read dropped clips; one whose media is gone is left out."""
    for row in dropped.to_dict("records"):
        try:
            path = dataset.media(row["uri"])
            frames, fps = (read_image(path), 0.0) if path.suffix == ".png" else read_video(path)
        except KinoraError:
            continue
        yield Clip(frames, fps, f"{row['source']} from {row['source_start_s']:.1f} s", row["explanation"], failed=True)
