"""A program that another one starts must not outlive it, however that one ends."""

import os
import signal
import sys
import threading


def end_with_parent() -> None:
    """End this process in order when its standard input, a pipe that the parent holds open, is closed."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
