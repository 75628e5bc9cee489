"""The model version that comes with the package is deployed where nothing was promoted."""

import pytest

from kinora.errors import KinoraError
from kinora.generation import ModelVersion, Registry, VideoGenerator, reference, write_version
from kinora.generation.reference import put_reference


@pytest.fixture
def made(model_folders, tmp_path):
    """Make a model version; another note makes another one."""

    def write(note: str) -> ModelVersion:
        folders = [model_folders / part for part in ("vae", "dit", "captioner")]
        recipe = {"sampling": {"steps": 3, "guidance": 2.0, "shift": 1.0}}
        return write_version(tmp_path / "made", *folders, recipe, {}, {"checkpoint": note})

    return write


@pytest.fixture
def bundled(made, monkeypatch) -> ModelVersion:
    version = made("bundled")
    monkeypatch.setenv("KINORA_REFERENCE", str(version.path))
    return version


def test_it_is_deployed_until_another_one_is_promoted_and_can_be_gone_back_to(bundled, made, tmp_path):
    registry, other = Registry(str(tmp_path / "artifacts")), made("other")
    assert registry.current() is None
    assert registry.deployed() == bundled.name
    for name in ("", "reference", bundled.name):
        assert registry.find(name) == bundled
    assert not (tmp_path / "artifacts").exists()

    assert registry.promote(other.path, verdict="Better.").previous == bundled.name
    assert registry.deployed() == registry.find("").name == other.name
    assert registry.find("reference") == bundled

    back = registry.promote(registry.find("reference").path, verdict="It was not.")
    assert (back.kind, back.version, back.previous) == ("rollback", bundled.name, other.name)
    assert Registry(registry.artifact_root).current() == bundled.name
    assert registry.holds(bundled.name)  # a registry that is copied elsewhere has all that it names


def test_a_generator_is_loaded_from_it(bundled, tmp_path):
    assert VideoGenerator.from_version(artifact_root=str(tmp_path)).sampling.steps == 3


def test_where_none_comes_with_the_package_nothing_is_deployed(monkeypatch, tmp_path):
    monkeypatch.setattr(reference, "PLACE", tmp_path)
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("KINORA_REFERENCE")
        with pytest.raises(KinoraError, match="kinora promote"):
            Registry(str(tmp_path)).deployed()
        with pytest.raises(KinoraError, match="no model version"):
            Registry(str(tmp_path)).find("reference")


def test_a_version_takes_the_place_of_the_one_before(made, monkeypatch, tmp_path):
    place = tmp_path / "reference"
    monkeypatch.setattr(reference, "PLACE", place)
    monkeypatch.delenv("KINORA_REFERENCE")
    for note in ("first", "second", "second"):
        put = put_reference(made(note), place)
        assert (put.name, put.path.parent) == (made(note).name, place)
        assert [child.name for child in place.iterdir()] == [put.name]
        assert Registry(str(tmp_path)).find("") == put


def test_one_that_is_too_large_is_rounded_and_says_so_or_refused(made, monkeypatch, tmp_path):
    version = made("large")
    size = sum(file.stat().st_size for file in version.path.rglob("*") if file.is_file())
    monkeypatch.setattr(reference, "MOST_BYTES", size * 3 // 4)
    put = put_reference(version, tmp_path / "reference")
    assert put.name != version.name
    assert f"version `{version.name}`" in (put.path / "README.md").read_text()
    assert VideoGenerator.from_version(put.path).generate  # float32 again on this machine
    monkeypatch.setattr(reference, "MOST_BYTES", 1000)
    with pytest.raises(KinoraError, match="train a smaller model"):
        put_reference(version, tmp_path / "reference")
    assert [child.name for child in (tmp_path / "reference").iterdir()] == [put.name]
