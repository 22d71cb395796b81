"""Ports of this room: Camunda and the ways to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.camunda.credentials import Credentials
    from lifecycle.camunda.partitions import BackupsSeen, PartitionSeen
    from lifecycle.camunda.paths import PathSeen
    from lifecycle.camunda.topology import ClusterConfiguration, PlannedChange, Readiness, Topology


class Probe(Protocol):
    """The function inside the VPC, asked from outside it."""

    def query(
        self, question: str, cluster: Mapping[str, str], **arguments: object
    ) -> Mapping[str, Any]:
        """Return the answer about a cluster, given its stack's outputs; see ``probe_cluster``.

        ``arguments`` are those of the question, as JSON values.
        """
        ...


class ManagementApi(Protocol):
    """Camunda's management API and topology of one cluster, asked from inside the VPC.

    Every call raises ``ManagementUnavailable`` when no broker could answer.
    """

    def addresses(self) -> tuple[str, ...]:
        """Addresses that the cluster's discovery name has now."""
        ...

    def configuration(self) -> ClusterConfiguration:
        """Who belongs to the cluster and which change is under way; says nothing of liveness."""
        ...

    def topology(self, credentials: Credentials | None = None) -> Topology:
        """What the gateways see. Raises ``ManagementRefused`` when credentials are not right."""
        ...

    def topology_of(self, address: str, credentials: Credentials | None = None) -> Topology:
        """What the gateway at an address sees. Raises as ``topology`` does."""
        ...

    def readiness(self, address: str) -> Readiness:
        """Whether the broker at an address is ready; does not raise when it is not there."""
        ...

    def partitions(self, address: str) -> tuple[PartitionSeen, ...]:
        """Return what the broker at an address reports of its own partitions."""
        ...

    def upgrade_readiness(self, address: str) -> tuple[str, ...]:
        """What one broker has not ended for the next minor version, or that it does not report."""
        ...

    def backups(self) -> BackupsSeen:
        """Each partition's latest backup."""
        ...

    def plan_brokers(self, count: int) -> PlannedChange:
        """What scaling to the brokers ``0 … count-1`` would do; changes nothing.

        Raises ``ManagementRefused`` or ``ChangeInProgress``.
        """
        ...

    def scale_brokers(self, count: int) -> PlannedChange:
        """Start scaling to the brokers ``0 … count-1``.

        Raises ``ManagementRefused`` or ``ChangeInProgress`` when nothing was changed, and
        ``ManagementOutcomeUnknown`` when the configuration has to be read to know what happened.
        """
        ...

    def plan_partitions(self, count: int) -> PlannedChange:
        """What adding partitions up to ``count`` would do; changes nothing. Raises as above."""
        ...

    def scale_partitions(self, count: int) -> PlannedChange:
        """Start adding partitions up to ``count``. Raises as ``scale_brokers`` does."""
        ...

    def back_up(self) -> int:
        """Start a backup of the primary storage; gives its id.

        Raises ``ManagementRefused``, ``ChangeInProgress`` or ``ManagementOutcomeUnknown``.
        """
        ...

    def backup_state(self, backup: int) -> str:
        """State of one backup in Camunda's words; ``DOES_NOT_EXIST`` where it knows none."""
        ...


class Users(Protocol):
    """Users of Camunda and the database's admin, each in a secret."""

    def credentials(self, secret_arn: str) -> Credentials:
        """Read a user's name and password. Raises ``SecretUnreadable``."""
        ...


class Paths(Protocol):
    """Paths through the load balancers, asked as a user would; raises what ended the asking."""

    def http(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        networks: Sequence[str] = (),
    ) -> PathSeen:
        """``GET``: whether the answer is 200, and what was seen, in words."""
        ...

    def page(self, url: str) -> PathSeen:
        """``GET`` as a browser: whether the answer is 200 and HTML, and what was seen."""
        ...

    def grpc(self, host: str, port: int, *, tls: bool, name: str = "") -> PathSeen:
        """Whether a gRPC server answers, with a certificate of ``name`` (default: the host)."""
        ...
