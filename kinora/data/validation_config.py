"""What a dataset as a whole must be, as a recipe says it."""

from dataclasses import dataclass, fields

from kinora.errors import UsageError


@dataclass(frozen=True)
class ValidationConfig:
    """What a dataset as a whole must be. A broken expectation warns; those named in `stops` end the run.

    Of what came in, at most the shares `most_quarantined` and `most_duplicates` may have been rejected, at all and as
    copies of others. At least `fewest_clips` must be left, of which the shares with a caption and held out are within
    these limits.

    Beside the last accepted dataset of the same source (0 compares nothing): the number of clips may have changed by
    the share `row_change`; the mean of a curation score by `mean_shift` and its quantiles (10, 50 and 90 %) by
    `quantile_shift` standard deviations that it had; the shares of images, captions, held-out clips, rejected inputs
    and the five most frequent sizes by `share_change`.

    Raises:
        UsageError: if a limit is out of its range, or `stops` names no expectation.
    """

    fewest_clips: int = 1
    most_quarantined: float = 0.95
    most_duplicates: float = 0.5
    least_captioned: float = 0.0
    least_validation: float = 0.0
    most_validation: float = 0.5
    row_change: float = 0.5
    mean_shift: float = 0.5
    quantile_shift: float = 1.0
    share_change: float = 0.2
    stops: tuple[str, ...] = ("fewest_clips", "most_quarantined")

    def __post_init__(self) -> None:
        names = [field.name for field in fields(self) if field.name != "stops"]
        unknown = sorted(set(self.stops) - set(names))
        if unknown:
            raise UsageError(
                f"validation.stops names {', '.join(unknown)}; the expectations that can stop are {', '.join(names)}."
            )
        shares = [name for name in names if name not in ("fewest_clips", "mean_shift", "quantile_shift")]
        wrong = [name for name in shares if not 0 <= getattr(self, name) <= 1]
        if wrong or self.fewest_clips < 1 or min(self.mean_shift, self.quantile_shift) < 0:
            raise UsageError(
                "validation.fewest_clips must be 1 or more, mean_shift and quantile_shift not negative, and the other "
                f"limits shares, 0 to 1{': not so is ' + ', '.join(wrong) if wrong else ''}."
            )
