"""CPU and memory of Fargate tasks: the pairs that AWS documents, and no other.

Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html
"""

from __future__ import annotations

import pytest
from lifecycle.errors import InvalidRequest
from lifecycle.provisioning.request import FARGATE_MEMORY, read_provision_request

from tests.support.declared import in_clear

# CPU units: the smallest and the largest memory in GiB, and the step between.
DOCUMENTED = {
    512: (1, 4, 1),
    1024: (2, 8, 1),
    2048: (4, 16, 1),
    4096: (8, 30, 1),
    8192: (16, 60, 4),
    16384: (32, 120, 8),
}


def test_the_smallest_size_has_three_memories() -> None:
    assert tuple(FARGATE_MEMORY[256]) == (512, 1024, 2048)


@pytest.mark.parametrize("cpu", DOCUMENTED)
def test_each_size_has_the_memories_that_aws_documents(cpu: int) -> None:
    least, most, step = DOCUMENTED[cpu]
    documented = [gib * 1024 for gib in range(least, most + 1, step)]
    assert list(FARGATE_MEMORY[cpu]) == documented


def test_there_is_no_other_size() -> None:
    assert set(FARGATE_MEMORY) == {256, *DOCUMENTED}


@pytest.mark.parametrize("cpu", sorted(set(DOCUMENTED) - {512}))
def test_a_request_may_ask_for_the_largest_and_no_larger(cpu: int) -> None:
    most = DOCUMENTED[cpu][1] * 1024

    def ask(memory: int) -> None:
        given = {"BrokerCpu": str(cpu), "BrokerMemory": memory}
        read_provision_request({"clusterName": "demo", "parameters": given}, in_clear())

    ask(most)
    with pytest.raises(InvalidRequest, match="BrokerMemory"):
        ask(most + 8192)
