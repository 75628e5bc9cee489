"""The folders of one work folder: what steps made, and a folder of its own for each run."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kinora.errors import KinoraError
from kinora.files import friendly_os_errors


@dataclass(frozen=True)
class Workspace:
    """The folders of one work folder. Only one run at a time uses it."""

    root: Path

    @property
    def outputs(self) -> Path:
        """What steps made, and Kubeflow's cache of it."""
        return self.root / "pipeline"

    @property
    def runs(self) -> Path:
        """A folder for each run, by name, and `latest`, which leads to the last one."""
        return self.root / "runs"

    @property
    def durations(self) -> Path:
        """How long each step took when it last ran, a recipe at a time."""
        return self.root / "durations.json"

    def kept(self) -> list["Run"]:
        """Return the runs that there are, the newest first."""
        folders = [path for path in self.runs.glob("[0-9]*") if path.is_dir()]
        return [Run(self, path.name) for path in sorted(folders, reverse=True)]

    @contextmanager
    def new_run(self) -> Iterator["Run"]:
        """Make the folders, hold them for one run, and yield it.

        Raises:
            KinoraError: if they cannot be written, or another run holds them.
        """
        with friendly_os_errors(self.root):
            self.outputs.mkdir(parents=True, exist_ok=True)
            (self.root / ".lock").touch()
        with open(self.root / ".lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise KinoraError(
                    f"another run is using {self.root}; wait for it, or name another folder with --work."
                ) from error
            with friendly_os_errors(self.root):
                run = self._make_run()
            yield run

    def _make_run(self) -> "Run":
        self.runs.mkdir(exist_ok=True)
        first = time.strftime("%Y-%m-%d-%H%M%S")
        name, number = first, 1
        while (self.runs / name).exists():  # two in one second
            number += 1
            name = f"{first}-{number}"
        (self.runs / name).mkdir()
        link = self.runs / ".latest"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        os.replace(link, self.runs / "latest")
        return Run(self, name)


@dataclass(frozen=True)
class Run:
    """The folder of one run: its page and reports, its log, its events.

    Kubeflow knows the run by the same name, and so does the registry of what was promoted by which run.
    """

    workspace: Workspace
    name: str

    @property
    def folder(self) -> Path:
        """Where everything about the run is."""
        return self.workspace.runs / self.name

    @property
    def page(self) -> Path:
        """The page that shows the run."""
        return self.folder / "index.html"

    @property
    def log(self) -> Path:
        """Everything that the run's steps printed."""
        return self.folder / "log.txt"

    @property
    def events(self) -> Path:
        """What happened to which step, and when: a line each."""
        return self.folder / "events.jsonl"

    @property
    def progress(self) -> Path:
        """How far the running steps say they are."""
        return self.folder / "progress"
