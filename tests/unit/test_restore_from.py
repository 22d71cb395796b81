"""A new cluster of another one's backups: what it is made of, and whose passwords it gets."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.user_secrets import SecretsManagerUserSecrets
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.names import tags
from lifecycle.cluster.owned_secrets import TAG_PURPOSE
from lifecycle.cluster.stack import Stack
from lifecycle.errors import (
    ClusterNotFound,
    InvalidRequest,
    RestoreFailed,
    RestoreRefused,
    SecretRefused,
    SecretUnreadable,
    StackNotUsable,
)
from lifecycle.kept.discovery import KeptSnapshot
from lifecycle.provisioning.request import BOOTSTRAP_PARAMETERS
from lifecycle.restore.copy_users import password_of
from lifecycle.restore.facts import Checkpoint, Range, Window
from lifecycle.restore.ports import UserSecret
from lifecycle.restore.request import read_restore_request, reviewed_restore
from lifecycle.restore.source import TAKEN_OVER, SourceFound
from lifecycle.times import written
from moto import mock_aws

from tests.support.definitions import ROOT
from tests.support.restore import QUARTER, RestoreWorld, outputs_of
from tests.support.world import CONTROL, operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.client import BaseClient

BUCKET = "control-old-backupbucket-1"
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAIN = {"AcceptPlaintext": True}
SIZE = {**PLAIN, "Brokers": 3, "Partitions": 3, "ReplicationFactor": 3}


def secret(arn: str, username: str, days: int = 1) -> UserSecret:
    return UserSecret(arn, username, AT - timedelta(days=days))


def test_the_bucket_is_one_that_has_the_backup_completely() -> None:
    """A cluster that was made of another one's backups, and torn down while they were copied."""
    whole = Checkpoint(9, AT, 3, (8, 9, 22))
    part = replace(whole, lacks="partition 2 has no manifest")
    found = SourceFound(living=False, backups=[("first", whole), ("second", part)])
    assert found.bucket_of(9, AT) == "first"


class TestRequest:
    @pytest.mark.parametrize(
        ("changed", "field"),
        [
            ({"from": ""}, "from"),
            ({"from": None}, "from"),
            ({"from": "Old"}, "from"),
            ({"parameters": {}}, "parameters"),
            ({"from": "old", "parameters": []}, "parameters"),
            ({"from": "old", "tags": {}}, "tags"),
        ],
    )
    def test_a_wrong_field_is_named(self, changed: dict[str, object], field: str) -> None:
        with pytest.raises(InvalidRequest) as caught:
            read_restore_request({"clusterName": "demo", "confirm": "demo", **changed})
        assert field in {one["field"] for one in caught.value.problems}

    def test_a_review_is_of_the_same_source_and_parameters(self) -> None:
        def requests(source: str, parameters: dict[str, object]) -> set[str]:
            found = reviewed_restore(
                "demo", None, 9, "demo.restore.1", source=source, parameters=parameters
            )
            assert found is not None
            return set(found.requests)

        some: dict[str, object] = {"Brokers": 3}
        assert not requests("old", some) & requests("other", some)
        assert not requests("old", some) & requests("old", {"Brokers": 4})
        assert not requests("old", {}) & requests("", {})
        dry = {"backup": 9, "clusterName": "demo", "dryRun": True, "from": "old"}
        for given in (dry, {**dry, "parameters": {}}):
            text = json.dumps(given, sort_keys=True, separators=(",", ":"))
            assert text in requests("old", {})


