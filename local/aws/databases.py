"""Snapshots of Aurora clusters, and clusters that are restored from one or to an instant.

The emulator keeps records of snapshots without any data and restores no cluster. Here a record says
what has to be captured or restored; `local.postgres` holds the data, sees the record in its next
round and reports what became of it. Errors have the codes of botocore's model of RDS.

https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-restore-snapshot.html
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-pitr.html
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from local.aws.emulator import provisioners, rds, responses, stacks
from local.aws.strict import (
    database_keys,
    database_references,
    engine_upgrades,
    restorable_time,
    stack_tags,
)
from local.aws.strict.database_references import Refusal
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from local.aws.cloudformation import Created, Properties

type Parameters = dict[str, list[str]]
type Answer = tuple[int, Mapping[str, str], bytes]

KIND: Final = "AWS::RDS::DBCluster"
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/CHAP_Limits.html
MOST_SNAPSHOTS: Final = 100
_IDENTIFIER: Final = re.compile(r"[a-z](?:-?[a-z0-9])*")
_IDENTIFIER_LENGTH: Final = 63
_STACK_SECONDS: Final = 300.0
# A cluster in one of these cannot be restored from.
_UNFINISHED: Final = frozenset({"creating", "deleting", "failed"})
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/Aurora.Status.html
_AVAILABLE: Final = "available"
_BACKING_UP: Final = "backing-up"

followed: Final = threading.Event()
"""Set while `local.postgres` runs; without it there is no data, and a record is made complete."""
changing: Final = threading.RLock()
"""Held while a record is not complete yet, and while records are read to be followed."""


@dataclass(frozen=True)
class Source:
    """What a cluster is restored from: a snapshot's data, or another cluster's."""

    until: datetime
    """Nothing that was committed later is restored."""
    snapshot: str = ""
    """Key of the snapshot's data; see `Snapshot`."""
    cluster: str = ""
    """Resource id of the other cluster."""


@dataclass(frozen=True)
class Snapshot:
    """A snapshot as far as its data is concerned."""

    key: str
    """Of its data: unlike its name, never used again."""
    cluster: str
    """Resource id of the cluster that it is of."""
    pending: bool
    """Whether its data has not been captured yet."""


def install() -> None:
    """Put our actions and handlers into the emulator's tables; after the strict rules."""
    actions = rds.ACTION_MAP
    rds.create_cluster_snapshot_internal = _complete(rds.create_cluster_snapshot_internal)
    actions |= {
        "ModifyDBCluster": _only_finished(_counted(actions["ModifyDBCluster"])),
        "StopDBCluster": _only_finished(actions["StopDBCluster"]),
        "CreateDBClusterSnapshot": stack_tags.guarded(_create_snapshot),
        "CreateDBInstance": stack_tags.guarded(
            _only_finished(_with_own_endpoint(actions["CreateDBInstance"]))
        ),
        "DeleteDBCluster": _with_final_snapshot(actions["DeleteDBCluster"]),
        "DeleteDBClusterSnapshot": _delete_snapshot,
        "DescribeDBClusterSnapshots": _describe_snapshots,
        "DescribeDBClusters": _as_it_is(actions["DescribeDBClusters"]),
        "RestoreDBClusterFromSnapshot": _from_snapshot(actions["CreateDBCluster"]),
        "RestoreDBClusterToPointInTime": _to_instant(actions["CreateDBCluster"]),
    }
    handlers = provisioners.RESOURCE_HANDLERS[KIND]
    handlers["create"] = _created(handlers["create"])
    handlers["delete"] = _deleted(handlers["delete"])
    handlers["snapshot"] = _final_snapshot
    own_rule = stacks.runs_on_worker_thread
    stacks.runs_on_worker_thread = lambda kind: kind == KIND or own_rule(kind)


# --- For who holds the data ----------------------------------------------------------------------


def clusters() -> list[dict[str, Any]]:
    """Records of all clusters, none of them half-made."""
    with changing, responses.request_scope(ACCOUNT_ID, REGION):
        return list(rds.clusters.values())


def snapshots() -> list[Snapshot]:
    """Every snapshot of a cluster."""
    with changing, responses.request_scope(ACCOUNT_ID, REGION):
        return [
            Snapshot(one["_Key"], one["DbClusterResourceId"], one["Status"] == "creating")
            for one in rds.db_cluster_snapshots.values()
        ]


