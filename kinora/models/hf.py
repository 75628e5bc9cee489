"""Where models of the Hugging Face hub are found: `hf:FOLDER`, or `hf:ORGANISATION/NAME`, if need be with `@REVISION`.

A folder is read where it is. A name is looked up in the local cache and, unless HF_HUB_OFFLINE=1, fetched from the hub:
only the files that the part needs, of which the weights are safetensors. Nothing is fetched that nobody named, no
pickle is read, and no code that comes with a model is run.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kinora.errors import KinoraError, UsageError

PREFIX = "hf:"
HUB_NAME = re.compile(r"(?P<name>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")  # configurations, weights, what tokenizers have
PIPELINE = "model_index.json"  # of a folder that holds several models, each in a folder of its own


@contextmanager
def hf_extra() -> Iterator[None]:
    """Say which extra is missing where diffusers or transformers cannot be imported.

    Raises:
        KinoraError: if the block raises ModuleNotFoundError.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise KinoraError(f"this needs the extra 'hf' ({error.name} is missing): pip install 'kinora[hf]'") from error


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Say in a sentence that a model cannot be read, and why, where its files are damaged or of another kind.

    Raises:
        KinoraError: if the block raises what transformers does then.
    """
    try:
        yield
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise KinoraError(f"{what} cannot be read: {reason}") from error


def pretrained_folder(source: str, *parts: str) -> Path:
    """Return the folder of a model, or of the pipeline that its `parts` (such as "vae") are folders of.

    Raises:
        UsageError: if the source is no name of this form.
        KinoraError: if there is no such folder, or the hub does not give it.
    """
    said = source.removeprefix(PREFIX)
    hub = HUB_NAME.fullmatch(said)
    folder = Path(said).expanduser()
    if said == source or not said:
        raise UsageError(f"'{source}' names no model; give hf:FOLDER or hf:ORGANISATION/NAME.")
    if folder.is_dir():
        return folder
    if hub is None:
        raise KinoraError(f"there is no folder {said}; give one that holds a model, or hf:ORGANISATION/NAME.")
    return _from_hub(hub["name"], hub["revision"], parts)


def _from_hub(name: str, revision: str | None, parts: tuple[str, ...]) -> Path:
    with hf_extra():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    patterns = [PIPELINE, *FILES, *(f"{part}/{pattern}" for part in parts for pattern in FILES)]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise KinoraError(
            f"the hub does not give {name} ({reason}); check the name and the connection, or give a folder."
        ) from error
