"""Ending every process that a run started, however it is told to end."""

import ctypes
import signal
import sys

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends, so that none can be lost sight of."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """Have this process told to end when its parent dies, even when the parent is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


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


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