class TestPasswords:
    def test_the_newest_secret_that_existed_then(self) -> None:
        found = [secret("a", "admin", 9), secret("b", "admin", 2), secret("c", "admin", -1)]
        assert password_of("admin", found, at=AT, without=()) == found[1]
        assert password_of("admin", found, at=AT, without=["b"]) == found[0]
        assert password_of("connectors", found, at=AT, without=()) is None

    def test_a_rotated_secret_of_the_connectors_names_the_other_of_two_users(self) -> None:
        found = [secret("a", "admin"), secret("c", "connectors-b")]
        assert password_of("connectors", found, at=AT, without=()) == found[1]
        assert password_of("admin", [secret("b", "admin-b")], at=AT, without=()) is None

    def test_no_connectors_need_no_password(self) -> None:
        world = RestoreWorld()
        world.user_secrets.found = [secret("old-admin", "admin")]
        cluster = ClusterOutputs({**outputs_of({"Connectors": "0"})})
        answer = world.user_copier.copy(begun(world), cluster, source="old", at=AT.isoformat())
        assert answer == {"status": "COPIED", "users": ["admin"]}
        assert world.user_secrets.copied == {"arn:secret:admin": "old-admin"}

    def test_nothing_is_copied_unless_all_are_there(self) -> None:
        world = RestoreWorld()
        world.user_secrets.found = [secret("old-admin", "admin")]
        cluster = ClusterOutputs(outputs_of({}))
        with pytest.raises(RestoreFailed, match="user connectors of old") as caught:
            world.user_copier.copy(begun(world), cluster, source="old", at=AT.isoformat())
        assert "camunda:cluster,Value=old" in caught.value.next_step
        assert world.user_secrets.copied == {}

    def test_an_identity_provider_has_its_own_users(self) -> None:
        world = RestoreWorld()
        cluster = ClusterOutputs({**outputs_of({}), "Authentication": "oidc"})
        answer = world.user_copier.copy(begun(world), cluster, source="old", at=AT.isoformat())
        assert answer == {"status": "COPIED", "users": []}
        assert world.user_secrets.clusters == []


def begun(world: RestoreWorld) -> Any:
    one = replace(operation(), machine="restore")
    world.journal.begin(one)
    return one


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[BaseClient]:
    with mock_aws():
        api = boto3.client("secretsmanager", region_name="eu-central-1")
        monkeypatch.setattr(
            "lifecycle.adapters.aws.user_secrets.client", lambda *_, **__: api, raising=True
        )
        monkeypatch.setattr(
            "lifecycle.adapters.aws.secrets.client", lambda *_, **__: api, raising=True
        )
        yield api
    assert aws is not None


def made(api: Any, name: str, cluster: str, purpose: str = "camunda-user", value: str = "") -> str:
    labels = {**tags(CONTROL, cluster), TAG_PURPOSE: purpose}
    created = api.create_secret(
        Name=name,
        SecretString=value or json.dumps({"username": "admin", "password": name}),
        Tags=[{"Key": key, "Value": one} for key, one in labels.items()],
    )
    arn: str = created["ARN"]
    return arn


class TestSecrets:
    def test_only_users_of_that_very_cluster_are_found(self, secrets: Any) -> None:
        arn = made(secrets, "one", "old")
        made(secrets, "two", "older")
        made(secrets, "three", "old", "task")
        found = SecretsManagerUserSecrets(CONTROL).of_cluster("old")
        assert [(one.arn, one.username) for one in found] == [(arn, "admin")]
        assert SecretsManagerUserSecrets("control2").of_cluster("old") == []

    def test_a_value_is_copied_once(self, secrets: Any) -> None:
        made(secrets, "one", "old")
        target = made(secrets, "new", "demo")
        users = SecretsManagerUserSecrets(CONTROL)
        (source,) = users.of_cluster("old")
        for _ in range(2):
            users.copy(source, target, "demo")
        content = json.loads(secrets.get_secret_value(SecretId=target)["SecretString"])
        assert content["password"] == "one"
        assert len(secrets.list_secret_version_ids(SecretId=target)["Versions"]) == 2

    def test_what_a_rotation_since_the_backup_has_replaced_is_the_former_value(
        self, secrets: Any
    ) -> None:
        """Restored data has it, and the administrator logs in with it to get the present one."""
        arn = made(secrets, "one", "old")
        later = json.dumps({"username": "admin", "password": "two"})
        secrets.put_secret_value(SecretId=arn, SecretString=later)
        target = made(secrets, "new", "demo")
        users = SecretsManagerUserSecrets(CONTROL)
        (source,) = users.of_cluster("old")
        for _ in range(2):
            users.copy(source, target, "demo")
        values = [
            json.loads(
                secrets.get_secret_value(SecretId=target, VersionStage=stage)["SecretString"]
            )["password"]
            for stage in ("AWSPREVIOUS", "AWSCURRENT")
        ]
        assert values == ["one", "two"]
        assert len(secrets.list_secret_version_ids(SecretId=target)["Versions"]) <= 3

    def test_a_secret_of_another_cluster_is_never_written(self, secrets: Any) -> None:
        made(secrets, "one", "old")
        target = made(secrets, "new", "other")
        users = SecretsManagerUserSecrets(CONTROL)
        (source,) = users.of_cluster("old")
        with pytest.raises(SecretRefused):
            users.copy(source, target, "demo")
        assert '"new"' in secrets.get_secret_value(SecretId=target)["SecretString"]

    def test_what_cannot_be_read_is_named_without_its_text(self, secrets: Any) -> None:
        made(secrets, "one", "old", value="hush")
        with pytest.raises(SecretUnreadable) as caught:
            SecretsManagerUserSecrets(CONTROL).of_cluster("old")
        assert "hush" not in caught.value.message


