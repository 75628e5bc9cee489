"""What libav says of damage. A decoder conceals what it cannot decode, and says so nowhere but in its log."""

from typing import Any

import av

# What libav calls errors of files that play without fault: odd messages beside the picture, and reference pictures
# that some encoders release twice.
HARMLESS = ("SEI type", "mmco: unref short failure", "Invalid UDU", "Late SEI", "unknown SEI")
CUT_SHORT = ("partial file", "ended prematurely")


class listening:  # used as a function, of which `contextmanager` would make a slower one
    """What libav calls errors within the `with` block, on this thread, as "decoder: message"; filled at its end.

    The level of libav's log is the process's, and is raised to errors for good; what this thread does elsewhere with
    libav is said through Python's `logging`, as PyAV does.
    """

    def __enter__(self) -> list[str]:
        if (av.logging.get_level() or 0) < av.logging.ERROR:
            av.logging.set_level(av.logging.ERROR)
        # Otherwise the first error of a file is left out if it is also the last of the file before.
        av.logging.set_skip_repeated(False)
        self._said: list[str] = []
        self._capture = av.logging.Capture()
        self._logs = self._capture.__enter__()
        return self._said

    def hear(self) -> None:
        """Fill in what has been said until now."""
        if not self._logs:
            return
        for level, name, message in self._logs:
            if level <= av.logging.ERROR and not message.startswith(HARMLESS):
                text = " ".join(message.split()).rstrip(".")  # it becomes a part of a sentence
                self._said.append(f"{name.partition(',')[0]}: {text}" if name else text)
        self._logs.clear()

    def __exit__(self, *error: Any) -> None:
        self._capture.__exit__(*error)
        self.hear()


def is_cut_short(message: str) -> bool:
    """Say whether a message of libav is about a file that ends too early."""
    return any(words in message for words in CUT_SHORT)
