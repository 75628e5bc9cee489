"""A version is named by its content, and a changed or cut one is refused."""

import shutil

import pytest

from kinora.config import to_dict
from kinora.diffusion.sampler import Sampling
from kinora.errors import KinoraError
from kinora.generation import VideoGenerator, read_version, write_version

RECORDS = {
    "recipe": {"sampling": to_dict(Sampling(steps=3))},
    "evaluation": {"overall": 0.5},
    "lineage": {"code": "abc"},
}


@pytest.fixture
def version(model_folders, tmp_path):
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    return write_version(tmp_path / "versions", *folders, **RECORDS)


def test_it_is_named_by_its_digest_and_opens(version):
    assert version.path.name == version.name == version.digest[:16]
    assert read_version(version.path) == version
    assert version.record("evaluation") == {"overall": 0.5}
    assert VideoGenerator.from_version(version.path).sampling.steps == 3
    assert {file.suffix for file in version.path.rglob("*") if file.is_file()} == {".safetensors", ".json", ".md"}


def test_the_same_content_is_the_same_version(version, model_folders):
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    assert write_version(version.path.parent, *folders, **RECORDS) == version
    assert [path.name for path in version.path.parent.iterdir()] == [version.name]
    other = write_version(version.path.parent, *folders, **(RECORDS | {"lineage": {"code": "abd"}}))
    assert other.digest != version.digest


def test_a_copy_elsewhere_with_a_store_s_own_files_still_opens(version, tmp_path):
    copy = tmp_path / "store" / version.name
    shutil.copytree(version.path, copy)
    (copy / "model.yaml").write_text("labels: {}")
    assert read_version(copy).digest == version.digest


def test_a_changed_or_cut_version_is_refused(version):
    (version.path / "recipe.json").write_text("{}")
    with pytest.raises(KinoraError, match="was changed"):
        read_version(version.path)
    (version.path / "recipe.json").unlink()
    with pytest.raises(KinoraError, match=r"recipe\.json is missing"):
        read_version(version.path)