def captured(key: str, *, complete: bool) -> None:
    """Finish the record of a snapshot, as `available` or as `failed`."""
    with changing, responses.request_scope(ACCOUNT_ID, REGION):
        for one in rds.db_cluster_snapshots.values():
            if one["_Key"] == key:
                one["Status"] = "available" if complete else "failed"
                one["PercentProgress"] = 100 if complete else 0
        busy = {one.cluster for one in snapshots() if one.pending}
        for cluster in rds.clusters.values():
            if cluster["Status"] == _BACKING_UP and cluster["DbClusterResourceId"] not in busy:
                cluster["Status"] = _AVAILABLE


def served(resource_id: str, *, complete: bool) -> None:
    """Finish the record of a cluster whose server has been made or restored; or has not."""
    with changing, responses.request_scope(ACCOUNT_ID, REGION):
        for one in rds.clusters.values():
            if one["DbClusterResourceId"] == resource_id:
                _finish(one, complete=complete)


def _finish(record: dict[str, Any], *, complete: bool) -> None:
    restoring = record.pop("_Source", None) is not None
    if complete:
        record["_RestorableSince"] = datetime.now(UTC)
    if restoring:
        record["Status"] = "available" if complete else "failed"


# --- Snapshots -----------------------------------------------------------------------------------


def _complete(own: Any) -> Any:
    """What the record of a snapshot needs beside the emulator's, and the tags as RDS gives them."""

    def create(identifier: str, cluster: dict[str, Any]) -> dict[str, Any]:
        with changing:
            found: dict[str, Any] = own(identifier, cluster)
            copied = rds.tags.get(cluster["DBClusterArn"], [])
            found |= {
                "_Key": responses.new_uuid(),
                "_Of": {name: cluster.get(name) for name in _OF_THE_CLUSTER},
            }
            _tag(found, copied if cluster.get("CopyTagsToSnapshot") else [])
            if followed.is_set():
                found |= {"Status": "creating", "PercentProgress": 0}
                cluster["Status"] = _BACKING_UP
        return found

    return create


_OF_THE_CLUSTER: Final = (
    "BackupRetentionPeriod",
    "DatabaseName",
    "MasterUsername",
    "_MasterUserPassword",
)


def _tag(snapshot: dict[str, Any], tags: Iterable[Mapping[str, str]]) -> None:
    """Tags of the request come instead of those of the cluster, and its `aws:` ones never.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Tagging.html
    """
    own = [dict(one) for one in tags if not one["Key"].startswith("aws:")]
    rds.tags[snapshot["DBClusterSnapshotArn"]] = own
    snapshot["TagList"] = own


def _create_snapshot(parameters: Parameters) -> Answer:
    identifier = rds.p(parameters, "DBClusterSnapshotIdentifier").lower()
    named = rds.p(parameters, "DBClusterIdentifier")
    cluster = _cluster(named)
    if cluster is None:
        return _unknown_cluster(named)
    if refused := _cannot_be_made(identifier, cluster):
        return _refused(refused)
    with changing:
        snapshot = rds.create_cluster_snapshot_internal(identifier, cluster)
        if tags := rds.parse_tags(parameters):
            _tag(snapshot, tags)
    return _snapshot_answer("CreateDBClusterSnapshot", snapshot)


def _cannot_be_made(identifier: str, cluster: Mapping[str, Any]) -> Refusal | None:
    """Why no snapshot of that name is taken of a cluster; None if it is."""
    if not _IDENTIFIER.fullmatch(identifier) or len(identifier) > _IDENTIFIER_LENGTH:
        return Refusal(
            "InvalidParameterValue",
            f"The parameter DBClusterSnapshotIdentifier ({identifier}) is not a valid identifier:"
            " 1 to 63 letters, digits and single hyphens, a letter first, no hyphen at the end.",
        )
    if identifier in rds.db_cluster_snapshots:
        return Refusal(
            "DBClusterSnapshotAlreadyExistsFault",
            f"Cannot create the cluster snapshot because one with the identifier {identifier}"
            " already exists.",
        )
    return _no_snapshot(cluster)


