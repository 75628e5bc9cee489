"""A bar of links at the top of a report, put into the report's own HTML, whoever wrote it."""

from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser

from markupsafe import Markup

# It brings every style it needs, so that it looks the same in Evidently's pages as in ours.
STYLE = (
    "all:initial;display:flex;flex-wrap:wrap;gap:4px 24px;justify-content:space-between;box-sizing:border-box;"
    "width:100%;padding:10px 16px;background:#1d2227;color:#e8eaed;font:14px/1.4 system-ui,sans-serif"
)
LINK_STYLE = "all:unset;cursor:pointer;color:#a9c1ff;text-decoration:underline;overflow-wrap:anywhere"


@dataclass(frozen=True)
class Link:
    """The text of a link and the address that it leads to."""

    text: str
    address: str


def add_navigation(html: str, links: Sequence[Link]) -> str:
    """Return the page `html` with a bar of links at the top of its body."""
    anchors = [Markup('<a href="{}" style="{}">{}</a>').format(link.address, LINK_STYLE, link.text) for link in links]
    bar = Markup('<nav aria-label="Neighbouring pages" style="{}">{}</nav>').format(STYLE, Markup("").join(anchors))
    place = _body(html)
    return f"{html[:place]}{bar}{html[place:]}"


def _body(html: str) -> int:
    """Return where the body of a page begins: after its tag, or where it has none, after the doctype."""
    parser = _BodyFinder()
    parser.feed(html)
    return parser.place


class _BodyFinder(HTMLParser):
    """Notes where the first `<body>` ends that is not inside a script, a style or a comment."""

    place, found = 0, False

    def __init__(self) -> None:
        super().__init__()
        self.starts = [0]

    def feed(self, data: str) -> None:
        for line in data.split("\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        super().feed(data)

    def handle_decl(self, decl: str) -> None:
        if not self.found:
            self.place = self._here() + len(decl) + len("<!>")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body" and not self.found:
            self.place, self.found = self._here() + len(self.get_starttag_text() or ""), True

    def _here(self) -> int:
        line, column = self.getpos()
        return self.starts[line - 1] + column
