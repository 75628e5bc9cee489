"""A trainer's state is saved whole or not at all, and training goes on from it to the same weights."""

import contextlib
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from kinora.errors import KinoraError
from kinora.training import checkpoints as checkpoints_module
from kinora.training.checkpoints import Checkpoints, load_state, open_checkpoints, save_state
from kinora.training.config import TrainingConfig
from kinora.training.log import append_row, read_rows
from kinora.training.optimizers import build_optimizers, take_step


def save(checkpoints: Checkpoints, step: int, content: str = "state") -> None:
    checkpoints.begin(step)
    (checkpoints.unfinished(step) / "file").write_text(content)
    checkpoints.commit(step, {"seconds": step})


def states(checkpoints: Checkpoints) -> list[str]:
    return sorted(path.name for path in checkpoints.folder.glob("*step-*"))


def test_the_newest_are_kept_and_the_last_comes_back_as_it_was(tmp_path):
    checkpoints = Checkpoints(tmp_path, "a", kept=2)
    for step in (20, 999_999, 1_000_000):
        save(checkpoints, step, f"after {step}")
    last = checkpoints.resume()
    assert (last.step, last.values) == (1_000_000, {"seconds": 1_000_000})
    assert (last.path / "file").read_text() == "after 1000000"
    assert states(checkpoints) == ["step-1000000", "step-999999"]


def changed(file):
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3] = bytes(255 - byte for byte in content[middle : middle + 3])
    file.write_bytes(content)


def cut(file):
    file.write_bytes(file.read_bytes()[:-2])


def missing(file):
    file.unlink()


@pytest.mark.parametrize("name", ["file", "checkpoint.json"])
@pytest.mark.parametrize("damage", [changed, cut, missing])
def test_a_damaged_state_is_named_and_the_one_before_used(tmp_path, capsys, name, damage):
    checkpoints = Checkpoints(tmp_path, "a")
    save(checkpoints, 10)
    save(checkpoints, 20)
    damage(checkpoints.folder / "step-000020" / name)
    assert checkpoints.resume().step == 10
    said = capsys.readouterr().err
    assert "step-000020 is damaged" in said
    assert name in said
    assert checkpoints.resume().step == 10
    assert not capsys.readouterr().err


def test_when_every_state_is_damaged_nothing_is_removed_and_nothing_begins_anew(tmp_path):
    checkpoints = Checkpoints(tmp_path, "a")
    save(checkpoints, 10)
    changed(checkpoints.folder / "step-000010" / "file")
    for _ in range(2):
        with pytest.raises(KinoraError, match=r"no state in .* is whole .step-000010: file was changed or cut"):
            checkpoints.resume()


HOLD = """
import sys, time
from kinora.training.checkpoints import Checkpoints
with Checkpoints(sys.argv[1], "a").lock():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_training_in_a_folder_is_refused_until_the_first_has_ended(tmp_path, monkeypatch, root):
    environment = os.environ | {"PYTHONPATH": str(root)}
    first = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, env=environment)
    try:
        assert first.stdout.readline() == b"held\n"
        monkeypatch.setattr(checkpoints_module, "LOCK_PATIENCE", 0.0)
        with pytest.raises(KinoraError, match="another training is running"), Checkpoints(tmp_path, "a").lock():
            pass
        with Checkpoints(tmp_path, "b").lock():
            pass
    finally:
        first.kill()  # without mercy: the kernel frees the lock
        first.wait()
    with Checkpoints(tmp_path, "a").lock():
        pass


def test_nothing_saved_is_no_checkpoint(tmp_path):
    assert Checkpoints(tmp_path / "absent", "a").last() is None
    assert Checkpoints(tmp_path / "absent", "a").resume() is None


def test_another_configuration_does_not_resume(tmp_path):
    save(Checkpoints(tmp_path, "a"), 30)
    other = Checkpoints(tmp_path, "b")
    assert other.resume() is None
    save(other, 10)
    assert Checkpoints(tmp_path, "a").last().step == 30


def test_what_a_killed_process_left_is_not_taken_for_a_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path, "a")
    save(checkpoints, 10)
    checkpoints.begin(20)
    (checkpoints.unfinished(20) / "file").write_text("half")
    assert checkpoints.last().step == 10
    save(checkpoints, 30)
    assert states(checkpoints) == ["step-000010", "step-000030"]


def test_a_failed_save_leaves_the_one_before(tmp_path):
    checkpoints = Checkpoints(tmp_path, "a")
    save(checkpoints, 10)
    checkpoints.begin(20)
    with pytest.raises(TypeError):
        checkpoints.commit(20, {"cannot": object})
    assert checkpoints.last().step == 10


def test_the_log_goes_back_to_the_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path, "a")
    checkpoints.resume()
    append_row(checkpoints.log, {"step": 10})
    save(checkpoints, 15)
    append_row(checkpoints.log, {"step": 20})
    with open(checkpoints.log, "a") as file:
        file.write('{"step": 3')  # killed within a row
    assert checkpoints.resume().step == 15
    assert read_rows(checkpoints.log) == [{"step": 10}]
    checkpoints.log.unlink()  # lost with its machine
    checkpoints.resume()
    assert read_rows(checkpoints.log) == [{"step": 10}]


def test_a_finished_training_leaves_nothing_and_a_failed_one_its_state(tmp_path):
    with contextlib.suppress(RuntimeError), open_checkpoints(tmp_path, "a") as checkpoints:
        save(checkpoints, 10)
        raise RuntimeError
    assert checkpoints.last().step == 10
    with open_checkpoints(tmp_path, "a") as checkpoints:
        assert checkpoints.resume().step == 10
    assert not list(tmp_path.iterdir())


CONFIG = TrainingConfig(steps=6, learning_rate=0.1, muon_learning_rate=0.1, warmup_steps=2, weight_decay=0.1)


def test_a_restored_trainer_takes_the_same_next_steps(tmp_path):
    def trainer():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        return model, build_optimizers(model, r"^0\.", CONFIG), torch.Generator().manual_seed(1)

    def steps(model, optimizers, generator, first, last):
        for step in range(first, last + 1):
            loss = (model(torch.randn(16, 4, generator=generator)) - 1).square().mean()
            take_step(model, optimizers, loss, CONFIG, CONFIG.rate(step))

    whole = trainer()
    steps(*whole, 1, 6)
    half, fresh = trainer(), trainer()
    steps(*half, 1, 3)
    save_state(tmp_path, *half)
    load_state(tmp_path, *fresh)
    steps(*fresh, 4, 6)
    for expected, found in zip(whole[0].parameters(), fresh[0].parameters(), strict=True):
        assert torch.equal(expected, found)
