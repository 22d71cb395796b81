"""What an account, its region and its network offer, read from its services.

Each fact is read separately and in parallel, so that one missing permission hides no other
and a slow service costs its own time alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from lifecycle.adapters.aws.autoscaling import AwsScalableTargets
from lifecycle.adapters.aws.service_quotas import FARGATE_VCPU, quota_value
from lifecycle.adapters.aws.session import client, error_code
from lifecycle.cluster.names import control_stacks
from lifecycle.cluster.ways_in import prefix_lists, security_groups
from lifecycle.errors import LifecycleError
from lifecycle.observability import of_aws
from lifecycle.preflight.checks import (
    NO_PRIVATE_DNS,
    RETIREMENT,
    Bucket,
    Certificate,
    Engine,
    Facts,
    Key,
    Live,
    Network,
    Quota,
    Subnet,
)
from lifecycle.preflight.hosted_zone import HostedZone, Record, upwards
from lifecycle.preflight.key_policy import KeyPolicy, judge
from lifecycle.preflight.service_roles import SERVICE_ROLES, ServiceRoles
from lifecycle.preflight.sources import PrefixList, Sources
from lifecycle.preflight.way_back import Snapshot
from lifecycle.services.definition import BROKERS, CONNECTORS, NAMES
from lifecycle.services.named_secrets import SecretSeen, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lifecycle.preflight.checks import Need
    from lifecycle.services.named_secrets import NamedSecret

# https://docs.aws.amazon.com/general/latest/gr/elb.html, aurora.html
_APPLICATION_BALANCERS: Final = ("elasticloadbalancing", "L-53DA6B97")
_NETWORK_BALANCERS: Final = ("elasticloadbalancing", "L-69A177A2")
_DATABASE_CLUSTERS: Final = ("rds", "L-952B80B8")
_DATABASE_INSTANCES: Final = ("rds", "L-7B6409FD")
_ENGINE: Final = "aurora-postgresql"
# The role may read only what carries the control plane's tag.
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
# The keys of a route that contain its target.
_TARGETS: Final = (
    "NatGatewayId",
    "TransitGatewayId",
    "GatewayId",
    "NetworkInterfaceId",
    "InstanceId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "CarrierGatewayId",
    "LocalGatewayId",
    "CoreNetworkArn",
)


class AwsAccount:
    """The ``Account`` port on AWS. Nothing here changes anything."""

    def __init__(
        self,
        *,
        region: str,
        vpc: str,
        subnets: tuple[str, ...],
        bucket: str,
        deployment_role: str,
    ) -> None:
        self._region = region
        self._vpc = vpc
        self._subnets = subnets
        self._bucket_name = bucket
        self._deployment_role = deployment_role

    def facts(self, need: Need) -> Facts:
        """Read every fact that the need requires; what cannot be read is None, with the reason."""
        found: dict[str, Any] = {}
        unread: dict[str, str] = {}
        readers: dict[str, Callable[[], Any]] = {
            "account": lambda: str(client("sts", attempts=3).get_caller_identity()["Account"]),
            "engine_offered": lambda: _engine_offered(need.engine_version),
            "class_offered": lambda: _class_offered(need.engine_version, need.instance_class),
            "network": self._network,
            "bucket": self._bucket,
            "retirement_days": lambda: _days_set(RETIREMENT),
        }
        if need.broker_vcpu or need.connectors_vcpu:
            readers["vcpu"] = lambda: Quota(quota_value(*FARGATE_VCPU), _vcpu_used())
            if not need.creates:
                readers["live"] = lambda: _live(need.stack)
        if not need.creates:
            readers["autoscaled"] = lambda: tuple(
                AwsScalableTargets().of_services(need.stack, (BROKERS, CONNECTORS))
            )
        if need.database_instances:
            readers["database_instances"] = lambda: Quota(
                quota_value(*_DATABASE_INSTANCES), _count("describe_db_instances", "DBInstances")
            )
        if need.database:
            readers["engine"] = lambda: _engine(need.database)
        if need.crosses_minor:
            readers["snapshot"] = lambda: _snapshot(need.database)
        if need.creates:
            readers |= {
                "application_balancers": lambda: Quota(
                    quota_value(*_APPLICATION_BALANCERS), _balancers("application")
                ),
                "network_balancers": lambda: Quota(
                    quota_value(*_NETWORK_BALANCERS), _balancers("network")
                ),
                "database_clusters": lambda: Quota(
                    quota_value(*_DATABASE_CLUSTERS), _count("describe_db_clusters", "DBClusters")
                ),
                "ecs_cluster_exists": lambda: _ecs_cluster_exists(need.stack),
                "service_roles": lambda: _service_roles(self._deployment_role),
                "control_stacks": lambda: tuple(_control_stacks()),
            }
        readers |= self._named(need)
        with ThreadPoolExecutor(max_workers=len(readers)) as pool:
            answers = {name: pool.submit(read) for name, read in readers.items()}
        for name, answer in answers.items():
            error = answer.exception()
            if error is None:
                found[name] = answer.result()
                continue
            unread[name] = _why(error)
        return Facts(region=self._region, unread=unread, **found)

    def _named(self, need: Need) -> dict[str, Callable[[], Any]]:
        """Return the readers of what a request names of the account."""
        readers: dict[str, Callable[[], Any]] = {}
        if need.certificate_arn.split(":")[3:4] == [self._region]:
            readers["https_certificate"] = lambda: _certificate(need.certificate_arn)
        if need.hosted_zone:
            readers["hosted_zone"] = lambda: _hosted_zone(need.hosted_zone, need.names)
        if need.names_sources:
            readers["sources"] = lambda: _sources(need.parameters)
        if need.kms_key_arn.split(":")[3:4] == [self._region]:
            readers["kms_key"] = lambda: _key(need.kms_key_arn)
            readers["kms_key_policy"] = lambda: _key_policy(need.kms_key_arn)
        here = [one for one in need.secrets if one.region == self._region]
        if here:
            readers["secrets"] = lambda: {one.arn: _secret(one) for one in here}
        return readers

    def _network(self) -> Network:
        ec2 = client("ec2", attempts=3)

        def attribute(name: str) -> bool:
            answer = ec2.describe_vpc_attribute(VpcId=self._vpc, Attribute=name)
            return bool(answer[name[0].upper() + name[1:]]["Value"])

        here = [{"Name": "vpc-id", "Values": [self._vpc]}]
        tables = ec2.describe_route_tables(Filters=here)["RouteTables"]
        endpoints = ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]
        prefix = f"com.amazonaws.{self._region}."
        private = [table["RouteTableId"] for s in self._subnets for table in _tables_of(tables, s)]
        used: dict[str, str] = {}
        for endpoint in endpoints:
            service = endpoint["ServiceName"].removeprefix(prefix)
            # One of several is enough, as a gateway and an interface for the same service.
            if used.get(service) != "":
                used[service] = why_unused(endpoint, private)
        return Network(
            dns_support=attribute("enableDnsSupport"),
            dns_hostnames=attribute("enableDnsHostnames"),
            subnets=tuple(
                Subnet(
                    subnet_id=subnet["SubnetId"],
                    zone=subnet["AvailabilityZone"],
                    free=subnet["AvailableIpAddressCount"],
                    way_out=way_out(tables, subnet["SubnetId"]),
                    zone_id=subnet.get("AvailabilityZoneId", ""),
                )
                for subnet in ec2.describe_subnets(SubnetIds=list(self._subnets))["Subnets"]
            ),
            endpoints=frozenset(service for service, why in used.items() if not why),
            unused_endpoints={service: why for service, why in used.items() if why},
            vpc=self._vpc,
        )

    def _bucket(self) -> Bucket:
        s3 = client("s3", attempts=3)
        try:
            answer = s3.get_public_access_block(Bucket=self._bucket_name)
            block = answer["PublicAccessBlockConfiguration"]
        except s3.exceptions.ClientError as error:
            if error_code(error) != "NoSuchPublicAccessBlockConfiguration":
                raise
            block = {}
        versioning = s3.get_bucket_versioning(Bucket=self._bucket_name).get("Status")
        return Bucket(
            private=len(block) == 4 and all(block.values()), versioned=versioning == "Enabled"
        )


def _why(error: BaseException) -> str:
    """Return the error that AWS returned; raise any other one."""
    known = error if isinstance(error, LifecycleError) else None
    if known is None and isinstance(error, Exception):
        known = of_aws(error)
    if known is None:
        raise error
    return known.message


def way_out(tables: list[dict[str, Any]], subnet: str) -> str:
    """Return the target of a subnet's default route, such as ``nat-…``; empty if it has none.

    A subnet without a route table of its own uses the main one. A route whose target is gone (a
    black hole) leads nowhere.
    """
    for table in _tables_of(tables, subnet):
        for route in table["Routes"]:
            if (
                route.get("DestinationCidrBlock") == "0.0.0.0/0"
                and route.get("State") != "blackhole"
            ):
                return next((route[key] for key in _TARGETS if route.get(key)), "")
    return ""


def why_unused(endpoint: dict[str, Any], private: list[str]) -> str:
    """Return why tasks in subnets with route tables ``private`` use no endpoint, or empty.

    Clients resolve a service's public name. It leads to an interface only with private DNS, and to
    a gateway only by the route that its route tables get.
    https://docs.aws.amazon.com/vpc/latest/privatelink/privatelink-access-aws-services.html
    https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html
    """
    state = str(endpoint.get("State", "")).lower()
    if state != "available":
        return f"it is {state or 'in no known state'}"
    if endpoint.get("VpcEndpointType") == "Gateway":
        lacking = sorted(set(private) - set(endpoint.get("RouteTableIds", ())))
        return f"not in {', '.join(lacking)}" if lacking else ""
    return "" if endpoint.get("PrivateDnsEnabled") is True else NO_PRIVATE_DNS


def _tables_of(tables: list[dict[str, Any]], subnet: str) -> list[dict[str, Any]]:
    own = [t for t in tables if any(a.get("SubnetId") == subnet for a in t["Associations"])]
    main = [t for t in tables if any(a.get("Main") for a in t["Associations"])]
    return own or main


def _vcpu_used() -> float:
    # https://docs.aws.amazon.com/AmazonECS/latest/developerguide/monitoring-fargate-usage.html
    now = datetime.now(UTC)
    points = client("cloudwatch", attempts=3).get_metric_statistics(
        Namespace="AWS/Usage",
        MetricName="ResourceCount",
        Dimensions=[
            {"Name": "Service", "Value": "Fargate"},
            {"Name": "Type", "Value": "Resource"},
            {"Name": "Resource", "Value": "vCPU"},
            {"Name": "Class", "Value": "Standard/OnDemand"},
        ],
        StartTime=now - timedelta(minutes=15),
        EndTime=now,
        Period=300,
        Statistics=["Maximum"],
    )["Datapoints"]
    # An account in which nothing runs has no points.
    return float(max((point["Maximum"] for point in points), default=0.0))


def _balancers(kind: str) -> float:
    pages = client("elbv2", attempts=3).get_paginator("describe_load_balancers").paginate()
    return sum(1 for page in pages for found in page["LoadBalancers"] if found["Type"] == kind)


def _count(operation: str, key: str) -> float:
    pages = client("rds", attempts=3).get_paginator(operation).paginate()
    return sum(len(page[key]) for page in pages)


def _snapshot(database: str) -> Snapshot:
    """Find the newest available snapshot of an Aurora cluster, by hand or automatic.

    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBClusterSnapshots.html
    """
    # Without an identifier RDS would answer with those of every cluster.
    if not database:
        return Snapshot(None)
    pages = (
        client("rds", attempts=3)
        .get_paginator("describe_db_cluster_snapshots")
        .paginate(DBClusterIdentifier=database)
    )
    times = [
        one["SnapshotCreateTime"]
        for page in pages
        for one in page["DBClusterSnapshots"]
        if one.get("Status") == "available" and one.get("SnapshotCreateTime")
    ]
    return Snapshot(max(times, default=None))


def _engine_offered(version: str) -> bool:
    found = client("rds", attempts=3).describe_db_engine_versions(
        Engine=_ENGINE, EngineVersion=version
    )
    return bool(found["DBEngineVersions"])


def _engine(cluster: str) -> Engine:
    # https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_UpgradeTarget.html
    api = client("rds", attempts=3)
    (found,) = api.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"]
    versions = api.describe_db_engine_versions(
        Engine=_ENGINE, EngineVersion=found["EngineVersion"], IncludeAll=True
    )["DBEngineVersions"]
    return Engine(
        version=found["EngineVersion"],
        targets=frozenset(
            one["EngineVersion"]
            for version in versions
            for one in version.get("ValidUpgradeTarget", ())
        ),
    )


def _class_offered(version: str, instance_class: str) -> bool:
    api = client("rds", attempts=3)
    try:
        found = api.describe_orderable_db_instance_options(
            Engine=_ENGINE, EngineVersion=version, DBInstanceClass=instance_class, Vpc=True
        )
    except api.exceptions.ClientError as error:
        # RDS refuses a version or class that it does not know instead of listing none.
        if error_code(error) in {"InvalidParameterValue", "InvalidParameterCombination"}:
            return False
        raise
    return bool(found["OrderableDBInstanceOptions"])


def _live(ecs_cluster: str) -> Live:
    answer = client("ecs", attempts=3).describe_services(cluster=ecs_cluster, services=list(NAMES))
    wanted = {one["serviceName"]: int(one["desiredCount"]) for one in answer["services"]}
    brokers, connectors = (wanted.get(name, 0) for name in NAMES)
    return Live(brokers, connectors)


def _days_set(name: str) -> int:
    # https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListAccountSettings.html
    found = client("ecs", attempts=3).list_account_settings(name=name, effectiveSettings=True)
    (setting,) = found["settings"]
    return int(setting["value"])


def _secret(secret: NamedSecret) -> SecretSeen:
    """See what there is of a secret, never its value."""
    stored = secret.service == "secretsmanager"
    try:
        return _stored(secret.arn) if stored else _parameter(secret.arn)
    except Exception as error:
        if error_code(error) in _DENIED:
            return SecretSeen(Seen.DENIED)
        raise


def _stored(arn: str) -> SecretSeen:
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
    api = client("secretsmanager", attempts=3)
    try:
        found = api.describe_secret(SecretId=arn)
    except api.exceptions.ResourceNotFoundException:
        return SecretSeen(Seen.ABSENT)
    tags = {tag["Key"]: tag["Value"] for tag in found.get("Tags", ())}
    if "DeletedDate" in found:
        return SecretSeen(Seen.LEAVING, tags)
    return SecretSeen(Seen.THERE, tags, found["ARN"])


def _parameter(arn: str) -> SecretSeen:
    """See a parameter's tags.

    The ARN of ``/name`` is that of ``name``: a name begins with a slash in a hierarchy, and may
    otherwise.
    https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html
    """
    api = client("ssm", attempts=3)
    name = arn.partition(":parameter/")[2]
    for one in (f"/{name}",) if "/" in name else (name, f"/{name}"):
        try:
            found = api.list_tags_for_resource(ResourceType="Parameter", ResourceId=one)
        except api.exceptions.InvalidResourceId:
            continue
        return SecretSeen(Seen.THERE, {tag["Key"]: tag["Value"] for tag in found["TagList"]})
    return SecretSeen(Seen.ABSENT)


def _certificate(arn: str) -> Certificate:
    # https://docs.aws.amazon.com/acm/latest/APIReference/API_DescribeCertificate.html
    api = client("acm", attempts=3)
    try:
        found = api.describe_certificate(CertificateArn=arn)["Certificate"]
    except api.exceptions.ResourceNotFoundException:
        return Certificate("")
    names = [found["DomainName"], *found.get("SubjectAlternativeNames", ())]
    return Certificate(found["Status"], tuple(dict.fromkeys(names)), found.get("NotAfter"))


def _sources(parameters: Mapping[str, str]) -> Sources:
    """See the prefix lists and security groups that a cluster names; filters skip what is absent.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeManagedPrefixLists.html
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSecurityGroups.html
    """
    api = client("ec2", attempts=3)
    lists: list[dict[str, Any]] = []
    groups: list[dict[str, Any]] = []
    if named := prefix_lists(parameters):
        given = [{"Name": "prefix-list-id", "Values": list(named)}]
        lists = api.describe_managed_prefix_lists(Filters=given)["PrefixLists"]
    if named := security_groups(parameters):
        given = [{"Name": "group-id", "Values": list(named)}]
        groups = api.describe_security_groups(Filters=given)["SecurityGroups"]
    return Sources(
        # A list of AWS's own has no most entries; its weight is in the documents alone.
        {
            one["PrefixListId"]: PrefixList(one["AddressFamily"], one.get("MaxEntries", 0))
            for one in lists
        },
        {one["GroupId"]: one.get("VpcId", "") for one in groups},
    )


def _hosted_zone(zone_id: str, names: Sequence[str]) -> HostedZone:
    """See a hosted zone, with the records of these names and of every name above them in it.

    https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHostedZone.html
    """
    api = client("route53", attempts=3)
    try:
        answer = api.get_hosted_zone(Id=zone_id)
    except api.exceptions.NoSuchHostedZone:
        return HostedZone("")
    except api.exceptions.ClientError as error:
        if error_code(error) in _DENIED:
            return HostedZone("", denied=True)
        raise
    name = answer["HostedZone"]["Name"].rstrip(".").lower()
    read = dict.fromkeys(above for one in names for above in upwards(one, name))
    return HostedZone(
        name,
        private=answer["HostedZone"].get("Config", {}).get("PrivateZone", False),
        servers=tuple(answer.get("DelegationSet", {}).get("NameServers", ())),
        records=tuple(record for one in read for record in _records(zone_id, one)),
    )


def _records(zone_id: str, name: str) -> Iterator[Record]:
    """Read the record sets of one name, from which Route 53 lists on to those of others.

    https://docs.aws.amazon.com/Route53/latest/APIReference/API_ListResourceRecordSets.html
    """
    pages = client("route53", attempts=3).get_paginator("list_resource_record_sets")
    for page in pages.paginate(HostedZoneId=zone_id, StartRecordName=name):
        for one in page["ResourceRecordSets"]:
            if one["Name"].rstrip(".").lower() != name:
                return
            target = one.get("AliasTarget")
            yield Record(
                name,
                one["Type"],
                (target["DNSName"].rstrip("."),)
                if target
                else tuple(value["Value"] for value in one.get("ResourceRecords", ())),
            )


def _key(arn: str) -> Key:
    # https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
    api = client("kms", attempts=3)
    try:
        found = api.describe_key(KeyId=arn)["KeyMetadata"]
    except api.exceptions.NotFoundException:
        return Key("")
    return Key(found["KeyState"], found.get("KeyUsage", ""), found.get("KeySpec", ""))


def _key_policy(arn: str) -> KeyPolicy:
    # https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html
    found = client("kms", attempts=3).get_key_policy(KeyId=arn, PolicyName="default")
    return judge(found["Policy"], arn.split(":")[4])


def _service_roles(deployment_role: str) -> ServiceRoles:
    """See which service-linked roles there are, and whether those that are not may be made.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
    """
    api = client("iam", attempts=3)
    absent = set()
    for service, role in SERVICE_ROLES.items():
        try:
            api.get_role(RoleName=role)
        except api.exceptions.NoSuchEntityException:
            absent.add(service)
    try:
        allowed = {one: _may_be_made(deployment_role, one) for one in absent}
    except (BotoCoreError, ClientError) as error:
        return ServiceRoles(frozenset(absent), None, _why(error))
    refused = frozenset(service for service, one in allowed.items() if one is False)
    if None in allowed.values() and not refused:
        return ServiceRoles(
            frozenset(absent), None, "a policy of the organization is about what is simulated"
        )
    return ServiceRoles(frozenset(absent), refused)


def _may_be_made(deployment_role: str, service: str) -> bool | None:
    """Return whether IAM's simulator lets a role make a service's role; None where it cannot know.

    It evaluates the organization's policies without the keys of a real request, for example
    ``aws:RequestedRegion``, so that what they deny may be allowed.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    head, _, _ = deployment_role.partition(":role/")
    answer = client("iam", attempts=3).simulate_principal_policy(
        PolicySourceArn=deployment_role,
        ActionNames=["iam:CreateServiceLinkedRole"],
        ResourceArns=[f"{head}:role/aws-service-role/{service}/{SERVICE_ROLES[service]}"],
        ContextEntries=[
            {
                "ContextKeyName": "iam:AWSServiceName",
                "ContextKeyType": "string",
                "ContextKeyValues": [service],
            }
        ],
    )
    result = next(iter(answer["EvaluationResults"]), None)
    if result is None or result["EvalDecision"] == "allowed":
        return None if result is None else True
    organization = result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True)
    return None if not organization or result.get("MissingContextValues") else False


def _control_stacks() -> list[str]:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ListExports.html
    pages = client("cloudformation", attempts=3).get_paginator("list_exports").paginate()
    exports = ((one["Name"], one["ExportingStackId"]) for page in pages for one in page["Exports"])
    return control_stacks(exports)


def _ecs_cluster_exists(name: str) -> bool:
    found = client("ecs", attempts=3).describe_clusters(clusters=[name])["clusters"]
    return any(cluster["status"] != "INACTIVE" for cluster in found)
