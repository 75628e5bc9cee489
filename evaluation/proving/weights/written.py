"""Fitted weights as the source that the detectors read them from."""

import re
from pathlib import Path

from evaluation.proving.weights.model import Weights
from evaluation.proving.weights.weighed import Model
from kinora.files import atomic_write

WIDEST = 120  # characters of a line
FILE = '''"""The weights of `{measures}.py`, fitted to {clips} clips of paper, clay and real footage (half `dev`).

Logistic regression with a ridge; of what fails, the surest candidate at its place and time is one that {said}, and of
faultless clips none are. Weights are for the measures as they are, not scaled.
"""

BIAS = {bias:.3f}
WEIGHTS: dict[str, float] = {{
{weights}
}}
'''


def write(model: Model, weights: Weights, clips: int, folder: Path) -> Path:
    """Write the weights of a model, fitted to so many clips, as its file is named, and return where."""
    file = folder / Path(model.file).name
    with atomic_write(file) as temporary:
        temporary.write_text(_text(model, weights, clips))
    return file


def _text(model: Model, weights: Weights, clips: int) -> str:
    source = Path(str(model.module.__file__))
    if source.name == Path(model.file).name:  # the weights stand in the detector itself
        return _replaced(source.read_text(), weights)
    lines = "\n".join(f'    "{name}": {value:.4f},' for name, value in weights.of.items())
    return FILE.format(measures=source.stem, clips=clips, said=model.said, bias=weights.bias, weights=lines)


def _replaced(text: str, weights: Weights) -> str:
    """Return a detector's source with other weights."""
    pairs = [f'"{name}": {value:.2f}' for name, value in weights.of.items()]
    line = f"WEIGHTS = {{{', '.join(pairs)}}}"
    if len(line) > WIDEST:
        line = "\n".join(["WEIGHTS = {", *(f"    {pair}," for pair in pairs), "}"])
    text, places = re.subn(r"^WEIGHTS = \{[^}]*\}", line, text, flags=re.MULTILINE)
    assert places == 1
    text, places = re.subn(r"^BIAS(.*?) = [-\d.]+", rf"BIAS\1 = {weights.bias:.2f}", text, flags=re.MULTILINE)
    assert places == 1
    return text
