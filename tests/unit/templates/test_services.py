"""Brokers and connectors: what ECS is told, and what it is deliberately not told."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from lifecycle.adapters.aws.secrets import PASSWORD_RULES
from lifecycle.cluster.planned_outputs import OF_PARAMETERS, OF_RESOURCES
from lifecycle.services.definition import NAMES, placeholders, render

from tests.support.world import DEFINITIONS
from tests.unit.templates.resolver import MACHINE, Resolved, resolve, strings, template

if TYPE_CHECKING:
    from collections.abc import Mapping


def container(cluster: Resolved, definition: str, name: str) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = cluster.properties(definition)["ContainerDefinitions"]
    return next(one for one in found if one["Name"] == name)


def broker(cluster: Resolved) -> Mapping[str, Any]:
    return container(cluster, "OrchestrationTaskDefinition", "orchestration-cluster")


def environment(definition: Mapping[str, Any]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in definition["Environment"]}


# --- the services: definitions in the shape of the ECS API ---------------------------------------


def service(name: str, cluster: Resolved | None = None, count: int = 3) -> dict[str, Any]:
    """A service as the machines render it from the outputs of a cluster's stack."""
    outputs = (cluster or resolve("cluster")).outputs
    return render(DEFINITIONS[name], outputs, count=count, tags={"camunda:cluster": "demo"})


def test_no_stack_holds_a_service() -> None:
    assert not resolve("cluster").of_type("AWS::ECS::Service")


@pytest.mark.parametrize("listener", ["false", "true"])
@pytest.mark.parametrize("name", NAMES)
def test_a_service_is_what_the_sdk_takes(name: str, listener: str) -> None:
    rendered = service(name, resolve("cluster", ManagementListener=listener))
    model = botocore.session.get_session().get_service_model("ecs")
    shape = model.shape_for("CreateServiceRequest")
    report = ParamValidator().validate(rendered, shape)
    assert not report.has_errors(), report.generate_report()
    assert "${" not in json.dumps(rendered)


def test_every_value_that_a_definition_needs_is_an_output_of_the_stack() -> None:
    outputs = set(template("cluster")["Outputs"])
    ours = {"Count", "MinimumHealthyPercent", "BreakerThreshold", "Tags"}
    for name in NAMES:
        needed = placeholders(DEFINITIONS[name]) - ours
        assert needed <= outputs, name
        assert needed <= OF_PARAMETERS | set(OF_RESOURCES) | {"PrivateSubnetIds"}, name


def test_outputs_after_a_change_set_are_told_from_where_they_come() -> None:
    found = template("cluster")["Outputs"]
    for output in OF_PARAMETERS:
        assert found[output]["Value"] == {"Ref": output}, output
    for output, resource in OF_RESOURCES.items():
        assert resource in json.dumps(found[output]["Value"]), output


def test_what_only_services_need_changes_a_resource_too() -> None:
    """CloudFormation refuses a change set that changes nothing but outputs."""
    usual = resolve("cluster").resources["EcsCluster"]
    for name, value in (
        ("Connectors", "3"), ("EnableExecuteCommand", "true"), ("BrokerGraceSeconds", "1800"),
        ("ManagementListener", "true"),
    ):  # fmt: skip
        assert resolve("cluster", **{name: value}).resources["EcsCluster"] != usual, name


@pytest.mark.parametrize(
    ("definition", "family"),
    [
        ("OrchestrationTaskDefinition", "orchestration-cluster"),
        ("ConnectorsTaskDefinition", "connectors"),
    ],
)
def test_a_service_names_its_revision_by_its_whole_arn(definition: str, family: str) -> None:
    cluster = resolve("cluster")
    assert cluster.properties(definition)["Family"] == f"control-demo-{family}"
    assert service(family, cluster)["taskDefinition"] == f"ref({definition})"
    assert cluster.resources[definition]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("brokers", range(1, 31))
def test_a_deployment_takes_at_most_one_broker_away(brokers: int) -> None:
    configuration = service("orchestration-cluster", count=brokers)["deploymentConfiguration"]
    least = math.ceil(brokers * configuration["minimumHealthyPercent"] / 100)
    assert least == brokers - 1
    assert configuration["maximumPercent"] == 100


def test_three_brokers_keep_the_percentage_of_the_reference() -> None:
    configuration = service("orchestration-cluster")["deploymentConfiguration"]
    assert configuration["minimumHealthyPercent"] == 66


