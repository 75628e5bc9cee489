"""What a model version is and where it came from, for a person."""

from kinora.generation.model_version import ModelVersion
from kinora.report import Page

MIB = 2**20
KEYS = ("overall", "colour_right", "shape_right", "background_right", "motion_right", "exactly_prompted")


def version_page(version: ModelVersion, place: str) -> Page:
    """Describe a version that is in service at `place`."""
    evaluation, lineage = version.record("evaluation"), version.record("lineage")
    page = Page(f"Model version {version.name}", f"In service from {place}.")
    page.figures({name.replace("_", " "): f"{evaluation['rates'][name]:.0%}" for name in KEYS})
    page.heading("Where it came from")
    page.table([{"what": name, "digest or name": str(value)} for name, value in lineage.items() if value])
    page.heading("What it holds")
    page.text(f"Recipe {version.record('recipe').get('name', 'unnamed')}; its digest is {version.digest}.")
    files = sorted(path for path in version.path.rglob("*") if path.suffix in (".safetensors", ".json"))
    return page.table(
        [
            {"file": path.relative_to(version.path).as_posix(), "MiB": f"{path.stat().st_size / MIB:.2f}"}
            for path in files
        ]
    )


def version_markdown(version: ModelVersion, place: str) -> str:
    """Return the same in a few lines of Markdown."""
    rates, lineage = version.record("evaluation")["rates"], version.record("lineage")
    rows = "\n".join(f"| {name.replace('_', ' ')} | {rates[name]:.1%} |" for name in KEYS)
    return (
        f"## Model version `{version.name}` is in service\n\n"
        f"From `{place}`, checkpoint `{lineage.get('checkpoint')}`.\n\n"
        f"| on held-out prompts | |\n|---|---:|\n{rows}\n"
    )