def _no_snapshot(cluster: Mapping[str, Any]) -> Refusal | None:
    """Why RDS takes no snapshot of a cluster, be it a manual or a final one; None if it does.

    It has to be available; https://github.com/hashicorp/terraform-provider-aws/pull/40333 quotes
    RDS.
    """
    if cluster["Status"] != _AVAILABLE:
        return Refusal(
            "InvalidDBClusterStateFault",
            "Can't create a snapshot because the database cluster"
            f" {cluster['DBClusterIdentifier']} isn't currently in the available state.",
        )
    if len(list(rds.db_cluster_snapshots)) >= MOST_SNAPSHOTS:
        return Refusal(
            "SnapshotQuotaExceeded", f"More than {MOST_SNAPSHOTS} manual cluster snapshots."
        )
    return None


def _delete_snapshot(parameters: Parameters) -> Answer:
    named = rds.p(parameters, "DBClusterSnapshotIdentifier")
    snapshot = _snapshot(named)
    if snapshot is None:
        return _unknown_snapshot(named)
    if snapshot["Status"] == "creating":
        return _error(
            "InvalidDBClusterSnapshotStateFault",
            f"The cluster snapshot {named} is not in the available state.",
        )
    del rds.db_cluster_snapshots[snapshot["DBClusterSnapshotIdentifier"]]
    rds.tags.pop(snapshot["DBClusterSnapshotArn"], None)
    return _snapshot_answer("DeleteDBClusterSnapshot", snapshot)


def _describe_snapshots(parameters: Parameters) -> Answer:
    named = rds.p(parameters, "DBClusterSnapshotIdentifier")
    cluster = rds.p(parameters, "DBClusterIdentifier")
    if named and cluster:
        return _error(
            "InvalidParameterCombination",
            "DBClusterSnapshotIdentifier and DBClusterIdentifier cannot be specified together.",
        )
    if named and _snapshot(named) is None:
        return _unknown_snapshot(named)
    filters = {name: set(values) for name, values in rds.parse_filters(parameters).items()}
    for name, value in (
        ("db-cluster-snapshot-id", named),
        ("db-cluster-id", cluster),
        ("snapshot-type", rds.p(parameters, "SnapshotType")),
        ("resource-id", rds.p(parameters, "DbClusterResourceId")),
    ):
        if value:
            filters[name] = {value} & filters.get(name, {value})
    found = [one for one in rds.db_cluster_snapshots.values() if _matches(one, filters)]
    members = ""
    for one in found:
        one["TagList"] = rds.tags.get(one["DBClusterSnapshotArn"], [])
        members += f"<DBClusterSnapshot>{rds.cluster_snapshot_xml(one)}</DBClusterSnapshot>"
    return _answer(
        "DescribeDBClusterSnapshots", f"<DBClusterSnapshots>{members}</DBClusterSnapshots>"
    )


def _matches(snapshot: Mapping[str, Any], filters: Mapping[str, set[str]]) -> bool:
    cluster = snapshot["DBClusterIdentifier"]
    has = {
        "db-cluster-id": {cluster, f"arn:aws:rds:{REGION}:{ACCOUNT_ID}:cluster:{cluster}"},
        "db-cluster-snapshot-id": {
            snapshot["DBClusterSnapshotIdentifier"],
            snapshot["DBClusterSnapshotArn"],
        },
        "snapshot-type": {snapshot["SnapshotType"]},
        "engine": {snapshot["Engine"]},
        "resource-id": {snapshot["DbClusterResourceId"]},
    }
    return all(
        has.get(name, set()) & {value.lower() if name != "resource-id" else value for value in one}
        for name, one in filters.items()
    )


def _with_final_snapshot(own: Any) -> Any:
    """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBCluster.html."""

    def delete(parameters: Parameters) -> Answer:
        cluster = _cluster(rds.p(parameters, "DBClusterIdentifier"))
        skipped = rds.p(parameters, "SkipFinalSnapshot") == "true"
        final = rds.p(parameters, "FinalDBSnapshotIdentifier").lower()
        refusable = cluster and not (cluster["DeletionProtection"] or cluster["DBClusterMembers"])
        if not cluster or not refusable:
            return cast("Answer", own(parameters))
        if skipped == bool(final):
            return _error(
                "InvalidParameterCombination",
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified, and"
                " cannot be specified with it.",
            )
        if final:
            if refused := _cannot_be_made(final, cluster):
                return _refused(refused)
            rds.create_cluster_snapshot_internal(final, cluster)
        return cast("Answer", own(parameters))

    return delete


# --- Restored clusters ---------------------------------------------------------------------------


