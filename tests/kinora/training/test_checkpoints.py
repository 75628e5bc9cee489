"""A trainer's state is saved whole or not at all, and training goes on from it to the same weights."""

import pytest
import torch
from torch import nn

from kinora.training.checkpoints import Checkpoints, restore_trainer, trainer_tensors


def test_only_the_newest_is_kept_and_comes_back_as_it_was(tmp_path):
    store = Checkpoints(tmp_path, "a")
    for step in (10, 20):
        store.save(step, {"weight": torch.full((2, 2), float(step)).T}, {"history": [step]})
    last = store.last()
    assert last.step == 20
    assert last.values == {"history": [20]}
    assert torch.equal(last.tensors["weight"], torch.full((2, 2), 20.0))
    assert [p.name for p in tmp_path.iterdir()] == ["step-000020"]


def test_nothing_saved_is_no_checkpoint(tmp_path):
    assert Checkpoints(tmp_path / "absent", "a").last() is None


def test_another_configuration_does_not_resume_and_replaces(tmp_path):
    Checkpoints(tmp_path, "a").save(30, {"x": torch.ones(1)}, {})
    other = Checkpoints(tmp_path, "b")
    assert other.last() is None
    other.save(10, {"x": torch.ones(1)}, {})
    assert [p.name for p in tmp_path.iterdir()] == ["step-000010"]


def test_what_a_killed_process_left_is_not_taken_for_a_checkpoint(tmp_path):
    store = Checkpoints(tmp_path, "a")
    store.save(10, {"x": torch.ones(1)}, {})
    unfinished = tmp_path / ".step-000020.abc"  # as kinora.files.atomic_folder names them
    unfinished.mkdir()
    (unfinished / "tensors.safetensors").write_bytes(b"half")
    assert store.last().step == 10
    store.save(30, {"x": torch.ones(1)}, {})
    assert [p.name for p in tmp_path.iterdir()] == ["step-000030"]


def test_a_failed_save_leaves_the_one_before(tmp_path):
    store = Checkpoints(tmp_path, "a")
    store.save(10, {"x": torch.ones(1)}, {})
    with pytest.raises(TypeError):
        store.save(20, {"x": torch.ones(1)}, {"cannot": object})
    assert store.last().step == 10
    assert [p.name for p in tmp_path.iterdir()] == ["step-000010"]


def test_a_restored_trainer_takes_the_same_next_steps():
    def trainer():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        matrices = [p for p in model.parameters() if p.ndim == 2]
        vectors = [p for p in model.parameters() if p.ndim == 1]
        return (
            model,
            [torch.optim.Muon(matrices, lr=0.1), torch.optim.AdamW(vectors, lr=0.1)],
            torch.Generator().manual_seed(1),
        )

    def steps(model, optimizers, generator, count):
        for _ in range(count):
            loss = (model(torch.randn(16, 4, generator=generator)) - 1).square().mean()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()

    whole = trainer()
    steps(*whole, 6)
    half, fresh = trainer(), trainer()
    steps(*half, 3)
    restore_trainer({k: v.clone() for k, v in trainer_tensors(*half).items()}, *fresh)
    steps(*fresh, 3)
    for expected, found in zip(whole[0].parameters(), fresh[0].parameters(), strict=True):
        assert torch.equal(expected, found)
