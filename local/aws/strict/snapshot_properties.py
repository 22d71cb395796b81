"""A cluster that is restored from a snapshot has its master user and encryption from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import provisioners
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_KIND: Final = "AWS::RDS::DBCluster"
INHERITED: Final = ("MasterUserPassword", "MasterUsername", "StorageEncrypted")


def install(_strictness: Strictness) -> None:
    """Check before a cluster is created; a replacement is created, too."""
    handlers = provisioners.RESOURCE_HANDLERS[_KIND]
    own = handlers["create"]

    def create(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        if refused := refusal(properties):
            raise ValueError(refused)
        return own(logical_id, properties, stack)

    handlers["create"] = create


def refusal(properties: Mapping[str, Any]) -> str:
    """Why a cluster with these properties cannot be restored; empty if it can."""
    if not properties.get("SnapshotIdentifier"):
        return ""
    wrong = [name for name in INHERITED if name in properties]
    if not wrong:
        return ""
    return (
        f"{', '.join(wrong)} cannot be specified with SnapshotIdentifier: the value is inherited"
        " from the snapshot."
    )


RULE: Final = Rule(
    name="snapshot-properties",
    does="A cluster with `SnapshotIdentifier` inherits master user, password and encryption from"
    " the snapshot; `MasterUsername`, `MasterUserPassword` and `StorageEncrypted` must not be"
    " specified beside it.",
    source="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbcluster.html",
    caught="nothing yet.",
    install=install,
)
