"""Every input of a folder, a list or a table is listed once, with a person's caption or with what is wrong."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kinora.data.columns import LONGEST_CAPTION
from kinora.data.ingest.sources import Item, open_source
from kinora.data.shots import Rejected
from kinora.errors import KinoraError, UsageError


def listed(uri: object) -> dict[str, Item]:
    """List a source; its names must be in order and each there once."""
    items = list(open_source(str(uri)).items())
    assert len({item.name for item in items}) == len(items)
    assert items == list(open_source(str(uri)).items())  # stable
    return {item.name: item for item in items}


def problems(items: dict[str, Item]) -> dict[str, str]:
    found = [item for item in items.values() if item.problem]
    assert all(item.explanation.endswith((".", ")")) for item in found)
    return {item.name: item.problem for item in found}


def captions(uri: object, items: dict[str, Item], folder: Path) -> dict[str, str]:
    source = open_source(str(uri))  # as a worker does: without listing
    return {item.name: source.caption(item, folder) for item in items.values() if not item.problem}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    return path


def write(folder: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def test_captions_beside_files_are_found_whatever_their_form(folder, movie, tmp_path):
    write(
        folder,
        {
            "a.mp4": movie(0),
            "a.txt": "\ufeffA cat\n walks. ",
            "b.mp4": movie(1),
            "b.json": '{"width": 3, "text": "A dog runs."}',
            "c/c.MP4": movie(2),
            "c/c.JSON": '"A bird flies."',
            "d.png": movie(3),
            "e.mp4": movie(4),
            "f.mp4": movie(5),
            "f.txt": "Ein Käfer läuft.".encode("utf-16"),
            "g.mp4": movie(6),
            "g.json": '{"captions": ["A fish swims.", "A fish."]}',
        },
    )
    items = listed(folder)
    assert list(items) == ["a.mp4", "b.mp4", "c/c.MP4", "d.png", "e.mp4", "f.mp4", "g.mp4"]
    assert problems(items) == {}
    expected = {"a.mp4": "A cat walks.", "b.mp4": "A dog runs.", "c/c.MP4": "A bird flies.", "d.png": "", "e.mp4": ""}
    expected |= {"f.mp4": "Ein Käfer läuft.", "g.mp4": "A fish swims."}
    assert captions(folder, items, tmp_path) == expected
    assert open_source(str(folder)).local(items["c/c.MP4"], tmp_path).read_bytes() == movie(2)


@pytest.mark.parametrize(
    "content",
    [b"", b" \n", b"\xff\xfe\x00", b"x" * (LONGEST_CAPTION + 1), b"x" * 100_000, b"A\0cat", b"\x1b[31mred"],
)
def test_what_is_no_caption_is_said_and_its_clip_is_kept(folder, movie, tmp_path, content):
    write(folder, {"a.mp4": movie(0), "a.txt": content})
    items = listed(folder)
    if content == b"":
        assert problems(items) == {"a.txt": "empty"}
        return
    with pytest.raises(Rejected) as error:
        open_source(str(folder)).caption(items["a.mp4"], tmp_path)
    assert error.value.reason == "bad_caption"


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"width": 3}', '{"caption": 3}', '{"captions": []}', "[" * 50_000, '"\\ud800"', '{"caption": ""}'],
)
def test_json_that_holds_no_caption_is_said(folder, movie, tmp_path, content):
    write(folder, {"a.mp4": movie(0), "a.json": content})
    with pytest.raises(Rejected) as error:
        open_source(str(folder)).caption(listed(folder)["a.mp4"], tmp_path)
    assert error.value.reason == "bad_caption"


def test_tables_give_captions_to_the_files_they_name(folder, movie, tmp_path):
    write(
        folder,
        {
            "a.mp4": movie(0),
            "train/b.mp4": movie(1),
            "train/c.mp4": movie(2),
            "train/d.mp4": movie(3),
            "captions.jsonl": '{"file": "a.mp4", "caption": "A cat walks.", "licence": "MIT"}\n\n',
            "train/metadata.csv": '\ufefffile_name,Text,no\r\nb.mp4,"A dog, which\r\nruns.",1\r\n./c.mp4,A bird.,2\r\n',
            "train/more.tsv": f"path\tprompt\n{folder}/train/d.mp4\tA fish.\n",
        },
    )
    items = listed(folder)
    assert problems(items) == {}
    assert captions(folder, items, tmp_path) == {
        "a.mp4": "A cat walks.",
        "train/b.mp4": "A dog, which runs.",
        "train/c.mp4": "A bird.",
        "train/d.mp4": "A fish.",
    }
    assert items["a.mp4"].caption_from == "captions.jsonl"


@pytest.mark.parametrize(
    "content",
    [
        'Filename;Caption\r\na.mp4;"A cat; it walks."\r\nb.mp4;A dog runs.\r\n',
        "file_path\ttext\na.mp4\tA cat; it walks.\nb.mp4\tA dog runs.\n",
        "file,caption\r\na.mp4,A cat; it walks.\r\nb.mp4,A dog runs.\r\n".encode("utf-16"),
        "\ufeffvideo,captions\na.mp4,A cat; it walks.\nb.mp4,A dog runs.\n".encode("utf-16-be"),
    ],
)
def test_tables_as_spreadsheets_write_them_are_read(folder, movie, tmp_path, content):
    write(folder, {"a.mp4": movie(0), "b.mp4": movie(1), "t.csv": content})
    items = listed(folder)
    assert problems(items) == {}
    assert captions(folder, items, tmp_path) == {"a.mp4": "A cat; it walks.", "b.mp4": "A dog runs."}


def test_each_line_of_json_has_columns_of_its_own(folder, movie, tmp_path):
    lines = [
        '{"file": "a.mp4"}',
        '{"video": "b.mp4", "text": "A dog runs."}',
        '{"file": "c.mp4", "captions": ["A fish."]}',
    ]
    lines += ['{"file": "d.mp4", "captions": []}']
    write(folder, dict.fromkeys(("a.mp4", "b.mp4", "c.mp4", "d.mp4"), movie(0)) | {"t.jsonl": "\n".join(lines)})
    items = listed(folder)
    assert problems(items) == {}
    expected = {"a.mp4": "", "b.mp4": "A dog runs.", "c.mp4": "A fish.", "d.mp4": ""}
    assert captions(folder, items, tmp_path) == expected


def test_a_table_in_a_folder_may_name_files_from_the_top_and_with_the_slashes_of_windows(folder, movie, tmp_path):
    names = ("videos/a.mp4", "videos/b.mp4", "notes/videos/b.mp4", "videos/c.mp4")
    table = "file,caption\nvideos/a.mp4,A cat.\nvideos/b.mp4,A dog.\nvideos\\c.mp4,A fish.\nvideos/none.mp4,Nothing.\n"
    write(folder, dict.fromkeys(names, movie(0)) | {"notes/t.csv": table})
    items = listed(folder)
    assert problems(items) == {"notes/t.csv:5": "caption_without_file"}
    assert items["notes/t.csv:5"].explanation == "There is no video or image notes/videos/none.mp4."
    said = captions(folder, items, tmp_path)
    assert {name: said[name] for name in names} == {
        "videos/a.mp4": "A cat.",
        "videos/b.mp4": "",
        "notes/videos/b.mp4": "A dog.",
        "videos/c.mp4": "A fish.",
    }


def test_of_several_captions_one_counts_and_the_others_are_accounted_for(folder, movie, tmp_path):
    write(
        folder,
        {
            "a.mp4": movie(0),
            "a.txt": "Beside it.",
            "a.json": '"Also beside it."',
            "below/b.mp4": movie(1),
            "captions.csv": "file,caption\na.mp4,From a table.\nbelow/b.mp4,From above.\nbelow/b.mp4,Again.\n",
            "below/metadata.csv": "file,caption\nb.mp4,From its folder.\n",
        },
    )
    items = listed(folder)
    assert problems(items) == {
        "a.json": "second_caption",
        "captions.csv:2": "second_caption",
        "captions.csv:3": "second_caption",
        "captions.csv:4": "second_caption",
    }
    assert captions(folder, items, tmp_path) == {"a.mp4": "Beside it.", "below/b.mp4": "From its folder."}


def test_a_bad_line_of_a_table_costs_only_itself(folder, movie, tmp_path):
    lines = [
        b'{"file": "a.mp4", "caption": "A cat walks."}',
        b'{"file": "b.mp4", "caption"',
        b'{"file": "b.mp4", "caption": "\xff"}',
        b"3",
        b'{"caption": "Of nothing."}',
        b'{"file": "none.mp4", "caption": "Of nothing."}',
        b'{"file": "../../etc/passwd", "caption": "Of nothing."}',
        b'{"file": "/etc/passwd", "caption": "Of nothing."}',
        b'{"file": "https://host/x.mp4", "caption": "Of nothing."}',
        b'{"file": "notes.docx", "caption": "Of nothing."}',
        b'{"file": "c.mp4", "caption": 3}',
        b'{"file": "c.mp4", "caption": "' + b"x" * 3000 + b'"}',
        b'{"file": "c.mp4", "caption": "' + b"x" * 2_000_000 + b'"}',
        b"[" * 100_000,
        b'{"file": "d.mp4", "caption": "A fish swims."}',
    ]
    names = ("a.mp4", "b.mp4", "c.mp4", "d.mp4", "notes.docx")
    write(folder, dict.fromkeys(names, movie(0)) | {"t.jsonl": b"\n".join(lines)})
    items = listed(folder)
    reasons = (
        ["bad_row", "bad_caption", "bad_row", "bad_row"]
        + ["caption_without_file"] * 5
        + ["bad_caption"] * 2
        + ["bad_row"] * 2
    )
    expected = {f"t.jsonl:{line}": reason for line, reason in enumerate(reasons, start=2)}
    assert problems(items) == expected | {"notes.docx": "not_media"}
    assert captions(folder, items, tmp_path) == {
        "a.mp4": "A cat walks.",
        "b.mp4": "",
        "c.mp4": "",
        "d.mp4": "A fish swims.",
    }


def test_a_quotation_mark_that_never_ends_does_not_take_the_rest_of_a_table(folder, movie, tmp_path):
    rows = [f"x{number}.mp4,{'y' * 90}" for number in range(2000)]
    text = "\n".join(["file,caption", 'a.mp4,"never closed', *rows, "b.mp4,A dog runs."])
    write(folder, {"a.mp4": movie(0), "b.mp4": movie(1), "t.csv": text})
    items = listed(folder)
    assert captions(folder, items, tmp_path)["b.mp4"] == "A dog runs."
    assert problems(items)["t.csv:2"] == "bad_row"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("name,caption\na.mp4,x\n", "no column for the file"),
        ("a.mp4,A cat walks.\n", "its columns are: a.mp4, a cat walks"),
        ('{"file": "a.mp4"}\n{"file": "b.mp4", "words": "x"}', "no column for the caption"),
        ("file,words\na.mp4,x\n", "no column for the caption"),
        ("file,caption\n", "no rows"),
        (b"\xff\xfef\0i\0l\0e\0", "no rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_said(folder, movie, content, sentence):
    table = "t.jsonl" if content[:1] == "{" else "t.csv"
    write(folder, {"a.mp4": movie(0), "b.mp4": movie(1), table: content})
    items = listed(folder)
    assert problems(items) == {table: "bad_table"}
    assert sentence in items[table].explanation


def test_what_is_neither_media_nor_caption_is_accounted_for(folder, movie, monkeypatch):
    write(
        folder,
        {
            "a.mp4": movie(0),
            "orphan.txt": "A caption of nothing.",
            "notes.docx": "PK",
            "name": "x",
            "zero.mp4": b"",
            "zero.txt": "Of no bytes.",
            "shard.tar.gz": b"\x1f\x8b",
            ".DS_Store": "x",
            ".git/config": "x",
            "below/.cache/deep/a.mp4": movie(1),
            "__MACOSX/._a.mp4": "x",
        },
    )
    (folder / "gone.mp4").symlink_to(folder / "nowhere.mp4")
    (folder / "self.mp4").symlink_to(folder / "self.mp4")
    os.mkfifo(folder / "pipe.mp4")
    monkeypatch.chdir(folder)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.mp4")
    (folder / os.fsdecode(b"bad-\xff.mp4")).write_bytes(movie(0))
    items = listed(folder)
    assert problems(items) == {
        "orphan.txt": "not_media",
        "notes.docx": "not_media",
        "name": "not_media",
        "zero.mp4": "empty",
        "shard.tar.gz": "compressed_archive",
        ".DS_Store": "hidden",
        ".git/": "hidden",
        "below/.cache/": "hidden",
        "__MACOSX/": "hidden",
        "gone.mp4": "unreadable",
        "self.mp4": "unreadable",
        "pipe.mp4": "not_media",
        "socket.mp4": "not_media",
        "bad-\\udcff.mp4": "bad_name",
    }
    assert items["zero.mp4"].caption_from == "zero.txt"  # so that the caption can be accounted for as well
    with pytest.raises(Rejected, match="no bytes"):
        open_source(str(folder)).local(items["zero.mp4"], folder)


def test_a_folder_that_cannot_be_read_is_accounted_for(folder, movie, monkeypatch):
    write(folder, {"a.mp4": movie(0)})
    monkeypatch.chdir(folder)
    for _ in range(20):  # until the whole path is longer than any may be
        os.mkdir("x" * 250)
        os.chdir("x" * 250)
    items = listed(folder)
    (name,) = problems(items)
    assert name.endswith("x/")
    assert problems(items)[name] == "unreadable"
    assert "a.mp4" in items


def test_links_are_followed_and_each_folder_is_read_once(folder, tmp_path, movie):
    write(folder, {"z/a.mp4": movie(0)})
    write(tmp_path / "elsewhere", {"b.mp4": movie(1)})
    (folder / "a-link").symlink_to(folder / "z")
    (folder / "z" / "loop").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    assert list(listed(folder)) == ["out/b.mp4", "z/a.mp4"]  # by its own name, not by that of a link


def test_items_are_in_the_order_of_their_whole_names(folder, movie):
    names = ["a-b.mp4", "a.mp4", "a/b.mp4", "a0.mp4", "Z.mp4", "é.mp4", "\U0001f600.mp4"]
    write(folder, dict.fromkeys(names, movie(0)))
    assert list(listed(folder)) == sorted(names)


def test_a_stamp_changes_with_the_bytes_and_with_the_caption_and_with_nothing_else(folder, movie):
    table = "captions.jsonl"
    write(folder, {"a.mp4": movie(0), "a.txt": "One.", "b.mp4": movie(1), table: '{"file": "b.mp4", "text": "Two."}'})
    before = listed(folder)
    write(folder, {"c.mp4": movie(2), table: '{"file": "c.mp4", "text": "x"}\n{"file": "b.mp4", "text": "Two."}'})
    grown = listed(folder)
    assert {name: item for name, item in grown.items() if name != "c.mp4"} == before
    write(folder, {"a.txt": "Another.", table: '{"file": "b.mp4", "text": "Changed."}'})
    changed = listed(folder)
    assert changed["a.mp4"].stamp != before["a.mp4"].stamp
    assert changed["b.mp4"].stamp != before["b.mp4"].stamp
    write(folder, {"c.mp4": movie(3) + b"more"})
    assert listed(folder)["c.mp4"].stamp != changed["c.mp4"].stamp


def test_a_list_names_files_near_and_far(folder, tmp_path, movie):
    write(tmp_path / "far", {"c.mp4": movie(2)})
    write(folder, {"a.mp4": movie(0), "a.txt": "A cat walks.", "b/b.mp4": movie(1), "not-listed.mp4": movie(3)})
    lines = ["# mine", "", "./b/b.mp4", "a.mp4", "b/../a.mp4", "../far/c.mp4", str(tmp_path / "far" / "c.mp4")]
    lines += ["none.mp4", "http://host/d.mp4", "notes.docx", "b", "nul\0.mp4", f"file://{tmp_path}/far/c.mp4"]
    (folder / "mine.txt").write_bytes("\n".join(lines).encode() + b"\n\xff.mp4\n")
    items = listed(folder / "mine.txt")
    far = str(tmp_path / "far" / "c.mp4")
    assert problems(items) == {
        "mine.txt:5": "duplicate",
        "none.mp4": "unreadable",
        "mine.txt:9": "unreadable",
        "notes.docx": "not_media",
        "b": "not_media",
        "nul\0.mp4": "unreadable",
        "mine.txt:13": "duplicate",
        "mine.txt:14": "bad_row",
    }
    assert items["b"].explanation == "It is a folder, not a file."
    assert captions(folder / "mine.txt", items, tmp_path) == {
        "a.mp4": "A cat walks.",
        "b/b.mp4": "",
        "../far/c.mp4": "",
        far: "",
    }
    source = open_source(str(folder / "mine.txt"))
    assert source.local(items[far], tmp_path).read_bytes() == movie(2)
    assert source.local(items["b/b.mp4"], tmp_path).read_bytes() == movie(1)


def test_a_table_as_the_source_lists_only_what_it_names(folder, tmp_path, movie):
    write(folder, {"a.mp4": movie(0), "b.mp4": movie(1), "b.txt": "A dog runs.", "other.mp4": movie(2)})
    rows = "video,caption\na.mp4,A cat walks.\nb.mp4,\na.mp4,Again.\ngone.mp4,Of nothing.\n" + f"b.mp4,{'x' * 3000}\n"
    write(folder, {"mine.csv": rows})
    items = listed(folder / "mine.csv")
    assert problems(items) == {"gone.mp4": "unreadable", "mine.csv:4": "second_caption", "mine.csv:6": "bad_caption"}
    assert captions(folder / "mine.csv", items, tmp_path) == {"a.mp4": "A cat walks.", "b.mp4": "A dog runs."}
    assert items["gone.mp4"].caption == "Of nothing."


def test_one_file_is_a_source(folder, tmp_path, movie):
    write(folder, {"a.mp4": movie(0), "a.txt": "A cat walks.", "b.mp4": movie(1)})
    items = listed(folder / "a.mp4")
    assert captions(folder / "a.mp4", items, tmp_path) == {"a.mp4": "A cat walks."}
    assert open_source((folder / "a.mp4").as_uri()).local(items["a.mp4"], tmp_path) == folder / "a.mp4"


def test_a_pattern_with_braces_stands_for_several_files(folder, movie):
    write(folder, {f"{part}/clip-{number:03d}.mp4": movie(0) for part in "xy" for number in range(12)})
    items = listed(folder / "{x,y}" / "clip-{008..010}.mp4")
    assert list(items) == [f"{part}/clip-{number:03d}.mp4" for part in "xy" for number in (8, 9, 10)]
    assert problems(listed(folder / "x" / "clip-{010..012}.mp4")) == {"clip-012.mp4": "unreadable"}
    write(folder, {"{a}.mp4": movie(0)})
    assert list(listed(folder / "{a}.mp4")) == ["{a}.mp4"]
    for pattern in ("{0..9999999}.mp4", "{000..999}{000..999}{0..9}.mp4"):
        with pytest.raises(UsageError, match="more than 1,000,000"):
            list(open_source(str(folder / pattern)).items())


@pytest.mark.parametrize(
    ("uri", "sentence"),
    [
        ("", "needs a source"),
        ("https://host/videos", "download it first"),
        ("hf://datasets/x", "download it first"),
        ("gs://bucket/x", "download it first"),
    ],
)
def test_other_sources_are_refused_in_one_sentence(uri, sentence):
    with pytest.raises(UsageError, match=sentence):
        open_source(uri)


def test_what_is_not_there_or_not_a_source_is_one_sentence(folder):
    with pytest.raises(KinoraError, match="there is no folder or file"):
        open_source(str(folder / "none"))
    with pytest.raises(KinoraError, match="is empty"):
        list(open_source(str(folder)).items())
    write(folder, {"a.docx": "x", "a.tar.gz": "x", "empty.txt": "", "remarks.txt": "# nothing\n"})
    with pytest.raises(UsageError, match=r"is no video, image, \.tar"):
        open_source(str(folder / "a.docx"))
    with pytest.raises(UsageError, match=r"compressed.*unpack"):
        open_source(str(folder / "a.tar.gz"))
    with pytest.raises(KinoraError, match="no bytes"):
        list(open_source(str(folder / "empty.txt")).items())
    with pytest.raises(KinoraError, match="is empty"):
        list(open_source(str(folder / "remarks.txt")).items())


def test_captions_by_people_are_found_for_all_natural_clips(shared_media, tmp_path):
    items = listed(shared_media / "natural")
    written = [json.loads(line) for line in (shared_media / "natural" / "captions.jsonl").read_text().splitlines()]
    assert problems(items) == {}
    assert captions(shared_media / "natural", items, tmp_path) == {row["file"]: row["caption"] for row in written}


LISTING = """
import sys
from kinora.data.ingest.sources import open_source
import tracemalloc
def most():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
list_first = sum(1 for item in open_source(sys.argv[1]).items())  # what is loaded once is loaded
before = most()
tracemalloc.start()
count = sum(1 for item in open_source(sys.argv[2]).items())
print(count, tracemalloc.get_traced_memory()[1], (most() - before) * 1024)
print("torch" in sys.modules, "pandas" in sys.modules)
"""


def test_listing_many_files_takes_no_more_memory_than_listing_few(tmp_path):
    few, many = tmp_path / "few", tmp_path / "many"
    for folder, count in ((few, 200), (many, 20_000)):
        folder.mkdir()
        for number in range(count):
            (folder / f"clip-{number:06d}.mp4").touch()
        rows = "".join(f"clip-{number:06d}.mp4,Caption {number} of a clip.\n" for number in range(count))
        (folder / "captions.csv").write_text(f"file,caption\n{rows}")
    few_said, many_said = (
        subprocess.run([sys.executable, "-c", LISTING, few, one], capture_output=True, text=True, check=True).stdout
        for one in (few, many)
    )
    (few_count, few_peak, _, *loaded), (many_count, many_peak, grown, *_) = few_said.split(), many_said.split()
    assert (int(few_count), int(many_count)) == (200, 20_000)
    assert loaded == ["False", "False"]  # processes that read inputs do without them
    assert int(many_peak) < int(few_peak) + 10_000
    assert int(grown) < 2 * 16 * 2**20  # of which SQLite's bounded caches are nearly all
