"""Failures that a person can act upon."""


class KinoraError(Exception):
    """The work failed. The message is one clear sentence: what, where, and what to do about it."""

    exit_code = 1


class UsageError(KinoraError):
    """The work was asked for in a way that cannot be done: an unknown recipe, an impossible size."""

    exit_code = 2
