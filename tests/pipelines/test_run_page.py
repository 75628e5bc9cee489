"""The page of a run and the page of all runs: what they say, where their links lead, and how they fit a phone."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from kinora.report import Page
from pipelines.events import Event
from pipelines.origins import known_origins
from pipelines.run_page import moment, seconds_of_work, write_run_page, write_runs_page
from pipelines.state import RunState
from pipelines.workspace import Run, Workspace

STEPS = ("ingest", "encode-latents", "evaluate", "gate", "promote")
STARTED = 1_700_000_000.0
FOREIGN = "<!DOCTYPE html><html><head><script>'<body>'</script></head><body class='x'><h1>Evidently</h1></body></html>"
WORLDS = {"source": "worlds", "recipe": "tiny"}


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace(tmp_path / "work")


def artifacts(folder: Path, report: str, metrics: dict[str, float] | None = None) -> dict[str, dict]:
    """Write a task's report and metrics; return them as an event names them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report").write_text(report)
    (folder / "metrics").write_text(json.dumps(metrics or {}))
    kinds = {"report": "system.HTML", "metrics": "system.Metrics"}
    return {name: {"path": str(folder / name), "type": kind, "metadata": {}} for name, kind in kinds.items()}


def record(run: Run, events: list[Event]) -> RunState:
    """Write a run's events and return its state after them."""
    run.folder.mkdir(parents=True, exist_ok=True)
    state = RunState(STEPS, {}, run.progress, known_origins(run.workspace.kept()))
    for event in events:
        event.append_to(run.events)
        state.apply(event)
    return state


@pytest.fixture
def first(workspace, tmp_path) -> tuple[Run, RunState]:
    """A run that did everything: eleven minutes, two evaluations side by side."""
    run, made = Run(workspace, "2026-11-21-110203"), tmp_path / "pipeline"
    scores = {"overall": 0.95, "clips": 64, "clips_with_failure": 23, "colour_right": 1.0}
    reason = "The candidate beats the untrained checkpoint."
    version = {"path": str(made / "v"), "type": "system.Model", "metadata": {"reason": reason}}
    events = [
        Event("started", "ingest", at=STARTED),
        Event("finished", "ingest", at=STARTED + 60, artifacts=artifacts(made / "ingest", FOREIGN, {"videos": 48.0})),
        Event("started", "encode-latents", at=STARTED + 60),
        Event(
            "finished", "encode-latents", at=STARTED + 600,
            artifacts=artifacts(made / "latents", "<h1>latents</h1>", {"latent_values": 5_755_123}),
        ),
        Event("started", "evaluate", "step-1", at=STARTED + 600),
        Event("started", "evaluate", "step-2", at=STARTED + 601),
        Event(
            "finished", "evaluate", "step-1", at=STARTED + 640,
            artifacts=artifacts(made / "one", "<body>one</body>", scores),
        ),
        Event(
            "finished", "evaluate", "step-2", at=STARTED + 650,
            artifacts=artifacts(made / "two", "<body>two</body>", scores),
        ),
        Event("started", "gate", at=STARTED + 650),
        Event("finished", "gate", at=STARTED + 660, artifacts=artifacts(made / "gate", "gate") | {"version": version}),
        Event("started", "promote", at=STARTED + 660),
        Event("finished", "promote", at=STARTED + 661),
    ]  # fmt: skip
    return run, record(run, events)


@pytest.fixture
def second(first, workspace, tmp_path) -> tuple[Run, RunState]:
    """The same again: everything but the gate comes from the cache."""
    run, (_, before) = Run(workspace, "2026-11-21-120000"), first
    events = []
    for step in ("ingest", "encode-latents", "evaluate"):
        for task in before.steps[step].tasks:
            events.append(Event("started", step, task.item, at=STARTED + 4000))
            events.append(Event("cached", step, task.item, at=STARTED + 4001, artifacts=task.artifacts))
    version = {"path": str(tmp_path / "v2"), "type": "system.Model", "metadata": {"reason": "It stays."}}
    made = artifacts(tmp_path / "gate2", "gate") | {"version": version}
    events += [
        Event("started", "gate", at=STARTED + 4001),
        Event("finished", "gate", at=STARTED + 4008, artifacts=made),
    ]
    return run, record(run, events)


def rows(page: Path) -> dict[str, list[str]]:
    """Return the cells of the page's table by their first one, as text."""
    found = re.findall(r"<tr>(<td.*?)</tr>", page.read_text())
    cells = [
        [
            re.sub("<.*?>", "", cell).replace("\N{NO-BREAK SPACE}", " ")
            for cell in re.findall(r"<td[^>]*>(.*?)</td>", row)
        ]
        for row in found
    ]
    return {first: rest for first, *rest in cells}