def _from_snapshot(create: Any) -> Any:
    """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterFromSnapshot.html."""

    def restore(parameters: Parameters) -> Answer:
        named = rds.p(parameters, "SnapshotIdentifier")
        snapshot = _snapshot(named)
        if snapshot is None:
            return _unknown_snapshot(named)
        if snapshot["Status"] != "available":
            return _error(
                "InvalidDBClusterSnapshotStateFault",
                f"The cluster snapshot {named} is not in the available state.",
            )
        if rds.p(parameters, "Engine") != snapshot["Engine"]:
            return _error(
                "InvalidParameterCombination",
                f"The snapshot's engine is {snapshot['Engine']}, not"
                f" {rds.p(parameters, 'Engine') or 'empty'}.",
            )
        version = rds.p(parameters, "EngineVersion")
        version = version or rds.default_engine_version(snapshot["Engine"])
        if wrong := _wrong_version(version, snapshot):
            return _error("InvalidParameterCombination", wrong)
        return _restored(
            "RestoreDBClusterFromSnapshot",
            create,
            parameters,
            {**snapshot, **snapshot["_Of"], "EngineVersion": version},
            _source_of(snapshot),
        )

    return restore


def _to_instant(create: Any) -> Any:
    """https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterToPointInTime.html."""

    def restore(parameters: Parameters) -> Answer:
        named = rds.p(parameters, "SourceDBClusterIdentifier")
        if not named:
            # Only automated backups that outlived their cluster are named by a resource id.
            wanted = rds.p(parameters, "SourceDbClusterResourceId")
            return _error(
                "DBClusterAutomatedBackupNotFoundFault",
                f"No retained automated backup of {wanted or 'a cluster that is not named'}.",
                404,
            )
        source = _cluster(named)
        if source is None:
            return _unknown_cluster(named)
        unfinished = source["Status"] in _UNFINISHED
        if unfinished or (followed.is_set() and not source.get("_RestorableSince")):
            return _wrong_state(source)
        now = datetime.now(UTC)
        _set_window(source, now)
        until = restorable_time.instant(
            rds.p(parameters, "RestoreToTime"),
            latest=rds.p(parameters, "UseLatestRestorableTime") == "true",
            clone=rds.p(parameters, "RestoreType") == "copy-on-write",
            window=(_time(source["EarliestRestorableTime"]), _time(source["LatestRestorableTime"])),
            now=now,
        )
        if isinstance(until, Refusal):
            return _refused(until)
        if rds.p(parameters, "KmsKeyId") and not source["StorageEncrypted"]:
            # The reference of `KmsKeyId` at the action: the request is rejected; it names no code.
            return _error("InvalidParameterCombination", f"The cluster {named} is not encrypted.")
        return _restored(
            "RestoreDBClusterToPointInTime",
            create,
            parameters,
            source,
            Source(until, cluster=source["DbClusterResourceId"]),
        )

    return restore


def _restored(
    action: str, create: Any, parameters: Parameters, was: Mapping[str, Any], source: Source
) -> Answer:
    """Make a cluster with the properties of the request and those that it has from its source.

    Not among the latter: parameter group, security groups, IAM authentication, tags, protection.
    """
    own = str(was.get("KmsKeyId") or "")
    given = rds.p(parameters, "KmsKeyId")
    key = database_keys.key_of(given or own, encrypted=bool(was["StorageEncrypted"]))
    if refused := _unusable(key, own):
        return _error(database_keys.CODE, refused)
    named = database_references.Named(
        was["Engine"],
        was["EngineVersion"],
        rds.p(parameters, "DBClusterParameterGroupName"),
        rds.p(parameters, "DBSubnetGroupName"),
        rds.parse_member_list(parameters, "VpcSecurityGroupIds"),
    )
    if missing := database_references.refusal(named, database_references.there()):
        return _refused(missing)
    inherited = {
        "Port": str(was["Port"]),
        "BackupRetentionPeriod": str(was["BackupRetentionPeriod"]),
    }
    chosen = {name: [rds.p(parameters, name) or value] for name, value in inherited.items()}
    chosen |= {name: [was[name]] for name in ("Engine", "EngineVersion", "MasterUsername")}
    with changing:
        answer: Answer = create({**parameters, **chosen})
        if answer[0] >= 400:
            return answer
        record = rds.clusters[rds.p(parameters, "DBClusterIdentifier")]
        _inherit(record, was, source, key)
    return _answer(action, f"<DBCluster>{rds.cluster_xml(record)}</DBCluster>")


