"""The state of a sharded training on disk: every process writes its fragments, any number of them reads them back.

One file a process, `rank-00000.safetensors`; a tensor `master/dit.head.weight/512` in it holds values of the named
parameter from number 512 on. No file has to be read by whom it was written, or whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from kinora.errors import KinoraError
from kinora.training.fragments import Fragment

Pieces = Mapping[str, Sequence[tuple[Fragment, Tensor]]]  # by kind of state: fragments, and their views


def save_fragments(folder: Path, rank: int, pieces: Pieces) -> None:
    """Write the pieces of one process."""
    tensors = {f"{kind}/{part.name}/{part.start}": view for kind, part, view in _all(pieces)}
    save_file({key: view.detach().cpu() for key, view in tensors.items()}, folder / f"rank-{rank:05d}.safetensors")


@torch.no_grad()
def load_fragments(folder: Path, pieces: Pieces) -> None:
    """Fill the pieces of one process from the files that all processes of an earlier run wrote.

    Raises:
        KinoraError: if values are missing.
    """
    with ExitStack() as files:
        written: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        for path in sorted(folder.glob("rank-*.safetensors")):
            file = files.enter_context(safe_open(path, framework="pt"))
            for key in file.keys():  # noqa: SIM118 (a file is no mapping)
                kind, name, start = key.split("/")
                written.setdefault((kind, name), []).append((int(start), file.get_slice(key)))
        for kind, part, view in _all(pieces):
            found = 0
            for start, values in written.get((kind, part.name), []):
                first, last = max(start, part.start), min(start + values.get_shape()[0], part.start + part.length)
                if first < last:
                    view[first - part.start : last - part.start].copy_(values[first - start : last - start])
                    found += last - first
            if found != part.length:
                raise KinoraError(
                    f"the state in {folder} is not of this training: of {part.name} ({kind}) {part.length - found:,} "
                    "values are missing. Remove that folder and train again."
                )


def _all(pieces: Pieces) -> Iterator[tuple[str, Fragment, Tensor]]:
    return ((kind, part, view) for kind, parts in pieces.items() for part, view in parts)
