"""The one console command. Subcommands are found by name and imported when they are called."""

import importlib
import os
import sys

from kinora import __version__
from kinora.errors import KinoraError

# name: (where it lives, what it does). `--help` prints this table and imports nothing else.
COMMANDS: dict[str, tuple[str, str]] = {
    "ingest": (
        "kinora.commands.data:ingest",
        "turn raw videos and images, or simulated worlds, into a clip dataset",
    ),
    "validate": ("kinora.commands.data:validate", "check a clip dataset against its contract"),
    "caption": (
        "kinora.commands.captions:caption",
        "caption every clip of a dataset with a trained captioner",
    ),
    "train": ("kinora.commands.train:train", "train a captioner, an autoencoder or a transformer"),
    "generate": ("kinora.commands.generate:generate", "make a video from a prompt, an image or a video"),
    "evaluate": ("evaluation.commands:evaluate", "find failures of physics and consistency in clips"),
    "promote": ("serving.commands:promote", "put a model version into the model store"),
    "serve": ("serving.commands:serve", "serve the promoted model over HTTP"),
    "pipeline": ("pipelines.commands:pipeline", "run, compile or submit the whole workflow"),
    "doctor": ("kinora.commands.doctor:doctor", "say what this machine can run and what is missing"),
}


def usage() -> str:
    """Return the help text: one line a subcommand."""
    width = max(map(len, COMMANDS))
    rows = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items())
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
    module, function = COMMANDS[argv[0]][0].split(":")
    try:
        return getattr(importlib.import_module(module), function)(argv[1:]) or 0
    except KinoraError as error:
        print(f"kinora {argv[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"kinora {argv[0]}: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away: `kinora --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
