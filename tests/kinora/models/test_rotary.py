"""Rotary embedding in real numbers is multiplication of complex ones."""

import torch

from kinora.models.rotary import apply_rotary, rotary_embedding


def test_it_is_multiplication_of_complex_numbers():
    positions, x = torch.randn(7, 6) * 20, torch.randn(7, 3, 16)
    cos, sin = rotary_embedding(positions, 16)
    turned = torch.complex(*x.chunk(2, dim=-1)) * torch.polar(torch.ones_like(cos), torch.atan2(sin, cos))
    torch.testing.assert_close(apply_rotary(x, (cos, sin)), torch.cat([turned.real, turned.imag], dim=-1))


def test_its_gradient_is_the_rotation_back():
    x, rotation = torch.randn(5, 2, 16, requires_grad=True), rotary_embedding(torch.randn(5, 6), 16)
    out, grad = apply_rotary(x, rotation), torch.randn(5, 2, 16)
    back = torch.complex(*grad.chunk(2, dim=-1)) * torch.complex(rotation[0], -rotation[1])
    (found,) = torch.autograd.grad(out, x, grad)
    torch.testing.assert_close(found, torch.cat([back.real, back.imag], dim=-1))


def test_scores_depend_on_distance_only():
    q, k = torch.randn(1, 1, 16), torch.randn(1, 1, 16)

    def score(a, b):
        turned = [
            apply_rotary(x, rotary_embedding(torch.tensor([[*place, 0.0, 0.0, 0.0]]), 16))
            for x, place in ((q, a), (k, b))
        ]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(score((1.0, 2.0, 3.0), (2.0, 4.0, 2.0)), score((5.0, 0.0, 1.0), (6.0, 2.0, 0.0)))
    assert abs(score((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)) - score((0.0, 0.0, 0.0), (1.0, 0.0, 0.0))) > 1e-4


def test_no_angle_is_rounded_to_the_type_of_the_queries():
    positions, x = torch.full((1, 6), 1000.0), torch.randn(1, 1, 16).bfloat16()
    rotation = rotary_embedding(positions, 16)
    assert torch.equal(apply_rotary(x, rotation), apply_rotary(x.float(), rotation))
