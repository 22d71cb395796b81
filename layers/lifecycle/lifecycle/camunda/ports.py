"""Ports of this room: Camunda and the paths to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.camunda.backups import BackupsSeen
    from lifecycle.camunda.credentials import Credentials, Login, Token
    from lifecycle.camunda.identity import Client, Discovery, Keys
    from lifecycle.camunda.partitions import BackupStatus, PartitionStatus
    from lifecycle.camunda.paths import PathSeen, SignIn
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

    def topology(self, login: Login | None = None) -> Topology:
        """Return the gateways' topology. Raises ``ManagementRefused`` for wrong credentials."""
        ...

    def topology_of(self, address: str, login: Login | None = None) -> Topology:
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
        """Return each partition's latest backup and its ranges of backups."""
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

    def list_backups(self) -> BackupsSeen:
        """Return the backups and the times that they cover; not what partitions there are."""
        ...

    def back_up(self, backup: int | None = None) -> int:
        """Start a backup of the primary storage and return its id.

        With continuous backups Camunda makes the id, without them ``backup`` is it. Raises
        ``ManagementRefused``, ``ChangeInProgress`` or ``ManagementOutcomeUnknown``.
        """
        ...

    def backup_state(self, backup: int) -> str:
        """Return Camunda's state of one backup; ``DOES_NOT_EXIST`` for an unknown one."""
        ...

    def delete_backup(self, backup: int) -> None:
        """Delete a backup; one that is gone stays so.

        Raises ``ManagementRefused`` or ``ManagementOutcomeUnknown``.
        """
        ...


class Users(Protocol):
    """Users of Camunda and the database's admin, each in a secret."""

    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        """Read name and password of a user of the cluster of that name.

        Raises ``SecretRefused`` for a secret that is not the cluster's by its tags, and
        ``SecretUnreadable``.
        """
        ...


class LoginSource(Protocol):
    """How the functions log in to one cluster."""

    @property
    def named(self) -> str:
        """What Camunda rejects if it rejects the login, in words that end a sentence."""
        ...

    def login(self) -> Login:
        """Return the login for brokers, of which some may still have another method.

        Raises ``SecretRefused``, ``SecretUnreadable``, ``TokenRefused`` and
        ``IdentityProviderUnreachable``.
        """
        ...

    def newest(self) -> Login:
        """Return the login of the method that the cluster's stack names, alone; raises as above."""
        ...

    def forget(self) -> bool:
        """Drop what was kept of an earlier login; return whether another attempt has a new one."""
        ...


class Tokens(Protocol):
    """Access tokens of clients, kept until shortly before they expire."""

    def token(self, client: Client) -> Token:
        """Return a token. Raises as ``LoginSource.login`` does."""
        ...

    def forget(self, client: Client) -> bool:
        """Drop the token of a client unless it is young; return whether it was dropped."""
        ...


class ClientSecrets(Protocol):
    """Secrets of clients of identity providers, each with the URL to which it may be sent."""

    def secret(self, secret_arn: str, cluster: str, token_url: str) -> str:
        """Read the secret of a client of the cluster of that name, for one token endpoint.

        Raises ``SecretRefused`` for a secret that is not the cluster's, or not for that URL, by its
        tags, and ``SecretUnreadable``.
        """
        ...


class IdentityProvider(Protocol):
    """An OpenID Connect provider. Raises ``IdentityProviderUnreachable``."""

    def discovery(self, issuer: str) -> Discovery:
        """Read the provider's configuration document."""
        ...

    def keys(self, url: str) -> Keys:
        """Read the keys with which it signs."""
        ...


class Paths(Protocol):
    """Paths through the load balancers, requested as users do; raises what ended a request."""

    def http(
        self,
        url: str,
        *,
        login: Login | None = None,
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

    def sign_in(self, url: str, wanted: SignIn) -> PathSeen:
        """Follow redirects of the URL's own host as a browser; return whether they lead there."""
        ...

    def grpc(self, host: str, port: int, *, tls: bool, name: str = "") -> PathSeen:
        """Return whether a gRPC server responds; its certificate is for ``name`` (or the host)."""
        ...