def test_each_broker_may_fail_more_than_once_before_ecs_gives_up() -> None:
    breaker = service("orchestration-cluster")["deploymentConfiguration"][
        "deploymentCircuitBreaker"
    ]
    assert breaker == {
        "enable": True,
        "rollback": False,
        "thresholdConfiguration": {"type": "COUNT", "value": 9},
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_both_services_have_in_common(name: str) -> None:
    rendered = service(name)
    assert rendered["launchType"] == "FARGATE"
    assert rendered["availabilityZoneRebalancing"] == "DISABLED"
    assert rendered["propagateTags"] == "SERVICE"
    assert rendered["enableECSManagedTags"] is True
    assert rendered["enableExecuteCommand"] is False
    breaker = rendered["deploymentConfiguration"]["deploymentCircuitBreaker"]
    assert (breaker["enable"], breaker["rollback"]) == (True, False)
    network = rendered["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "DISABLED"
    assert network["subnets"] == ["subnet-private-1", "subnet-private-2", "subnet-private-3"]
    assert rendered["tags"] == [{"key": "camunda:cluster", "value": "demo"}]


def test_each_service_has_a_grace_of_its_own() -> None:
    assert service("connectors")["healthCheckGracePeriodSeconds"] == 300
    assert service("orchestration-cluster")["healthCheckGracePeriodSeconds"] == 900
    longer = resolve("cluster", BrokerGraceSeconds="3600")
    assert service("orchestration-cluster", longer)["healthCheckGracePeriodSeconds"] == 3600


def test_the_cluster_is_made_after_all_that_tasks_need_and_so_deleted_before() -> None:
    """A stack deleted by hand stops at the cluster, which has services, before anything is gone."""
    waited = resolve("cluster").waits_for("EcsCluster")
    assert waited >= {
        "MountTarget1", "MountTarget2", "MountTarget3", "OrchestrationRule", "ConnectorsRule",
        "ConnectorsReadinessRule", "ConnectorsActuatorRule",
        "HttpListener", "GrpcListener", "BrokersFromBrokers", "FileSystemFromBrokers",
        "DatabaseCluster", "DatabaseInstance1", "OrchestrationTaskRole", "ConnectorsTaskRole",
        "OrchestrationExecutionRole", "BrokerSecurityGroup", "ConnectorsSecurityGroup",
        "RestTargetGroup", "GrpcTargetGroup", "ConnectorsTargetGroup", "BrokerDiscovery",
        "ServiceConnectNamespace", "NodeIdBucket", "BackupBucket", "DataAccessPoint",
        "AdminUserSecret", "ConnectorsUserSecret", "OrchestrationLogGroup", "ConnectorsLogGroup",
    }  # fmt: skip


def test_what_may_be_switched_off_is_no_target_group() -> None:
    """A service that still refers to it would lose it."""
    for listener in ("false", "true"):
        cluster = resolve("cluster", ManagementListener=listener)
        assert "ManagementTargetGroup" in cluster.resources
        groups = {
            (one["containerPort"], one["targetGroupArn"])
            for one in service("orchestration-cluster", cluster)["loadBalancers"]
        }
        usual = {(8080, "ref(RestTargetGroup)"), (26500, "ref(GrpcTargetGroup)")}
        more = {(9600, "ref(ManagementTargetGroup)")} if listener == "true" else set()
        assert groups == usual | more


# --- discovery -----------------------------------------------------------------------------------


def test_service_connect_aliases_of_the_reference() -> None:
    cluster = resolve("cluster")
    connect = service("orchestration-cluster", cluster)["serviceConnectConfiguration"]
    aliases = {
        (one["portName"], one["discoveryName"], alias["dnsName"], alias["port"])
        for one in connect["services"]
        for alias in one["clientAliases"]
    }
    assert aliases == {
        ("grpc", "orchestration-cluster-grpc", "orchestration-cluster-grpc", 26500),
        ("internal-api", "orchestration-cluster-sc", "orchestration-cluster-sc", 26502),
        ("rest", "orchestration-cluster-rest", "orchestration-cluster-rest", 8080),
    }
    named = {port["Name"]: port["ContainerPort"] for port in broker(cluster)["PortMappings"]
             if "Name" in port}  # fmt: skip
    assert all(named[one["portName"]] for one in connect["services"])
    client = service("connectors", cluster)["serviceConnectConfiguration"]
    assert client == {"enabled": True, "namespace": connect["namespace"]}


def test_cloud_map_answers_with_every_broker() -> None:
    cluster = resolve("cluster")
    discovery = cluster.properties("BrokerDiscovery")
    assert discovery["DnsConfig"] == {
        "RoutingPolicy": "MULTIVALUE",
        "DnsRecords": [{"Type": "A", "TTL": 10}],
    }
    name = f"{discovery['Name']}.{cluster.properties('DnsNamespace')['Name']}"
    assert name == cluster.outputs["DiscoveryName"]
    assert name == "orchestration-cluster.control-demo.service.local"
    registries = service("orchestration-cluster", cluster)["serviceRegistries"]
    assert registries == [{"registryArn": "att(BrokerDiscovery.Arn)"}]


@pytest.mark.parametrize(("count", "told"), [(0, False), (1, False), (2, True), (5, True)])
def test_several_connectors_find_each_other(count: int, told: bool) -> None:
    cluster = resolve("cluster", Connectors=str(count))
    discovery = cluster.properties("ConnectorsDiscovery")
    name = f"{discovery['Name']}.{cluster.properties('DnsNamespace')['Name']}"
    (one,) = cluster.properties("ConnectorsTaskDefinition")["ContainerDefinitions"]
    url = environment(one).get("CAMUNDA_CONNECTOR_HEADLESS_SERVICEURL")
    assert url == (name if told else None)
    registries = service("connectors", cluster)["serviceRegistries"]
    assert registries == [{"registryArn": "att(ConnectorsDiscovery.Arn)"}]


# --- the brokers' task ---------------------------------------------------------------------------


def test_size_and_platform_of_a_broker() -> None:
    definition = resolve("cluster").properties("OrchestrationTaskDefinition")
    assert (definition["Cpu"], definition["Memory"]) == ("4096", "8192")
    assert definition["RuntimePlatform"] == {
        "OperatingSystemFamily": "LINUX",
        "CpuArchitecture": "X86_64",
    }
    assert definition["RequiresCompatibilities"] == ["FARGATE"]
    assert definition["NetworkMode"] == "awsvpc"


def test_ports_and_health_check_of_a_broker() -> None:
    definition = broker(resolve("cluster"))
    ports = [port["ContainerPort"] for port in definition["PortMappings"]]
    assert ports == [26500, 26501, 26502, 9600, 8080]
    check = definition["HealthCheck"]
    assert "http://localhost:9600/actuator/health/liveness" in check["Command"][1]
    assert (check["Interval"], check["Timeout"], check["Retries"]) == (30, 5, 3)
    assert check["StartPeriod"] == 300
    assert definition["StopTimeout"] == 30


def test_environment_of_a_broker() -> None:
    cluster = resolve("cluster", Brokers="5", Partitions="7", ReplicationFactor="5")
    found = environment(broker(cluster))
    assert found == {
        "SPRING_LIFECYCLE_TIMEOUTPERSHUTDOWNPHASE": "5s",
        "CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY": "/usr/local/camunda/data",
        "CAMUNDA_CLUSTER_INITIALCONTACTPOINTS": "orchestration-cluster-sc:26502",
        "CAMUNDA_CLUSTER_SIZE": "5",
        "CAMUNDA_CLUSTER_PARTITIONCOUNT": "7",
        "CAMUNDA_CLUSTER_REPLICATIONFACTOR": "5",
        "CAMUNDA_SYSTEM_CPUTHREADCOUNT": "3",
        "CAMUNDA_SYSTEM_IOTHREADCOUNT": "3",
        "CAMUNDA_DATA_PRIMARYSTORAGE_ROCKSDB_MEMORYALLOCATIONSTRATEGY": "FRACTION",
        "CAMUNDA_DATA_PRIMARYSTORAGE_ROCKSDB_MEMORYFRACTION": "0.1",
        "CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE": "s3",
        "CAMUNDA_CLUSTER_NODEIDPROVIDER_S3_BUCKETNAME": "ref(NodeIdBucket)",
        "CAMUNDA_CLUSTER_NODEIDPROVIDER_S3_LEASEDURATION": "PT15S",
        "CAMUNDA_CLUSTER_NODEIDPROVIDER_S3_REGION": "eu-central-1",
        "CAMUNDA_DATA_SECONDARYSTORAGE_TYPE": "rdbms",
        "CAMUNDA_DATA_SECONDARYSTORAGE_AUTOCONFIGURECAMUNDAEXPORTER": "false",
        "CAMUNDA_DATA_SECONDARYSTORAGE_RDBMS_URL": (
            "jdbc:aws-wrapper:postgresql://att(DatabaseCluster.Endpoint.Address)"
            ":att(DatabaseCluster.Endpoint.Port)/camunda"
            "?wrapperPlugins=iam&sslmode=verify-full&sslrootcert=/database-ca/ca.pem"
        ),
        "CAMUNDA_DATA_SECONDARYSTORAGE_RDBMS_USERNAME": "camunda",
        "CAMUNDA_DATA_SECONDARYSTORAGE_RDBMS_AUTODDL": "true",
        "CAMUNDA_DATA_SECONDARYSTORAGE_RDBMS_DDLLOCKWAITTIMEOUT": "PT5M",
        "CAMUNDA_PERSISTENT_SESSIONS_ENABLED": "true",
        "SPRING_DATASOURCE_DRIVER_CLASS_NAME": "software.amazon.jdbc.Driver",
        "CAMUNDA_SECURITY_AUTHENTICATION_METHOD": "basic",
        "CAMUNDA_SECURITY_AUTHENTICATION_UNPROTECTEDAPI": "false",
        "CAMUNDA_SECURITY_AUTHORIZATIONS_ENABLED": "true",
        "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_USERNAME": "admin",
        "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_NAME": "Admin User",
        "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_EMAIL": "admin@example.com",
        "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_ADMIN_USERS_0": "admin",
        "CAMUNDA_SECURITY_INITIALIZATION_USERS_1_NAME": "Connectors User",
        "CAMUNDA_SECURITY_INITIALIZATION_USERS_1_EMAIL": "connectors@example.com",
        "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_STORE": "S3",
        "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_S3_BUCKETNAME": "ref(BackupBucket)",
        "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_S3_REGION": "eu-central-1",
        "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_CONTINUOUS": "true",
        "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_SCHEDULE": "PT15M",
        "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_CHECKPOINTINTERVAL": "PT5M",
        "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_RETENTION_WINDOW": "P7D",
        "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_RETENTION_CLEANUPSCHEDULE": "PT1H",
    }


def test_backups_follow_their_parameters() -> None:
    found = environment(
        broker(
            resolve(
                "cluster",
                BackupSchedule="PT1H",
                BackupCheckpointInterval="PT30M",
                BackupRetentionDays="14",
            )
        )
    )
    prefix = "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_"
    assert found[f"{prefix}SCHEDULE"] == "PT1H"
    assert found[f"{prefix}CHECKPOINTINTERVAL"] == "PT30M"
    assert found[f"{prefix}RETENTION_WINDOW"] == "P14D"


@pytest.mark.parametrize(
    ("cpu", "threads"),
    [("1024", "2"), ("2048", "2"), ("4096", "3"), ("8192", "6"), ("16384", "12")],
)
def test_threads_grow_with_the_processors(cpu: str, threads: str) -> None:
    found = environment(broker(resolve("cluster", BrokerCpu=cpu)))
    assert found["CAMUNDA_SYSTEM_CPUTHREADCOUNT"] == threads
    assert found["CAMUNDA_SYSTEM_IOTHREADCOUNT"] == threads


def test_behind_https_both_take_what_the_load_balancer_says() -> None:
    certificate = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b"
    own, none = {"CertificateArn": certificate}, dict[str, str]()
    requested = {"DomainName": "camunda.example.com", "HostedZoneId": "Z0123456789ABC"}
    for given, expected in ((own, "native"), (requested, "native"), (none, None)):
        cluster = resolve("cluster", **given)
        connectors = container(cluster, "ConnectorsTaskDefinition", "connectors")
        for one in (broker(cluster), connectors):
            assert environment(one).get("SERVER_FORWARDHEADERSSTRATEGY") == expected


def test_a_licence_reaches_the_brokers_alone() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:licence-a1b2c3"
    cluster = resolve("cluster", LicenseKeySecretArn=arn)
    secrets = {one["Name"]: one["ValueFrom"] for one in broker(cluster)["Secrets"]}
    assert secrets["CAMUNDA_LICENSE_KEY"] == arn
    roles = {
        name: [s for policy in role["Policies"] for s in policy["PolicyDocument"]["Statement"]]
        for name, role in cluster.of_type("AWS::IAM::Role").items()
    }
    readers = {name: s for name, all_ in roles.items() for s in all_ if s["Resource"] == arn}
    assert set(readers) == {"OrchestrationExecutionRole"}
    (statement,) = readers.values()
    assert statement["Condition"] == {
        "StringEquals": {
            "aws:ResourceTag/camunda:control-plane": "control",
            "aws:ResourceTag/camunda:purpose": "task",
        }
    }


def test_a_version_that_no_tag_says_is_a_label() -> None:
    assert broker(resolve("cluster", CamundaVersion="8.9.22"))["DockerLabels"] == {
        "camunda.version": "8.9.22"
    }
    assert "DockerLabels" not in broker(resolve("cluster"))


def test_without_continuous_backup_nothing_is_scheduled() -> None:
    found = environment(broker(resolve("cluster", ContinuousBackup="false")))
    assert found["CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_CONTINUOUS"] == "false"
    assert not [name for name in found if "SCHEDULE" in name or "RETENTION" in name]
    assert found["CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_STORE"] == "S3"


def test_passwords_come_from_secrets_only() -> None:
    cluster = resolve("cluster")
    found = {
        secret["Name"]: secret["ValueFrom"]
        for definition in cluster.of_type("AWS::ECS::TaskDefinition").values()
        for one in definition["ContainerDefinitions"]
        for secret in one.get("Secrets", [])
    }
    assert found == {
        "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_PASSWORD": "att(AdminUserSecret.Id):password::",
        "CAMUNDA_SECURITY_INITIALIZATION_USERS_1_PASSWORD": (
            "att(ConnectorsUserSecret.Id):password::"
        ),
        # Two users take turns; new data begins with the one that the secret has.
        "CAMUNDA_SECURITY_INITIALIZATION_USERS_1_USERNAME": (
            "att(ConnectorsUserSecret.Id):username::"
        ),
        "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES_CONNECTORS_USERS_0": (
            "att(ConnectorsUserSecret.Id):username::"
        ),
        "CAMUNDA_CLIENT_AUTH_USERNAME": "att(ConnectorsUserSecret.Id):username::",
        "CAMUNDA_CLIENT_AUTH_PASSWORD": "att(ConnectorsUserSecret.Id):password::",
    }
    for definition in cluster.of_type("AWS::ECS::TaskDefinition").values():
        for one in definition["ContainerDefinitions"]:
            assert not any("resolve:" in text for text in strings(one["Environment"]))


def test_a_rotation_makes_passwords_by_the_rules_of_the_template() -> None:
    for secret in resolve("cluster").of_type("AWS::SecretsManager::Secret").values():
        rules = dict(secret["GenerateSecretString"])
        user = json.loads(rules.pop("SecretStringTemplate"))
        assert list(user) == ["username"]
        assert rules.pop("GenerateStringKey") == "password"
        assert rules == PASSWORD_RULES


def test_data_volume_is_mounted_with_iam_and_tls() -> None:
    cluster = resolve("cluster")
    volumes = {v["Name"]: v for v in cluster.properties("OrchestrationTaskDefinition")["Volumes"]}
    assert volumes["camunda-volume"]["EFSVolumeConfiguration"] == {
        "FilesystemId": "ref(FileSystem)",
        "RootDirectory": "/",
        "TransitEncryption": "ENABLED",
        "AuthorizationConfig": {"AccessPointId": "ref(DataAccessPoint)", "IAM": "ENABLED"},
    }
    mounts = {m["SourceVolume"]: m for m in broker(cluster)["MountPoints"]}
    assert mounts["camunda-volume"]["ContainerPath"] == "/usr/local/camunda/data"
    assert mounts["camunda-volume"]["ReadOnly"] is False


def test_database_authority_is_there_before_the_broker_starts() -> None:
    cluster = resolve("cluster")
    writer = container(cluster, "OrchestrationTaskDefinition", "database-ca")
    definition = broker(cluster)
    assert definition["DependsOn"] == [{"ContainerName": "database-ca", "Condition": "SUCCESS"}]
    assert writer["Essential"] is False
    assert writer["Image"] == definition["Image"]
    assert writer["User"] == "0", "task volumes belong to root"
    assert environment(writer) == {"DATABASE_CA_CERTIFICATE": MACHINE["DatabaseCaCertificate"]}
    (mount,) = writer["MountPoints"]
    assert mount["ReadOnly"] is False
    target = environment(definition)["CAMUNDA_DATA_SECONDARYSTORAGE_RDBMS_URL"].split("=")[-1]
    assert target.startswith(mount["ContainerPath"])
    assert f"> {target}" in writer["Command"][0]
    assert "umask 022" in writer["Command"][0], "readable whatever user the broker runs as"
    reader = next(m for m in definition["MountPoints"] if m["SourceVolume"] == "database-ca")
    assert reader == {**mount, "ReadOnly": True}


# --- the connectors' task ------------------------------------------------------------------------


def test_connectors_task() -> None:
    cluster = resolve("cluster")
    definition = cluster.properties("ConnectorsTaskDefinition")
    assert (definition["Cpu"], definition["Memory"]) == ("2048", "4096")
    one = container(cluster, "ConnectorsTaskDefinition", "connectors")
    assert environment(one) == {
        "SERVER_SERVLET_CONTEXT_PATH": "/connectors",
        "MANAGEMENT_ENDPOINTS_WEB_EXPOSURE_INCLUDE": "health",
        "MANAGEMENT_ENDPOINT_HEALTH_SHOWDETAILS": "never",
        "CAMUNDA_CLIENT_MODE": "self-managed",
        "CAMUNDA_CLIENT_RESTADDRESS": "http://orchestration-cluster-rest:8080",
        "CAMUNDA_CLIENT_GRPCADDRESS": "http://orchestration-cluster-grpc:26500",
        "CAMUNDA_CLIENT_AUTH_METHOD": "basic",
    }
    check = one["HealthCheck"]["Command"][1]
    assert "http://localhost:8080/connectors/actuator/health/readiness" in check


# --- images and logs -----------------------------------------------------------------------------


def images(cluster: Resolved) -> set[str]:
    return {
        one["Image"]
        for definition in cluster.of_type("AWS::ECS::TaskDefinition").values()
        for one in definition["ContainerDefinitions"]
    }


def test_default_images_are_released_versions_of_one_minor() -> None:
    assert images(resolve("cluster")) == {
        "camunda/camunda:8.9.22",
        "camunda/connectors-bundle:8.9.14",
    }


def test_a_mirror_serves_every_image() -> None:
    mirrored = images(resolve("cluster", ImageRegistryPrefix="mirror.example.com:5000/hub"))
    assert mirrored == {
        "mirror.example.com:5000/hub/camunda/camunda:8.9.22",
        "mirror.example.com:5000/hub/camunda/connectors-bundle:8.9.14",
    }


def test_registry_credentials_reach_every_container_or_none() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:registry-a1b2c3"
    for given, expected in ((arn, {"CredentialsParameter": arn}), ("", None)):
        cluster = resolve("cluster", RegistryCredentialsArn=given)
        for definition in cluster.of_type("AWS::ECS::TaskDefinition").values():
            for one in definition["ContainerDefinitions"]:
                assert one.get("RepositoryCredentials") == expected


def test_log_patterns_keep_a_stack_trace_in_one_event() -> None:
    cluster = resolve("cluster")
    patterns = {
        one["Name"]: one["LogConfiguration"]["Options"].get("awslogs-multiline-pattern")
        for definition in cluster.of_type("AWS::ECS::TaskDefinition").values()
        for one in definition["ContainerDefinitions"]
    }
    assert patterns == {
        "orchestration-cluster": r"^\[\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{3}\]",
        "database-ca": None,
        "connectors": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z",
    }


@pytest.mark.parametrize(("given", "expected"), [("true", "true"), ("false", "false")])
def test_execute_command_only_on_request(given: str, expected: str) -> None:
    cluster = resolve("cluster", EnableExecuteCommand=given)
    for name in NAMES:
        assert service(name, cluster)["enableExecuteCommand"] is (given == "true")
    allowed = {text for role in cluster.of_type("AWS::IAM::Role").values()
               for text in strings(role) if text.startswith("ssmmessages:")}  # fmt: skip
    assert len(allowed) == (4 if given == "true" else 0)
