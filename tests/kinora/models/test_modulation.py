"""Modulation by rows of a table: the formula, its gradients, and what is kept for them."""

import pytest
import torch
import torch.nn.functional as F

from kinora.models.modulation import Rows, gated_add, modulate

INDEX = torch.tensor([0, 0, 2, 1, 1, 1, 2])


@pytest.mark.parametrize("on_accelerator", [False, True])
def test_it_is_the_formula_and_so_are_its_gradients(on_accelerator):
    rows = Rows(INDEX, F.one_hot(INDEX, 4).double() if on_accelerator else None)
    x, update = (torch.randn(7, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    shift, scale = (torch.randn(4, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    torch.testing.assert_close(modulate(x, shift, scale, rows), F.layer_norm(x, (6,)) * scale[INDEX] + shift[INDEX])
    torch.testing.assert_close(gated_add(x, update, shift, rows), x + update * shift[INDEX])
    assert torch.autograd.gradcheck(lambda *a: modulate(*a, rows), (x, shift, scale))
    assert torch.autograd.gradcheck(lambda *a: gated_add(*a, rows), (x, update, shift))


def test_no_copy_of_a_table_is_kept_for_each_token():
    kept = []
    x, update = torch.randn(7, 6, requires_grad=True), torch.randn(7, 6, requires_grad=True)
    shift, scale = torch.randn(4, 6, requires_grad=True), torch.randn(4, 6, requires_grad=True)
    rows = Rows.of(INDEX, 4, torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        gated_add(modulate(x, shift, scale, rows), update, scale, rows)
    large = [t for t in kept if t.shape == x.shape]
    assert {t.data_ptr() for t in large} == {x.data_ptr(), update.data_ptr()}


def test_sums_over_many_tokens_are_not_kept_in_bfloat16():
    shift, scale = torch.zeros(1, 2).bfloat16().requires_grad_(), torch.ones(1, 2).bfloat16().requires_grad_()
    modulate(
        torch.randn(5000, 2).bfloat16(), shift, scale, Rows.of(torch.zeros(5000).long(), 1, torch.bfloat16)
    ).sum().backward()
    torch.testing.assert_close(shift.grad.float(), torch.full((1, 2), 5000.0), rtol=2**-7, atol=0)
