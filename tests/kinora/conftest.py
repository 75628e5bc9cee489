"""Real files for the tests of the library."""

from pathlib import Path

import pytest

from kinora.data.ingest import IngestConfig, ingest


@pytest.fixture(scope="session")
def footage(tmp_path_factory, real_videos, real_images) -> Path:
    """A folder with real videos, one of them captioned, and images."""
    folder = tmp_path_factory.mktemp("footage")
    (folder / "images").mkdir()
    for path in real_videos:
        (folder / path.name).symlink_to(path)
    for path in real_images:
        (folder / "images" / path.name).symlink_to(path)
    (folder / "carphone_pristine.txt").write_text("A man talks\n in a car. He is animated.\n")
    return folder


@pytest.fixture(scope="session")
def real_dataset(tmp_path_factory, footage):
    """The dataset of that folder."""
    return ingest(str(footage), tmp_path_factory.mktemp("dataset") / "clips", IngestConfig())
