"""Why a launched training ended: what its processes wrote last, and whether trying again can help.

A failure of the infrastructure (a killed process, a lost node, a broken connection) is worth another try. What the
configuration, the data or the code did wrong fails again, so it is told at once.
"""

import re
import signal
from dataclasses import dataclass
from pathlib import Path

from kinora.training.reporting import WARNING

SAID = "kinora: "  # begins the sentence of a process that knows why it ends
PREFIX = re.compile(r"^(?:\[[^\]]*\]:\s*)+")  # which torchrun and PyTorch put before the lines of a rank
# The end of a traceback: the class of the error, in most cases named as one, and what it says.
ERROR = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit)(?:: .+)?$|^(?:\w+\.)+[A-Z]\w*: .+$")
STATUS = re.compile(r"^\s*exitcode\s*: (-?\d+)")  # in torchrun's summary; negative is a signal
CONNECTION = re.compile(
    r"DistBackendError|DistNetworkError|DistStoreError|Rendezvous\w*(Error|Exception)|SignalException|ncclRemoteError|"
    r"closed by peer|reset by peer|broken pipe|connection (was )?(refused|closed|reset|aborted|lost)|socket timeout|"
    r"timed out waiting|timed out after|NCCL (error|communicator)|ECC error|ChildFailedError",
    re.IGNORECASE,
)
OUT_OF_MEMORY = re.compile(r"OutOfMemoryError|out of memory|can't allocate memory|^MemoryError")
# What a program does to itself by a mistake; other signals come from outside: the kernel, a preempted node, a person.
OWN_SIGNALS = {signal.SIGSEGV, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}


@dataclass(frozen=True)
class Failure:
    """Why the processes ended, in a sentence, and whether it was the infrastructure."""

    sentence: str
    infrastructure: bool


def failure(logs: Path) -> Failure:
    """Return why processes that logged below `logs` failed: the first cause, not that a peer then was gone."""
    said: list[str] = []
    errors: list[str] = []
    statuses: set[int] = set()
    words = ""
    for file in sorted(logs.rglob("std*.log")):
        for line in _lines(file):
            if line.startswith(SAID) and not line.startswith(WARNING):
                said.append(line.removeprefix(SAID))
            elif ERROR.match(line):
                errors.append(line)
            elif status := STATUS.match(line):
                statuses.add(int(status[1]))
            words = line or words
    signals = {signal.Signals(-status) for status in statuses if -status in signal.valid_signals()}
    # Of the others, those that torchrun ended when one had failed are not in its summary, or by SIGTERM.
    if killed := sorted(number.name for number in signals - OWN_SIGNALS - {signal.SIGTERM}):
        hint = " (too little memory in the machine?)" if "SIGKILL" in killed else ""
        return Failure(f"a process was killed by {killed[0]}{hint}.", infrastructure=True)
    own = [line for line in [*said, *errors] if not CONNECTION.search(line)]
    if memory := next((line for line in own if OUT_OF_MEMORY.search(line)), None):
        return Failure(_out_of_memory(memory), infrastructure=False)
    if own:
        return Failure(own[0], infrastructure=False)
    if crashed := sorted(number.name for number in signals & OWN_SIGNALS):
        broken = bool(said or errors)  # the abort of a collective whose peer is gone
        return Failure(f"a process crashed with {crashed[0]}.", infrastructure=broken)
    if said or errors:
        return Failure(f"the processes lost each other: {[*said, *errors][0]}", infrastructure=True)
    if any(status > 0 for status in statuses):
        return Failure(f"a process failed ({words or 'without a word'}).", infrastructure=False)
    return Failure("the processes ended without a word, as on a lost machine.", infrastructure=True)


class Warnings:
    """The warnings that processes write into logs, each read once, however many of them say the same."""

    def __init__(self, logs: Path):
        self.logs = logs
        self.offsets: dict[Path, int] = {}
        self.told: set[str] = set()

    def new(self) -> list[str]:
        """Return the sentences that were not there at the call before."""
        found = []
        for file in sorted(self.logs.rglob("stderr.log")):
            with open(file, "rb") as stream:
                stream.seek(self.offsets.get(file, 0))
                content = stream.read()
            whole = content[: content.rfind(b"\n") + 1]
            self.offsets[file] = self.offsets.get(file, 0) + len(whole)
            for line in map(_bare, whole.decode(errors="replace").splitlines()):
                if line.startswith(WARNING) and line not in self.told:
                    self.told.add(line)
                    found.append(line.removeprefix(WARNING))
        return found


def _lines(file: Path) -> list[str]:
    return [_bare(line) for line in file.read_text(errors="replace").splitlines()]


def _bare(line: str) -> str:
    return PREFIX.sub("", line).rstrip()


def _out_of_memory(line: str) -> str:
    asked = re.search(r"tried to allocate [\d.]+ \w+", line, re.IGNORECASE)
    return (
        f"the memory is full{f' ({asked[0].lower()})' if asked else ''}; lower transformer.tokens_per_pack, set "
        "compute.activation_checkpointing=true, raise compute.zero_stage or take more processes "
        "('kinora plan' says what fits)."
    )
