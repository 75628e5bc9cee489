"""The live view of a run: a table that is redrawn on a terminal, plain lines elsewhere."""

import sys
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from pipelines.events import Event
from pipelines.state import Progress, RunState, StepState

if TYPE_CHECKING:
    from rich.console import RenderableType

SECONDS_BETWEEN_LINES = 15.0
MARKS = {"waiting": "·", "running": "▶", "finished": "✓", "cached": "✓", "failed": "✗"}
STYLES = {"waiting": "dim", "running": "bold", "finished": "", "cached": "", "failed": "bold red"}


class View(Protocol):
    """Shows a run."""

    def __enter__(self) -> "View": ...
    def __exit__(self, *_: object) -> None: ...
    def happened(self, event: Event, state: RunState) -> None:
        """Show an event, after `state` has taken it in."""

    def tick(self, state: RunState) -> None:
        """Show how far the run is now; called several times a second."""


def view_for(stream: TextIO) -> View:
    """Return the view that suits the stream."""
    return TerminalView(stream) if stream.isatty() else LinesView(stream)


class TerminalView:
    """A table of all steps, redrawn in place."""

    def __init__(self, stream: TextIO = sys.stderr):
        from rich.console import Console
        from rich.live import Live

        self.live = Live(console=Console(file=stream), auto_refresh=False)

    def __enter__(self) -> "TerminalView":
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def happened(self, event: Event, state: RunState) -> None:
        self.tick(state)

    def tick(self, state: RunState) -> None:
        self.live.update(table(state), refresh=True)


class LinesView:
    """A line when a step starts and ends, and now and then how far it is."""

    def __init__(self, stream: TextIO = sys.stderr):
        self.stream, self.last = stream, time.time()

    def __enter__(self) -> "LinesView":
        return self

    def __exit__(self, *_: object) -> None: ...

    def happened(self, event: Event, state: RunState) -> None:
        if event.kind == "end":
            return
        step = state.steps[event.step]
        name = f"{event.step} {event.item}".strip()
        if event.kind == "started":
            self._print(f"{name}: started")
        elif event.kind == "cached":
            self._print(f"{name}: unchanged, from the cache{_made(step)}")
        elif event.kind == "finished":
            task = next(task for task in step.tasks if task.item == event.item)
            self._print(f"{name}: done in {clock(event.at - task.started)}{_left(state)}")
        else:
            self._print(f"{name}: failed")

    def tick(self, state: RunState) -> None:
        if time.time() - self.last < SECONDS_BETWEEN_LINES:
            return
        for step in state.steps.values():
            for progress in state.progress(step)[-1:]:
                self._print(f"{step.name}: {describe(progress)}{_left(state)}")

    def _print(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')}  {text}", file=self.stream, flush=True)
        self.last = time.time()


def table(state: RunState) -> "RenderableType":
    """Return the terminal's table: a row a step, then the time gone and left."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 2))
    for width in (1, 18, 8, 24):
        rows.add_column(min_width=width, no_wrap=True)
    rows.add_column(no_wrap=True, overflow="ellipsis")
    now = time.time()
    for step in state.steps.values():
        status, latest = step.status, state.progress(step)[-1:]
        bar: RenderableType = ""
        if status == "running":
            fraction = latest[0].done / latest[0].total if latest else None
            bar = ProgressBar(total=1.0, completed=fraction or 0.0, width=24, pulse=fraction is None)
        note = describe(latest[0]) if latest else _note(step)
        style = STYLES[status]
        elapsed = clock(step.seconds(now)) if status not in ("waiting", "cached") else ""
        rows.add_row(*(Text(text, style) for text in (MARKS[status], step.name, elapsed)), bar, Text(note, "dim"))
    return Group(rows, Text(f"\n{clock(now - state.started)} so far{_left(state)}", "dim"))


def describe(progress: Progress) -> str:
    """Return a task's progress in a few words."""
    figures = "  ".join(f"{name} {value:.4g}" for name, value in progress.figures.items())
    return f"{progress.done}/{progress.total} {progress.unit}  {figures}".rstrip()


def clock(seconds: float) -> str:
    """Return a duration as people write it: `7 s`, `2 min 05 s`."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def _left(state: RunState) -> str:
    seconds = state.seconds_left()
    return f", about {clock(seconds)} left" if seconds >= 1 else ""


def _made(step: StepState) -> str:
    """Say when the results of an unchanged step were made, and how long that took."""
    origins = [task.origin for task in step.tasks if task.origin]
    if not origins:
        return ""
    started, ended = min(origin.started for origin in origins), max(origin.ended for origin in origins)
    return f" (made {time.strftime('%-d %b %H:%M', time.localtime(ended))} in {clock(ended - started)})"


def _note(step: StepState) -> str:
    if step.status == "cached":
        return f"unchanged, from the cache{_made(step)}"
    running = [task.item for task in step.tasks if task.status == "running" and task.item]
    return ", ".join(running)
