"""Every kernel of attention over packed sequences is the formula with a dense mask, and so are its gradients."""

import pytest
import torch
import torch.nn.attention.flex_attention as flex_module
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode

from kinora.models.attention import VarlenMetadata, grouped_attention, needs_flex, varlen_attention, word_metadata

LENGTHS = [[5, 5, 3, 1, 1], [7], [130, 4, 4, 200, 60, 60], [1, 1, 1]]


def cumulative(lengths):
    return F.pad(torch.tensor(lengths).cumsum(0), (1, 0)).int()


def itself(lengths):
    cu_seq = cumulative(lengths)
    return VarlenMetadata(cu_seq, cu_seq, max(lengths), max(lengths))


def words_of(lengths, words, places):
    mask = torch.arange(places) < torch.tensor(words)[:, None]
    return word_metadata(cumulative(lengths), max(lengths), mask)


def dense(q, k, v, metadata):
    """softmax(QK^T / sqrt(K)) V where the key's segment is the query's, -inf elsewhere."""
    sides = [
        torch.repeat_interleave(torch.arange(len(cu_seq) - 1), cu_seq.diff())
        for cu_seq in (metadata.cu_seq_q, metadata.cu_seq_k)
    ]
    scores = torch.einsum("nhk,mhk->hnm", q, k) / q.shape[-1] ** 0.5
    scores = scores.masked_fill(sides[0][:, None] != sides[1], float("-inf"))
    return torch.einsum("hnm,mhk->nhk", scores.softmax(-1), v)


def sides_of(metadata, heads=2, head=16, dtype=torch.float32):
    queries, keys = int(metadata.cu_seq_q[-1]), int(metadata.cu_seq_k[-1])
    return [torch.randn(n, heads, head, dtype=dtype, requires_grad=True) for n in (queries, keys, keys)]


def assert_same_function(metadata, reference, sides):
    ours, theirs = varlen_attention(*sides, metadata), dense(*sides, reference)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    grad = torch.randn_like(ours)
    for mine, other in zip(
        torch.autograd.grad(ours, sides, grad), torch.autograd.grad(theirs, sides, grad), strict=True
    ):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-4)


PACKS = [
    *(itself(lengths) for lengths in LENGTHS),
    words_of([5, 5, 3, 1], [2, 4, 4, 1], 4),
    words_of([6, 6, 6], [3, 3, 3], 3),
    words_of([6, 2], [0, 2], 3),  # a sentence without words sees one padding
    words_of([0, 3, 0, 3], [2, 1, 2, 3], 3),  # what a rank that holds a part of a pack sees
]


@pytest.mark.parametrize("metadata", PACKS)
def test_groups_on_a_cpu_are_the_formula(metadata):
    assert_same_function(metadata, metadata, sides_of(metadata))


@pytest.mark.parametrize("metadata", PACKS)
def test_flex_attention_is_the_formula(metadata, monkeypatch):
    """PyTorch refuses FlexAttention's backward on a CPU, where its unfused form is right."""
    monkeypatch.setattr(flex_module, "_validate_device", lambda *_: None)
    monkeypatch.setattr("kinora.models.attention._flex", lambda: flex_module.flex_attention)
    sides = sides_of(metadata)
    assert_same_function(metadata.with_block_mask(len(sides[0]), len(sides[1])), metadata, sides)


@pytest.mark.parametrize("metadata", PACKS)
def test_blocks_that_flex_attention_leaves_out_hold_nothing_visible(metadata):
    queries, keys = int(metadata.cu_seq_q[-1]), int(metadata.cu_seq_k[-1])
    mask = metadata.with_block_mask(queries, keys).block_mask
    made = flex_module.create_block_mask(mask.mask_mod, 1, 1, queries, keys, device="cpu")
    computed = mask.to_dense()[0, 0].bool()
    assert not (made.to_dense()[0, 0].bool() & ~computed).any()
    whole = [
        {(n, int(k)) for n, count in enumerate(m.full_kv_num_blocks[0, 0]) for k in m.full_kv_indices[0, 0, n, :count]}
        for m in (mask, made)
    ]
    assert whole[0] <= whole[1]


