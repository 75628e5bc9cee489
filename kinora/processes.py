"""Processes that a program starts: none of them outlives it, however it is told to end."""

import ctypes
import os
import signal
import sys
import threading

import psutil

PARENT_PID = "KINORA_PARENT_PID"
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_END = 20.0
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>


def with_parent() -> dict[str, str]:
    """Return what a child's environment must hold for its `end_with_parent` to watch this process."""
    return {PARENT_PID: str(os.getpid())}


def end_with_parent(*, at_once: bool = False) -> None:
    """End this process in order (SIGINT to itself) when the one that started it `with_parent` is gone, even killed.

    `at_once` is for a process that has nothing to put in order: it is killed in the middle of whatever it does, also
    when its direct parent is gone (where there is an agent between the two; on Linux).

    Without a parent in the environment nothing is watched: a program that a person started ends when they say so.
    """
    pid = os.environ.get(PARENT_PID)
    if pid is None:
        return
    if at_once and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    def watch() -> None:
        pause = threading.Event()
        while lives(parent):
            pause.wait(SECONDS_BETWEEN_LOOKS)
        if not at_once:
            os.kill(os.getpid(), signal.SIGINT)
            pause.wait(SECONDS_TO_END)
        os._exit(1)  # a step that hangs hears no signal

    try:
        parent: psutil.Process | None = psutil.Process(int(pid))
    except psutil.NoSuchProcess:
        parent = None
    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends, so that none can be lost sight of."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants(pid: int, patience: float = 10.0) -> None:
    """Ask every process below `pid` to end; after `patience` seconds end those that have not."""
    try:
        root = psutil.Process(pid)
        children = root.children(recursive=True)
    except psutil.NoSuchProcess:
        return
    for child in children:
        _signal(child, signal.SIGTERM)
    psutil.wait_procs(children, timeout=patience)
    # Again from the top: what was asked may have started others, and orphans have been adopted.
    for child in [*children, *(root.children(recursive=True) if root.is_running() else [])]:
        _signal(child, signal.SIGKILL)
    psutil.wait_procs(children, timeout=patience)


def lives(process: psutil.Process | None) -> bool:
    """Say whether a process still runs; one that nobody has waited for yet does not."""
    try:
        return process is not None and process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
