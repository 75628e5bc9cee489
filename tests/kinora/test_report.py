"""Reports stand alone, fit on a phone, follow the colour scheme, and never let text become markup."""

import re

import numpy as np
import pytest

from kinora.numbers import amount, count, share
from kinora.report import Clip, Link, Page, add_navigation

NAME = "a_file_with_a_very_long_name_that_has_no_space_anywhere_" * 3 + ".mp4"


@pytest.fixture
def figure():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3))
    axes = figure.subplots()
    axes.plot([1, 2], label="loss")
    axes.set_xlabel("step")
    axes.legend()
    return figure


@pytest.fixture
def page(figure):
    """A page with every kind of block, and long words in each."""
    video = np.zeros((9, 24, 40, 3), np.uint8)
    clips = [
        Clip(video, 8, f"A red circle. {NAME}", "It floats.", failed=True, tags=("gravity", "freeze")),
        Clip(video, 8, "A red square", "It stands.", failed=True, tags=("freeze",)),
        Clip(video[:1], 8, "A blue circle"),
    ]
    page = Page(NAME, NAME).figures({"PSNR": "30 dB", NAME: NAME}).heading(NAME).text(NAME).plot(figure, "loss")
    page.clips(clips, filter_by="failure")
    return page.table([dict.fromkeys("abcdefghij", NAME)], NAME)


def test_a_report_needs_nothing_from_outside(page, tmp_path):
    html = page.write(tmp_path / "report.html").read_text()
    assert html.count("data:video/mp4;base64,") == 2
    assert html.count("data:image/png;base64,") == 1
    addresses = re.findall(r'(?:src|href)="(?!data:)([^"]*)"', html)
    assert [address for address in addresses if not address.startswith("#")] == []


def test_a_prompt_cannot_inject_markup(tmp_path):
    html = Page("x").clips([Clip(np.zeros((1, 8, 8, 3), np.uint8), 1, "<script>alert(1)</script>")])
    assert "<script>" not in html.write(tmp_path / "r.html").read_text()


def test_nothing_is_wider_than_a_phone(page, tmp_path, in_browser):
    width = "document.documentElement.scrollWidth"
    parts = "[...document.querySelectorAll('main *')].filter(e => !e.closest('svg') && e.scrollWidth > 390).length"
    assert in_browser([page.write(tmp_path / "report.html")], f"[{width}, {parts}]") == [
        [390, 1]
    ]  # the plot, which scrolls


def test_two_small_clips_share_a_row_of_a_phone(page, tmp_path, in_browser):
    places = "[...document.querySelectorAll('.clips figure')].map(e => e.getBoundingClientRect())"
    script = f"{places}.map(box => [Math.round(box.left), Math.round(box.width)])"
    ((first, second, third),) = in_browser([page.write(tmp_path / "report.html")], script)
    assert first == third == [16, 173]
    assert second == [16 + 173 + 12, 173]


def test_clips_are_chosen_by_tag_and_by_words(page, tmp_path, in_browser):
    script = """
    const [select, input] = document.querySelectorAll(".filter select, .filter input");
    [["all", ""], ["any", ""], ["none", ""], ["tag:freeze", ""], ["tag:gravity", ""], ["all", "CIRCLE red"]].map(
        ([tag, words]) => {
            select.value = tag; input.value = words;
            input.dispatchEvent(new Event("input", {bubbles: true}));
            return document.querySelectorAll(".clips figure:not([hidden])").length;
        })"""
    assert in_browser([page.write(tmp_path / "report.html")], script) == [[3, 2, 1, 2, 1, 1]]


def test_without_scripts_every_clip_is_there_and_no_filter(page, tmp_path):
    html = page.write(tmp_path / "report.html").read_text()
    assert '<form class="filter" hidden>' in html
    assert not re.search(r"<figure[^>]* hidden", html)
    assert "freeze (2)" in html


def test_a_plot_takes_its_colours_from_the_page(figure, tmp_path):
    def svg() -> str:
        html = Page("x").plot(figure).write(tmp_path / "report.html").read_text()
        return html[html.index("<svg") : html.index("</svg>")]

    assert "var(--first, #1f77b4)" in svg()
    assert not re.search(r"[:\\s]#(000000|ffffff)", svg())  # neither ink nor paper of its own
    assert svg() == svg()


EVIDENTLY = """<!DOCTYPE html>
<html><head><script>var page = "<body>";</script>
<!-- <body> --></head>
<BODY class="x > y"
 id="a"><div></div></body></html>"""


@pytest.mark.parametrize(
    ("html", "before"),
    [
        (EVIDENTLY, EVIDENTLY[: EVIDENTLY.index("<div>")]),
        ("<!doctype html>\n<p>No body</p>", "<!doctype html>"),
        ("<h1>clips</h1>", ""),
        ("", ""),
    ],
)
def test_navigation_is_put_where_the_body_of_any_page_begins(html, before):
    linked = add_navigation(html, [Link("Run <1>", "index.html"), Link("caption", '04-"caption".html')])
    assert linked.startswith(f"{before}<nav ")
    assert linked.endswith(f"</nav>{html[len(before) :]}")
    assert re.findall(r'href="([^"]*)"', linked) == ["index.html", "04-&#34;caption&#34;.html"]
    assert "Run &lt;1&gt;" in linked


def test_numbers_are_said_as_people_say_them():
    assert [amount(n) for n in (0, 3.0, 0.25, 999, 12040, 5_755_123, 2e9)] == [
        "0", "3", "0.25", "999", "12,040", "5.8 million", "2.0 billion",
    ]  # fmt: skip
    assert [count(1, "clip"), count(64, "clip"), count(2, "box", "boxes")] == ["1 clip", "64 clips", "2 boxes"]
    assert [share(23, 64), share(0, 0)] == ["23 of 64 (36%)", "0 of 0"]
