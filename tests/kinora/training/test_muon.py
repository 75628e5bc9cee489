"""Muon against PyTorch's own, and its orthogonalisation against the singular value decomposition."""

import pytest
import torch

from kinora.training import muon
from kinora.training.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(32, 32), (64, 16), (16, 64)])
def test_singular_values_become_about_one_and_vectors_stay(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    values = (u.T @ orthogonalise(matrix).float() @ v.T).diagonal()
    assert values.min() > 0.5
    assert values.max() < 1.3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_goes_the_way_of_pytorch_s_own(dtype, monkeypatch):
    monkeypatch.setattr(muon, "compute_dtype", lambda: dtype)
    start = torch.randn(24, 40, generator=torch.Generator().manual_seed(1))
    weights = []
    for kind in (Muon, torch.optim.Muon):
        weight = torch.nn.Parameter(start.clone())
        optimizer = kind([weight], lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
        generator = torch.Generator().manual_seed(2)
        for _ in range(5):
            weight.grad = torch.randn(24, 40, generator=generator)
            optimizer.step()
        weights.append(weight.detach())
    moved = (weights[1] - start).norm()
    assert (weights[0] - weights[1]).norm() < (0.03 if dtype is torch.float32 else 1e-3) * moved
