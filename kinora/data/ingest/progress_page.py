"""What a person sees of ingest on its way: how the work was dealt, and what a portion of it read."""

from collections.abc import Mapping, Sequence

from kinora.report import Page


def plan_page(portions: Sequence[str], figures: Mapping[str, float]) -> Page:
    """Say how many inputs a source has, and how many of them are read now."""
    left, inputs = figures["left"], figures["inputs"]
    page = Page("Plan of ingest", f"{left:,.0f} of {inputs:,.0f} inputs have not been read before, and are read now.")
    page.figures({"inputs": f"{inputs:,.0f}", "to be read": f"{left:,.0f}", "portions": str(len(portions))})
    return page


def portion_page(portion: str, figures: Mapping[str, float]) -> Page:
    """Say what a portion read."""
    page = Page(f"Reading, portion {portion.replace('-', ' ')}", f"{figures['inputs']:,.0f} inputs were read.")
    names = {"inputs": "inputs", "shards": "shards", "clips": "clips made", "rejected": "inputs or parts rejected"}
    page.figures({shown: f"{figures[name]:,.0f}" for name, shown in names.items()})
    return page
