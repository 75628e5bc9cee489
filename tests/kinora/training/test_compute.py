"""What is said of machines and processes fits together."""

import pytest

from kinora.errors import UsageError
from kinora.training.compute import Compute


def test_processes_of_all_nodes_share_packs_in_groups():
    compute = Compute(nodes=2, processes=4, sequence_parallel=2)
    assert (compute.world_size, compute.receivers) == (8, 4)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"processes": 0}, "processes is 0"),
        ({"zero_stage": 4}, "zero_stage is 4"),
        ({"processes": 4, "sequence_parallel": 3}, "does not divide the 4 processes"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(values, words):
    with pytest.raises(UsageError, match=words):
        Compute(**values)


@pytest.mark.parametrize(
    ("asked", "gpus", "processes"),
    [
        (Compute(processes=2), 8, 2),
        (Compute(processes=2), 1, 1),
        (Compute(nodes=2, processes=4), 4, 4),
        (Compute(processes=8, sequence_parallel=2), 5, 4),
    ],
)
def test_fewer_gpus_than_asked_are_used_as_they_are(asked, gpus, processes):
    found = asked.on_gpus(gpus)
    assert found.processes == processes
    assert found == asked or found.nodes == 1


def test_a_pack_that_is_shared_by_more_than_there_are_is_refused():
    with pytest.raises(UsageError, match="this machine has 1 GPUs"):
        Compute(processes=2, sequence_parallel=2).on_gpus(1)
