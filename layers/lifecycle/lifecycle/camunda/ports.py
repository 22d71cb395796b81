"""Ports of this room: Camunda and the paths to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.camunda.credentials import Credentials
    from lifecycle.camunda.partitions import BackupStatus, PartitionStatus
    from lifecycle.camunda.paths import PathSeen
    from lifecycle.camunda.topology import ClusterConfiguration, PlannedChange, Readiness, Topology


class Probe(Protocol):
    """The function inside the VPC, invoked from outside it."""

    def query(
        self, question: str, cluster: Mapping[str, str], **arguments: object
    ) -> Mapping[str, Any]:
        """Return the answer about a cluster, given its stack's outputs; see ``probe_cluster``.

        ``arguments`` are those of the question, as JSON values.
        """
        ...


class ManagementApi(Protocol):
    """Camunda's management API and topology of one cluster, requested from inside the VPC.

    Every call raises ``ManagementUnavailable`` when no broker could answer.
    """

    def addresses(self) -> tuple[str, ...]:
        """Return the addresses that the cluster's discovery name has now."""
        ...

    def configuration(self) -> ClusterConfiguration:
        """Return members and the change in progress; it does not show whether members run."""
        ...

    def topology(self, credentials: Credentials | None = None) -> Topology:
        """Return the gateways' topology. Raises ``ManagementRefused`` for wrong credentials."""
        ...

    def topology_of(self, address: str, credentials: Credentials | None = None) -> Topology:
        """Return the topology of the gateway at an address. Raises as ``topology`` does."""
        ...

    def readiness(self, address: str) -> Readiness:
        """Return whether the broker at an address is ready; does not raise when it is not there."""
        ...

    def partitions(self, address: str) -> tuple[PartitionStatus, ...]:
        """Return what the broker at an address reports of its own partitions."""
        ...

    def meters(self, address: str) -> str:
        """Return what the broker at an address measures, in Prometheus' text format."""
        ...

    def upgrade_readiness(self, address: str) -> tuple[str, ...]:
        """Return what one broker lacks for the next minor version, or that it reports nothing."""
        ...

    def backups(self) -> BackupStatus:
        """Return each partition's latest backup."""
        ...

    def plan_brokers(self, count: int) -> PlannedChange:
        """Return what scaling to the brokers ``0 … count-1`` would do; changes nothing.

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
        """Return what adding partitions up to ``count`` would do (dry run). Raises as above."""
        ...

    def scale_partitions(self, count: int) -> PlannedChange:
        """Start adding partitions up to ``count``. Raises as ``scale_brokers`` does."""
        ...

    def back_up(self) -> int:
        """Start a backup of the primary storage and return its id.

        Raises ``ManagementRefused``, ``ChangeInProgress`` or ``ManagementOutcomeUnknown``.
        """
        ...

    def backup_state(self, backup: int) -> str:
        """Return Camunda's state of one backup; ``DOES_NOT_EXIST`` for an unknown one."""
        ...


class Users(Protocol):
    """Users of Camunda and the database's admin, each in a secret."""

    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        """Read name and password of a user of the cluster of that name.

        Raises ``SecretRefused`` for a secret that is not the cluster's by its tags, and
        ``SecretUnreadable``.
        """
        ...


class Paths(Protocol):
    """Paths through the load balancers, requested as users do; raises what ended a request."""

    def http(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        networks: Sequence[str] = (),
        balancer: str = "",
    ) -> PathSeen:
        """Send ``GET`` and return whether the response is 200, with the result as text.

        ``balancer`` is AWS's name of the load balancer to which the request goes, by default the
        URL's host. The certificate is that of the URL's host.
        """
        ...

    def page(self, url: str) -> PathSeen:
        """Send ``GET`` as a browser and return whether the response is 200 and HTML."""
        ...

    def grpc(self, host: str, port: int, *, tls: bool, name: str = "") -> PathSeen:
        """Return whether a gRPC server responds; its certificate is for ``name`` (or the host)."""
        ...
