"""Datasets as the Hugging Face libraries store them are read row by row, without these libraries."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from kinora.data.ingest.sources import Item, open_source
from kinora.data.shots import Rejected

FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def listed(uri: object) -> dict[str, Item]:
    items = list(open_source(str(uri)).items())
    assert len({item.name for item in items}) == len(items)
    return {item.name: item for item in items}


def problems(items):
    return {item.name: item.problem for item in items.values() if item.problem}


def table(contents, captions, column="video", caption_column="caption", kind=FILE):
    values = [{"bytes": content, "path": "x.mp4"} if kind == FILE else content for content in contents]
    return pa.table({"label": [0] * len(contents), column: pa.array(values, kind), caption_column: captions})


def write_arrow(path, rows, batch=2, form=pa.ipc.new_stream, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, form(file, rows.schema, **options) as writer:
        writer.write_table(rows, max_chunksize=batch)
    return path


@pytest.fixture
def picture():
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_dataset_that_was_saved_to_disk_is_read(tmp_path, movie, picture):
    folder = tmp_path / "dataset"
    first = table([movie(0), picture, movie(2)], ["A cat walks.", None, "A\n dog runs."])
    second = table([movie(3)], ["A bird."])
    write_arrow(folder / "train" / "data-00000-of-00002.arrow", first)
    write_arrow(folder / "train" / "data-00001-of-00002.arrow", second)
    write_arrow(folder / "train" / "cache-1234.arrow", second)
    names = [f"data-0000{number}-of-00002.arrow" for number in (0, 1)]
    (folder / "train" / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "train" / "dataset_info.json").write_text("{}")
    (folder / "dataset_dict.json").write_text('{"splits": ["train"]}')
    items = listed(folder)
    assert problems(items) == {"train/cache-1234.arrow": "not_media"}
    rows = [f"train/{names[0]}/0", f"train/{names[0]}/1", f"train/{names[0]}/2", f"train/{names[1]}/0"]
    assert [name for name in items if not items[name].problem] == rows
    source = open_source(str(folder))  # as a worker does: without listing
    paths = [source.local(items[name], tmp_path) for name in rows]
    assert [source.caption(items[name], tmp_path) for name in rows] == ["A cat walks.", "", "A dog runs.", "A bird."]
    assert [path.suffix for path in paths] == [".mp4", ".png", ".mp4", ".mp4"]
    for name, content in zip(rows, (movie(0), picture, movie(2), movie(3)), strict=True):
        assert source.local(items[name], tmp_path).read_bytes() == content


@pytest.mark.parametrize("kind", [FILE, pa.binary(), pa.large_binary()])
def test_parquet_as_the_hub_stores_it_is_read(tmp_path, movie, kind):
    folder = tmp_path / "data"
    folder.mkdir()
    numbers = [0, 1, 2, 3, 4]
    rows = table([movie(number) for number in numbers], [f"Clip {number}." for number in numbers], kind=kind)
    pq.write_table(rows, folder / "train-00000-of-00001.parquet", row_group_size=3)
    (folder / "README.md").write_text("A dataset.")
    items = listed(folder)
    assert problems(items) == {"README.md": "not_media"}
    name = "train-00000-of-00001.parquet"
    assert [item.caption for item in items.values() if not item.problem] == [f"Clip {number}." for number in numbers]
    source = open_source(str(folder))
    for number in (1, 0, 2, 4, 3, 0):  # in any order, as threads ask
        assert source.local(items[f"{name}/{number}"], tmp_path).read_bytes() == movie(number)
    one = open_source(str(folder / name))
    assert one.local(listed(folder / name)[f"{name}/4"], tmp_path).read_bytes() == movie(4)


def test_columns_are_found_by_their_kind_and_what_is_not_read_is_said(tmp_path, movie, picture):
    features = {"clip": {"_type": "Video"}, "thumb": {"_type": "Image"}, "sound": {"_type": "Audio"}}
    values = {
        name: pa.array([{"bytes": content, "path": ""}], FILE)
        for name, content in (("sound", b"RIFF"), ("thumb", picture), ("clip", movie(0)))
    }
    rows = pa.table({**values, "Text": ["A cat walks."]}).replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(rows, tmp_path / "a.parquet")
    items = listed(tmp_path)
    assert problems(items) == {"a.parquet:thumb": "second_column"}
    assert items["a.parquet/0"].caption == "A cat walks."
    assert open_source(str(tmp_path)).local(items["a.parquet/0"], tmp_path).read_bytes() == movie(0)


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_of_several_captions_of_a_row_the_first_counts(tmp_path, movie, form):
    captions = [["A cat walks.", "A cat."], [], None, ["A dog runs."]]
    rows = table([movie(number) for number in range(4)], captions, caption_column="captions")
    source = tmp_path / f"a.{form}"
    write_arrow(source, rows) if form == "arrow" else pq.write_table(rows, source)
    items = listed(source)
    assert [item.caption for item in items.values()] == ["A cat walks.", "", "", "A dog runs."]


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_rows_without_media_or_with_a_bad_caption_are_said(tmp_path, movie, form):
    rows = table([movie(0), None, b"", b"text, no video"], ["x" * 3000, "Of nothing.", "Of nothing.", "Of a text."])
    source = tmp_path / f"a.{form}"
    if form == "arrow":
        write_arrow(source, rows)
    else:
        pq.write_table(rows, source)
    items = listed(source)
    assert problems(items)[f"a.{form}/0:caption"] == "bad_caption"
    assert items[f"a.{form}/0"].caption == ""
    opened = open_source(str(source))
    for row, reason in ((1, "empty"), (2, "empty"), (3, "not_media")):
        with pytest.raises(Rejected) as error:
            opened.local(items[f"a.{form}/{row}"], tmp_path)
        assert error.value.reason == reason
    assert items[f"a.{form}/1"].caption == "Of nothing."


def test_arrow_in_either_of_its_forms_and_when_compressed(tmp_path, movie):
    rows = table([movie(0), movie(1), movie(2)], ["a", "b", "c"])
    write_arrow(tmp_path / "file.arrow", rows, form=pa.ipc.new_file)
    write_arrow(tmp_path / "packed.arrow", rows, options=pa.ipc.IpcWriteOptions(compression="zstd"))
    items = listed(tmp_path)
    assert set(problems(items)) == {f"packed.arrow/{row}" for row in range(3)}
    assert open_source(str(tmp_path)).local(items["file.arrow/2"], tmp_path).read_bytes() == movie(2)


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_wherever_a_file_is_cut_or_changed_nothing_crashes(tmp_path, movie, form):
    rows = table([movie(number) for number in range(4)], [f"Clip {number}." for number in range(4)])
    path = tmp_path / f"a.{form}"
    if form == "arrow":
        write_arrow(path, rows, batch=1)
    else:
        pq.write_table(rows, path, row_group_size=1)
    content = path.read_bytes()
    for cut in range(1, len(content) - 9, 1009):
        path.write_bytes(content[:cut])
        items = listed(path)
        assert items[f"a.{form}"].problem == "undecodable"
        for item in items.values():
            if not item.problem:
                assert open_source(str(path)).local(item, tmp_path).read_bytes() == movie(int(item.name[-1]))
    for place in range(0, len(content), 307):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        items = listed(path)
        assert items
        for item in items.values():
            if not item.problem:
                try:
                    open_source(str(path)).local(item, tmp_path)
                except Rejected:
                    continue


def test_a_file_without_media_is_said(tmp_path):
    pq.write_table(pa.table({"caption": ["x"]}), tmp_path / "a.parquet")
    write_arrow(tmp_path / "b.arrow", pa.table({"caption": ["x"]}))
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and then nothing")
    (tmp_path / "d.arrow").write_bytes(b"\xff" * 100)
    pq.write_table(table([None] * 1_000_000, [None] * 1_000_000), tmp_path / "e.parquet")
    assert problems(listed(tmp_path)) == {
        "a.parquet": "not_media",
        "b.arrow": "not_media",
        "c.parquet": "undecodable",
        "d.arrow": "undecodable",
        "e.parquet": "undecodable",
    }