@pytest.fixture
def living() -> RestoreWorld:
    """A cluster that runs, whose backups a new one is made of."""
    world = RestoreWorld()
    world.with_kept()
    now = world.clock.now()
    world.stacks.stacks["control-old"] = Stack(
        name="control-old",
        stack_id="arn:stack:old",
        status="UPDATE_COMPLETE",
        parameters={
            **world.stacks.defaults,
            "Brokers": "3",
            "ContinuousBackup": "true",
            "DatabaseEngineVersion": "17.9",
            "DomainName": "camunda.example.com",
            "Connectors": "2",
        },
        outputs=ClusterOutputs(
            {
                **outputs_of({}),
                "ClusterName": "old",
                "EcsClusterName": "control-old",
                "BackupBucketName": "control-old-backupbucket-1",
                "DatabaseClusterId": "control-old-databasecluster-1",
            }
        ),
        tags=tags(CONTROL, "old"),
    )
    world.leases.by_bucket["node-ids"] = 5
    world.restored.windows = [Window("control-old-databasecluster-1", now - timedelta(days=7), now)]
    world.ranges.ranges = [Range(one, now - 9 * QUARTER, now) for one in (1, 2, 3)]
    world.clock.pass_seconds(60)
    return world


def answer(world: RestoreWorld) -> None:
    """Let the source's brokers return six partitions, three of them for some backups."""
    now = world.clock.now()
    world.ranges.partitions = 6
    world.ranges.ranges = [
        Range(one, now - (40 if one <= 3 else 4) * QUARTER, now) for one in range(1, 7)
    ]


def validated(world: RestoreWorld, **asked: Any) -> dict[str, Any]:
    given = {"clusterName": "demo", "confirm": "demo", "from": "old", "parameters": PLAIN}
    return world.validator.validate({**given, **asked})