def _wrong_version(version: str, snapshot: Mapping[str, Any]) -> str:
    return engine_upgrades.restore_refusal(
        version, snapshot["EngineVersion"], engine_upgrades.known()
    )


def _unusable(*keys: str) -> str:
    return database_keys.refusal({key: database_keys.state_of(key) for key in keys if key})


def _inherit(record: dict[str, Any], was: Mapping[str, Any], source: Source, key: str) -> None:
    names = ("DatabaseName", "MasterUsername", "_MasterUserPassword")
    record |= {name: was.get(name) for name in names}
    record |= {"KmsKeyId": key, "StorageEncrypted": bool(key)}
    if followed.is_set():
        record |= {"Status": "creating", "_Source": source}


def _source_of(snapshot: Mapping[str, Any]) -> Source:
    return Source(_time(snapshot["SnapshotCreateTime"]), snapshot=snapshot["_Key"])


def _as_it_is(own: Any) -> Any:
    """Records show the tags that their ARN has, and what is restorable now."""

    def describe(parameters: Parameters) -> Answer:
        for record in rds.clusters.values():
            record["TagList"] = rds.tags.get(record["DBClusterArn"], [])
            _set_window(record, datetime.now(UTC))
        answer: Answer = own(parameters)
        return answer

    return describe


def _set_window(record: dict[str, Any], now: datetime) -> None:
    since = record.get("_RestorableSince")
    if since is None:
        return
    earliest, latest = restorable_time.window(
        since,
        int(record["BackupRetentionPeriod"]),
        now,
        behind=restorable_time.LAG.seconds,
        before=_time(record["LatestRestorableTime"]),
    )
    record["EarliestRestorableTime"] = rds.format_time(earliest.timestamp())
    record["LatestRestorableTime"] = rds.format_time(latest.timestamp())


def _only_finished(own: Any) -> Any:
    """A cluster that is being restored is not changed, and gets no instances."""

    def act(parameters: Parameters) -> Answer:
        cluster = _cluster(rds.p(parameters, "DBClusterIdentifier"))
        if cluster and "_Source" in cluster:
            return _wrong_state(cluster)
        answer: Answer = own(parameters)
        return answer

    return act


def _counted(own: Any) -> Any:
    """The same password again is set, too: a user may have changed it in SQL meanwhile."""

    def modify(parameters: Parameters) -> Answer:
        with changing:
            answer: Answer = own(parameters)
            if answer[0] < 400 and rds.p(parameters, "MasterUserPassword"):
                record = _cluster(rds.p(parameters, "DBClusterIdentifier")) or {}
                record["_PasswordChanges"] = record.get("_PasswordChanges", 0) + 1
        return answer

    return modify


def _with_own_endpoint(own: Any) -> Any:
    """An instance of a cluster is made as for a stack: the emulator's own has its endpoint, too."""

    def create(parameters: Parameters) -> Answer:
        identifier = rds.p(parameters, "DBInstanceIdentifier").lower()
        if _cluster(rds.p(parameters, "DBClusterIdentifier")) is None:
            return cast("Answer", own(parameters))
        if identifier in rds.instances:
            return _error("DBInstanceAlreadyExists", f"DB instance {identifier} already exists.")
        properties = {name: rds.p(parameters, name) for name in _OF_AN_INSTANCE}
        tags = rds.parse_tags(parameters)
        given = {name: value for name, value in properties.items() if value}
        provisioners.RESOURCE_HANDLERS["AWS::RDS::DBInstance"]["create"](
            "", given | {"DBInstanceIdentifier": identifier, "Tags": tags}, ""
        )
        record = rds.instances[identifier]
        rds.tags[record["DBInstanceArn"]] = tags
        answer: Answer = rds.single_instance_response(
            "CreateDBInstanceResponse", "CreateDBInstanceResult", record
        )
        return answer

    return create


_OF_AN_INSTANCE: Final = (
    "AutoMinorVersionUpgrade",
    "DBClusterIdentifier",
    "DBInstanceClass",
    "DBSubnetGroupName",
    "Engine",
    "EngineVersion",
    "PromotionTier",
    "PubliclyAccessible",
)


# --- CloudFormation ------------------------------------------------------------------------------


