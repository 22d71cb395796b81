"""Remove a run's resources, and list what AWS still holds and until when.

Resources that outlive their stack are found by the inventory the run took of each stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from acceptance.control import ask, delete_stack, ended, operate, stack, stack_status, take_stock
from acceptance.run import CannotGoOn

if TYPE_CHECKING:
    from acceptance.run import Run

# The shortest that KMS takes.
KEY_DAYS: Final = 7
_ABSENT: Final = ("NotFound", "NoSuch", "404")
_GONE: Final = "gone"

type Clients = Callable[[str], Any]


@dataclass(frozen=True)
class Held:
    """Something that still exists. ``until``: when AWS removes it automatically; empty: never."""

    type: str
    id: str
    until: str = ""

    @property
    def words(self) -> str:
        """Give it for people."""
        end = f", removed by AWS on {self.until}" if self.until else ""
        return f"{self.type.removeprefix('AWS::')} {self.id}{end}"


@dataclass(frozen=True)
class _Kind:
    """How a type is looked for (gives ``gone``, a date, or nothing) and removed."""

    look: Callable[[Clients, str], str]
    remove: Callable[[Clients, str], Any]


def _bucket_gone(clients: Clients, name: str) -> str:
    clients("s3").head_bucket(Bucket=name)
    return ""


def _remove_bucket(clients: Clients, name: str) -> None:
    s3 = clients("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        if objects:
            s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
    s3.delete_bucket(Bucket=name)


def _file_system(clients: Clients, name: str) -> str:
    found = clients("efs").describe_file_systems(FileSystemId=name)["FileSystems"]
    return "" if found else _GONE


def _remove_file_system(clients: Clients, name: str) -> None:
    efs = clients("efs")
    for target in efs.describe_mount_targets(FileSystemId=name)["MountTargets"]:
        efs.delete_mount_target(MountTargetId=target["MountTargetId"])
    efs.delete_file_system(FileSystemId=name)


def _log_group(clients: Clients, name: str) -> str:
    found = clients("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return "" if any(one["logGroupName"] == name for one in found) else _GONE


def _key(clients: Clients, name: str) -> str:
    found = clients("kms").describe_key(KeyId=name)["KeyMetadata"]
    if found["KeyState"] != "PendingDeletion":
        return ""
    # The emulator gives no date.
    return str(found.get("DeletionDate") or f"a day within {KEY_DAYS} days")[:25]


def _secret(clients: Clients, name: str) -> str:
    found = clients("secretsmanager").describe_secret(SecretId=name)
    return str(found["DeletedDate"])[:25] if found.get("DeletedDate") else ""


def _table(clients: Clients, name: str) -> str:
    found = clients("dynamodb").describe_table(TableName=name)["Table"]
    return _GONE if found["TableStatus"] == "DELETING" else ""


def _snapshots(clients: Clients, name: str) -> list[str]:
    api = clients("rds")
    pages = api.get_paginator("describe_db_cluster_snapshots").paginate(
        DBClusterIdentifier=name, SnapshotType="manual"
    )
    return [
        one["DBClusterSnapshotIdentifier"]
        for page in pages
        for one in page["DBClusterSnapshots"]
        if one["DBClusterIdentifier"] == name
    ]


def _remove_snapshots(clients: Clients, name: str) -> None:
    for one in _snapshots(clients, name):
        clients("rds").delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=one)


def _layer(clients: Clients, arn: str) -> str:
    clients("lambda").get_layer_version_by_arn(Arn=arn)
    return ""


def _remove_layer(clients: Clients, arn: str) -> None:
    name, version = arn.split(":")[-2:]
    clients("lambda").delete_layer_version(LayerName=name, VersionNumber=int(version))


KINDS: Final[Mapping[str, _Kind]] = {
    "AWS::S3::Bucket": _Kind(_bucket_gone, _remove_bucket),
    "AWS::EFS::FileSystem": _Kind(_file_system, _remove_file_system),
    "AWS::RDS::DBCluster": _Kind(lambda c, i: "" if _snapshots(c, i) else _GONE, _remove_snapshots),
    "AWS::DynamoDB::Table": _Kind(_table, lambda c, i: c("dynamodb").delete_table(TableName=i)),
    "AWS::Logs::LogGroup": _Kind(
        _log_group, lambda c, i: c("logs").delete_log_group(logGroupName=i)
    ),
    "AWS::SecretsManager::Secret": _Kind(
        _secret,
        lambda c, i: c("secretsmanager").delete_secret(SecretId=i, ForceDeleteWithoutRecovery=True),
    ),
    "AWS::Lambda::LayerVersion": _Kind(_layer, _remove_layer),
    # Last: they decrypt everything else.
    "AWS::KMS::Key": _Kind(
        _key,
        lambda c, i: c("kms").schedule_key_deletion(KeyId=i, PendingWindowInDays=KEY_DAYS),
    ),
}
# Retained deliberately, because others may depend on it.
SHARED: Final = (
    "the bucket of the stack aws-sam-cli-managed-default, where sam uploads artifacts",
    "the role with which API Gateway writes logs: one setting for the whole account and region",
    "inactive revisions of task definitions, which cost nothing",
)


def look(clients: Clients, kind: str, identifier: str) -> Held | None:
    """Check whether something of a known type still exists."""
    try:
        found = KINDS[kind].look(clients, identifier)
    except ClientError as error:
        if any(word in error.response["Error"]["Code"] for word in _ABSENT):
            return None
        raise
    return None if found == _GONE else Held(kind, identifier, found)


def retained(run: Run, name: str = "") -> list[Held]:
    """Give what still exists of a stack that is gone, or of all stacks of the run."""
    chosen = [name] if name else list(run.state["inventory"])
    # In the order of KINDS, each once.
    wanted = dict.fromkeys(
        (kind, one["id"])
        for kind in KINDS
        for made in chosen
        for one in run.state["inventory"].get(made, [])
        if one["type"] == kind
    )
    found = (look(run.target.client, kind, identifier) for kind, identifier in wanted)
    return [one for one in found if one]


def to_remove(held: list[Held]) -> list[Held]:
    """Return what has to be removed manually: what AWS does not remove automatically."""
    return [one for one in held if not one.until]


def clean(run: Run) -> bool:
    """Remove clusters, control plane and everything they retain; returns whether all is gone."""
    take_stock(run)
    _remove_obstacle(run)
    for name in run.fact("clusters", []):
        if stack_status(run, f"{run.stack}-{name}") is not None:
            _remove_cluster(run, name)
    standing = [n for n in run.fact("clusters", []) if stack_status(run, f"{run.stack}-{n}")]
    if not run.check("existing clusters", expected=[], seen=standing):
        return False
    if _owned(run):
        status = delete_stack(run, run.stack)
        if not run.check("control stack", expected="DELETE_COMPLETE", seen=status):
            return False
    for one in to_remove(retained(run)):
        run.progress(f"removing {one.words}")
        try:
            KINDS[one.type].remove(run.target.client, one.id)
        except ClientError as error:
            run.progress(f"not removed: {error}")
    left = run.eventually(lambda: to_remove(retained(run)), lambda seen: not seen, 120)
    run.check("remaining, and billed", expected=[], seen=[one.words for one in left])
    holds = [one.words for one in retained(run) if one.until]
    run.remember(awsHolds=holds, cleaned=not left)
    for words in holds:
        run.progress(f"AWS holds {words}")
    for words in SHARED:
        run.progress(f"retained deliberately: {words}")
    return not left


def _owned(run: Run) -> bool:
    """Whether the control stack is the one that this run made. Raises ``CannotGoOn`` if not."""
    found = stack(run, run.stack)
    if found is None:
        return False
    if found["StackId"] not in run.fact("stackIds", []):
        run.check("control stack", expected="the run's own", seen=found["StackId"], ok=False)
        raise CannotGoOn("a stack of that name is not this run's")
    return True


def _remove_cluster(run: Run, name: str) -> None:
    """Tear it down through the API; if that fails, delete its stack."""
    try:
        for attempt in ("first", "second"):
            # The lock may belong to an operation during which the run was interrupted.
            run.eventually(lambda: _busy(run, name), lambda busy: not busy, 1800, 2)
            body = {"confirm": name}
            done = operate(run, f"clean-{attempt}-{name}", "DELETE", f"/clusters/{name}", body)
            run.progress(f"teardown of {name}: {ended(done)}")
            if done["status"] == "SUCCEEDED":
                return
    except Exception as error:  # noqa: BLE001 - the control plane may be gone or broken
        run.progress(f"{name}: teardown through the API failed ({error}); deleting its stack")
    made = f"{run.stack}-{name}"
    if delete_stack(run, made) == "DELETE_FAILED":
        # A bucket that is not empty blocks the deletion.
        for one in to_remove(retained(run, made)):
            if one.type == "AWS::S3::Bucket":
                _remove_bucket(run.target.client, one.id)
        delete_stack(run, made)


def _busy(run: Run, name: str) -> bool:
    told = ask(run, "GET", f"/operations?cluster={name}").document
    return any(
        one["status"] == "RUNNING" and one["kind"] != "plan" for one in told.get("operations", [])
    )


def _remove_obstacle(run: Run) -> None:
    """The name that the step `break` took."""
    if not (called := run.fact("obstacle")):
        return
    api = run.target.client("servicediscovery")
    for page in api.get_paginator("list_namespaces").paginate():
        for one in page["Namespaces"]:
            if one["Name"] == called:
                api.delete_namespace(Id=one["Id"])
    run.remember(obstacle=None)
