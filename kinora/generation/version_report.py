"""The report of a deployed model version: its model card."""

from kinora.generation.model_card import card_markdown
from kinora.generation.model_version import ModelVersion
from kinora.report import Page


def version_page(version: ModelVersion, place: str, verdict: str) -> Page:
    """Return the model card of a version that is deployed at `place`, as a page; `verdict` says why it is."""
    page = Page(f"Model version {version.name}", f"{verdict} Deployed from {place}; its digest is {version.digest}.")
    rates = version.record("evaluation").get("rates") or {}
    first = {name: rates[name] for name in ("overall", *rates) if name in rates}
    page.figures({name.replace("_", " "): f"{value:.0%}" for name, value in first.items()})
    for section in version.card():
        page.heading(section.title)
        for text in section.text:
            page.text(text.replace("`", ""))
        if section.table:
            page.table(section.table)
        if section.command:
            page.text(section.command)
    return page


def version_markdown(version: ModelVersion, place: str, verdict: str) -> str:
    """Return the same as Markdown."""
    deployed = f"Model version `{version.name}` is deployed, from `{place}`. {verdict}"
    return f"{deployed}\n\n{card_markdown(version.card())}"