def _created(own: Any) -> Any:
    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        named = properties.get("SnapshotIdentifier")
        snapshot = _restorable_snapshot(str(named), properties) if named else {}
        own_key = str(snapshot.get("KmsKeyId") or "")
        encrypted = str(properties.get("StorageEncrypted") or "").lower() == "true"
        key = database_keys.key_of(
            str(properties.get("KmsKeyId") or own_key), encrypted=encrypted or bool(own_key)
        )
        if refused := _unusable(key, own_key):
            raise ValueError(f"{refused} (Service: Rds, Status Code: 400)")
        with changing:
            found: Created = own(logical_id, properties, stack)
            record = rds.clusters[found[0]]
            record["KmsKeyId"] = key
            if not named:
                return found
            _inherit(record, {**snapshot, **snapshot["_Of"]}, _source_of(snapshot), key)
        _wait(lambda: record["Status"] != "creating", f"{KIND} {found[0]}")
        if record["Status"] != "available":
            raise ValueError(f"Resource of type '{KIND}' {found[0]} did not stabilize.")
        return found

    return create


def _restorable_snapshot(named: str, properties: Properties) -> Mapping[str, Any]:
    """Raises ValueError with what CloudFormation shows as the reason."""
    snapshot = _snapshot(named)
    if snapshot is None:
        raise ValueError(f"DBClusterSnapshot not found: {named} (Service: Rds, Status Code: 404)")
    version = str(properties.get("EngineVersion") or "")
    version = version or rds.default_engine_version(snapshot["Engine"])
    refused = _wrong_version(version, snapshot)
    if snapshot["Status"] != "available":
        refused = f"The cluster snapshot {named} is not in the available state."
    if refused:
        raise ValueError(f"{refused} (Service: Rds, Status Code: 400)")
    return snapshot


def _deleted(own: Any) -> Any:
    """A cluster is there until its final snapshot is complete."""

    def delete(physical_id: str, properties: Properties) -> None:
        record = rds.clusters.get(physical_id) or {}
        resource_id = record.get("DbClusterResourceId")
        _wait(
            lambda: not any(one.pending and one.cluster == resource_id for one in snapshots()),
            f"{KIND} {physical_id}",
        )
        own(physical_id, properties)

    return delete


def _final_snapshot(physical_id: str, _properties: Properties) -> None:
    """Raises ValueError where RDS takes none: the cluster stays, and its deletion has failed.

    Unlike the emulator's clusters, those of AWS never get the name of a deleted one again.
    """
    record = rds.clusters.get(physical_id)
    if record is None:
        return
    name = f"{physical_id}-final-snapshot"
    if name in rds.db_cluster_snapshots:
        name += f"-{responses.new_uuid()[:8]}"
    if refused := _no_snapshot(record):
        raise ValueError(f"{refused.message} (Service: Rds, Status Code: 400)")
    rds.create_cluster_snapshot_internal(name, record)


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _STACK_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise ValueError(f"Resource of type {what} did not stabilize.")
        time.sleep(0.05)


# --- Names and answers ---------------------------------------------------------------------------


def _named(given: str, kind: str) -> str:
    return given.removeprefix(f"arn:aws:rds:{REGION}:{ACCOUNT_ID}:{kind}:").lower()


def _cluster(given: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = rds.clusters.get(_named(given, "cluster"))
    return found


def _snapshot(given: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = rds.db_cluster_snapshots.get(_named(given, "cluster-snapshot"))
    return found


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _error(code: str, message: str, status: int = 400) -> Answer:
    found: Answer = rds.error(code, message, status)
    return found


def _refused(why: Refusal) -> Answer:
    return _error(why.code, why.message, why.status)


def _unknown_cluster(named: str) -> Answer:
    return _error("DBClusterNotFoundFault", f"DBCluster {named} not found.", 404)


def _unknown_snapshot(named: str) -> Answer:
    return _error("DBClusterSnapshotNotFoundFault", f"DBClusterSnapshot not found: {named}", 404)


def _wrong_state(cluster: Mapping[str, Any]) -> Answer:
    return _error(
        "InvalidDBClusterStateFault",
        f"The cluster {cluster['DBClusterIdentifier']} is not in a valid state for this"
        f" operation: {cluster['Status']}.",
    )


def _answer(action: str, result: str) -> Answer:
    inner = f"<{action}Result>{result}</{action}Result>"
    found: Answer = rds.xml(200, f"{action}Response", inner)
    return found


def _snapshot_answer(action: str, snapshot: Mapping[str, Any]) -> Answer:
    return _answer(
        action, f"<DBClusterSnapshot>{rds.cluster_snapshot_xml(snapshot)}</DBClusterSnapshot>"
    )
