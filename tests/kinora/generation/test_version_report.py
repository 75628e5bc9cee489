"""A version's page and summary name it, where it serves from, what it scored and where it came from."""

from kinora.generation import write_version
from kinora.generation.version_report import KEYS, version_markdown, version_page


def test_the_page_and_the_summary_say_what_is_in_service(model_folders, tmp_path):
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    evaluation = {"rates": dict.fromkeys(KEYS, 0.75)}
    lineage = {"dataset": "d" * 64, "checkpoint": "step-000100", "parent": None}
    version = write_version(tmp_path / "versions", *folders, {"name": "tiny"}, evaluation, lineage)
    html = version_page(version, "s3://models/x").write(tmp_path / "report.html").read_text()
    for text in (version.digest, "s3://models/x", "75%", "d" * 64, "Recipe tiny", "dit/dit.safetensors"):
        assert text in html
    assert "parent" not in html
    markdown = version_markdown(version, "s3://models/x")
    assert f"`{version.name}`" in markdown
    assert markdown.count("75.0%") == len(KEYS)
