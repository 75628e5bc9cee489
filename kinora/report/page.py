"""A page of figures, tables, plots and playing clips, written as one HTML file."""

import base64
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np

from kinora.files import atomic_write
from kinora.media import enlarge, video_bytes, write_image
from kinora.report.plots import inline_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLIP_PIXELS = 192  # clips are enlarged to about this many pixels on their longer side


@dataclass(frozen=True)
class Clip:
    """A clip to show: frames `uint8 [T, H, W, 3]` (T = 1 is an image), what it is, and any note under it.

    `tags` are what a reader may filter by, such as its types of failure.
    """

    frames: np.ndarray
    fps: float
    label: str
    note: str = ""
    failed: bool = False
    tags: tuple[str, ...] = ()


class Page:
    """A report, built from top to bottom; every method adds one block and returns the page."""

    def __init__(self, title: str, summary: str = ""):
        self.title, self.summary = title, summary
        self.blocks: list[dict[str, Any]] = []

    def figures(self, figures: Mapping[str, str]) -> "Page":
        """Add headline figures: name to formatted value."""
        return self._add("figures", items=dict(figures))

    def heading(self, text: str) -> "Page":
        """Add a section heading."""
        return self._add("heading", text=text)

    def text(self, text: str) -> "Page":
        """Add a paragraph."""
        return self._add("text", text=text)

    def table(self, rows: Sequence[Mapping[str, Any]], caption: str = "") -> "Page":
        """Add a table; the first row's keys are the columns."""
        columns = list(rows[0]) if rows else []
        return self._add("table", columns=columns, rows=[[row[c] for c in columns] for row in rows], caption=caption)

    def clips(self, clips: Iterable[Clip], caption: str = "", filter_by: str = "") -> "Page":
        """Add a grid of clips that play, looped and muted.

        With `filter_by`, what their tags are ("failure"), a reader can choose among them by tag and by words of their
        labels. That needs scripts; where there are none, all clips are shown.
        """
        shown = [_shown(clip) for clip in clips]
        tags = Counter(tag for clip in shown for tag in clip["tags"])
        tagged = sum(bool(clip["tags"]) for clip in shown)
        return self._add(
            "clips", clips=shown, caption=caption, filter_by=filter_by, tags=tags.most_common(), tagged=tagged
        )

    def plot(self, figure: "Figure", caption: str = "") -> "Page":
        """Add a matplotlib figure; on the page it has the page's colours."""
        return self._add("plot", svg=inline_svg(figure), caption=caption)

    def write(self, path: str | Path) -> Path:
        """Write the report, whole or not at all."""
        environment = jinja2.Environment(
            loader=jinja2.PackageLoader("kinora.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        html = environment.get_template("page.html.j2").render(page=self)
        with atomic_write(path) as temporary:
            temporary.write_text(html)
        return Path(path)

    def _add(self, kind: str, **content: Any) -> "Page":
        self.blocks.append({"kind": kind, **content})
        return self


def _shown(clip: Clip) -> dict[str, Any]:
    factor = max(1, round(CLIP_PIXELS / max(clip.frames.shape[1:3])))
    frames = enlarge(clip.frames, factor)
    if len(frames) == 1:
        buffer = io.BytesIO()
        write_image(buffer, frames[0])
        data = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    else:
        data = f"data:video/mp4;base64,{base64.b64encode(video_bytes(frames, clip.fps)).decode()}"
    return {
        "data": data,
        "image": len(frames) == 1,
        "width": frames.shape[2],
        "height": frames.shape[1],
        "label": clip.label,
        "note": clip.note,
        "failed": clip.failed,
        "tags": clip.tags,
    }
