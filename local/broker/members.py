"""Live brokers, their addresses and partitions: passed on from broker to broker.

Each broker raises its own beat and exchanges what it knows with all that it knows and with the
initial contact points. One whose beat stands still for `FAILURE_SECONDS` is taken for dead: 10 to
15 s on a real cluster (`membership.failure-timeout`; a killed broker left the topology after 15 s),
shortened here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

type Json = dict[str, Any]

FAILURE_SECONDS = 3.0
EXCHANGE_SECONDS = 0.4


@dataclass
class Peer:
    """A broker process; `incarnation` is when it started, in ms, and `partitions` is by id."""

    node_id: int
    address: str
    incarnation: int
    version: str
    lease_version: int
    beat: int = 0
    partitions: dict[str, Json] = field(default_factory=dict)


class Members:
    """What one broker knows of all."""

    def __init__(self, me: Peer) -> None:
        self.me = me
        self._peers: dict[int, Peer] = {me.node_id: me}
        self._advanced: dict[int, float] = {}

    def beat(self, partitions: dict[str, Json]) -> None:
        """Count a beat of this broker, with what its partitions do now."""
        self.me.beat += 1
        self.me.partitions = partitions

    def live(self) -> dict[int, Peer]:
        """Give the brokers that are taken to be alive."""
        now = time.monotonic()
        return {
            node: peer
            for node, peer in self._peers.items()
            if node == self.me.node_id or now - self._advanced[node] < FAILURE_SECONDS
        }

    def leader(self, partition: int) -> Peer | None:
        """Give the broker that leads a partition: of several that claim it, the newest term."""
        claims = [
            (peer.partitions[str(partition)]["term"], peer.node_id, peer)
            for peer in self.live().values()
            if peer.partitions.get(str(partition), {}).get("role") == "leader"
        ]
        return max(claims)[2] if claims else None

    def tell(self) -> list[Json]:
        """Give what is passed on."""
        return [vars(peer) for peer in self._peers.values()]

    def hear(self, peers: Iterable[Json]) -> None:
        """Take over what is newer. No other member knows this broker better than itself."""
        for one in peers:
            peer = Peer(**one)
            known = self._peers.get(peer.node_id)
            stamp = (peer.incarnation, peer.beat)
            if peer.node_id == self.me.node_id:
                continue
            if known is None or stamp > (known.incarnation, known.beat):
                self._peers[peer.node_id] = peer
                self._advanced[peer.node_id] = time.monotonic()
