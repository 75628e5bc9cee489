"""`make demo`: from raw clips to a served video, through the whole pipeline and then as a client of the endpoint.

Run as `python -m pipelines.demo [--source FOLDER] [--recipe NAME] [--set SETTINGS] [--work FOLDER] [--port N]`.
"""

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from kinora.config import read_json
from kinora.errors import KinoraError
from kinora.files import atomic_write
from kinora.generation.registry import Registry
from kinora.models.text_encoder import split_words
from kinora.processes import end_descendants
from pipelines.run import RunOptions, RunResult, run_pipeline
from pipelines.runner import SECONDS_TO_END

SECONDS_TO_START = 600.0
SECONDS_TO_GENERATE = 1800.0


@dataclass(frozen=True)
class GeneratedVideo:
    """The video that the endpoint made."""

    prompt: str
    path: Path


def demo(
    source: str = "worlds",
    recipe: str = "tiny",
    settings: Annotated[str, tyro.conf.arg(name="set")] = "",
    work: Path = Path("work"),
    port: int = 8000,
) -> int:
    """Run the whole pipeline, serve the promoted model, and request a video from it.

    This takes about 11 minutes on two CPU cores, installation included; 7 of them are training. Run it again with
    nothing changed, and it takes about 15 seconds.

    Args:
        source: "worlds" for the simulated worlds, or a folder with your own videos and images.
        recipe: the complete configuration: a name, or a function of your own as path/to/file.py:function.
        settings: other values of the recipe, such as "transformer.steps=500 sampling.guidance=3".
        work: the folder in which everything is kept.
        port: the port on which the endpoint listens, on this machine only.
    """
    check_port(port)  # now, not after ten minutes of training
    result = run_pipeline(RunOptions(source, recipe, settings, work))

    from kinora.media import read_video  # imports torch, and most refusals come before
    from pipelines.run_page import write_run_page

    print(f"\n{result.reason}")
    if Registry(result.arguments["artifact_root"]).current() is None:
        raise KinoraError(f"nothing is deployed yet, so there is nothing to serve; see {result.run.page}.")
    serve = "`make serve`" if work == Path("work") else f"`kinora serve --work {work}`"
    with serving(result, port) as address:
        with warnings.catch_warnings():
            # The client warns that its maker's own service ends; ours does not.
            warnings.simplefilter("ignore", DeprecationWarning)
            generated = request_video(result, address)
        video = (*read_video(generated.path), generated.prompt)
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
                f"port {port} cannot be used ({error.strerror}); stop what uses it, or name another with --port."
            ) from error


@contextmanager
def serving(result: RunResult, port: int) -> Iterator[str]:
    """Serve the deployed model as `kinora serve` does; yield the address, and leave no process behind."""
    address, log_path = f"http://127.0.0.1:{port}", result.run.folder / "serve.txt"
    places = ["--work", str(result.run.workspace.root), "--artifact-root", result.arguments["artifact_root"]]
    command = [sys.executable, "-m", "cli", "serve", *places, "--port", str(port)]
    with open(log_path, "w") as log:
        # A session of its own: the terminal's Ctrl-C is for us, and we end the server in order.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
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
    """Request a video of the first held-out prompt from the endpoint, with the unmodified `openai` client.

    Raises:
        KinoraError: if the endpoint says that it failed, or does not finish.
    """
    from openai import APIStatusError, OpenAI

    client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=2)
    prompt, size = first_prompt(result)
    try:
        job = client.videos.create(prompt=prompt, size=size)  # type: ignore[arg-type] # the model has sizes of its own
    except APIStatusError as error:
        raise KinoraError(f"the endpoint refused the prompt '{prompt}': {error.message}") from error
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
    return GeneratedVideo(prompt, path)


def first_prompt(result: RunResult) -> tuple[str, str]:
    """Return the first prompt that the chosen checkpoint was evaluated on, and its size as WIDTHxHEIGHT.

    A caption may have more words than the model reads; the endpoint refuses such a prompt, so the rest is left out.
    """
    (version,) = (path for path in result.artifact("gate", "version").iterdir() if path.is_dir())
    asked = read_json(version / "evaluation.json")["clips"][0]["asked"]
    most = read_json(version / "dit" / "config.json")["text"]["max_words"]
    return shortened(asked["prompt"], most), f"{asked['width']}x{asked['height']}"


def shortened(prompt: str, most: int) -> str:
    """Return the beginning of a prompt that has at most `most` words as the model counts them."""
    words = prompt.split()
    while len(split_words(" ".join(words))) > most:
        words.pop()
    return " ".join(words)


def summary(result: RunResult, video: GeneratedVideo, address: str) -> str:
    """Return where everything is."""
    rows = {
        "The prompt": video.prompt,
        "The video": video.path,
        "The evaluation": result.report("evaluate"),
        "The run": result.run.page,
        "The web page": f"{address}/",
    }
    return "\n" + "\n".join(f"  {name:<16}{place}" for name, place in rows.items())


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
