"""What is written is whole or absent."""

import pytest

from kinora.files import atomic_folder, atomic_write, file_digest, folder_digest


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError), atomic_write(target) as temporary:
        temporary.write_text("half\ud800")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_replaces_the_old_one_only_when_it_is_whole(tmp_path):
    target = tmp_path / "model"
    for content in ("first", "second"):
        with atomic_folder(target) as temporary:
            (temporary / "weights").write_text(content)
        assert (target / "weights").read_text() == content
    with pytest.raises(UnicodeEncodeError), atomic_folder(target) as temporary:
        (temporary / "weights").write_text("half\ud800")
    assert (target / "weights").read_text() == "second"
    assert list(tmp_path.iterdir()) == [target]


def test_digests_see_names_and_contents(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("x")
    before = folder_digest(tmp_path)
    assert before == folder_digest(tmp_path)
    (tmp_path / "sub" / "a").rename(tmp_path / "sub" / "b")
    renamed = folder_digest(tmp_path)
    (tmp_path / "sub" / "b").write_text("y")
    assert len({before, renamed, folder_digest(tmp_path)}) == 3
    # printf x | sha256sum
    (tmp_path / "x").write_text("x")
    assert file_digest(tmp_path / "x") == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
