"""`kinora`: the one console command, above all other packages. A subcommand is imported when it is called."""

import errno
import itertools
import os
import select
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from kinora import __version__
from kinora.errors import KinoraError
from kinora.files import friendly_full_disk

Run = Callable[[Sequence[str]], int]


class Command(NamedTuple):
    """What a subcommand does, in the words of `kinora --help`, how to load it, and the extra that it needs."""

    summary: str
    load: Callable[[], Run]
    extra: str = ""


def _ingest() -> Run:
    from cli.ingest import ingest

    return ingest


def _validate() -> Run:
    from cli.validate import validate

    return validate


def _plan() -> Run:
    from cli.plan import plan

    return plan


def _train() -> Run:
    from cli.train import train

    return train


def _caption() -> Run:
    from cli.caption import caption

    return caption


def _features() -> Run:
    from cli.features import features

    return features


def _encode() -> Run:
    from cli.encode import encode

    return encode


def _evaluate() -> Run:
    from cli.evaluate import evaluate

    return evaluate


def _gate() -> Run:
    from cli.gate import gate

    return gate


def _promote() -> Run:
    from cli.promote import promote

    return promote


def _serve() -> Run:
    from cli.serve import serve

    return serve


def _drift() -> Run:
    from cli.drift import drift

    return drift


def _generate() -> Run:
    from cli.generate import generate

    return generate


def _pipeline() -> Run:
    from cli.pipeline import pipeline

    return pipeline


def _doctor() -> Run:
    from cli.doctor import doctor

    return doctor


# The steps of the story in its order, then what stands beside it. `--help` prints this table and imports nothing else.
COMMANDS = {
    "ingest": Command("turn raw videos and images, or simulated worlds, into a clip dataset", _ingest, "data"),
    "validate": Command("check a clip dataset against its contract", _validate, "data"),
    "train": Command("train the captioner, the autoencoder or the transformer", _train, "training"),
    "caption": Command("caption every clip of a dataset with the captioner", _caption, "data"),
    "features": Command("publish the features of a dataset's clips to a feature store", _features, "data"),
    "encode": Command("encode the clips of a dataset as latents with the autoencoder", _encode, "training"),
    "evaluate": Command("find failures of physics and consistency in clips or a checkpoint", _evaluate, "evaluation"),
    "gate": Command("make a model version of the best checkpoint, and say whether it is better", _gate, "evaluation"),
    "promote": Command("deploy a model version, or list what was promoted", _promote, "serving"),
    "serve": Command("serve the deployed model over HTTP", _serve, "serving"),
    "drift": Command("compare what the endpoint was asked for with what its model was trained on", _drift, "serving"),
    "generate": Command("make a video from a prompt, an image or a video", _generate),
    "plan": Command("say what a training takes on which GPUs: memory, hours, cost", _plan, "training"),
    "pipeline": Command("run, compile or submit the whole workflow", _pipeline, "pipeline"),
    "doctor": Command("say what this machine can run and what is missing", _doctor),
}


def usage() -> str:
    """Return the help text: one line a subcommand."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items())
    return (
        "usage: kinora COMMAND [OPTIONS]\n\n"
        "Train, judge and serve a video world simulator.\n\n"
        f"{rows}\n\n"
        "kinora COMMAND --help tells a command's options. "
        "Exit codes: 0 done, 1 the work failed, 2 bad usage.\n"
    )


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; return 0 when done, 1 when the work failed, 2 for bad usage."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"kinora {__version__}")
        return 0
    if argv[0] not in COMMANDS:
        print(f"kinora: there is no command '{argv[0]}'; run 'kinora --help' for the list.", file=sys.stderr)
        return 2
    out = _out(argv)
    try:
        with friendly_full_disk(out):
            if out != ".":
                _check_place(Path(out))
            return _run(COMMANDS[argv[0]], argv[1:])
    except KinoraError as error:
        print(f"kinora {argv[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"kinora {argv[0]}: interrupted.", file=sys.stderr)
        return 130
    except (FileExistsError, FileNotFoundError, NotADirectoryError, PermissionError) as error:
        if error.filename not in map(str, (Path(out), *Path(out).parents)):
            raise
        print(f"kinora {argv[0]}: {_unusable(out, error)}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        if not _reader_is_gone():
            print(f"kinora {argv[0]}: a process that it started ended; see what it printed.", file=sys.stderr)
            return 1
        # The reader of our output went away: `kinora --help | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _out(argv: Sequence[str]) -> str:
    """Return the place that a command writes to, the current folder where it names none."""
    after = dict(itertools.pairwise(argv)).get("--out")
    return after or next((word.partition("=")[2] for word in argv if word.startswith("--out=")), ".")


def _check_place(out: Path) -> None:
    """Refuse, before any work, a place in a folder that cannot be written to.

    Raises:
        OSError: if it is one, or no folder.
    """
    place = next(folder for folder in (out, *out.parents) if folder.exists())
    if place != out and not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    if not os.access(place, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))


def _unusable(out: str, error: OSError) -> str:
    return f"nothing can be written to {out} ({error.filename}: {error.strerror}); name another place with --out."


def _reader_is_gone() -> bool:
    """Say whether nobody reads standard output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def _run(command: Command, argv: Sequence[str]) -> int:
    try:
        return command.load()(argv)
    except ModuleNotFoundError:
        from cli.extras import require

        require(command.extra)
        raise
