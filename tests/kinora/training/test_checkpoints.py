"""A trainer's state is saved whole or not at all, and training goes on from it to the same weights."""

import contextlib

import pytest
import torch
from torch import nn

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


def test_only_the_newest_is_kept_and_comes_back_as_it_was(tmp_path):
    checkpoints = Checkpoints(tmp_path, "a")
    for step in (10, 20):
        save(checkpoints, step, f"after {step}")
    last = checkpoints.last()
    assert (last.step, last.values, (last.path / "file").read_text()) == (20, {"seconds": 20}, "after 20")
    assert states(checkpoints) == ["step-000020"]


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
    assert states(checkpoints) == ["step-000030"]


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
