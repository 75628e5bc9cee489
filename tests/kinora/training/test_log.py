"""Whoever watches a log reads what is there, whatever state the file is in."""

import json

import pytest

from kinora.training.log import last_row


def test_the_last_whole_row_is_read(tmp_path):
    log = tmp_path / "training.jsonl"
    log.write_text("".join(json.dumps({"step": step}) + "\n" for step in range(20_000)))
    assert last_row(log) == {"step": 19_999}


def test_a_log_that_was_cut_and_grew_again_is_read(tmp_path):
    log = tmp_path / "training.jsonl"
    log.write_text('{"step": 20}\n{"step": 40, "note": "long enough that what follows is shorter"}\n')
    assert last_row(log)["step"] == 40
    log.write_text('{"step": 20}\n')
    assert last_row(log) == {"step": 20}
    log.write_text('{"step": 20}\n{"step": 30}\n{"step": 40}\n{"step": 50}\n')
    assert last_row(log) == {"step": 50}


@pytest.mark.parametrize(
    "end", [b'{"step": 2', b"\xff\xfe\x00\n", b"[1]\n", b"7\n", b'{"loss": 1}\n', b'{"step": "x"}\n', b"\n", b"\0" * 99]
)
def test_what_is_no_row_is_passed_over(tmp_path, end):
    log = tmp_path / "training.jsonl"
    log.write_bytes(b'{"step": 1}\n' + end)
    assert last_row(log) == {"step": 1}


def test_no_file_no_row(tmp_path):
    assert last_row(tmp_path / "absent.jsonl") is None
    assert last_row(tmp_path) is None
    (tmp_path / "empty.jsonl").touch()
    assert last_row(tmp_path / "empty.jsonl") is None
