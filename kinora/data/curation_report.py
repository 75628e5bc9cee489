"""What a person sees of curation: what each rule dropped, playing, with the measured value and the limit."""

from collections.abc import Iterator

import pandas as pd

from kinora import config as configuration
from kinora.data.clips import ClipDataset
from kinora.data.curation import RULES, CurationConfig
from kinora.errors import KinoraError
from kinora.media import read_image, read_video
from kinora.report import Clip, Page

NEAR_DUPLICATE = "near_duplicate"
SHOWN = 4  # dropped clips of each rule


def curation_section(page: Page, dropped: pd.DataFrame, dataset: ClipDataset) -> Page:
    """Add what the rules of curation dropped to a report.

    Args:
        page: the report.
        dropped: rows of the quarantine; those with other reasons than the rules' are left out.
        dataset: the dataset that they were dropped from, which has their media and the limits.
    """
    limits = configuration.from_dict(CurationConfig, dataset.config.get("ingest", {}).get("curation", {}))
    counts = dropped["reason"].value_counts()
    rules = [(f"{rule.limit.replace('_', ' ')} {getattr(limits, rule.limit):g}", rule.reason) for rule in RULES]
    rules.append(("no copies", NEAR_DUPLICATE))
    rows = [{"rule": rule, "reason": reason, "dropped": int(counts.get(reason, 0))} for rule, reason in rules]
    page.heading("Curation").table(rows, caption="A clip is dropped by the first rule that it breaks.")
    for rule, reason in rules:
        clips = list(_playing(dropped[(dropped["reason"] == reason) & (dropped["uri"] != "")], dataset))
        if clips:
            more = int(counts[reason]) - len(clips)
            rest = f"; {more} more are in quarantine.parquet" if more else ""
            page.clips(clips, caption=f"Dropped by {rule} ({reason}){rest}.")
    return page


def _playing(dropped: pd.DataFrame, dataset: ClipDataset) -> Iterator[Clip]:
    """Read some dropped clips, of as many sources as there are; one whose media is gone is left out."""
    turn = dropped.groupby("source").cumcount()
    chosen = dropped.assign(turn=turn).sort_values(["turn", "source"], kind="stable").head(SHOWN)
    for row in chosen.to_dict("records"):
        try:
            path = dataset.media(row["uri"])
            frames, fps = (read_image(path), 0.0) if path.suffix == ".png" else read_video(path)
        except KinoraError:
            continue
        yield Clip(frames, fps, f"{row['source']} from {row['source_start_s']:.1f} s", row["explanation"], failed=True)
