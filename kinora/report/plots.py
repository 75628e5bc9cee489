"""Matplotlib figures as inline SVG that takes its colours from the page, in the light and in the dark."""

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What figures are drawn with, ours and matplotlib's own defaults, and the variable of the page's style that it becomes.
VARIABLES = {
    "ink": ("#000000", "#1b1f24"),
    "soft": ("#7a8490", "#7f7f7f"),
    "line": ("#b0b0b0", "#cccccc", "#e5e8ec"),
    "paper": ("#ffffff",),
    "first": ("#1f77b4", "#2f5fd0"),
    "second": ("#ff7f0e", "#e08a2e"),
    "good": ("#2ca02c", "#2e7d4f"),
    "bad": ("#d62728", "#c2352b"),
    "fifth": ("#9467bd",),
}
COLOURS = {colour: f"var(--{name}, {colour})" for name, colours in VARIABLES.items() for colour in colours}
COLOUR = re.compile(r"(?<=[:\s])#[0-9a-f]{6}(?=[;\"\s])")


def inline_svg(figure: "Figure") -> str:
    """Return the figure as an `<svg>` element without a background; equal figures give equal text."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kinora"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return COLOUR.sub(lambda found: COLOURS.get(found[0], found[0]), svg[svg.index("<svg") :])
