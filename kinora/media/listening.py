"""What libav says of damage. A decoder conceals what it cannot decode, and says so nowhere but in its log."""

from collections.abc import Iterator
from contextlib import contextmanager

import av

# What libav calls errors of files that play without fault: odd messages beside the picture, and reference pictures
# that some encoders release twice.
HARMLESS = ("SEI type", "mmco: unref short failure", "Invalid UDU", "Late SEI", "unknown SEI")
CUT_SHORT = ("partial file", "ended prematurely")


@contextmanager
def listening() -> Iterator[list[str]]:
    """Yield what libav calls errors within the `with` block, on this thread, as "decoder: message"; filled at its end.

    The level of libav's log is the process's, and is raised to errors for good; what this thread does elsewhere with
    libav is said through Python's `logging`, as PyAV does.
    """
    if (av.logging.get_level() or 0) < av.logging.ERROR:
        av.logging.set_level(av.logging.ERROR)
    # Otherwise the first error of a file is left out if it is also the last of the file before.
    av.logging.set_skip_repeated(False)
    said: list[str] = []
    with av.logging.Capture() as logs:
        try:
            yield said
        finally:
            for level, name, message in logs:
                if level <= av.logging.ERROR and not message.startswith(HARMLESS):
                    text = " ".join(message.split())
                    said.append(f"{name.partition(',')[0]}: {text}" if name else text)


def is_cut_short(message: str) -> bool:
    """Say whether a message of libav is about a file that ends too early."""
    return any(words in message for words in CUT_SHORT)
