"""The registry of model versions, on a disk and on a real S3 server alike."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kinora.config import to_dict
from kinora.diffusion.sampler import Sampling
from kinora.errors import KinoraError, UsageError
from kinora.generation import ModelVersion, Registry, VideoGenerator, write_version
from kinora.generation.registry import CURRENT, HISTORY
from kinora.storage import artifact_root, open_store


def made(model_folders: Path, out: Path, checkpoint: str) -> ModelVersion:
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    recipe = {"sampling": to_dict(Sampling(steps=3))}
    return write_version(out, *folders, recipe, {"overall": 0.5}, {"checkpoint": checkpoint})


@pytest.fixture
def first(model_folders, tmp_path) -> ModelVersion:
    return made(model_folders, tmp_path / "made", "step-1")


@pytest.fixture
def second(model_folders, tmp_path) -> ModelVersion:
    return made(model_folders, tmp_path / "made", "step-2")


@pytest.fixture(params=["a folder", "S3"])
def root(request, tmp_path) -> str:
    if request.param == "a folder":
        return str(tmp_path / "artifacts")
    return f"{request.getfixturevalue('s3')}/{tmp_path.name}"


def test_a_version_is_promoted_fetched_and_gone_back_to(root, first, second, tmp_path):
    registry = Registry(root)
    assert registry.current() is None
    assert registry.history() == []

    registry.promote(first.path, verdict="The candidate beats the untrained checkpoint.", run="run-1")
    registry.promote(second.path, verdict="The candidate beats the incumbent.", run="run-2")

    elsewhere = Registry(root)  # another process, another machine
    assert elsewhere.current() == second.name
    assert elsewhere.fetch(second.name, tmp_path / "copy").digest == second.digest
    assert VideoGenerator.from_version(elsewhere.fetch(first.name).path).sampling.steps == 3

    elsewhere.promote(elsewhere.fetch(first.name).path, verdict="The second makes red squares.")
    assert registry.current() == first.name
    lines = registry.history()
    assert [(line.kind, line.version, line.previous) for line in lines] == [
        ("promotion", first.name, None),
        ("promotion", second.name, first.name),
        ("rollback", first.name, second.name),
    ]
    assert [line.run for line in lines] == ["run-1", "run-2", ""]
    assert lines[1].verdict == "The candidate beats the incumbent."
    assert all(datetime.fromisoformat(line.when).tzinfo == UTC for line in lines)


def test_it_lies_where_the_documentation_says(root, first, tmp_path):
    Registry(root).promote(first.path, verdict="Better.")
    store = open_store(root)
    assert json.loads(store.get_file("models/current.json", tmp_path / "c").read_text()) == {"version": first.name}
    line = json.loads(store.get_file("models/history.jsonl", tmp_path / "h").read_text())
    assert set(line) == {"when", "kind", "version", "previous", "verdict", "run"}
    assert store.exists(f"models/{first.name}/lineage.json")


def test_promoting_what_is_deployed_changes_nothing(root, first):
    registry = Registry(root)
    registry.promote(first.path, verdict="Better.")
    registry.promote(first.path, verdict="Again.")
    assert [line.verdict for line in registry.history()] == ["Better."]


def test_an_interrupted_promotion_leaves_what_was_deployed_and_can_be_ended(root, first, second, tmp_path):
    """Storing the version, the history and the name are three writes; each may be the last that happens."""
    registry, store = Registry(root), open_store(root)
    registry.promote(first.path, verdict="Better.")
    before = {key: store.get_file(key, tmp_path / Path(key).name) for key in (CURRENT, HISTORY)}
    registry.promote(second.path, verdict="Better.")
    for undone in ([CURRENT], [CURRENT, HISTORY]):
        for key in undone:
            store.put_file(before[key], key)
        assert registry.current() == first.name
        assert registry.fetch(first.name).digest == first.digest
        registry.promote(second.path, verdict="Better.")
        assert registry.current() == second.name
        assert [line.version for line in registry.history()] == [first.name, second.name]
        assert registry.history()[-1].kind == "promotion"
    store.delete(f"models/{second.name}/manifest.json")  # half a version
    with pytest.raises(KinoraError, match="there is no model version"):
        registry.fetch(second.name)
    registry.promote(second.path, verdict="Better.")
    assert registry.fetch(second.name).digest == second.digest


def test_what_is_no_version_is_refused_and_nothing_changes(root, first, second, tmp_path):
    registry = Registry(root)
    registry.promote(first.path, verdict="Better.")
    (second.path / "recipe.json").write_text("{}")
    with pytest.raises(KinoraError, match="was changed"):
        registry.promote(second.path, verdict="Better.")
    with pytest.raises(KinoraError, match="no model version"):
        registry.promote(tmp_path, verdict="Better.")
    assert registry.current() == first.name
    assert len(registry.history()) == 1


def test_a_changed_version_is_not_fetched_and_is_stored_again(first, tmp_path):
    registry = Registry(str(tmp_path / "artifacts"))
    registry.promote(first.path, verdict="Better.")
    (registry.fetch(first.name).path / "recipe.json").write_text("{}")
    with pytest.raises(KinoraError, match="was changed"):
        registry.fetch(first.name)
    registry.promote(first.path, verdict="Better.")
    assert registry.fetch(first.name).digest == first.digest


def test_a_damaged_copy_of_what_is_on_s3_is_fetched_again(s3, first, tmp_path):
    registry = Registry(f"{s3}/{tmp_path.name}")
    registry.promote(first.path, verdict="Better.")
    shutil.rmtree(registry.fetch(first.name, tmp_path / "cache").path / "dit")
    assert registry.fetch(first.name, tmp_path / "cache").digest == first.digest


def test_a_version_moves_from_one_registry_to_another(first, tmp_path):
    here, there = Registry(str(tmp_path / "here")), Registry(str(tmp_path / "there"))
    here.promote(first.path, verdict="Better.")
    there.promote(here.fetch(first.name).path, verdict="Moved.")
    assert there.fetch(there.deployed()).digest == first.digest


@pytest.mark.parametrize("content", ["", "[]", '{"version": "../../etc"}', '{"version": 1}', "\0"])
def test_a_damaged_registry_is_one_sentence(first, tmp_path, content):
    registry = Registry(str(tmp_path / "artifacts"))
    registry.promote(first.path, verdict="Better.")
    (tmp_path / "artifacts" / CURRENT).write_text(content)
    with pytest.raises(KinoraError, match=r"current\.json is damaged"):
        registry.current()
    (tmp_path / "artifacts" / HISTORY).write_text('{"when": ')
    with pytest.raises(KinoraError, match=r"history\.jsonl is damaged"):
        registry.history()


def test_a_lost_history_is_one_sentence_and_promoting_again_mends_it(first, tmp_path):
    registry = Registry(str(tmp_path / "artifacts"))
    registry.promote(first.path, verdict="Better.")
    assert registry.deployment().verdict == "Better."
    (tmp_path / "artifacts" / HISTORY).unlink()
    with pytest.raises(KinoraError, match=r"history\.jsonl is damaged"):
        registry.deployment()
    registry.promote(first.path, verdict="Again.")
    assert registry.deployment().verdict == "Again."


def test_where_nothing_is_deployed_one_sentence_says_what_to_do(tmp_path):
    with pytest.raises(KinoraError, match="kinora promote"):
        Registry(str(tmp_path)).deployed()
    with pytest.raises(UsageError, match="s3://"):
        Registry("ftp://x/y")


def test_one_place_says_where_artifacts_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert artifact_root() == str(tmp_path / "work" / "artifacts")
    monkeypatch.setenv("KINORA_ARTIFACT_ROOT", "s3://bucket/kinora")
    assert artifact_root() == "s3://bucket/kinora"
    assert artifact_root(work=Path("mine")) == str(tmp_path / "mine" / "artifacts")
    assert artifact_root("s3://bucket/other", Path("mine")) == "s3://bucket/other"
