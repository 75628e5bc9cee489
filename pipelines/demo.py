"""`make demo`: from raw clips to a served video, through the whole pipeline and then as a client of the endpoint.

Run as `python -m pipelines.demo [--source FOLDER] [--recipe NAME] [--set SETTINGS] [--work FOLDER] [--port N]`.
"""

import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from kinora.config import read_json
from kinora.data.ingest.config import WORLDS
from kinora.errors import KinoraError
from kinora.files import atomic_write
from kinora.generation.registry import Registry
from kinora.models.text_encoder import split_words
from kinora.processes import end_descendants, with_parent
from pipelines.run import RunOptions, RunResult, run_pipeline
from pipelines.runner import SECONDS_TO_END

if TYPE_CHECKING:
    import numpy as np

SECONDS_TO_START = 600.0
SECONDS_TO_GENERATE = 1800.0
# A person's own footage is judged by how its clips go on, and a few captions teach no words: most clips are learned so.
FOOTAGE = "transformer.conditioning_share=0.7"


@dataclass(frozen=True)
class Wish:
    """What the endpoint is asked for: a prompt, a size as WIDTHxHEIGHT, fields of Kinora's own, maybe a first frame.

    `said` is what a person reads of it, `image` a PNG.
    """

    prompt: str
    said: str
    size: str
    fields: dict[str, Any] = field(default_factory=dict)
    image: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class GeneratedVideo:
    """The video that the endpoint made, and the words of its prompt that the model never saw in training."""

    said: str
    path: Path
    unknown_words: tuple[str, ...] = ()


def demo(
    source: str = "worlds",
    recipe: str = "tiny",
    settings: Annotated[str, tyro.conf.arg(name="set")] = "",
    work: Path = Path("work"),
    port: int = 8000,
) -> int:
    """Run the whole pipeline, serve the promoted model, and request a video from it.

    Of your own files, it says how near the model comes to the clips that it never saw, which it continues from their
    first frames; captions are taken from beside the files, and nothing is asked for that nobody wrote.

    This takes about 18 minutes on two CPU cores, installation included; most of them are training. Run it again with
    nothing changed, and it takes about half a minute.

    Args:
        source: "worlds" for the simulated worlds, or a folder with your own videos and images.
        recipe: the complete configuration: a name, or a function of your own as path/to/file.py:function.
        settings: other values of the recipe, such as "transformer.steps=500 sampling.guidance=3".
        work: the folder in which everything is kept.
        port: the port on which the endpoint listens, on this machine only.
    """
    check_port(port)  # now, not after ten minutes of training
    own = "" if source == WORLDS else FOOTAGE
    result = run_pipeline(RunOptions(source, recipe, f"{own} {settings}".strip(), work))

    from kinora.media import read_video  # imports torch, and most refusals come before
    from pipelines.run_page import write_run_page

    print("\n" + "\n".join(filter(None, [learned(result), result.reason])))
    if Registry(result.arguments["artifact_root"]).current() is None:
        raise KinoraError(f"nothing is deployed yet, so there is nothing to serve; see {result.run.page}.")
    serve = "`make serve`" if work == Path("work") else f"`kinora serve --work {work}`"
    with serving(result, port) as address:
        with warnings.catch_warnings():
            # The client warns that its maker's own service ends; ours does not.
            warnings.simplefilter("ignore", DeprecationWarning)
            generated = request_video(result, address)
        video = (*read_video(generated.path), generated.said)
        write_run_page(result.run, result.state, result.arguments, result.workflow.title, video)
        print(summary(result, generated, address))
        if sys.stdout.isatty():
            print(f"\nServing until Ctrl-C; start it again with {serve}.")
            try:
                signal.pause()
            except KeyboardInterrupt:
                print()
        else:
            print(f"\nThe endpoint is stopped; start it again with {serve}.")
    return 0


