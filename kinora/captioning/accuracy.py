"""How much of what a clip shows its caption says, attribute by attribute."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kinora.worlds import Attributes, parse

ATTRIBUTES = ("colour", "shape", "count", "background", "motion", "speed", "camera")


@dataclass(frozen=True)
class Accuracy:
    """Counts by attribute: how many clips could be measured, and how many of those captions are right."""

    right: dict[str, int]
    measured: dict[str, int]

    def shares(self) -> dict[str, float]:
        """Return the share that is right of every attribute that could be measured, 0..1."""
        return {name: self.right[name] / count for name, count in self.measured.items() if count}

    def metrics(self) -> dict[str, float]:
        """Return `accuracy_<attribute>` and `measured_<attribute>`."""
        shares = {f"accuracy_{name}": share for name, share in self.shares().items()}
        return shares | {f"measured_{name}": float(count) for name, count in self.measured.items()}

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of a table for people."""
        shares = self.shares()
        return [
            {
                "attribute": name,
                "right": f"{shares[name]:.1%}" if name in shares else "not measured",
                "measured on": f"{count} clips",
            }
            for name, count in self.measured.items()
        ]


def compare(written: str, truth: Attributes) -> dict[str, bool]:
    """Say for every attribute that the truth names whether the written caption says the same."""
    said = parse(written) or Attributes(())
    result = {}
    if truth.objects:
        for place, name in enumerate(("colour", "shape")):
            result[name] = Counter(o[place] for o in said.objects) == Counter(o[place] for o in truth.objects)
        result["count"] = len(said.objects) == len(truth.objects)
    for name in ("background", "motion", "speed", "camera"):
        if getattr(truth, name) is not None:
            result[name] = getattr(said, name) == getattr(truth, name)
    return result


def accuracy(pairs: Iterable[tuple[str, Attributes]]) -> Accuracy:
    """Measure captions, each with what its clip shows."""
    right, measured = dict.fromkeys(ATTRIBUTES, 0), dict.fromkeys(ATTRIBUTES, 0)
    for written, truth in pairs:
        for name, same in compare(written, truth).items():
            measured[name] += 1
            right[name] += same
    return Accuracy(right, measured)
