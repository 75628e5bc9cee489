"""What a run looks like while it goes on."""

import io
import json
import time

import pytest
from rich.console import Console

from pipelines.events import Event
from pipelines.state import RunState
from pipelines.view import LinesView, clock, table, view_for


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A run in the middle: one step cached, one done, one at 25 of 100 steps after ten seconds, one to come.

    Time stands still, so that a busy machine changes nothing.
    """
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    expected = {"ingest": 20, "caption": 10, "pretrain": 30, "evaluate": 45}
    state = RunState(tuple(expected), expected, tmp_path / "progress")
    (tmp_path / "report").write_text("<h1>clips</h1>")
    (tmp_path / "metrics").write_text('{"videos": 12, "images": 3, "not_worth_a_glance": 0.25}')
    metrics = {"path": str(tmp_path / "metrics"), "type": "system.Metrics", "metadata": {}}
    report = {"path": str(tmp_path / "report"), "type": "system.HTML", "metadata": {}}
    for event in (
        Event("started", "ingest", at=now - 20),
        Event("cached", "ingest", at=now - 20, artifacts={"metrics": metrics, "report": report}),
        Event("started", "caption", at=now - 20),
        Event("finished", "caption", at=now - 10, artifacts={"report": report}),
        Event("started", "pretrain", at=now - 10),
    ):
        state.apply(event)
    (tmp_path / "progress" / "pretrain").mkdir(parents=True)
    record = {"task": "pretrain", "done": 25, "first": 0, "total": 100, "unit": "steps", "figures": {"loss": 0.5}}
    path = tmp_path / "progress" / "pretrain" / "pretrain.json"
    path.write_text(json.dumps(record | {"started": now - 10, "updated": now}))
    return state


def test_the_time_left_follows_the_progress_of_the_running_step(state):
    # 75 steps at 2.5 a second are 30 s, longer than the 20 s that were expected; then 45 s of evaluation.
    assert state.seconds_left() == pytest.approx(75)


def test_the_time_left_without_progress_is_what_it_took_last_time(state, tmp_path):
    (tmp_path / "progress" / "pretrain" / "pretrain.json").unlink()
    assert state.seconds_left() == pytest.approx(20 + 45)


def test_a_resumed_training_counts_its_rate_from_where_it_resumed(state, tmp_path):
    path = tmp_path / "progress" / "pretrain" / "pretrain.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"done": 90, "first": 80}))
    assert state.progress(state.steps["pretrain"])[0].seconds_left == pytest.approx(10)


def test_the_terminal_shows_every_step(state):
    out = io.StringIO()
    Console(file=out, width=110, force_terminal=True, color_system=None).print(table(state))
    lines = out.getvalue().splitlines()
    assert [line.split()[1] for line in lines[:4]] == ["ingest", "caption", "pretrain", "evaluate"]
    assert "cache" in lines[0]
    assert "10 s" in lines[1]
    assert "25/100 steps  loss 0.5" in lines[2]
    assert "left" in lines[-1]


def test_elsewhere_there_are_plain_lines(state):
    out = io.StringIO()
    view = view_for(out)
    assert isinstance(view, LinesView)
    for event in (Event("cached", "ingest"), Event("finished", "caption"), Event("failed", "pretrain")):
        view.happened(event, state)
    view.last = 0.0
    view.tick(state)
    said = [line.split("  ", 1)[1] for line in out.getvalue().splitlines()]
    assert said[0] == "ingest: unchanged, from the cache"
    assert said[1].endswith("caption: done in 20 s, about 1 min 15 s left")
    assert said[2] == "pretrain: failed"
    assert said[3].endswith("pretrain: 25/100 steps  loss 0.5, about 1 min 15 s left")
    assert "\x1b" not in out.getvalue()


def test_durations_are_said_as_people_say_them():
    assert [clock(s) for s in (0.4, 59.4, 59.6, 125)] == ["0 s", "59 s", "1 min 00 s", "2 min 05 s"]
