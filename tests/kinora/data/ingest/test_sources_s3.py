"""A bucket is a source like a folder; a connection that breaks costs a retry, then one item, and never the run."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kinora import storage
from kinora.data.ingest.sources import Item, open_source
from kinora.data.shots import Rejected
from kinora.errors import KinoraError
from kinora.storage import open_store


def listed(uri: str) -> dict[str, Item]:
    items = list(open_source(uri).items())
    assert len({item.name for item in items}) == len(items)
    return {item.name: item for item in items}


def problems(items):
    return {item.name: item.problem for item in items.values() if item.problem}


@pytest.fixture
def filled(tmp_path, movie, tar_shard):
    """A folder with one of everything."""
    folder = tmp_path / "filled"
    (folder / "below").mkdir(parents=True)
    (folder / "a.mp4").write_bytes(movie(0))
    (folder / "a.txt").write_text("A cat walks.")
    (folder / "below" / "b.mp4").write_bytes(movie(1))
    (folder / "captions.jsonl").write_text('{"file": "below/b.mp4", "caption": "A dog runs."}\n{"file": "c.mp4"}\n')
    (folder / "notes.docx").write_bytes(b"PK")
    (folder / ".hidden").write_bytes(b"x")
    (folder / "zero.mp4").write_bytes(b"")
    shard = ("1.mp4", movie(2)), ("1.txt", b"A bird flies."), ("2.mp4", movie(3)), ("2.json", b'"A fish swims."')
    tar_shard(folder / "shard-000.tar", *shard)
    rows = pa.table({"video": [{"bytes": movie(4), "path": ""}, {"bytes": movie(5), "path": ""}], "text": ["x", "y"]})
    pq.write_table(rows, folder / "train.parquet")
    with pa.OSFile(str(folder / "train.arrow"), "wb") as file, pa.ipc.new_stream(file, rows.schema) as writer:
        writer.write_table(rows)
    return folder


@pytest.fixture
def bucket(s3_root, filled):
    """The same on a server."""
    store = open_store(s3_root)
    for path in filled.rglob("*"):
        if path.is_file():
            store.put_file(path, path.relative_to(filled).as_posix())
    return s3_root


def said(items):
    return [(item.name, item.caption, item.caption_from, item.problem) for item in items.values()]


def test_a_bucket_lists_and_gives_what_a_folder_does(bucket, filled, tmp_path):
    near, far = listed(str(filled)), listed(bucket)
    assert said(far) == said(near)
    assert set(problems(far).values()) == {"not_media", "hidden", "empty", "caption_without_file"}
    near_source, far_source = open_source(str(filled)), open_source(bucket)
    out = tmp_path / "out"
    out.mkdir()
    for name, item in far.items():
        if not item.problem:
            expected = near_source.local(near[name], out).read_bytes()
            assert far_source.local(item, out).read_bytes() == expected
            assert far_source.caption(item, out) == near_source.caption(near[name], out)


def test_listing_again_gives_the_same_stamps_and_another_file_another(bucket, movie, tmp_path):
    before = listed(bucket)
    assert listed(bucket) == before
    (tmp_path / "b.mp4").write_bytes(movie(6))
    open_store(bucket).put_file(tmp_path / "b.mp4", "below/b.mp4")
    (tmp_path / "a.txt").write_text("Another cat walks.")
    open_store(bucket).put_file(tmp_path / "a.txt", "a.txt")
    after = listed(bucket)
    assert {name for name in after if after[name] != before[name]} == {"a.mp4", "below/b.mp4"}


def test_files_on_a_server_are_sources_and_are_named_by_lists(bucket, filled, movie, tmp_path):
    assert list(listed(f"{bucket}/a.mp4")) == ["a.mp4"]
    assert list(listed(f"{bucket}/shard-{{000..000}}.tar")) == ["shard-000.tar/1.mp4", "shard-000.tar/2.mp4"]
    lines = f"a.mp4\n{bucket}/below/b.mp4\n/etc/hosts.mp4\n../a.mp4\nbelow/../a.mp4\n{bucket}/shard-000.tar\n"
    (tmp_path / "list.txt").write_text(lines)
    open_store(bucket).put_file(tmp_path / "list.txt", "list.txt")
    there = listed(f"{bucket}/list.txt")
    assert problems(there) == {"list.txt:3": "unreadable", "list.txt:4": "unreadable", "list.txt:5": "duplicate"}
    assert there["a.mp4"].caption_from == "a.txt"
    here = listed(str(tmp_path / "list.txt"))
    assert problems(here)["a.mp4"] == "unreadable"
    for items, uri in ((there, f"{bucket}/list.txt"), (here, str(tmp_path / "list.txt"))):
        source = open_source(uri)
        assert source.local(items[f"{bucket}/below/b.mp4"], tmp_path).read_bytes() == movie(1)
        assert source.local(items[f"{bucket}/shard-000.tar/2.mp4"], tmp_path).read_bytes() == movie(3)


def test_a_bucket_without_files_or_a_missing_file_is_one_sentence(s3_root):
    with pytest.raises(KinoraError, match="is empty"):
        list(open_source(s3_root).items())
    with pytest.raises(KinoraError, match="no such bucket"):
        open_source("s3://elsewhere/x")
    assert problems(listed(f"{s3_root}/gone.mp4")) == {"gone.mp4": "unreadable"}
    with pytest.raises(KinoraError, match=r"list\.txt cannot be read: There is no such file"):
        list(open_source(f"{s3_root}/list.txt").items())


@pytest.fixture
def at_once(monkeypatch):
    """Tries that follow each other without a pause."""
    monkeypatch.setattr(storage.time, "sleep", lambda seconds: None)


def test_a_connection_that_breaks_within_a_file_is_tried_again(bucket, breaking, at_once, movie, tmp_path):
    items = listed(bucket)
    source = open_source(bucket)
    breaking.failures = 2
    for broken, name, number in (
        (b"/a.mp4", "a.mp4", 0),
        (b"/shard-000.tar", "shard-000.tar/2.mp4", 3),
        (b"/train.arrow", "train.arrow/1", 5),
    ):
        breaking.broken, breaking.broke = broken, 0
        assert source.local(items[name], tmp_path).read_bytes() == movie(number)
        assert breaking.broke == 2


def test_a_file_whose_connections_always_break_is_one_rejected_item(bucket, breaking, at_once, movie, tmp_path):
    items = listed(bucket)
    source = open_source(bucket)
    breaking.failures, breaking.broken = 1000, b"/a.mp4"
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(Rejected, match="cannot be fetched") as error:
        source.local(items["a.mp4"], out)
    assert error.value.reason == "unreadable"
    assert list(out.iterdir()) == []
    assert source.local(items["below/b.mp4"], tmp_path).read_bytes() == movie(1)
    breaking.broken = b"/a.txt"
    with pytest.raises(Rejected, match="its clip has no caption") as error:
        source.caption(items["a.mp4"], tmp_path)
    assert error.value.reason == "bad_caption"


def test_what_cannot_be_listed_for_broken_connections_is_said(bucket, breaking, at_once):
    breaking.failures = 1000
    whole = listed(bucket)
    for broken in ("shard-000.tar", "train.parquet", "train.arrow", "captions.jsonl"):
        breaking.broken = f"/{broken}".encode()
        items = listed(bucket)
        assert items[broken].problem == "unreadable"
        lost = {name for name in whole if name not in items}
        assert lost == {name for name in whole if name.startswith((f"{broken}/", f"{broken}:"))}


def test_a_server_that_goes_away_ends_the_run_and_rejects_nothing(bucket, breaking, at_once, tmp_path):
    items = listed(bucket)
    source = open_source(bucket)
    breaking.close()
    source.files.store.client._http.clear()
    with pytest.raises(KinoraError, match="does not answer"):
        source.local(items["a.mp4"], tmp_path)
