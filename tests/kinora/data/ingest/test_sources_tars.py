"""Tar shards are read where their members lie; whatever a hostile or broken one holds is said, and harms nothing."""

import io
import tarfile

import pytest

from kinora.data.ingest.sources import Item, open_source
from kinora.data.shots import Rejected


def listed(uri: object) -> dict[str, Item]:
    items = list(open_source(str(uri)).items())
    assert len({item.name for item in items}) == len(items)
    return {item.name: item for item in items}


def problems(items):
    return {item.name: item.problem for item in items.values() if item.problem}


def member(name="0001.mp4", kind=tarfile.REGTYPE, size=0, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def test_members_with_one_key_belong_together(tmp_path, movie, tar_shard):
    shard = tar_shard(
        tmp_path / "train-000.tar",
        ("0002.mp4", movie(2)),
        ("0002.txt", b"A dog runs."),
        ("./0001.mp4", movie(1)),  # as `tar -C folder .` has them
        ("./0001.json", b'{"fps": 8, "caption": "A cat walks."}'),
        ("v1.0/0003.low.mp4", movie(3)),
        ("v1.0/0003.caption", "Ein Vogel fliegt über Köln.".encode()),
        ("0004.mp4", movie(4)),
        ("0004.cls", b"7"),
    )
    items = listed(shard)
    assert list(items) == [
        *("train-000.tar/0001.mp4", "train-000.tar/0002.mp4", "train-000.tar/0004.cls", "train-000.tar/0004.mp4"),
        "train-000.tar/v1.0/0003.low.mp4",
    ]
    assert problems(items) == {"train-000.tar/0004.cls": "not_media"}
    source = open_source(str(shard))  # as a worker does: without listing
    expected = [("0001.mp4", "A cat walks."), ("0002.mp4", "A dog runs.")]
    expected += [("v1.0/0003.low.mp4", "Ein Vogel fliegt über Köln."), ("0004.mp4", "")]
    for number, (name, caption) in enumerate(expected, start=1):
        item = items[f"train-000.tar/{name}"]
        assert source.caption(item, tmp_path) == caption
        path = source.local(item, tmp_path)
        assert (path.parent, path.suffix) == (tmp_path, ".mp4")
        assert path.read_bytes() == movie(number)


def test_shards_are_read_in_folders_lists_and_patterns(tmp_path, movie, tar_shard):
    for number in range(3):
        shard = (f"{number}.mp4", movie(number)), (f"{number}.txt", f"Clip {number}.".encode())
        tar_shard(tmp_path / f"shard-{number:06d}.tar", *shard)
    (tmp_path / "mine.txt").write_text(f"shard-000002.tar\n{tmp_path}/shard-000000.tar\nshard-000009.tar\n")
    in_folder = listed(tmp_path)
    assert problems(in_folder) == {"mine.txt": "not_media"}
    shards = [f"shard-00000{number}.tar/{number}.mp4" for number in range(3)]
    assert [name for name in in_folder if name != "mine.txt"] == shards
    assert list(listed(tmp_path / "shard-{000000..000001}.tar")) == shards[:2]
    in_list = listed(tmp_path / "mine.txt")
    assert problems(in_list) == {"shard-000009.tar": "unreadable"}
    absolute = f"{tmp_path}/{shards[0]}"
    assert [name for name in in_list if not in_list[name].problem] == [absolute, shards[2]]
    out = tmp_path / "out"
    out.mkdir()
    assert open_source(str(tmp_path / "mine.txt")).local(in_list[absolute], out).read_bytes() == movie(0)
    assert open_source(str(tmp_path)).local(in_folder[shards[1]], out).read_bytes() == movie(1)


def test_a_shard_that_was_written_again_has_other_stamps(tmp_path, movie, tar_shard):
    tar_shard(tmp_path / "a.tar", ("1.mp4", movie(1)), ("1.txt", b"One."))
    before = listed(tmp_path)
    tar_shard(tmp_path / "b.tar", ("2.mp4", movie(2)))
    assert listed(tmp_path)["a.tar/1.mp4"] == before["a.tar/1.mp4"]
    tar_shard(tmp_path / "a.tar", ("1.mp4", movie(1)), ("1.txt", b"Two."))
    assert listed(tmp_path)["a.tar/1.mp4"].stamp != before["a.tar/1.mp4"].stamp


def test_captions_of_members_are_accounted_for(tmp_path, movie, tar_shard):
    shard = tar_shard(
        tmp_path / "a.tar",
        ("1.mp4", movie(1)),
        ("1.txt", b"Of the text."),
        ("1.json", b'{"caption": "Of the JSON."}'),
        ("2.mp4", movie(2)),
        ("2.txt", b"\xff\xfe"),
        ("2.json", b'{"caption": "Of the JSON."}'),
        ("3.txt", b"Of nothing."),
        ("4.mp4", b""),
        ("4.txt", b"Of no bytes."),
        ("5.mp4", movie(5)),
        ("5.txt", b"x" * 100_000),
        ("__MACOSX/._1.mp4", b"x"),
    )
    items = listed(shard)
    assert problems(items) == {
        "a.tar/1.json": "second_caption",
        "a.tar/2.txt": "bad_caption",
        "a.tar/3.txt": "not_media",
        "a.tar/4.mp4": "empty",
        "a.tar/5.txt": "bad_caption",
        "a.tar/__MACOSX/._1.mp4": "hidden",
    }
    assert items["a.tar/1.mp4"].caption == "Of the text."
    assert items["a.tar/2.mp4"].caption == "Of the JSON."
    assert (items["a.tar/4.mp4"].caption, items["a.tar/4.mp4"].caption_from) == ("Of no bytes.", "a.tar/4.txt")


@pytest.mark.parametrize(
    ("info", "content"),
    [
        (member("/etc/passwd.mp4", size=1), b"x"),
        (member("../../outside.mp4", size=1), b"x"),
        (member("a/../../outside.mp4", size=1), b"x"),
        (member("a//b.mp4", size=1), b"x"),
        (member("link.mp4", tarfile.SYMTYPE, link="/etc/passwd"), b""),
        (member("hard.mp4", tarfile.LNKTYPE, link="good.mp4"), b""),
        (member("device.mp4", tarfile.CHRTYPE), b""),
        (member("pipe.mp4", tarfile.FIFOTYPE), b""),
        (member("sparse.mp4", tarfile.GNUTYPE_SPARSE), b""),
        (member("x" * 2000 + ".mp4", size=1), b"x"),
        (member("good.mp4", size=1), b"x"),  # a second one of that name
    ],
)
def test_a_hostile_member_is_said_and_the_others_are_read(tmp_path, movie, tar_shard, info, content):
    shard = tar_shard(
        tmp_path / "a.tar", ("good.mp4", movie(0)), (info, content), ("later.mp4", movie(1)), form=tarfile.GNU_FORMAT
    )
    items = listed(shard)
    assert list(problems(items).values()) == ["unsafe_member"]
    whole = [item for item in items.values() if not item.problem]
    assert [item.name for item in whole] == ["a.tar/good.mp4", "a.tar/later.mp4"]
    out = tmp_path / "out"
    out.mkdir()
    source = open_source(str(shard))
    assert [source.local(item, out).read_bytes() for item in whole] == [movie(0), movie(1)]
    assert {path.name for path in tmp_path.iterdir()} == {"a.tar", "out"}
    assert {path.name for path in out.iterdir()} == {"media.mp4"}


def raw(name: bytes, size: bytes, kind: bytes = b"0", extended: bool = False) -> bytes:
    """A header whose size field is what one likes; `extended`, a sparse file's goes on in the next block."""
    header = bytearray(512)
    header[: len(name)] = name
    header[100:124] = b"0000644\0" + b"0000000\0" * 2
    header[124:136] = size.ljust(12, b"\0")
    header[136:148] = b"00000000000\0"
    header[156:157] = kind
    header[257:265] = b"ustar\x0000"
    if extended:
        header[482] = 1
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.mark.parametrize(
    ("tail", "reason"),
    [
        (raw(b"huge.mp4", b"\x80" + (1 << 60).to_bytes(11, "big")), "truncated"),  # larger than any disk
        (raw(b"back.mp4", b"\xff" * 10 + (-1024 & 0xFFFF).to_bytes(2, "big")), "undecodable"),  # leads back for ever
        (raw(b"././@LongLink", b"77777777777\0", b"L"), "undecodable"),  # a name of 8 GiB
        (raw(b"pax", b"77777777777\0", b"x"), "undecodable"),
        (raw(b"pax", b"00000000000\0", b"x") * 5000, "undecodable"),  # headers of headers of headers
        (raw(b"pax", b"00000010000\0", b"g") + b"30 a=" + bytes(4091), "undecodable"),  # a record cut short
        (raw(b"sparse", b"00000000000\0", b"S", extended=True) + (bytes(504) + b"\1" * 8) * 5000, "undecodable"),
        (b"garbage! " * 1000, "undecodable"),
        (bytes(1024) + b"hidden" * 100, "undecodable"),
        (b"", "truncated"),  # the archive's end is missing
        (raw(b"cut.mp4", b"00000001000\0")[:300], "truncated"),
    ],
)
def test_a_broken_archive_yields_what_is_whole_and_says_so(tmp_path, movie, tar_shard, tail, reason):
    whole = io.BytesIO(tar_shard(tmp_path / "a.tar", ("0.mp4", movie(0)), ("0.txt", b"A cat walks.")).read_bytes())
    with tarfile.open(fileobj=whole) as archive:
        end = [info.offset_data for info in archive][-1] + 512
    (tmp_path / "a.tar").write_bytes(whole.getvalue()[:end] + tail)
    items = listed(tmp_path / "a.tar")
    assert items["a.tar/0.mp4"].problem == ""
    assert items["a.tar/0.mp4"].caption == "A cat walks."
    assert problems(items)["a.tar"] == reason


@pytest.mark.parametrize("content", [b"no tar at all", b"\x1f\x8b" + bytes(2000), b"x" * 5000])
def test_what_is_no_archive_is_said(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    assert problems(listed(tmp_path / "a.tar")) == {"a.tar": "undecodable"}


def test_wherever_an_archive_is_cut_every_whole_member_is_read_and_the_loss_is_said(tmp_path, movie, tar_shard):
    members = [(f"{number}.mp4", movie(number)) for number in range(3)]
    content = tar_shard(tmp_path / "whole.tar", *members).read_bytes()
    with tarfile.open(tmp_path / "whole.tar") as archive:
        ends = [info.offset_data + info.size for info in archive]
    out = tmp_path / "out"
    out.mkdir()
    for cut in range(1, ends[-1] + 600, 97):
        (tmp_path / "a.tar").write_bytes(content[:cut])
        items = listed(tmp_path / "a.tar")
        read = [item.name for item in items.values() if not item.problem]
        assert read == [f"a.tar/{number}.mp4" for number, end in enumerate(ends) if end <= cut]
        if cut < ends[-1] + 512:
            assert items["a.tar"].problem in ("truncated", "undecodable")
        source = open_source(str(tmp_path / "a.tar"))
        for item in items.values():
            if not item.problem:
                assert source.local(item, out).read_bytes() in (movie(0), movie(1), movie(2))


def test_an_archive_that_is_cut_after_it_was_listed_is_one_rejected_item(tmp_path, movie, tar_shard):
    shard = tar_shard(tmp_path / "a.tar", ("0.mp4", movie(0)), ("1.mp4", movie(1)))
    items = listed(shard)
    shard.write_bytes(shard.read_bytes()[: 512 + len(movie(0)) // 2])
    with pytest.raises(Rejected) as error:
        open_source(str(shard)).local(items["a.tar/0.mp4"], tmp_path)
    assert error.value.reason == "truncated"
    shard.unlink()
    with pytest.raises(Rejected) as error:
        open_source(str(tmp_path)).local(items["a.tar/1.mp4"], tmp_path)
    assert error.value.reason == "unreadable"


def test_members_that_lie_apart_are_joined_and_names_in_other_forms_are_read(tmp_path, movie, tar_shard):
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        long = "folder-" * 12 + "/é" if form == tarfile.USTAR_FORMAT else "folder-" * 40 + "/é"
        members = [(f"{long}{number}.mp4", movie(number)) for number in range(2)]
        texts = [(f"{long}{number}.txt", f"Clip {number}.".encode()) for number in range(2)]
        items = listed(tar_shard(tmp_path / f"{form}.tar", *members, *texts, form=form))
        assert problems(items) == {}
        assert [item.caption for item in items.values()] == ["Clip 0.", "Clip 1."]
