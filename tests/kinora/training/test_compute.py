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
