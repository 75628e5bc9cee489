"""On a disk that is really full every command ends with one sentence, and goes on when there is room."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from cli.main import main
from kinora.data.clips import ClipDataset
from kinora.errors import KinoraError
from kinora.files import friendly_os_errors, make_sure_of_room
from kinora.media import write_video

SETTINGS = ["--set", "ingest.shard_items=1", "--set", "ingest.max_side=160", "--set", "ingest.near_duplicates=false"]


@pytest.fixture
def disk(tmp_path):
    """A disk of 1 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def noise(tmp_path_factory) -> Path:
    """A folder of videos whose clips together are larger than that disk."""
    folder = tmp_path_factory.mktemp("noise")
    for number in range(6):
        frames = np.random.default_rng(number).integers(0, 255, (17, 20, 30, 3), np.uint8)
        write_video(folder / f"{number}.mp4", frames.repeat(8, axis=1).repeat(8, axis=2), 8.0)
    return folder


def fill(disk: Path, left: int) -> Path:
    """Fill a disk up to so many bytes."""
    path = disk / "filling"
    path.write_bytes(bytes(shutil.disk_usage(disk).free - left))
    return path


def said(capsys, *argv: str | Path) -> str:
    """Run a command that fails, and return the one sentence that it ends with."""
    assert main([str(word) for word in argv]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith(f"kinora {argv[0]}: ")
    return lines[-1]


def test_an_ingest_loses_no_input_to_a_full_disk_and_goes_on_when_there_is_room(disk, noise, tmp_path, capsys):
    whole = tmp_path / "whole"
    assert main(["ingest", str(noise), "--out", str(whole), *SETTINGS]) == 0
    filling, out = fill(disk, 300_000), disk / "clips"
    sentence = said(capsys, "ingest", noise, "--out", out, *SETTINGS)
    assert sentence == f"kinora ingest: {out} cannot be used: the disk is full; free some space and run again."
    with pytest.raises(KinoraError, match="holds no clip dataset"):
        ClipDataset.open(out)
    filling.unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    assert main(["ingest", str(noise), "--out", str(out), *SETTINGS]) == 0
    assert ClipDataset.open(out).digest == ClipDataset.open(whole).digest


def test_steps_on_a_full_disk_leave_nothing_that_is_taken_for_whole(disk, noise, tmp_path, capsys):
    clips = tmp_path / "clips"
    assert main(["ingest", str(noise), "--out", str(clips), *SETTINGS]) == 0
    for left in (0, 60_000):
        filling = fill(disk, left)
        for command in ("validate", "features"):
            out = disk / command
            assert "the disk is full; free some space" in said(capsys, command, clips, "--out", out)
            if (out / "config.json").exists():  # only the page found no room
                assert ClipDataset.open(out).digest == ClipDataset.open(clips).digest
            assert not (out / "set.json").exists()
            shutil.rmtree(out, ignore_errors=True)
        filling.unlink()


def test_it_is_said_when_the_folder_for_temporary_files_is_the_full_one(disk, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    fill(disk, 0)
    sentence = f"^{disk} cannot be used: the disk is full; .*set TMPDIR to another place"
    with pytest.raises(KinoraError, match=sentence), friendly_os_errors(tmp_path):
        (disk / "file").write_bytes(bytes(10_000))


def test_room_is_there_or_not(disk):
    make_sure_of_room(disk, 100_000)
    with pytest.raises(OSError, match="No space left"):
        make_sure_of_room(disk)


def test_what_libraries_make_of_a_full_disk_is_the_same_sentence(tmp_path):
    import sqlite3

    for error in (
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError("8 requested and 0 written"),
        sqlite3.OperationalError("database or disk is full"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
        KinoraError("training stopped: SafetensorError: No space left on device (os error 28)"),
    ):
        with pytest.raises(KinoraError, match="the disk is full"), friendly_os_errors(tmp_path):
            raise error
    with pytest.raises(RuntimeError, match="else"), friendly_os_errors(tmp_path):
        raise RuntimeError("something else")


def test_a_limit_of_the_size_of_files_is_one_sentence(noise, tmp_path):
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); " + (
        "from cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", limited, "ingest", str(noise), "--out", str(tmp_path / "clips"), *SETTINGS]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.strip().endswith(
        "a file may not grow so large there; lift the limit (ulimit -f) and run again."
    )