class TestOfALivingCluster:
    def test_size_and_versions_are_those_of_the_source_and_nothing_else_is(
        self, living: RestoreWorld
    ) -> None:
        found = validated(living)
        parameters = found["parameters"]
        # As many as take part now: more than the stack was made with.
        assert (parameters["Brokers"], found["brokers"]) == ("5", 5)
        assert parameters["DatabaseEngineVersion"] == "17.9"
        assert "DomainName" not in parameters
        assert found["copies"] == "control-old-backupbucket-1"
        assert (found["creates"], found["resumes"]) == (True, False)
        assert found["stack"] == found["ecsCluster"] == "control-demo"
        assert found["restored"] == {
            "parameters": {
                "DatabaseSnapshot": found["target"]["snapshot"],
                "DataGeneration": "2",
                "RestoredBackup": "99",
            },
            "replace": [],
        }

    def test_what_an_organisation_enforces_is_that_of_the_source(
        self, living: RestoreWorld
    ) -> None:
        """A rehearsal has no parameters of its own, and pulls its images as the cluster does."""
        enforced = {
            "ImageRegistryPrefix": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/mirror",
            "RegistryCredentialsArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:r-1",
            "CpuArchitecture": "ARM64",
            "KmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/1234",
            "PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary",
            "IamPath": "/team-a/",
        }
        source = living.stacks.stacks["control-old"]
        living.stacks.stacks["control-old"] = replace(
            source, parameters={**source.parameters, **enforced}
        )
        parameters = validated(living)["parameters"]
        assert {name: parameters.get(name) for name in enforced} == enforced
        given = {"KmsKeyArn": "", "IamPath": "/team-b/", "CpuArchitecture": "X86_64"}
        parameters = validated(living, parameters={**PLAIN, **given})["parameters"]
        assert {name: parameters.get(name) for name in enforced} == {**enforced, **given}

    def test_all_of_it_is_in_the_document(self) -> None:
        text = (ROOT / "docs/restore.md").read_text().split("### Taken over\n")[1].split("\n## ")[0]
        named = set(re.findall(r"`([A-Za-z]+)`", text))
        assert named == {*TAKEN_OVER} - {*BOOTSTRAP_PARAMETERS}

    def test_what_is_made_is_named_by_the_new_cluster(self, living: RestoreWorld) -> None:
        target = validated(living, backup=97)["target"]
        assert target["source"] == "control-old-databasecluster-1"
        assert target["snapshot"].startswith("control-demo-restore-1-")
        assert target["staging"].startswith("control-demo-staging-1-")

    def test_a_copy_has_no_connectors(self, living: RestoreWorld) -> None:
        found = validated(living)
        assert found["parameters"]["Connectors"] == "0"
        assert not any("connectors start" in one for one in found["plan"]["warnings"])
        assert any("timers fire" in one for one in found["plan"]["warnings"])
        with pytest.raises(InvalidRequest) as caught:
            validated(living, parameters={**PLAIN, "Connectors": 1})
        assert {one["field"] for one in caught.value.problems} == {"parameters.Connectors"}

    def test_a_trial_is_as_large_as_the_source(self, living: RestoreWorld) -> None:
        parameters = validated(living, parameters={**PLAIN, "Trial": True})["parameters"]
        assert parameters["Brokers"] == "5"
        assert parameters["ContinuousBackup"] == "true"
        assert parameters["Partitions"] == living.stacks.defaults["Partitions"]
        assert parameters["Connectors"] == "0"

    @pytest.mark.parametrize("alive", [True, False])
    def test_partitions_are_those_that_the_source_has_now(
        self, living: RestoreWorld, *, alive: bool
    ) -> None:
        """They were added since its stack was made; without its brokers, its backups show it."""
        living.with_partitions_added(BUCKET)
        if alive:
            answer(living)
        else:
            living.ranges.ranges = []
        found = validated(living, parameters={**PLAIN, "Trial": True}, backup=99)
        assert found["parameters"]["Partitions"] == "6"
        assert (found["plan"]["backup"], found["plan"]["partitions"]) == (99, 6)

    @pytest.mark.parametrize("alive", [True, False])
    def test_fewer_partitions_than_it_has_now_are_restored_only_by_name(
        self, living: RestoreWorld, *, alive: bool
    ) -> None:
        at = living.stored.by_bucket[BUCKET][-1].at
        living.stored.by_bucket[BUCKET] += [
            Checkpoint(91 - one, at - (one + 1) * QUARTER, 3, (8, 9, 22)) for one in range(20)
        ]
        living.with_partitions_added(BUCKET)
        if alive:
            answer(living)
        else:
            living.ranges.ranges = []
        before = written(living.stored.by_bucket[BUCKET][3].at)
        by_name: tuple[dict[str, Any], ...] = ({"backup": 96}, {"to": before})
        for asked in by_name:
            with pytest.raises(RestoreRefused, match="3 partitions and the cluster 6") as caught:
                validated(living, **asked)
            assert "Partitions 3" in caught.value.next_step
        three = {**PLAIN, "Partitions": 3}
        with pytest.raises(RestoreRefused, match=r"parameters.Partitions is 3, and .* has 6"):
            validated(living, parameters=three)
        # Ranges of partitions that the backup lacks show no gap of it.
        for asked in by_name:
            found = validated(living, parameters=three, **asked)
            assert (found["plan"]["backup"], found["parameters"]["Partitions"]) == (96, "3")

    def test_a_living_cluster_is_not_made_of_its_own_backups(self, living: RestoreWorld) -> None:
        with pytest.raises(RestoreRefused, match="Cluster old exists"):
            validated(living, clusterName="old", confirm="old")

    def test_a_second_start_continues_with_the_backup_of_the_first_whatever_is_newer(
        self, living: RestoreWorld
    ) -> None:
        living.services.add("orchestration-cluster", desired=3)
        first = validated(living)
        living.stacks.stacks["control-demo"] = Stack(
            name="control-demo",
            stack_id="arn:stack:demo",
            status="CREATE_COMPLETE",
            parameters={
                **living.stacks.defaults,
                **first["parameters"],
                **first["restored"]["parameters"],
            },
            outputs=ClusterOutputs({**outputs_of({}), "BackupBucketName": "new"}),
            tags=tags(CONTROL, "demo"),
        )
        living.clock.pass_seconds(1800)
        now = living.clock.now()
        living.stored.by_bucket["control-old-backupbucket-1"].append(
            Checkpoint(200, now - timedelta(minutes=10), 3, (8, 9, 22))
        )
        living.restored.windows = [replace(living.restored.windows[0], latest=now)]
        living.ranges.ranges = [replace(one, end=now) for one in living.ranges.ranges]
        again = validated(living)
        assert again["target"]["backup"] == first["target"]["backup"]
        assert (again["target"]["changed"], again["target"]["generation"]) == (True, 2)
        with pytest.raises(RestoreRefused, match="Cluster demo exists"):
            validated(living, backup=200)

    def test_an_adopted_one_is_refused(self, living: RestoreWorld) -> None:
        stack = living.stacks.stacks["control-old"]
        outputs = ClusterOutputs({**stack.outputs, "Adopted": "true"})
        living.stacks.stacks["control-old"] = replace(
            stack, outputs=outputs, exports={"EcsClusterName": "control-old"}
        )
        with pytest.raises((StackNotUsable, ClusterNotFound)):
            validated(living)


