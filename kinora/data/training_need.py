"""Whether requests have moved so far, and are answered so badly, that the model is to be trained again."""

from collections.abc import Mapping
from dataclasses import dataclass

from kinora.data.drift import DriftConfig
from kinora.report import Page


@dataclass(frozen=True)
class TrainingNeed:
    """Whether training is to start, and why in one sentence."""

    train: bool
    reason: str


def training_need(drift: Mapping[str, float], quality: Mapping[str, float], config: DriftConfig) -> TrainingNeed:
    """Decide: training starts where the requests have drifted and the deployed model answers them badly.

    Args:
        drift: `requests`, how many there were, and where these were enough, `drifted_share` and `unknown_words`.
        quality: `judged`, how many recent prompts were, and where there were any, the share `answered`.
        config: from where on that is so.
    """
    if drift["requests"] < config.fewest_requests:
        return TrainingNeed(
            False,
            f"{drift['requests']:.0f} requests in {config.days} days decide nothing; "
            f"{config.fewest_requests} are needed.",
        )
    far = drift["drifted_share"] >= config.drifted_share or drift["unknown_words"] >= config.unknown_words
    moved = (
        f"{drift['drifted_share']:.0%} of the features drifted and {drift['unknown_words']:.0%} of the words are new"
    )
    if not far:
        return TrainingNeed(False, f"The requests are what the model was trained for: {moved}.")
    if not quality["judged"]:
        return TrainingNeed(False, f"The requests have moved ({moved}), but none of them can be judged.")
    well = f"{quality['answered']:.0%} of {quality['judged']:.0f} recent prompts"
    if quality["answered"] >= config.quality_floor:
        return TrainingNeed(False, f"The requests have moved ({moved}), and the model still answers {well}.")
    return TrainingNeed(
        True, f"The requests have moved ({moved}), and the model answers only {well}: it is trained again."
    )


def need_page(
    need: TrainingNeed, drift: Mapping[str, float], quality: Mapping[str, float], config: DriftConfig
) -> Page:
    """Return the report of a decision: each figure beside the limit that it is held against."""
    page = Page("Training starts" if need.train else "Nothing is trained", need.reason)
    rows = [
        ("requests", drift["requests"], f"{config.fewest_requests} or more", ".0f"),
        ("features that drifted", drift.get("drifted_share"), f"{config.drifted_share:.0%} or more", ".0%"),
        ("or words that training never had", drift.get("unknown_words"), f"{config.unknown_words:.0%} or more", ".0%"),
        (
            "and recent prompts that are answered",
            quality.get("answered"),
            f"below {config.quality_floor:.0%}",
            ".0%",
        ),
    ]
    return page.table(
        [
            {"of the requests": name, "found": "not measured" if value is None else f"{value:{form}}", "starts": limit}
            for name, value, limit, form in rows
        ],
        caption="The limits are in the recipe, under drift.",
    )
