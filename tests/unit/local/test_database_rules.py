"""What RDS restores, on what it authorises that, and what a restored cluster must not specify."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.aws.iam import rds_resources
from local.aws.strict import database_keys, database_references
from local.aws.strict.database_instances import has_instances
from local.aws.strict.database_references import Named, Refusal, There
from local.aws.strict.engine_upgrades import restore_refusal
from local.aws.strict.restorable_time import BEHIND_SECONDS, Lag, instant, window
from local.aws.strict.snapshot_properties import INHERITED, refusal
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from pathlib import Path

FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)
LAST = FIRST + timedelta(hours=1)
NOW = LAST + timedelta(seconds=BEHIND_SECONDS)


def chosen(given: str = "", *, latest: bool = False, clone: bool = False) -> datetime | Refusal:
    return instant(given, latest=latest, clone=clone, window=(FIRST, LAST), now=NOW)


def test_the_latest_time_is_behind_and_never_before_the_earliest() -> None:
    assert window(FIRST, 1, NOW, behind=BEHIND_SECONDS) == (FIRST, LAST)
    assert window(NOW, 1, NOW, behind=BEHIND_SECONDS) == (NOW, NOW)


def test_the_latest_time_never_goes_back() -> None:
    """As it does not on AWS, whose lag changes from one moment to the next."""
    assert window(FIRST, 1, NOW, behind=300, before=LAST) == (FIRST, LAST)
    assert window(FIRST, 1, NOW, behind=300) == (FIRST, NOW - timedelta(minutes=5))


@pytest.mark.parametrize("days", [1, 7, 35])
def test_the_earliest_time_is_never_longer_ago_than_the_retention(days: int) -> None:
    later = FIRST + timedelta(days=days)
    assert window(FIRST, days, later, behind=3)[0] == FIRST
    assert window(FIRST, days, later + timedelta(hours=5), behind=3)[0] == FIRST + timedelta(
        hours=5
    )


def test_the_lag_is_that_of_the_instance_s_file(tmp_path: Path) -> None:
    lag, file = Lag(), tmp_path / "restorable.json"
    assert lag.seconds == BEHIND_SECONDS
    lag.follow(file)
    assert lag.seconds == BEHIND_SECONDS
    file.write_text(json.dumps(300))
    assert lag.seconds == 300


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("2026-03-01T12:00:00Z", FIRST),
        ("2026-03-01T12:59:59.999Z", LAST - timedelta(milliseconds=1)),
        ("2026-03-01T12:30:00", FIRST + timedelta(minutes=30)),
        ("2026-03-01T13:30:00+01:00", FIRST + timedelta(minutes=30)),
    ],
)
def test_a_time_of_the_window_is_restored_to(given: str, found: datetime) -> None:
    assert chosen(given) == found


def test_without_a_time_it_is_the_latest_and_a_clone_is_of_now() -> None:
    assert chosen(latest=True) == LAST
    assert chosen(latest=True, clone=True) == NOW


@pytest.mark.parametrize(
    ("found", "code", "words"),
    [
        (chosen("2026-03-01T11:59:59.999Z"), "InvalidParameterValue", "from 2026-03-01T12:00:00"),
        (chosen("2026-03-01T13:00:00Z"), "InvalidParameterValue", "before 2026-03-01T13:00:00"),
        (chosen("2026-03-01T13:00:00.001Z"), "InvalidParameterValue", "before 2026-03-01T13:00:00"),
        (chosen("yesterday"), "InvalidParameterValue", "yesterday"),
        (chosen(), "InvalidParameterCombination", "UseLatestRestorableTime"),
        (chosen("2026-03-01T12:00:00Z", latest=True), "InvalidParameterCombination", "either"),
        (
            chosen("2026-03-01T12:00:00Z", clone=True),
            "InvalidParameterCombination",
            "copy-on-write",
        ),
    ],
)
def test_any_other_is_refused_by_aws_s_codes(
    found: datetime | Refusal, code: str, words: str
) -> None:
    assert isinstance(found, Refusal)
    assert found.code == code
    assert words in found.message


KNOWN = ["16.8", "16.11", "17.7"]


@pytest.mark.parametrize(
    ("version", "snapshot", "words"),
    [
        ("16.11", "16.11", ""),
        ("16.11", "16.8", ""),
        ("17.7", "16.8", ""),
        ("16.8", "16.11", "(16.8) is earlier than"),
        ("16.11", "17.7", "(17.7)"),
        ("18.1", "17.7", "Cannot find version 18.1"),
    ],
)
def test_a_snapshot_is_restored_to_its_version_or_a_later_one(
    version: str, snapshot: str, words: str
) -> None:
    found = restore_refusal(version, snapshot, KNOWN)
    assert words in found
    assert bool(found) == bool(words)


THERE = There(
    families={"ours": "aurora-postgresql17", "old": "aurora-postgresql16"},
    subnets={"private": "vpc-1"},
    security={"sg-1": "vpc-1", "sg-2": "vpc-2"},
    default_vpc="vpc-0",
)


@pytest.mark.parametrize(
    ("named", "code", "word"),
    [
        ({}, "", ""),
        ({"subnets": "private", "security": ["sg-1"], "parameters": "ours"}, "", ""),
        ({"parameters": "default.aurora-postgresql17"}, "", ""),
        ({"parameters": "none"}, "DBClusterParameterGroupNotFound", "none"),
        ({"parameters": "default.mysql8.0"}, "DBClusterParameterGroupNotFound", "mysql8.0"),
        ({"parameters": "old"}, "InvalidParameterCombination", "aurora-postgresql16"),
        (
            {"parameters": "default.aurora-postgresql16"},
            "InvalidParameterCombination",
            "aurora-postgresql16",
        ),
        ({"subnets": "none"}, "DBSubnetGroupNotFoundFault", "none"),
        ({"subnets": "private", "security": ["sg-9"]}, "InvalidParameterValue", "sg-9"),
        ({"subnets": "private", "security": ["sg-2"]}, "InvalidParameterCombination", "vpc-2"),
        ({"security": ["sg-1"]}, "InvalidParameterCombination", "vpc-1"),
    ],
)
def test_a_cluster_s_groups_have_to_be_there_and_fit(
    named: dict[str, Any], code: str, word: str
) -> None:
    found = database_references.refusal(Named("aurora-postgresql", "17.7", **named), THERE)
    assert (found.code if found else "") == code
    assert found is None or word in found.message


def test_without_a_default_vpc_the_subnets_have_to_be_named() -> None:
    bare = There(families={}, subnets={"private": "vpc-1"}, security={}, default_vpc="")
    found = database_references.refusal(Named("aurora-postgresql", "17.7"), bare)
    assert found is not None
    assert found.code == "InvalidSubnet"
    named = Named("aurora-postgresql", "17.7", subnets="private")
    assert database_references.refusal(named, bare) is None


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "PendingImport", ""])
def test_each_key_that_a_restore_needs_has_to_be_enabled(state: str) -> None:
    assert not database_keys.refusal({"one": "Enabled", "": ""})
    assert "[two]" in database_keys.refusal({"one": "Enabled", "two": state})


@pytest.mark.parametrize("name", INHERITED)
def test_what_a_snapshot_brings_is_refused_beside_it_by_name(name: str) -> None:
    assert not refusal({name: "value"})
    assert not refusal({name: "value", "SnapshotIdentifier": ""})
    assert name in refusal({name: "value", "SnapshotIdentifier": "one"})
    assert not refusal({"SnapshotIdentifier": "one", "KmsKeyId": "key"})


def test_a_cluster_is_reached_through_its_instances() -> None:
    assert has_instances({"DBClusterMembers": [{"DBInstanceIdentifier": "one"}]})
    assert not has_instances({"DBClusterMembers": []})
    assert not has_instances({})


def arn(resource: str) -> str:
    return f"arn:aws:rds:{REGION}:{ACCOUNT_ID}:{resource}"


@pytest.mark.parametrize(
    ("request_", "resources"),
    [
        (
            {
                "Action": "CreateDBClusterSnapshot",
                "DBClusterIdentifier": "demo",
                "DBClusterSnapshotIdentifier": "One",
            },
            ["cluster-snapshot:one", "cluster:demo"],
        ),
        (
            {"Action": "DeleteDBClusterSnapshot", "DBClusterSnapshotIdentifier": "one"},
            ["cluster-snapshot:one"],
        ),
        (
            {"Action": "DeleteDBCluster", "DBClusterIdentifier": "demo"},
            ["cluster:demo"],
        ),
        (
            {
                "Action": "DeleteDBCluster",
                "DBClusterIdentifier": "demo",
                "FinalDBSnapshotIdentifier": "last",
            },
            ["cluster:demo", "cluster-snapshot:last"],
        ),
        (
            {
                "Action": "RestoreDBClusterFromSnapshot",
                "DBClusterIdentifier": "new",
                "SnapshotIdentifier": arn("cluster-snapshot:one"),
                "DBSubnetGroupName": "group",
                "DBClusterParameterGroupName": "parameters",
            },
            ["cluster:new", "subgrp:group", "cluster-pg:parameters", "cluster-snapshot:one"],
        ),
        (
            {
                "Action": "RestoreDBClusterToPointInTime",
                "DBClusterIdentifier": "new",
                "SourceDBClusterIdentifier": "demo",
            },
            ["cluster:new", "cluster:demo"],
        ),
        ({"Action": "DescribeDBClusterSnapshots"}, ["cluster:*", "cluster-snapshot:*"]),
        (
            {"Action": "DescribeDBClusterSnapshots", "DBClusterIdentifier": "demo"},
            ["cluster:demo", "cluster-snapshot:*"],
        ),
        (
            {"Action": "AddTagsToResource", "ResourceName": arn("cluster-snapshot:one")},
            ["cluster-snapshot:one"],
        ),
    ],
)
def test_a_request_is_authorised_on_each_resource_that_it_names(
    request_: dict[str, str], resources: list[str]
) -> None:
    found = rds_resources({name: [value] for name, value in request_.items()})
    assert found is not None
    assert found.all == [arn(one) for one in resources]
    assert not found.tagging


@pytest.mark.parametrize("member", ["member", "Tag"])
def test_tags_of_what_is_made_need_a_right_of_their_own(member: str) -> None:
    request: dict[str, Any] = {
        "Action": ["CreateDBClusterSnapshot"],
        "DBClusterSnapshotIdentifier": ["one"],
        f"Tags.{member}.1.Key": ["camunda:cluster"],
        f"Tags.{member}.1.Value": ["demo"],
    }
    found = rds_resources(request)
    assert found is not None
    assert found.tagging == "rds:AddTagsToResource"


def test_other_actions_are_left_alone() -> None:
    assert rds_resources({"Action": ["DescribeDBClusters"]}) is None
    assert rds_resources({"Action": ["ModifyDBCluster"], "DBClusterIdentifier": ["demo"]}) is None
