"""What holds data: encryption, retention, names, tags, roles, outputs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from tests.unit.templates.resolver import STACKS, Resolved, resolve, strings
from tools.generate_parameters import ROOT, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY = "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c"
EVERYTHING = {
    "DatabaseInstances": "3",
    "EnableExecuteCommand": "true",
    "ManagementListener": "true",
    "ImageRegistryPrefix": "mirror.example.com",
    "RegistryCredentialsArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:r-a1b2c3",
    "CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b",
}


def schema(resource_type: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(
        "us-east-1", resource_type
    ).schema
    return found


# --- retention -----------------------------------------------------------------------------------

KEPT = {
    "StorageKey", "DatabaseKey", "SecretsKey",
    "DatabaseAdminSecret", "AdminUserSecret", "ConnectorsUserSecret",
    "FileSystem", "NodeIdBucket", "NodeIdBucketPolicy", "BackupBucket", "BackupBucketPolicy",
    "OrchestrationLogGroup", "ConnectorsLogGroup", "ExecuteCommandLogGroup",
}  # fmt: skip


def test_what_holds_data_outlives_the_stack_but_not_a_failed_creation() -> None:
    resources = resolve("cluster").resources
    kept = {n for n, r in resources.items() if r.get("DeletionPolicy") == "RetainExceptOnCreate"}
    assert kept == KEPT
    assert all(resources[name]["UpdateReplacePolicy"] == "Retain" for name in kept)


def test_aurora_leaves_a_snapshot_and_stays_beside_what_is_restored() -> None:
    cluster = resolve("cluster").resources["DatabaseCluster"]
    assert cluster["DeletionPolicy"] == "Snapshot"
    assert cluster["UpdateReplacePolicy"] == "Retain"


def test_every_kind_that_holds_data_is_kept() -> None:
    holding = {
        "AWS::KMS::Key", "AWS::EFS::FileSystem", "AWS::S3::Bucket", "AWS::Logs::LogGroup",
        "AWS::RDS::DBCluster",
    }  # fmt: skip
    for name, resource in resolve("cluster").resources.items():
        if resource["Type"] in holding:
            assert resource["DeletionPolicy"] in {"RetainExceptOnCreate", "Snapshot"}, name


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
LONGEST_BUCKET = 63
NAMES = {
    "AWS::S3::Bucket": "BucketName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::RDS::DBCluster": "DBClusterIdentifier",
    "AWS::RDS::DBInstance": "DBInstanceIdentifier",
    "AWS::RDS::DBSubnetGroup": "DBSubnetGroupName",
    "AWS::RDS::DBClusterParameterGroup": "DBClusterParameterGroupName",
    "AWS::IAM::Role": "RoleName",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "Name",
    "AWS::ElasticLoadBalancingV2::TargetGroup": "Name",
    "AWS::EC2::SecurityGroup": "GroupName",
}


def test_no_physical_name_where_something_may_be_left_behind_or_a_length_limit_bites() -> None:
    resources = resolve("cluster").resources
    named = [n for n, r in resources.items() if NAMES.get(r["Type"], "") in r.get("Properties", {})]
    assert named == []
    assert {resources[name]["Type"] for name in KEPT} - set(NAMES) == {
        "AWS::KMS::Key",  # has no name
        "AWS::EFS::FileSystem",  # has no name
        "AWS::S3::BucketPolicy",  # has no name
    }


def test_explicit_names_of_the_contract() -> None:
    cluster = resolve("cluster")
    assert cluster.properties("EcsCluster")["ClusterName"] == "control-demo"
    assert cluster.outputs["OrchestrationServiceName"] == "orchestration-cluster"
    assert cluster.outputs["ConnectorsServiceName"] == "connectors"


RESTORED = {"DatabaseSnapshot": "control-demo-backup-1", "DataGeneration": "12"}


def test_a_cluster_that_was_never_restored_has_nothing_of_a_restore() -> None:
    cluster = resolve("cluster")
    database = cluster.properties("DatabaseCluster")
    assert "SnapshotIdentifier" not in database
    assert database["MasterUsername"] == (
        "{{resolve:secretsmanager:att(DatabaseAdminSecret.Id):SecretString:username}}"
    )
    assert "BucketName" not in cluster.properties("NodeIdBucket")
    assert directory(cluster) == "/usr/local/camunda/data"
    tags = {tag["Key"] for tag in cluster.properties("EcsCluster")["Tags"]}
    assert "camunda:former-data-days" not in tags
    assert "DatabaseSnapshot" not in cluster.outputs
    assert cluster.outputs["DataGeneration"] == "1"


def test_a_restored_cluster_has_the_snapshots_database_and_empty_data() -> None:
    """What a snapshot has of its own may not be given beside it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-rds-dbcluster.html
    """
    cluster = resolve("cluster", **RESTORED)
    database = cluster.properties("DatabaseCluster")
    assert database["SnapshotIdentifier"] == "control-demo-backup-1"
    assert not {"MasterUsername", "MasterUserPassword", "StorageEncrypted"} & set(database)
    same = {"EnableIAMDatabaseAuthentication", "KmsKeyId", "EngineVersion", "VpcSecurityGroupIds"}
    assert same <= set(database)
    assert directory(cluster) == "/usr/local/camunda/data/restored-12"
    assert cluster.properties("NodeIdBucket")["BucketName"] == (
        "control-ids-0f3a1b2c444455556666-12"
    )
    assert cluster.outputs["DatabaseSnapshot"] == "control-demo-backup-1"
    assert cluster.outputs["DataGeneration"] == "12"


def test_the_restored_buckets_longest_name_is_one_and_starts_as_policies_expect() -> None:
    cluster = resolve("cluster", **{**RESTORED, "DataGeneration": "999"})
    name = cluster.properties("NodeIdBucket")["BucketName"]
    assert len(name) - len("control") + len("c" * 32) <= LONGEST_BUCKET
    assert name.startswith("control-")


def test_a_restore_changes_what_it_restores_and_nothing_else() -> None:
    before, after = resolve("cluster"), resolve("cluster", **RESTORED)
    changed = {n for n, r in after.resources.items() if r != before.resources[n]}
    assert changed == {"DatabaseCluster", "NodeIdBucket", "OrchestrationTaskDefinition"}
    assert set(after.resources) == set(before.resources)


def test_days_of_the_former_data_reach_the_ecs_cluster() -> None:
    tags = resolve("cluster", FormerDataDays="7").properties("EcsCluster")["Tags"]
    assert {"Key": "camunda:former-data-days", "Value": "7"} in tags


def directory(cluster: Resolved) -> str:
    (broker,) = [
        one
        for one in cluster.properties("OrchestrationTaskDefinition")["ContainerDefinitions"]
        if one["Name"] == "orchestration-cluster"
    ]
    (value,) = [
        one["Value"]
        for one in broker["Environment"]
        if one["Name"] == "CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY"
    ]
    return str(value)


# --- encryption ----------------------------------------------------------------------------------


def encrypted_with(cluster: Resolved) -> dict[str, str]:
    found = {}
    for name in ("NodeIdBucket", "BackupBucket"):
        encryption = cluster.properties(name)["BucketEncryption"]
        (rule,) = encryption["ServerSideEncryptionConfiguration"]
        assert rule["BucketKeyEnabled"] is True
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        found[name] = rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]
    for name in ("FileSystem", "DatabaseCluster", *cluster.of_type("AWS::SecretsManager::Secret")):
        found[name] = cluster.properties(name)["KmsKeyId"]
    return found


def test_everything_is_encrypted_with_keys_of_the_cluster() -> None:
    cluster = resolve("cluster")
    assert encrypted_with(cluster) == {
        "NodeIdBucket": "att(StorageKey.Arn)",
        "BackupBucket": "att(StorageKey.Arn)",
        "FileSystem": "att(StorageKey.Arn)",
        "DatabaseCluster": "att(DatabaseKey.Arn)",
        "DatabaseAdminSecret": "att(SecretsKey.Arn)",
        "AdminUserSecret": "att(SecretsKey.Arn)",
        "ConnectorsUserSecret": "att(SecretsKey.Arn)",
    }
    assert cluster.properties("FileSystem")["Encrypted"] is True
    assert cluster.properties("DatabaseCluster")["StorageEncrypted"] is True
    for key in cluster.of_type("AWS::KMS::Key").values():
        assert key["EnableKeyRotation"] is True


def test_an_existing_key_takes_the_place_of_all_three() -> None:
    cluster = resolve("cluster", KmsKeyArn=KEY)
    assert set(encrypted_with(cluster).values()) == {KEY}
    assert not cluster.of_type("AWS::KMS::Key", "AWS::KMS::Alias")
    statements = [s for role in cluster.of_type("AWS::IAM::Role").values() for s in grants(role)]
    used = {s["Resource"] for s in statements if any("kms:" in a for a in actions(s))}
    assert used == {KEY}


@pytest.mark.parametrize("bucket", ["NodeIdBucket", "BackupBucket"])
def test_buckets_are_private_and_take_nothing_in_clear(bucket: str) -> None:
    cluster = resolve("cluster")
    block = cluster.properties(bucket)["PublicAccessBlockConfiguration"]
    assert len(block) == 4
    assert all(block.values())
    statement, _ = cluster.properties(f"{bucket}Policy")["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Action"] == "s3:*"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [f"att({bucket}.Arn)", f"att({bucket}.Arn)/*"]


def test_leases_have_no_versions_and_backups_do() -> None:
    cluster = resolve("cluster")
    assert "VersioningConfiguration" not in cluster.properties("NodeIdBucket")
    assert cluster.properties("BackupBucket")["VersioningConfiguration"] == {"Status": "Enabled"}


def test_efs_is_mounted_through_the_access_point_over_tls_or_not_at_all() -> None:
    cluster = resolve("cluster")
    system = cluster.properties("FileSystem")
    assert system["ThroughputMode"] == "elastic"
    assert system["PerformanceMode"] == "generalPurpose"
    denied = {
        statement["Sid"]: statement["Condition"]
        for statement in system["FileSystemPolicy"]["Statement"]
        if statement["Effect"] == "Deny"
    }
    assert denied == {
        "OnlyEncrypted": {"Bool": {"aws:SecureTransport": "false"}},
        "OnlyThroughAnAccessPoint": {"Null": {"elasticfilesystem:AccessPointArn": "true"}},
    }
    point = cluster.properties("DataAccessPoint")
    assert point["PosixUser"] == {"Uid": "1000", "Gid": "1000"}
    assert point["RootDirectory"] == {
        "Path": "/usr/local/camunda/data",
        "CreationInfo": {"OwnerUid": "1000", "OwnerGid": "1000", "Permissions": "755"},
    }
    targets = cluster.of_type("AWS::EFS::MountTarget").values()
    assert sorted(target["SubnetId"] for target in targets) == [
        "subnet-private-1",
        "subnet-private-2",
        "subnet-private-3",
    ]
    assert all(t["SecurityGroups"] == ["att(FileSystemSecurityGroup.GroupId)"] for t in targets)


# --- secrets -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "user"),
    [
        ("DatabaseAdminSecret", "camunda_admin"),
        ("AdminUserSecret", "admin"),
        ("ConnectorsUserSecret", "connectors"),
    ],
)
def test_passwords_are_generated_by_aws(secret: str, user: str) -> None:
    generated = resolve("cluster").properties(secret)["GenerateSecretString"]
    assert generated == {
        "SecretStringTemplate": f'{{"username": "{user}"}}',
        "GenerateStringKey": "password",
        "PasswordLength": 32,
        "ExcludePunctuation": True,
    }


def test_outputs_hold_nothing_secret() -> None:
    outputs = resolve("cluster", **EVERYTHING).outputs
    for name, value in outputs.items():
        assert "resolve:" not in value, name
        assert not re.search(r"password|token", f"{name}{value}", re.IGNORECASE), name
    secrets = {n: v for n, v in outputs.items() if "Secret" in v}
    assert secrets == {
        "DatabaseAdminSecretArn": "att(DatabaseAdminSecret.Id)",
        "AdminUserSecretArn": "att(AdminUserSecret.Id)",
        "ConnectorsUserSecretArn": "att(ConnectorsUserSecret.Id)",
    }


def test_only_aurora_reads_a_secret_through_cloudformation() -> None:
    reading = {
        name
        for name, resource in resolve("cluster", **EVERYTHING).resources.items()
        if any("{{resolve:" in text for text in strings(dict(resource)))
    }
    assert reading == {"DatabaseCluster"}


# --- Aurora --------------------------------------------------------------------------------------


def test_aurora() -> None:
    cluster = resolve("cluster")
    database = cluster.properties("DatabaseCluster")
    assert database["Engine"] == "aurora-postgresql"
    assert database["EngineVersion"] == "17.9"
    assert database["EnableIAMDatabaseAuthentication"] is True
    assert database["CopyTagsToSnapshot"] is True
    assert database["DeletionProtection"] == "true"
    assert database["BackupRetentionPeriod"] == "7"
    assert "AvailabilityZones" not in database, (
        "a list of zones replaces the cluster when AWS adds one"
    )
    group = cluster.properties("DatabaseParameters")
    assert database["DBClusterParameterGroupName"] == "ref(DatabaseParameters)"
    assert group["Parameters"] == {"rds.force_ssl": "1"}
    assert group["Family"] == "aurora-postgresql17"
    newer = resolve("cluster", DatabaseEngineVersion="18.4").properties("DatabaseParameters")
    assert newer["Family"] == "aurora-postgresql18"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_aurora_instances(count: int) -> None:
    cluster = resolve("cluster", DatabaseInstances=str(count), DatabaseInstanceClass="db.r8g.large")
    instances = list(cluster.of_type("AWS::RDS::DBInstance").values())
    assert len(instances) == count
    assert [one["PromotionTier"] for one in instances] == list(range(count))
    for one in instances:
        assert one["DBInstanceClass"] == "db.r8g.large"
        assert one["AutoMinorVersionUpgrade"] is False
        assert one["PubliclyAccessible"] is False
        assert one["CACertificateIdentifier"] == "rds-ca-rsa2048-g1"
        assert "AvailabilityZone" not in one


def test_logs_are_kept_as_long_as_asked() -> None:
    groups = resolve("cluster", LogRetentionDays="90").of_type("AWS::Logs::LogGroup")
    assert len(groups) == 3
    assert all(one["RetentionInDays"] == "90" for one in groups.values())


@pytest.mark.parametrize("choice", ["enabled", "enhanced", "disabled"])
def test_container_insights(choice: str) -> None:
    settings = resolve("cluster", ContainerInsights=choice).properties("EcsCluster")
    assert settings["ClusterSettings"] == [{"Name": "containerInsights", "Value": choice}]


# --- tags ----------------------------------------------------------------------------------------


def tag_property(resource_type: str) -> str | None:
    """Name of the property that takes a list of tags, None when the type takes none."""
    described = schema(resource_type)
    declared = described.get("tagging", {}).get("tagProperty")
    if declared:
        return str(declared).removeprefix("/properties/")
    return "Tags" if "Tags" in described["properties"] else None


@pytest.mark.parametrize(
    ("stack", "given", "expected"),
    [
        ("cluster", EVERYTHING, {"camunda:control-plane": "control", "camunda:cluster": "demo"}),
        ("network", {"NatGateways": "3"}, {"camunda:control-plane": "control"}),
    ],
)
def test_everything_taggable_is_tagged(
    stack: str, given: dict[str, str], expected: dict[str, str]
) -> None:
    tagged = 0
    for name, resource in resolve(stack, **given).resources.items():
        key = tag_property(resource["Type"])
        if key is None:
            continue
        tags = {tag["Key"]: tag["Value"] for tag in resource["Properties"].get(key, [])}
        assert expected.items() <= tags.items(), name
        tagged += 1
    assert tagged >= 20, "the schemas were read"


# --- roles ---------------------------------------------------------------------------------------


def grants(role: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for policy in role.get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def actions(statement: Mapping[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else found


def test_roles_live_below_the_path_and_behind_the_boundary() -> None:
    for given, boundary in (
        ({}, "arn:aws:iam::123456789012:policy/camunda/boundary"),
        ({"PermissionsBoundaryArn": "arn:aws:iam::1:policy/own"}, "arn:aws:iam::1:policy/own"),
    ):
        roles = resolve("cluster", **given).of_type("AWS::IAM::Role")
        assert set(roles) == {
            "OrchestrationExecutionRole", "OrchestrationTaskRole",
            "ConnectorsExecutionRole", "ConnectorsTaskRole",
        }  # fmt: skip
        for role in roles.values():
            assert role["Path"] == "/camunda/control/"
            assert role["PermissionsBoundary"] == boundary
            (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
            assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}


def test_what_each_role_may_do_by_default() -> None:
    roles = resolve("cluster").of_type("AWS::IAM::Role")
    allowed = {n: {a for s in grants(role) for a in actions(s)} for n, role in roles.items()}
    start = {
        "logs:CreateLogStream", "logs:PutLogEvents", "secretsmanager:GetSecretValue", "kms:Decrypt",
    }  # fmt: skip
    assert allowed == {
        "OrchestrationExecutionRole": start,
        "ConnectorsExecutionRole": start,
        "OrchestrationTaskRole": {
            "elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite",
            "s3:GetBucketLocation", "s3:ListBucket",
            "s3:DeleteObject", "s3:GetObject", "s3:PutObject",
            "kms:Decrypt", "kms:GenerateDataKey", "rds-db:connect",
        },
        "ConnectorsTaskRole": set(),
    }  # fmt: skip
    assert not any(s["Resource"] == "*" for role in roles.values() for s in grants(role))


def test_connectors_cannot_read_the_administrator_password() -> None:
    roles = resolve("cluster").of_type("AWS::IAM::Role")
    readable = {
        name: next(s["Resource"] for s in grants(role) if s["Sid"] == "ReadSecrets")
        for name, role in roles.items()
        if name.endswith("ExecutionRole")
    }
    assert readable == {
        "OrchestrationExecutionRole": ["att(AdminUserSecret.Id)", "att(ConnectorsUserSecret.Id)"],
        "ConnectorsExecutionRole": ["att(ConnectorsUserSecret.Id)"],
    }


def test_brokers_log_in_as_the_one_database_user() -> None:
    role = resolve("cluster", DatabaseUser="engine").properties("OrchestrationTaskRole")
    (statement,) = [s for s in grants(role) if actions(s) == ["rds-db:connect"]]
    assert statement["Resource"] == (
        "arn:aws:rds-db:eu-central-1:123456789012:dbuser:"
        "att(DatabaseCluster.DBClusterResourceId)/engine"
    )


def test_the_boundary_of_the_control_plane_covers_what_the_roles_ask_for() -> None:
    access = load_template(ROOT / "stacks" / "access.yaml")
    boundary = access["Resources"]["TaskBoundary"]["Properties"]
    asked = {
        action
        for role in resolve("cluster", **EVERYTHING).of_type("AWS::IAM::Role").values()
        for one in grants(role)
        for action in actions(one)
    }
    granted = {action for one in boundary["PolicyDocument"]["Statement"] for action in actions(one)}
    assert asked <= granted


def test_no_role_of_a_cluster_reads_what_is_not_meant_for_tasks() -> None:
    """Neither the administrator of a database nor a secret of another control plane."""
    access = load_template(ROOT / "stacks" / "access.yaml")
    boundary = access["Resources"]["TaskBoundary"]["Properties"]["PolicyDocument"]
    for statement in boundary["Statement"]:
        found = set(actions(statement))
        assert not any("*" in one for one in found)
        if found & {"secretsmanager:GetSecretValue", "ssm:GetParameters"}:
            assert statement["Condition"] == {
                "StringEquals": {
                    "aws:ResourceTag/camunda:control-plane": {"Ref": "ControlStack"},
                    "aws:ResourceTag/camunda:purpose": ["camunda-user", "registry", "task"],
                },
            }
        if "kms:Decrypt" in found:
            assert found == {"kms:Decrypt"}
            if statement["Sid"] == "DecryptSessions":
                # The agent of ECS Exec calls KMS itself: aws/amazon-ssm-agent, kmsservice.go.
                tag = {"aws:ResourceTag/camunda:control-plane": {"Ref": "ControlStack"}}
                assert statement["Condition"] == {"StringEquals": tag}
                continue
            (services,) = statement["Condition"]["StringLike"].values()
            assert [one["Fn::Sub"].split(".")[0] for one in services] == [
                "secretsmanager",
                "ssm",
                "s3",
            ]


@pytest.mark.parametrize(
    ("parameter", "purpose"),
    [("LicenseKeySecretArn", "task"), ("RegistryCredentialsArn", "registry")],
)
def test_a_named_secret_is_read_only_for_its_purpose(parameter: str, purpose: str) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:named-a1b2c3"
    readers = [
        one
        for role in resolve("cluster", **{parameter: arn}).of_type("AWS::IAM::Role").values()
        for one in grants(role)
        if one["Resource"] == arn
    ]
    assert readers
    for one in readers:
        assert one["Condition"] == {
            "StringEquals": {
                "aws:ResourceTag/camunda:control-plane": "control",
                "aws:ResourceTag/camunda:purpose": purpose,
            }
        }


def test_each_secret_of_a_cluster_has_its_purpose() -> None:
    found = {
        name: {one["Key"]: one["Value"] for one in secret["Tags"]}["camunda:purpose"]
        for name, secret in resolve("cluster").of_type("AWS::SecretsManager::Secret").items()
    }
    assert found == {
        "DatabaseAdminSecret": "database-admin",
        "AdminUserSecret": "camunda-user",
        "ConnectorsUserSecret": "camunda-user",
    }


def test_every_wildcard_says_why() -> None:
    for name in ("cluster", "network"):
        for number, line in enumerate((STACKS / f"{name}.yaml").read_text().splitlines(), start=1):
            if re.search(r'Resource: "\*"|repository/\*"', line):
                assert " # " in line, f"{name}.yaml:{number} has a wildcard without a reason"


# --- sessions of ECS Exec ------------------------------------------------------------------------


def test_sessions_are_logged_and_encrypted_under_the_cluster_s_own_key() -> None:
    cluster = resolve("cluster", EnableExecuteCommand="true")
    own = "att(SecretsKey.Arn)"
    configuration = cluster.properties("EcsCluster")["Configuration"]["ExecuteCommandConfiguration"]
    assert configuration == {
        "KmsKeyId": own,
        "Logging": "OVERRIDE",
        "LogConfiguration": {
            "CloudWatchLogGroupName": "ref(ExecuteCommandLogGroup)",
            "CloudWatchEncryptionEnabled": True,
        },
    }
    assert cluster.properties("ExecuteCommandLogGroup")["KmsKeyId"] == own
    (logs,) = [
        one
        for one in cluster.properties("SecretsKey")["KeyPolicy"]["Statement"]
        if "Service" in one["Principal"]
    ]
    assert logs["Principal"] == {"Service": "logs.eu-central-1.amazonaws.com"}
    (group,) = logs["Condition"]["ArnLike"].values()
    assert group.endswith(":log-group:control-demo-ExecuteCommandLogGroup-*")


@pytest.mark.parametrize("role", ["OrchestrationTaskRole", "ConnectorsTaskRole"])
@pytest.mark.parametrize(("given", "key"), [("", "att(SecretsKey.Arn)"), (KEY, KEY)])
def test_tasks_may_decrypt_sessions_only_while_there_are_any(
    role: str, given: str, key: str
) -> None:
    """https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-exec.html"""

    def sessions(enabled: str) -> list[Any]:
        found = resolve("cluster", EnableExecuteCommand=enabled, KmsKeyArn=given)
        policies = found.properties(role).get("Policies", [])
        statements = [one for each in policies for one in each["PolicyDocument"]["Statement"]]
        return [one["Resource"] for one in statements if one.get("Sid") == "DecryptSessions"]

    assert sessions("true") == [key]
    assert sessions("false") == []


def test_a_key_of_the_user_encrypts_sessions_but_not_their_log_group() -> None:
    """Its policy need not allow CloudWatch Logs."""
    cluster = resolve("cluster", KmsKeyArn=KEY)
    configuration = cluster.properties("EcsCluster")["Configuration"]["ExecuteCommandConfiguration"]
    assert configuration["KmsKeyId"] == KEY
    assert configuration["LogConfiguration"]["CloudWatchEncryptionEnabled"] is False
    assert "KmsKeyId" not in cluster.properties("ExecuteCommandLogGroup")


@pytest.mark.parametrize(("asked", "status"), [("false", "DISABLED"), ("true", "ENABLED")])
def test_files_are_backed_up_on_request(asked: str, status: str) -> None:
    cluster = resolve("cluster", FileSystemBackup=asked)
    assert cluster.properties("FileSystem")["BackupPolicy"] == {"Status": status}
