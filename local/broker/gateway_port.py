"""What the clients' APIs need of a broker, and the three ways in which it can fail them."""

from __future__ import annotations

from typing import Any, Protocol

type Json = dict[str, Any]


class PartitionUnavailable(Exception):
    """Nothing was done: the partition has no leader that can be reached (503, UNAVAILABLE)."""


class OutcomeUnknown(Exception):
    """The command may have been done (504, DEADLINE_EXCEEDED)."""


class StorageUnavailable(Exception):
    """The secondary storage cannot be read or written (503); the message holds no secret."""


class Gateway(Protocol):
    """A broker as its clients' APIs see it."""

    @property
    def version(self) -> str:
        """Camunda's version: 8.9.16."""

    async def send(self, partition: int, command: Json, timeout: float = 10.0) -> Json:
        """Let the leader of a partition replicate a command.

        Gives the engine's result. Raises PartitionUnavailable or OutcomeUnknown.
        """

    def active_partitions(self) -> list[int]:
        """Give the partitions that get new instances."""

    def message_partitions(self) -> int:
        """Give the number of partitions over which messages are spread."""

    def next_partition(self) -> int:
        """Give the next partition with a leader, in turn. Raises PartitionUnavailable."""

    def topology(self) -> Json:
        """Give the body of `GET /v2/topology`."""

    def healthy(self) -> bool:
        """Whether a partition has a healthy leader."""

    async def search(self, what: str, query: Json) -> Json:
        """Search: `{"items": [...], "total": n}`. Raises StorageUnavailable."""
