"""No process outlives the one that started it, however that one ends; real processes, really killed."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from kinora.processes import PARENT_PID, end_descendants

# Prints its pid when it watches, then works until it is told to end.
CHILD = """
import os, time
from kinora.processes import end_with_parent
end_with_parent()
print(os.getpid(), flush=True)
{work}
"""
WAITS = "time.sleep(600)"
HEARS_NOTHING = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
PARENT = """
import os, subprocess, sys, time
from kinora.processes import with_parent
subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=os.environ | with_parent())
time.sleep(600)
"""


def started(work: str) -> tuple[subprocess.Popen, psutil.Process]:
    """Start a parent that starts a child; return both when the child watches."""
    command = [sys.executable, "-c", PARENT, CHILD.format(work=work)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    return parent, psutil.Process(int(parent.stdout.readline()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent_even_when_that_is_killed(number):
    parent, child = started(WAITS)
    assert child.is_running()
    parent.send_signal(number)
    child.wait(300)
    parent.wait()


def test_a_child_that_hears_no_signal_ends_all_the_same():
    parent, child = started(f"import kinora.processes as p; p.SECONDS_TO_END = 0.1; {HEARS_NOTHING}")
    parent.kill()
    child.wait(300)
    parent.wait()


def test_what_a_person_starts_watches_nothing():
    script = CHILD.format(work="import threading; print([t.name for t in threading.enumerate()])")
    environment = {name: value for name, value in os.environ.items() if name != PARENT_PID}
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert out.stdout.splitlines()[1] == "['MainThread']"


def test_a_parent_that_ended_before_its_child_looked_counts_as_gone():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    environment = os.environ | {PARENT_PID: str(gone.pid)}
    child = subprocess.run([sys.executable, "-c", CHILD.format(work=WAITS)], env=environment, timeout=300, check=False)
    assert child.returncode != 0


def test_descendants_end_and_their_parent_goes_on():
    parent, child = started(HEARS_NOTHING)
    end_descendants(parent.pid, patience=0.2)
    assert parent.poll() is None
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    parent.kill()
    parent.wait()