class TestOfASnapshot:
    @pytest.fixture
    def kept(self) -> RestoreWorld:
        world = RestoreWorld()
        world.with_kept()
        world.kept.taken = [
            KeptSnapshot(
                name="control-old-backup",
                status="available",
                at=world.clock.now(),
                engine_version="16.6",
                key="arn:key",
                tags=tags(CONTROL, "old"),
            )
        ]
        world.clock.pass_seconds(60)
        return world

    def test_aurora_has_the_version_of_the_snapshot(self, kept: RestoreWorld) -> None:
        found = validated(kept, parameters=SIZE)
        assert found["parameters"]["DatabaseEngineVersion"] == "16.6"
        assert found["plan"]["creates"]["parameters"]["DatabaseEngineVersion"] == "16.6"
        later = validated(kept, parameters={**SIZE, "DatabaseEngineVersion": "16.8"})
        assert later["parameters"]["DatabaseEngineVersion"] == "16.8"

    @pytest.mark.parametrize("version", ["16.4", "15.9", "17.9"])
    def test_another_major_or_an_earlier_version_is_refused(
        self, kept: RestoreWorld, version: str
    ) -> None:
        with pytest.raises(InvalidRequest) as caught:
            validated(kept, parameters={**SIZE, "DatabaseEngineVersion": version})
        (problem,) = caught.value.problems
        assert problem["field"] == "parameters.DatabaseEngineVersion"

    def test_a_key_that_does_not_decrypt_is_named(self, kept: RestoreWorld) -> None:
        (taken,) = kept.restored.taken.values()
        kept.restored.taken[taken.name] = replace(taken, key="arn:key")
        kept.kept.keys = {"arn:key": "PendingDeletion"}
        with pytest.raises(RestoreRefused, match="arn:key is PendingDeletion"):
            validated(kept, parameters=SIZE)
