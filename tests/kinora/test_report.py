"""Reports stand alone and never let text become markup."""

import re

import numpy as np

from kinora.report import Clip, Page


def test_a_report_needs_nothing_from_outside(tmp_path):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    video = np.zeros((9, 24, 40, 3), np.uint8)
    page = Page("Title", "Summary").figures({"PSNR": "30 dB"}).heading("Clips").text("Text").plot(figure, "loss")
    page.clips([Clip(video, 8, "video"), Clip(video[:1], 8, "still", "late", failed=True)]).table([{"a": 1, "b": 2}])
    html = page.write(tmp_path / "report.html").read_text()
    assert html.count("data:video/mp4;base64,") == 1
    assert html.count("data:image/png;base64,") == 1
    addresses = re.findall(r'(?:src|href)="(?!data:)([^"]*)"', html)
    assert [address for address in addresses if not address.startswith("#")] == []


def test_a_prompt_cannot_inject_markup(tmp_path):
    html = Page("x").clips([Clip(np.zeros((1, 8, 8, 3), np.uint8), 1, "<script>alert(1)</script>")])
    assert "<script>alert" not in html.write(tmp_path / "r.html").read_text()