def test_the_operator_keeps_its_promises_to_autograd_and_compile():
    metadata = words_of([3, 3, 2], [1, 2, 2], 2)
    arguments = (*sides_of(metadata, dtype=torch.float64), metadata.cu_seq_q, metadata.cu_seq_k)
    torch.library.opcheck(grouped_attention, arguments)
    assert torch.autograd.gradcheck(lambda q, k, v: grouped_attention(q, k, v, *arguments[3:])[0], arguments[:3])


@pytest.mark.parametrize("most", [0, 2**20])
@pytest.mark.parametrize("metadata", PACKS)
def test_bfloat16_on_a_cpu_is_the_formula_to_its_precision(metadata, most, monkeypatch):
    """Whether backward holds the scores (of segments with few enough) or goes through them a part at a time."""
    monkeypatch.setattr("kinora.models.attention.SCORES", most)
    small = [side.detach().bfloat16().requires_grad_() for side in sides_of(metadata)]
    exact = [side.detach().float().requires_grad_() for side in small]
    ours, theirs = varlen_attention(*small, metadata), dense(*exact, metadata)
    assert ours.dtype is torch.bfloat16
    grad = torch.randn_like(theirs).bfloat16()
    pairs = zip(
        (ours, *torch.autograd.grad(ours, small, grad)),
        (theirs, *torch.autograd.grad(theirs, exact, grad.float())),
        strict=True,
    )
    for mine, other in pairs:
        torch.testing.assert_close(mine.float(), other, rtol=2**-6, atol=2**-6 * float(other.detach().abs().max()))


def test_kernel_by_device_and_type(monkeypatch):
    cpu, cuda = torch.device("cpu"), torch.device("cuda", 0)
    assert not needs_flex(cpu, torch.float32, 32)
    monkeypatch.setattr(torch.backends.cuda, "is_flash_attention_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert not needs_flex(cuda, torch.bfloat16, 64)
    assert needs_flex(cuda, torch.float32, 64)
    assert needs_flex(cuda, torch.bfloat16, 36)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert needs_flex(cuda, torch.bfloat16, 64)


def test_flash_attention_is_called_as_it_wants_to_be_on_cuda():
    """Fake tensors of a CUDA device; their autograd needs a real one, and goes through the meta device instead."""
    with FakeTensorMode(), torch.no_grad():
        cu_seq = torch.empty(4, dtype=torch.int32, device="cuda")
        k, v = (torch.empty(9, 2, 16, dtype=torch.bfloat16, device="cuda") for _ in range(2))
        out = varlen_attention(k.float(), k, v, VarlenMetadata(cu_seq, cu_seq, 5, 5))
        assert (out.shape, out.dtype, out.device.type) == (v.shape, torch.bfloat16, "cuda")
    cu_seq = torch.empty(4, dtype=torch.int32, device="meta")
    sides = [torch.empty(9, 2, 16, dtype=torch.bfloat16, device="meta", requires_grad=True) for _ in range(3)]
    out = varlen_attention(*sides, VarlenMetadata(cu_seq, cu_seq, 5, 5))
    for side, grad in zip(sides, torch.autograd.grad(out.sum(), sides), strict=True):
        assert (grad.shape, grad.dtype) == (side.shape, torch.bfloat16)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("metadata", PACKS)
def test_kernels_on_cuda_agree_with_the_cpu(metadata):
    on_gpu = VarlenMetadata(metadata.cu_seq_q.cuda(), metadata.cu_seq_k.cuda(), metadata.max_q, metadata.max_k)
    sides = sides_of(metadata)
    expected = dense(*sides, metadata)
    grad = torch.randn_like(expected)
    wanted = [expected, *torch.autograd.grad(expected, sides, grad)]
    flex = on_gpu.with_block_mask(len(sides[0]), len(sides[1]))
    for kernel, dtype, tolerance in ((on_gpu, torch.bfloat16, 3e-2), (flex, torch.float32, 1e-2)):
        moved = [side.detach().to("cuda", dtype).requires_grad_() for side in sides]
        out = varlen_attention(*moved, kernel)
        got = [out, *torch.autograd.grad(out, moved, grad.to("cuda", dtype))]
        for mine, other in zip(got, wanted, strict=True):
            torch.testing.assert_close(mine.float().cpu(), other, atol=tolerance, rtol=tolerance)
