"""The loop of all trainers: what it logs, that a resume is as if it had not stopped, and that reports cannot end it."""

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from kinora.report import Clip
from kinora.training.checkpoints import Checkpoints
from kinora.training.config import TrainingConfig
from kinora.training.log import MEASURED, read_rows
from kinora.training.loop import Trainer, fit

CONFIG = TrainingConfig(
    steps=45, learning_rate=0.5, muon_learning_rate=1.0, warmup_steps=4, decay="linear",
    save_every=7, validate_every=25, samples=3,
)  # fmt: skip
CLIPS = [
    Clip(np.full((frames, 16, 24, 3), 99, np.uint8), 8.0, label) for frames, label in ((9, "a video"), (1, "an image"))
]


class Decay(Trainer[float]):
    """Halves a number slowly, and skips every fifth step."""

    def __init__(self, fail_at: int = 0):
        self.weight, self.fail_at = torch.tensor(1.0, dtype=torch.float64), fail_at

    def batch(self, step: int) -> float:
        if step == self.fail_at:
            raise KeyboardInterrupt
        return float(step)

    def step(self, step: int, batch: float, rate: float) -> dict[str, Tensor | float]:
        self.weight = self.weight * 0.97
        return {"loss": self.weight, "data": batch, "skipped": float(step % 5 == 0)}

    def validate(self) -> dict[str, float]:
        return {"held_out_loss": float(self.weight), "held_out_loss_32x32x9": 1.0}

    def sample(self) -> list[Clip]:
        return CLIPS

    def save(self, folder: Path) -> dict[str, object]:
        (folder / "weight").write_text(self.weight.item().hex())
        return {"is": "plain"}

    def load(self, folder: Path, values: dict[str, object]) -> None:
        assert values == {"is": "plain"}
        self.weight = torch.tensor(float.fromhex((folder / "weight").read_text()), dtype=torch.float64)


def timeless(log: Path) -> list[dict[str, float]]:
    return [{name: value for name, value in row.items() if name not in MEASURED} for row in read_rows(log)]


def test_a_row_holds_means_since_the_row_before(tmp_path):
    checkpoints = Checkpoints(tmp_path, "run")
    fit(Decay(), CONFIG, checkpoints)
    rows = read_rows(checkpoints.log)
    assert [row["step"] for row in rows] == [10, 20, 25, 30, 40, 45]
    assert [row["data"] for row in rows] == [5.5, 15.5, 23, 28, 35.5, 43]
    assert rows[2]["loss"] == pytest.approx(sum(0.97**step for step in range(21, 26)) / 5)
    assert [row["skipped_steps"] for row in rows] == [2, 2, 1, 1, 2, 1]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0.5 * CONFIG.rate(row["step"]) for row in rows])
    assert [row["step"] for row in rows if "held_out_loss_32x32x9" in row] == [25, 45]
    for row in rows:
        assert 0 <= row["data_wait"] <= 1
        assert row["steps_per_s"] > 0
        assert row["memory_gib"] > 0.01
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)


@pytest.mark.parametrize("fail_at", [9, 23, 28, 33])
def test_rows_after_a_resume_are_those_of_an_unbroken_run(tmp_path, fail_at):
    unbroken, broken = Checkpoints(tmp_path, "unbroken"), Checkpoints(tmp_path, "broken")
    fit(Decay(), CONFIG, unbroken)
    with pytest.raises(KeyboardInterrupt):
        fit(Decay(fail_at), CONFIG, broken)
    fit(Decay(), CONFIG, broken)
    assert timeless(broken.log) == timeless(unbroken.log)
    # A rate is of the steps that this run took, not of those before it as well.
    assert all(row["steps_per_s"] > 0 and 0 <= row["data_wait"] <= 1 for row in read_rows(broken.log))


