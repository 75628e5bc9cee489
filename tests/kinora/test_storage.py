"""Files and folders come back from a store as they went, or not at all; what it refuses is one sentence."""

import json
import os

import pytest

from kinora import file_cache, storage
from kinora.errors import KinoraError, UsageError
from kinora.storage import open_store


@pytest.fixture(params=["file", "s3"])
def root(request, tmp_path):
    """The root of a store of each kind."""
    if request.param == "file":
        return f"{tmp_path}/store"
    return f"{request.getfixturevalue('s3')}/{request.node.name}"


@pytest.fixture
def folder(tmp_path):
    """A folder with a file in it, one below it, and an empty one."""
    path = tmp_path / "folder"
    (path / "below").mkdir(parents=True)
    (path / "a.txt").write_text("first")
    (path / "below" / "b.txt").write_text("second")
    (path / "empty").write_bytes(b"")
    return path


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_file_comes_back(root, folder, tmp_path):
    store = open_store(root)
    uri = store.put_file(folder / "a.txt", "x/a.txt")
    assert store.exists("x/a.txt")
    assert store.get_file("x/a.txt", tmp_path / "back.txt").read_text() == "first"
    assert storage.uri_exists(uri)
    assert file_cache.local_copy(uri, tmp_path / "cache").read_text() == "first"
    store.delete("x/a.txt")
    assert not store.exists("x/a.txt")
    with pytest.raises(KinoraError, match="there is no file"):
        store.get_file("x/a.txt", tmp_path / "none.txt")
    assert not (tmp_path / "none.txt").exists()


def test_a_folder_comes_back_and_is_replaced_whole(root, folder, tmp_path):
    store = open_store(root)
    uri = store.put_folder(folder, "x/clips")
    assert contents(store.get_folder("x/clips", tmp_path / "back")) == contents(folder)
    assert store.list("x/clips") == [f"x/clips/{n}" for n in ("a.txt", "below/b.txt", "empty", "manifest.json")]
    (folder / "a.txt").unlink()
    assert store.put_folder(folder, "x/clips") == uri
    assert contents(store.get_folder("x/clips", tmp_path / "back")) == contents(folder)
    store.delete("x/clips")
    store.delete("x/clips")
    assert store.list() == []


def test_a_folder_without_its_manifest_is_not_there(root, folder, tmp_path):
    store = open_store(root)
    store.put_folder(folder, "clips")
    store.delete("clips/manifest.json")
    assert not store.exists("clips")
    with pytest.raises(KinoraError, match="no whole folder"):
        store.get_folder("clips", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_changed_file_is_noticed(root, folder, tmp_path):
    store = open_store(root)
    store.put_folder(folder, "clips")
    (tmp_path / "other.txt").write_text("fIrst")
    store.put_file(tmp_path / "other.txt", "clips/a.txt")
    with pytest.raises(KinoraError, match=r"damaged: a\.txt"):
        store.get_folder("clips", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_the_manifest_says_what_is_there(folder, tmp_path):
    open_store(str(tmp_path / "store")).put_folder(folder, "clips")
    manifest = json.loads((tmp_path / "store" / "clips" / "manifest.json").read_text())
    assert manifest["a.txt"]["size"] == 5
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(KinoraError, match="keeps for itself"):
        open_store(str(tmp_path / "store")).put_folder(folder, "clips")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../outside", "a/../../b"])
def test_no_key_leaves_the_store(root, folder, key):
    with pytest.raises(KinoraError, match="no key"):
        open_store(root).put_file(folder / "a.txt", key)


@pytest.mark.parametrize("uri", ["gs://bucket/x", "http://host/x", "s3:///x", "file://host/x"])
def test_other_schemes_are_refused(uri):
    with pytest.raises(UsageError, match="no place Kinora can store to"):
        open_store(uri)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("KINORA_S3_ENDPOINT", "", "set KINORA_S3_ENDPOINT"),
        ("KINORA_S3_ENDPOINT", "http://a b/c", "is no address"),
        ("KINORA_S3_ENDPOINT", "http://127.0.0.1:1", "does not answer"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "check AWS_ACCESS_KEY_ID"),
        ("AWS_ACCESS_KEY_ID", "nobody", "check AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_server_that_refuses_is_one_sentence(s3, monkeypatch, name, value, sentence):
    monkeypatch.setenv(name, value)
    with pytest.raises(KinoraError, match=sentence):
        open_store(f"{s3}/x")


def test_plain_http_where_tls_was_expected_says_so(s3, s3_address, monkeypatch):
    monkeypatch.setenv("KINORA_S3_ENDPOINT", s3_address)
    with pytest.raises(KinoraError, match="KINORA_S3_SECURE=0"):
        open_store(s3)
    monkeypatch.setenv("KINORA_S3_SECURE", "0")
    assert open_store(s3).uri("a/b") == "s3://bucket/a/b"


def test_a_missing_bucket_is_named(s3):
    with pytest.raises(KinoraError, match=r"s3://elsewhere.* no such bucket"):
        open_store("s3://elsewhere/x")


@pytest.mark.parametrize("root", ["/proc/kinora", "/dev/null/store"])
def test_a_root_that_cannot_be_written_is_one_sentence(root, folder):
    with pytest.raises(KinoraError, match=f"{root} cannot be used"):
        open_store(root).put_folder(folder, "clips")


def test_files_are_listed_one_by_one_with_a_tag_that_changes_when_they_do(root, folder, tmp_path):
    store = open_store(root)
    store.put_folder(folder, "clips")
    listed = {key: (size, tag) for key, size, tag in store.walk("clips")}
    assert sorted(listed) == store.list("clips")
    assert {key: size for key, (size, _) in listed.items() if "manifest" not in key} == {
        "clips/a.txt": 5,
        "clips/below/b.txt": 6,
        "clips/empty": 0,
    }
    before = store.status("clips/a.txt")
    assert before == store.status("clips/a.txt")
    (tmp_path / "other.txt").write_text("longer than before")
    store.put_file(tmp_path / "other.txt", "clips/a.txt")
    after = store.status("clips/a.txt")
    assert after[0] == 18
    assert after[1] != before[1]
    assert store.status("clips/none.txt") is None
    assert list(store.walk("none")) == []


def test_the_cache_of_files_is_bounded(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("KINORA_CACHE_GIB", str(64_000 / 2**30))
    store = storage.open_store(f"{s3}/cached")
    (tmp_path / "content").write_bytes(bytes(10_000))
    for number in range(12):
        store.put_file(tmp_path / "content", f"{number}.bin")
    cache, old = tmp_path / "cache", 10_000
    for number in range(12):
        copy = file_cache.local_copy(store.uri(f"{number}.bin"), cache)
        assert copy.stat().st_size == 10_000
        os.utime(copy, (old + number, old + number))  # as if it had been used long ago
    held = sorted(cache.glob("files/*/*"))
    assert sum(path.stat().st_size for path in held) <= 70_000
    assert "11.bin" in {path.name for path in held}
    assert "0.bin" not in {path.name for path in held}
    assert file_cache.local_copy(store.uri("0.bin"), cache).stat().st_size == 10_000  # fetched again
