"""Numbers as a person reads them."""

SCALES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))


def amount(value: float) -> str:
    """Return a number in a few digits: `37`, `0.25`, `12,040`, `5.8 million`."""
    for scale, name in SCALES:
        if abs(value) >= scale:
            return f"{value / scale:.1f} {name}"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def count(number: float, one: str, many: str = "") -> str:
    """Return a number of things: `1 clip`, `64 clips`, `5.8 million latent values`."""
    return f"{amount(number)} {one if number == 1 else many or f'{one}s'}"


def share(part: float, whole: float) -> str:
    """Return a part of a whole, with its percentage: `23 of 64 (36%)`."""
    return f"{amount(part)} of {amount(whole)}" + (f" ({part / whole:.0%})" if whole else "")
