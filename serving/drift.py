"""Drift between what the endpoint is asked for and what the deployed model was trained on, measured by Evidently.

Compared are size, length, rate, the number of words and the words themselves. Not compared is what differs by
construction: that a training caption has no word unknown to training, and tasks, which only requests have. The first is
a figure of its own.
"""

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from kinora.config import write_json
from kinora.data.accepted import open_tables
from kinora.data.clips import ClipDataset
from kinora.data.drift import MIN_ROWS, DriftConfig, DriftResult, compare, drift_section
from kinora.errors import KinoraError
from kinora.files import friendly_os_errors
from kinora.generation.registry import Registry
from kinora.models.text_encoder import split_words
from kinora.report import Page

FORMAT = ("width", "height", "frames", "fps")
# What holds sentences together and says nothing of what is to be seen.
FUNCTION_WORDS = frozenset(
    ("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "into", "is", "it", "its",
     "of", "on", "or", "that", "the", "their", "there", "this", "to", "was", "while", "with")
)  # fmt: skip
NAMED = 20  # unknown words
# Training captions that requests are compared with, some 2 KB of memory each: of more, what chance adds is nothing to
# what it does with the requests, which are far fewer.
MOST_CAPTIONS = 50_000


@dataclass(frozen=True)
class RequestDrift:
    """What a comparison of requests with training captions found.

    result: of every feature. unknown: how often each word that no training caption has was asked for. words: how many
    words were asked for. tasks: how often each was.
    """

    result: DriftResult
    unknown: Counter[str]
    words: int
    tasks: Counter[str]

    @property
    def unknown_share(self) -> float:
        """The share of the words that no training caption has."""
        return self.unknown.total() / max(1, self.words)

    def figures(self) -> dict[str, float]:
        """Return `psi_<feature>` of each feature, `drifted_share`, `unknown_words` and the number of `requests`."""
        counts = {"unknown_words": self.unknown_share, "requests": float(self.result.current_rows)}
        return self.result.figures() | counts


@dataclass(frozen=True)
class TrainingTexts:
    """What a dataset teaches of language: `texts` has `text, width, height, frames, fps`; `words` are all it has."""

    texts: pd.DataFrame
    words: Set[str]


def training_texts(dataset: ClipDataset) -> TrainingTexts:
    """Return the training captions of a dataset, of very many about `MOST_CAPTIONS` at most, drawn evenly; all words.

    A clip with a long and a short caption has a row of each, because training shows both.

    Raises:
        KinoraError: if no clip has a caption.
    """
    words: set[str] = set()
    total = 0
    for piece in _captions(dataset):
        words.update(word for text in piece["text"] for word in split_words(text))
        total += len(piece)
    if not total:
        raise KinoraError("the training clips have no captions, so requests cannot be compared with them.")
    chance = np.random.default_rng(0)
    drawn = [piece[chance.random(len(piece)) < MOST_CAPTIONS / total] for piece in _captions(dataset)]
    return TrainingTexts(pd.concat(drawn, ignore_index=True), words)


def request_drift(requests: pd.DataFrame, training: TrainingTexts, config: DriftConfig) -> RequestDrift:
    """Compare requests with training captions.

    Args:
        requests: as `serving.request_log.read_requests` returns.
        training: as `training_texts` returns.
        config: from which PSI a feature has drifted.

    Raises:
        KinoraError: if there is too little to compare.
    """
    texts = training.texts
    if min(len(requests), len(texts)) < MIN_ROWS:
        raise KinoraError(
            f"{len(requests)} requests and {len(texts)} captions say nothing about drift; "
            f"compare again when there are {MIN_ROWS} of each."
        )
    asked, taught = requests["prompt"].map(split_words), texts["text"].map(split_words)
    result = compare(_features(requests, asked), _features(texts, taught), threshold=config.psi)
    content = compare(_content(asked), _content(taught), ["content_word"], config.psi)
    words = [word for words in asked for word in words]
    return RequestDrift(
        replace(result, columns=(*result.columns, *content.columns)),
        Counter(word for word in words if word not in training.words),
        len(words),
        Counter(requests["task"]),
    )


def drift_from_deployed(
    requests: pd.DataFrame, registry: Registry, config: DriftConfig
) -> tuple[Page, dict[str, float]]:
    """Compare requests with the training captions of the deployed version; return a report and figures.

    Of fewer requests than `config.fewest_requests`, nothing but their number.

    Raises:
        KinoraError: if no version is deployed, or the tables of its dataset were not kept.
    """
    if len(requests) < config.fewest_requests:
        sentence = f"{len(requests)} requests in {config.days} days say nothing; {config.fewest_requests} are needed."
        return Page("Drift of requests", sentence), {"requests": float(len(requests))}
    version = registry.find("")
    dataset = open_tables(registry.artifact_root, str(version.record("lineage").get("dataset", "")))
    drift = request_drift(requests, training_texts(dataset), config)
    return drift_page(drift, f"version {version.name}"), drift.figures()


def drift_page(drift: RequestDrift, reference: str) -> Page:
    """Return the report of a comparison with the captions of `reference`."""
    result = drift.result
    page = Page("Drift of requests", f"What the endpoint was asked for, beside what {reference} was trained on.")
    page.figures(
        {
            "requests": f"{result.current_rows}",
            "training captions": f"{result.reference_rows}",
            "features that drifted": f"{len(result.drifted)} of {len(result.columns)}",
            "words that training never had": f"{drift.unknown_share:.0%}",
        }
    )
    drift_section(page, "Requests and training captions", result, "requests", "captions")
    page.heading("Words that training never had")
    if drift.unknown:
        page.table([{"word": word, "asked for": count} for word, count in drift.unknown.most_common(NAMED)])
    else:
        page.text("None.")
    page.heading("What was asked for").table(
        [{"task": task, "requests": count} for task, count in drift.tasks.most_common()],
        caption="Training captions have no tasks, so these are not compared.",
    )
    return page


def write_drift(drift: RequestDrift, reference: str, out: Path) -> Path:
    """Write `drift.html` and `drift.json` into the folder `out`; return the page's path."""
    with friendly_os_errors(out):
        write_json(out / "drift.json", drift.figures())
        return drift_page(drift, reference).write(out / "drift.html")


def _captions(dataset: ClipDataset) -> Iterator[pd.DataFrame]:
    """Yield all training captions as `training_texts` returns them, in pieces."""
    for piece in dataset.pieces([*FORMAT, "caption", "short_caption", "split"]):
        clips = piece[piece["split"] == "train"]
        short = clips[clips["short_caption"] != clips["caption"]]
        texts = pd.concat([clips.assign(text=clips["caption"]), short.assign(text=short["short_caption"])])
        yield texts.loc[texts["text"] != "", ["text", *FORMAT]]


def _features(table: pd.DataFrame, texts: pd.Series) -> pd.DataFrame:
    """Return `width`, `height` in pixels, `frames`, `fps` (0 of one frame) and `words` as numbers."""
    found = table[list(FORMAT)].astype(float)
    return found.assign(fps=found["fps"].where(found["frames"] > 1, 0.0), words=texts.map(len).astype(float))


def _content(texts: pd.Series) -> pd.DataFrame:
    """Return a row for every word that says something of what is to be seen."""
    words = texts.explode().dropna()
    return pd.DataFrame({"content_word": words[~words.isin(FUNCTION_WORDS)].astype(str)})