def check_port(port: int) -> None:
    """Refuse a port that is taken.

    Raises:
        KinoraError: if something listens there, or nothing may.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise KinoraError(
                f"port {port} cannot be used ({error.strerror}); stop what uses it, or name another: PORT=8123 for "
                "make, --port 8123 for the program."
            ) from error


@contextmanager
def serving(result: RunResult, port: int) -> Iterator[str]:
    """Serve the deployed model as `kinora serve` does; yield the address, and leave no process behind.

    Raises:
        KinoraError: if the port is taken, or the server does not start.
    """
    check_port(port)  # again: what took it while the run went on would answer in our server's place
    address, log_path = f"http://127.0.0.1:{port}", result.run.folder / "serve.txt"
    places = ["--work", str(result.run.workspace.root), "--artifact-root", result.arguments["artifact_root"]]
    command = [sys.executable, "-m", "cli", "serve", *places, "--port", str(port)]
    with open(log_path, "w") as log:
        # A session of its own: the terminal's Ctrl-C is for us, and we end the server in order.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | with_parent(),
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, address, log_path)
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                end_descendants(process.pid, patience=1)
                process.kill()
                process.wait()


def request_video(result: RunResult, address: str) -> GeneratedVideo:
    """Request a video of what is held out from the endpoint, with the unmodified `openai` client.

    Raises:
        KinoraError: if the endpoint says that it failed, or does not finish.
    """
    from openai import APIStatusError, OpenAI

    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=2)
    wish = first_wish(result)
    given: Any = {} if wish.image is None else {"input_reference": ("first.png", wish.image, "image/png")}
    size: Any = wish.size  # the client knows its maker's sizes, and the model has its own
    try:
        job = client.videos.create(prompt=wish.prompt, size=size, extra_body=wish.fields, **given)
    except APIStatusError as error:
        raise KinoraError(f"the endpoint refused {wish.said}: {error.message}") from error
    end = time.monotonic() + SECONDS_TO_GENERATE
    while job.status in ("queued", "in_progress") and time.monotonic() < end:
        time.sleep(0.5)
        job = client.videos.retrieve(job.id)
    if job.status != "completed":
        reason = job.error.message if job.error else f"it is still {job.status}"
        log = result.run.folder / "serve.txt"
        raise KinoraError(f"the endpoint did not generate the video: {reason.rstrip('.')}; its log is {log}.")
    path = result.run.folder / "video.mp4"
    with atomic_write(path) as temporary:
        client.videos.download_content(job.id).write_to_file(temporary)
    return GeneratedVideo(wish.said, path, tuple((job.model_extra or {}).get("unknown_words") or ()))


def first_wish(result: RunResult) -> Wish:
    """Return what the endpoint is asked for: the first that the chosen checkpoint was judged by.

    That is a prompt or, of a person's own footage, a held-out clip to be continued from its first frame: the first that
    a person wrote a caption for, in that person's words, and else without any.
    """
    from kinora.data.clips import ClipDataset  # imports pandas, and most refusals come before

    version = _version(result)
    most = read_json(version / "dit" / "config.json")["text"]["max_words"]
    every = [clip["asked"] for clip in read_json(version / "evaluation.json")["clips"]]
    asked = next((one for one in every if one["prompt"]), every[0])
    wish = wish_of(asked, most)
    if "clip" not in asked:
        return wish
    frames = ClipDataset.open(result.artifact("caption", "captioned_clips")).frames(asked["clip"], 0, 1)
    return replace(wish, image=_png(frames[0]))


def wish_of(asked: Mapping[str, Any], most: int) -> Wish:
    """Return the wish of what a checkpoint was judged by, as `evaluation.json` holds it, still without its image.

    The endpoint refuses a prompt that has more than the `most` words that the model reads, so the rest is left out.
    """
    size, prompt = f"{asked['width']}x{asked['height']}", shortened(asked["prompt"], most)
    if "clip" not in asked:
        return Wish(prompt, prompt, size, {"allow_unknown_words": True})  # a model of few captions lacks some
    words = f"“{prompt}”" if prompt else "no words, for no person wrote a caption"
    said = f"{words}; continued from the first frame of {PurePosixPath(asked['source']).name}, which was held out"
    fields = {name: asked[name] for name in ("frames", "fps", "seed")}
    return Wish(prompt, said, size, fields | {"expand": False, "allow_unknown_words": True})


def learned(result: RunResult) -> str:
    """Say what the chosen checkpoint can do of a person's own footage, "" of simulated worlds."""
    return str(read_json(_version(result) / "evaluation.json").get("sentence", ""))


def _version(result: RunResult) -> Path:
    (version,) = (path for path in result.artifact("gate", "version").iterdir() if path.is_dir())
    return version


def _png(frame: "np.ndarray") -> bytes:
    from kinora.media import write_image

    file = io.BytesIO()
    write_image(file, frame)
    return file.getvalue()


def shortened(prompt: str, most: int) -> str:
    """Return the beginning of a prompt that has at most `most` words as the model counts them."""
    words = prompt.split()
    while len(split_words(" ".join(words))) > most:
        words.pop()
    return " ".join(words)


def summary(result: RunResult, video: GeneratedVideo, address: str) -> str:
    """Return where everything is."""
    rows = {
        "The prompt": video.said,
        "Words it ignored": ", ".join(video.unknown_words),
        "The video": video.path,
        "The evaluation": result.report("evaluate"),
        "The run": result.run.page,
        "The web page": f"{address}/",
    }
    return "\n" + "\n".join(f"  {name:<18}{place}" for name, place in rows.items() if place)


def _wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end:
        if process.poll() is not None:
            last = (log.read_text().strip().splitlines() or ["it said nothing"])[-1]
            raise KinoraError(f"the endpoint did not start: {last.removeprefix('kinora serve: ')}")
        try:
            urllib.request.urlopen(f"{address}/", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise KinoraError(f"the endpoint did not answer within {SECONDS_TO_START:.0f} s; its log is {log}.")


def main(argv: list[str]) -> int:
    """Run the demo; return its exit code."""
    try:
        return tyro.cli(demo, prog="python -m pipelines.demo", args=argv)
    except KinoraError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("demo: interrupted; nothing is left running, and the next run continues from here.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
