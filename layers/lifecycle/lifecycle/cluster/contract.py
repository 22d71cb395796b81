"""The outputs of a cluster's stack: the contract between the stack and the functions.

``docs/contracts.md`` describes each. Functions read an output only by its attribute here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lifecycle.errors import StackNotUsable

_BEFORE_SERVICES_LEFT: Final = "1"


class Output:
    """An output as text. Reading one that is missing or empty raises ``StackNotUsable``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, outputs: ClusterOutputs, _owner: type[Any]) -> str:
        return outputs.required(self.name)


class _Number(Output):
    """The same as a number, which it has to be."""

    def __get__(self, outputs: ClusterOutputs, owner: type[Any]) -> int:  # type: ignore[override]
        value = super().__get__(outputs, owner)
        if not (value.isascii() and value.isdecimal()):
            raise _unusable(outputs, f"has no number in its output {self.name}: {value!r}")
        return int(value)


class ClusterOutputs(Mapping[str, str]):
    """The outputs by name, and typed. A stack that was never completed has none.

    An attribute raises ``StackNotUsable`` where the stack lacks its output, so that no function
    continues with an empty name. ``brokers`` and ``partitions`` are those that the stack was built
    with; scaling does not change them.
    """

    __slots__ = ("_values",)

    cluster_name = Output("ClusterName")
    ecs_cluster = Output("EcsClusterName")
    orchestration_service = Output("OrchestrationServiceName")
    connectors_service = Output("ConnectorsServiceName")
    rest_target_group = Output("RestTargetGroupArn")
    grpc_target_group = Output("GrpcTargetGroupArn")
    connectors_target_group = Output("ConnectorsTargetGroupArn")
    rest_url = Output("RestUrl")
    grpc_endpoint = Output("GrpcEndpoint")
    grpc_load_balancer = Output("GrpcLoadBalancerDnsName")
    discovery_name = Output("DiscoveryName")
    admin_user_secret = Output("AdminUserSecretArn")
    node_id_bucket = Output("NodeIdBucketName")
    backup_bucket = Output("BackupBucketName")
    database = Output("DatabaseClusterId")
    file_system = Output("FileSystemId")
    certificate = Output("CertificateArn")
    oidc_issuer = Output("OidcIssuer")
    oidc_token_url = Output("OidcTokenUrl")
    oidc_client_id = Output("OidcClientId")
    oidc_health_client_id = Output("OidcHealthClientId")
    oidc_health_secret = Output("OidcHealthSecretArn")
    orchestration_log_group = Output("OrchestrationLogGroup")
    connectors_log_group = Output("ConnectorsLogGroup")
    brokers = _Number("Brokers")
    connectors = _Number("Connectors")
    partitions = _Number("Partitions")
    replication_factor = _Number("ReplicationFactor")

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values: Final = dict(values or {})

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"ClusterOutputs({self._values!r})"

    def required(self, name: str) -> str:
        """Return an output. Raises ``StackNotUsable`` where it is missing or empty."""
        value = self.get(name, "")
        if not value:
            raise _unusable(self, f"has no output {name}")
        return value

    @property
    def complete(self) -> bool:
        """Whether the stack was completed: only then it has a contract."""
        return "ContractVersion" in self

    @property
    def adopted(self) -> bool:
        """Whether another tool owns the cluster's resources."""
        return self.get("Adopted") == "true"

    @property
    def uses_oidc(self) -> bool:
        """Whether an identity provider logs users in; the stacks before have no such output."""
        return self.get("Authentication") == "oidc"

    @property
    def has_services_inside(self) -> bool:
        """Whether the stack is of the former kind, which held the ECS services itself."""
        return self.get("ContractVersion") == _BEFORE_SERVICES_LEFT and not self.adopted

    @property
    def service_names(self) -> tuple[str, ...]:
        """The ECS services, the brokers' first; an adopted cluster may have no connectors."""
        names = (self.get("OrchestrationServiceName"), self.get("ConnectorsServiceName"))
        return tuple(name for name in names if name)


def _unusable(outputs: ClusterOutputs, fault: str) -> StackNotUsable:
    named = f" of cluster {outputs['ClusterName']}" if outputs.get("ClusterName") else ""
    return StackNotUsable(
        f"The stack{named} {fault}.",
        next_step="Check the outputs of the stack. Provision the cluster again; adopt it again if "
        "another tool created it.",
    )