def test_every_step_has_its_result_its_time_and_figures_with_units(first):
    run, state = first
    found = rows(write_run_page(run, state, WORLDS, "A run"))
    assert list(found) == ["ingest", "encode-latents", "evaluate step-1", "evaluate step-2", "gate", "promote"]
    assert found["ingest"] == ["ran", "1 min 00 s", "videos: 48"]
    assert found["encode-latents"] == ["ran", "9 min 00 s", "latent values: 5.8 million"]
    figures = "clips with a failure: 23 of 64  ·  overall score: 95%  ·  right colour: 100%"
    assert found["evaluate step-2"] == ["ran", "49 s", figures]


def test_a_component_s_second_step_has_the_figures_of_the_first(workspace, tmp_path):
    made = artifacts(tmp_path / "made", "<body>made</body>", {"overall": 0.5, "clips": 6, "clips_with_failure": 2})
    item = "4d90634f00493afd.decision-0123456789ab.1of2"
    events = [
        Event("started", "evaluate-2", item, at=STARTED),
        Event("finished", "evaluate-2", item, at=STARTED + 9, artifacts=made),
    ]
    run = Run(workspace, "2026-11-21-110203")
    found = rows(write_run_page(run, record(run, events), WORLDS, "A run"))
    assert found[f"evaluate-2 {item}"] == ["ran", "9 s", "clips with a failure: 2 of 6  ·  overall score: 50%"]


def test_reports_link_back_to_the_run_and_to_their_neighbours(first):
    run, state = first
    write_run_page(run, state, WORLDS, "A run")
    names = ["01-ingest", "02-encode-latents", "03-evaluate-step-1", "03-evaluate-step-2", "04-gate"]
    for number, name in enumerate(names):
        html = (run.folder / f"{name}.html").read_text()
        neighbours = [f"{other}.html" for other in (*names[:number][-1:], *names[number + 1 :][:1])]
        assert re.findall(r'<a href="([^"]*)"', html) == ["index.html", *neighbours]
    assert (run.folder / "01-ingest.html").read_text().startswith(FOREIGN[: FOREIGN.index("<h1>")] + "<nav")


def test_the_video_plays_on_top(first):
    run, state = first
    video = (np.zeros((5, 16, 16, 3), np.uint8), 8.0, "A red circle moves right.")
    html = write_run_page(run, state, WORLDS, "A run", video).read_text()
    assert html.index("<video") < html.index("01-ingest.html")


def test_a_repeated_run_keeps_when_where_and_how_long_the_work_was_done(first, second):
    write_run_page(*first, WORLDS, "A run")
    run, state = second
    page = write_run_page(run, state, WORLDS, "A run")
    found, made = rows(page), moment(STARTED + 60)
    assert found["ingest"] == [f"unchanged, from the cache: made {made}", "1 min 00 s", "videos: 48"]
    assert found["evaluate step-2"][1] == "49 s"
    assert found["promote"] == ["not promoted", "", ""]
    assert '<a href="../2026-11-21-110203/index.html">' in page.read_text()
    assert seconds_of_work(state) == 60 + 540 + 50 + 7
    assert "10 min 57 s" in page.read_text()


def test_an_interrupted_run_says_where_it_ended(workspace):
    run = Run(workspace, "2026-11-21-110203")
    state = record(run, [Event("started", "ingest", at=STARTED)])
    found = rows(write_run_page(run, state, WORLDS, "A run"))
    assert {name: cells[0] for name, cells in found.items()} == {
        "ingest": "interrupted", "encode-latents": "not reached", "evaluate": "not reached", "gate": "not reached",
        "promote": "not reached",
    }  # fmt: skip


def test_the_page_of_all_runs_leads_to_each(first, second, workspace):
    for run, state in (first, second):
        write_run_page(run, state, WORLDS, "A run")
    page = write_runs_page(workspace)
    found = rows(page)
    assert list(found) == ["2026-11-21-120000", "2026-11-21-110203"]
    assert found["2026-11-21-120000"] == ["8 s", "1 step ran, 3 from the cache", "It stays."]
    links = re.findall(r'href="([^"]*)"', page.read_text())
    assert links
    assert all((page.parent / link).is_file() for link in links)


def test_every_page_of_a_run_fits_a_phone(first, second, workspace, in_browser):
    for run, state in (first, second):
        Page("A" * 300).table([{"a": "b" * 300}]).write(state.steps["ingest"].tasks[0].artifacts["report"]["path"])
        write_run_page(run, state, WORLDS, "A run")
    pages = [write_runs_page(workspace), *sorted(workspace.runs.glob("*/*.html"))]
    assert in_browser(pages, "document.documentElement.scrollWidth") == [390] * len(pages)