@pytest.fixture
def full_disk(tmp_path) -> Iterator[Path]:
    """A folder on a disk that has not a byte left."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def a_folder_that_is_gone(folder: Path) -> None:
    shutil.rmtree(folder)


def a_file_for_the_events(folder: Path) -> None:
    shutil.rmtree(folder / "tensorboard")
    (folder / "tensorboard").write_text("in the way")


def a_file_for_the_samples(folder: Path) -> None:
    shutil.rmtree(folder / "samples")
    (folder / "samples").write_text("in the way")


def a_folder_for_the_log(folder: Path) -> None:
    (folder / "training.jsonl").unlink()
    (folder / "training.jsonl").mkdir()


@pytest.mark.parametrize(
    ("break_it", "what", "number"),
    [
        (a_folder_that_is_gone, "the training's log", errno.ENOENT),
        (a_folder_for_the_log, "the training's log", errno.EISDIR),
        (a_file_for_the_events, "TensorBoard's events", errno.EEXIST),
        (a_file_for_the_samples, "samples", errno.EEXIST),
    ],
)
def test_a_report_that_cannot_be_written_is_one_warning_and_training_goes_on(tmp_path, capsys, break_it, what, number):
    checkpoints = Checkpoints(tmp_path, "run")
    train_while_broken(checkpoints, break_it)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"kinora: warning: {what} cannot be written below {checkpoints.folder}")
    assert os.strerror(number) in line
    assert line.endswith("; training goes on without.")


def test_a_full_disk_is_a_warning_for_each_report_and_training_goes_on(tmp_path, capsys, full_disk):
    def move_to_the_full_disk(folder: Path) -> None:
        for name in ("training.jsonl", "tensorboard", "samples"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).unlink(missing_ok=True)
        for name in ("tensorboard", "samples"):
            (folder / name).symlink_to(full_disk)
        (folder / "training.jsonl").symlink_to(full_disk / "training.jsonl")

    checkpoints = Checkpoints(tmp_path, "run")
    train_while_broken(checkpoints, move_to_the_full_disk)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(os.strerror(errno.ENOSPC) in line for line in lines)


def train_while_broken(checkpoints: Checkpoints, break_it: Callable[[Path], None]) -> None:
    """Train to the end, with something happening to the folder before step 12."""

    class Broken(Decay):
        def batch(self, step: int) -> float:
            if step == 12:
                break_it(checkpoints.folder)
            return super().batch(step)

    trainer = Broken()
    fit(trainer, replace(CONFIG, save_every=100), checkpoints)
    assert float(trainer.weight) == pytest.approx(0.97**45)


def test_a_row_after_one_that_was_cut_stands_on_its_own_line(tmp_path):
    class Cut(Decay):
        def batch(self, step: int) -> float:
            if step == 12:
                with open(checkpoints.log, "a") as file:
                    file.write('{"step": 11, "lo')
            return super().batch(step)

    checkpoints = Checkpoints(tmp_path, "run")
    fit(Cut(), CONFIG, checkpoints)
    assert [row["step"] for row in read_rows(checkpoints.log)] == [10, 20, 25, 30, 40, 45]


def test_tensorboard_reads_one_curve_and_the_samples_of_a_resumed_run(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    checkpoints = Checkpoints(tmp_path, "run")
    with pytest.raises(KeyboardInterrupt):
        fit(Decay(33), CONFIG, checkpoints)
    fit(Decay(), CONFIG, checkpoints)
    events = EventAccumulator(str(checkpoints.folder / "tensorboard")).Reload()
    rows = read_rows(checkpoints.log)
    read = [(event.step, event.value) for event in events.Scalars("loss")]
    assert [step for step, _ in read] == [row["step"] for row in rows]
    assert [value for _, value in read] == pytest.approx([row["loss"] for row in rows])
    video, image = (events.Images(f"sample {n}: {clip.label}") for n, clip in enumerate(CLIPS))
    assert [event.step for event in video] == [0, 22, 45]
    assert video[0].encoded_image_string.startswith(b"GIF89a")
    assert image[0].encoded_image_string.startswith(b"\x89PNG")
    assert (video[0].width, video[0].height) == (24, 16)
