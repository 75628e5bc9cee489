"""Ranks that share a pack compute what one process computes: the estimate, and every gradient.

Run as a program by torchrun, this file is one of the ranks.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from kinora.data.packing import Segment, layout_of
from kinora.errors import UsageError
from kinora.models.dit import DiT, DiTConfig
from kinora.models.sequence_parallel import SequenceShard
from kinora.models.text_encoder import Text

GRIDS = [(3, 2, 2), (1, 2, 3), (3, 2, 2), (2, 3, 2), (1, 1, 1)]  # uneven shares
COUNT = sum(t * r * c for t, r, c in GRIDS)


def build():
    """Return a model with no zeroes in it."""
    torch.manual_seed(0)
    model = DiT(DiTConfig(latent_channels=4, width=32, depth=2, heads=4, text_width=8))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def estimate(model, shard):
    """Return the estimate of a pack, or the shard's rows of it."""
    generator = torch.Generator().manual_seed(1)
    layout = layout_of([Segment(grid, 2.0) for grid in GRIDS])
    count, clips = len(layout.segments), len(GRIDS)
    tokens = torch.randn(count, 16, generator=generator)
    times = torch.rand(len(layout.frame_segments) + clips, generator=generator)
    given = torch.rand(count, generator=generator) < 0.3
    mask = torch.arange(5) < torch.arange(1, clips + 1)[:, None]
    words, pooled = torch.randn(clips, 5, 8, generator=generator), torch.randn(clips, 8, generator=generator)
    return model(tokens, layout, times, given, Text(words, mask, pooled), shard)


def gradients(model, out, rows):
    """Return the gradients of a loss whose weight is another for every row."""
    weights = torch.arange(COUNT).sin()[rows, None]
    (out.square() * weights).sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def compute(folder):
    """What one rank does: keep its rows of the estimate, and its gradients of all weights."""
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    halves = [dist.new_group([0, 1]), dist.new_group([2, 3])]
    shards = {"all": SequenceShard(dist.group.WORLD, rank, 4), "two": SequenceShard(halves[rank // 2], rank % 2, 2)}
    for name, shard in shards.items():
        model = build()
        if name == "two":
            model.checkpoint_blocks()
        out, rows = estimate(model, shard), shard.rows(COUNT)
        share = {"rows": (rows.start, rows.stop), "out": out.detach(), "grads": gradients(model, out, rows)}
        torch.save(share, folder / f"{name}-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """What four ranks computed: all together, and in two groups of two with checkpointed blocks."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=4", __file__, folder]
    root = str(Path(__file__).parents[3])
    subprocess.run(command, check=True, timeout=600, env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"})
    return folder


def parts(folder, name, ranks):
    return [torch.load(folder / f"{name}-{rank}.pt") for rank in ranks]


@pytest.mark.parametrize(("name", "ranks"), [("all", (0, 1, 2, 3)), ("two", (0, 1)), ("two", (2, 3))])
def test_ranks_together_compute_what_one_process_does(computed, name, ranks):
    model = build()
    out = estimate(model, None)
    expected = gradients(model, out, slice(None))
    shares = parts(computed, name, ranks)
    assert [share["rows"][0] for share in shares[1:]] == [share["rows"][1] for share in shares[:-1]]
    torch.testing.assert_close(torch.cat([share["out"] for share in shares]), out.detach(), atol=1e-5, rtol=1e-4)
    for parameter, gradient in expected.items():
        total = sum(share["grads"][parameter] for share in shares if parameter in share["grads"])
        torch.testing.assert_close(total, gradient, atol=1e-4, rtol=1e-3, msg=lambda m, p=parameter: f"{p}: {m}")


def test_heads_that_cannot_be_shared_are_refused():
    with pytest.raises(UsageError, match="4 heads cannot be shared by 3 ranks"):
        SequenceShard(None, 0, 3).check(4)


def test_shares_cover_every_row_once():
    for count, size in ((43, 4), (3, 4), (8, 2)):
        rows = [n for rank in range(size) for n in range(count)[SequenceShard(None, rank, size).rows(count)]]
        assert rows == list(range(count))


if __name__ == "__main__":
    compute(Path(sys.argv[1]))
