"""Resource types and properties that the emulator's CloudFormation lacks or drops."""

from __future__ import annotations

import ipaddress
import json
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import yaml

from local.aws.emulator import (
    alb,
    changesets,
    cloudformation,
    cognito,
    ec2,
    ecs,
    helpers,
    lambda_svc,
    provisioners,
    rds,
    responses,
    s3,
    stacks,
)
from local.aws.shapes import api_parameters
from local.config import ACCOUNT_ID, REGION

Created = tuple[str, dict[str, Any]]
Properties = dict[str, Any]

# RFC 5737: addresses that exist nowhere.
_DOCUMENTATION_NETWORK = ipaddress.ip_network("203.0.113.0/24")


# Properties whose change replaces a resource, for types where the emulator reports "Conditional"
# for any change. Source: createOnlyProperties of the types' schemas.
REPLACED_BY: dict[str, tuple[str, ...]] = {
    "AWS::Cognito::UserPoolUser": (
        "ClientMetadata",
        "DesiredDeliveryMediums",
        "ForceAliasCreation",
        "MessageAction",
        "UserAttributes",
        "UserPoolId",
        "Username",
        "ValidationData",
    ),
    "AWS::EC2::FlowLog": (
        "DeliverCrossAccountRole",
        "DeliverLogsPermissionArn",
        "DestinationOptions",
        "LogDestination",
        "LogDestinationType",
        "LogFormat",
        "LogGroupName",
        "MaxAggregationInterval",
        "ResourceId",
        "ResourceType",
        "TagFieldSpecifications",
        "TrafficType",
    ),
    "AWS::EC2::SecurityGroup": ("GroupDescription", "GroupName", "VpcId"),
    "AWS::ECS::Cluster": ("ClusterName",),
    "AWS::ECS::Service": ("Cluster", "LaunchType", "Role", "SchedulingStrategy", "ServiceName"),
    "AWS::ECS::TaskDefinition": (
        "ContainerDefinitions",
        "Cpu",
        "EnableFaultInjection",
        "EphemeralStorage",
        "ExecutionRoleArn",
        "Family",
        "InferenceAccelerators",
        "IpcMode",
        "Memory",
        "NetworkMode",
        "PidMode",
        "PlacementConstraints",
        "ProxyConfiguration",
        "RequiresCompatibilities",
        "RuntimePlatform",
        "TaskRoleArn",
        "Volumes",
    ),
    "AWS::ElasticLoadBalancingV2::Listener": ("LoadBalancerArn",),
    "AWS::ElasticLoadBalancingV2::ListenerRule": ("ListenerArn",),
    "AWS::KMS::Key": (),
    "AWS::Logs::LogGroup": ("LogGroupName",),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::SecretsManager::Secret": ("Name",),
    "AWS::ServiceDiscovery::HttpNamespace": ("Name",),
    "AWS::ServiceDiscovery::PrivateDnsNamespace": ("Name", "Vpc"),
    "AWS::ServiceDiscovery::Service": ("HealthCheckCustomConfig", "Name", "NamespaceId", "Type"),
}


def install() -> None:
    """Put our handlers into the emulator's table."""
    handlers = provisioners.RESOURCE_HANDLERS
    handlers["AWS::Cognito::UserPoolUser"] = {"create": _create_user, "delete": _delete_user}
    handlers["AWS::EC2::EIP"] = {
        "create": _create_address,
        "update": lambda physical_id, *_: (physical_id, _address_attributes(physical_id)),
        "delete": _delete_address,
    }
    handlers["AWS::EC2::NatGateway"] = {
        "create": _create_nat_gateway,
        "update": lambda physical_id, *_: (physical_id, {"NatGatewayId": physical_id}),
        "delete": lambda physical_id, _: ec2.nat_gateways.pop(physical_id, None),
    }
    handlers["AWS::EC2::FlowLog"] = {
        "create": _create_flow_log,
        "update": lambda physical_id, *_: (physical_id, {"Id": physical_id}),
        "delete": lambda physical_id, _: ec2.flow_logs.pop(physical_id, None),
    }
    handlers["AWS::EC2::PrefixList"] = {
        "create": _create_prefix_list,
        "update": _update_prefix_list,
        "delete": lambda physical_id, _: ec2.prefix_lists.pop(physical_id, None),
    }
    for type_name, store in (
        ("AWS::EC2::SecurityGroupIngress", "IpPermissions"),
        ("AWS::EC2::SecurityGroupEgress", "IpPermissionsEgress"),
    ):
        handlers[type_name] = _security_group_rule(store)
    extend("AWS::EC2::VPC", _add_vpc_cidr)
    extend("AWS::ECS::Cluster", _add_service_connect_defaults)
    extend("AWS::Lambda::Function", _add_vpc_config)
    extend("AWS::Lambda::Function", _add_dead_letters)
    extend("AWS::RDS::DBCluster", _add_database_tags)
    extend("AWS::S3::Bucket", _add_bucket_tags)
    handlers["AWS::ECS::TaskDefinition"] |= {
        "create": _create_task_definition,
        "update": _update_task_definition,
    }
    handlers["AWS::ECS::Service"] |= {"create": _create_service, "update": _update_service}
    for type_name, properties in REPLACED_BY.items():
        provisioners.REPLACING_PROPERTIES.setdefault(type_name, properties)
    stacks.deploy_stack_async = _with_times_of_changes(stacks.deploy_stack_async)
    changesets.deploy_stack_async = stacks.deploy_stack_async
    provisioners.sfn_definition = _definition_as_json(provisioners.sfn_definition)
    helpers.resolve_document = _virtual_hosted(helpers.resolve_document)
    _refuse_deletion("AWS::S3::Bucket", _not_empty)
    _refuse_deletion("AWS::RDS::DBCluster", _protected)
    _refuse_deletion("AWS::ElasticLoadBalancingV2::LoadBalancer", _protected_balancer)


# --- Stacks ------------------------------------------------------------------------------------


def _with_times_of_changes(own: Any) -> Any:
    """What an update leaves as it was keeps the time of its last change; the emulator's is new."""

    async def deploy(name: str, *rest: Any, **more: Any) -> Any:
        try:
            return await own(name, *rest, **more)
        finally:
            before, after = more.get("previous_stack"), cloudformation.stacks.get(name)
            if before and after and before.get("Tags") == after.get("Tags"):
                keep_times(before["_resources"], after["_resources"])

    return deploy


def keep_times(before: Properties, after: Properties) -> None:
    """Give each resource the time of its record `before` if nothing else differs in it."""
    same = ("PhysicalResourceId", "Properties")
    for logical_id, resource in after.items():
        was = before.get(logical_id)
        if was and all(was.get(field) == resource.get(field) for field in same):
            resource["Timestamp"] = was["Timestamp"]


# --- Cognito -----------------------------------------------------------------------------------


def _create_user(_logical_id: str, properties: Properties, _stack: str) -> Created:
    status, _, body = cognito.admin_create_user(properties)
    answer = json.loads(body)
    if status != HTTPStatus.OK:
        raise ValueError(answer["message"])
    return answer["User"]["Username"], {}


def _delete_user(physical_id: str, properties: Properties) -> None:
    """What is gone is deleted."""
    cognito.admin_delete_user({"UserPoolId": properties.get("UserPoolId"), "Username": physical_id})


# --- EC2 ---------------------------------------------------------------------------------------


def _create_address(_logical_id: str, properties: Properties, _stack: str) -> Created:
    allocation_id = f"eipalloc-{responses.new_uuid().replace('-', '')[:17]}"
    public_ip = str(_DOCUMENTATION_NETWORK[1 + len(list(ec2.addresses)) % 253])
    ec2.addresses[allocation_id] = {
        "AllocationId": allocation_id,
        "PublicIp": public_ip,
        "Domain": properties.get("Domain", "vpc"),
        "AssociationId": None,
        "InstanceId": None,
        "NetworkInterfaceId": None,
        "PrivateIpAddress": None,
    }
    provisioners.ec2_apply_tags(allocation_id, properties)
    return public_ip, _address_attributes(public_ip)


def _address_attributes(public_ip: str) -> dict[str, Any]:
    found = [entry for entry in ec2.addresses.values() if entry["PublicIp"] == public_ip]
    return {"AllocationId": found[0]["AllocationId"], "PublicIp": public_ip}


def _delete_address(physical_id: str, _properties: Properties) -> None:
    for allocation_id, record in list(ec2.addresses.items()):
        if record["PublicIp"] == physical_id:
            del ec2.addresses[allocation_id]


def _create_nat_gateway(_logical_id: str, properties: Properties, _stack: str) -> Created:
    nat_id = f"nat-{responses.new_uuid().replace('-', '')[:17]}"
    subnet = ec2.subnets.get(properties["SubnetId"])
    if subnet is None:
        raise ValueError(f"The subnet ID '{properties['SubnetId']}' does not exist")
    ec2.nat_gateways[nat_id] = {
        "NatGatewayId": nat_id,
        "SubnetId": properties["SubnetId"],
        "VpcId": subnet["VpcId"],
        "State": "available",
        "ConnectivityType": properties.get("ConnectivityType", "public"),
        "CreateTime": ec2.now_ts(),
        "Tags": [],
    }
    provisioners.ec2_apply_tags(nat_id, properties)
    return nat_id, {"NatGatewayId": nat_id}


def _create_flow_log(_logical_id: str, properties: Properties, _stack: str) -> Created:
    """Without its log group or role, EC2 refuses it: API reference of CreateFlowLogs."""
    if not properties.get("LogGroupName") or not properties.get("DeliverLogsPermissionArn"):
        raise ValueError("DeliverLogsPermissionArn and LogGroupName are needed for CloudWatch Logs")
    if properties["ResourceId"] not in ec2.vpcs:
        raise ValueError(f"vpc ID '{properties['ResourceId']}' does not exist")
    flow_log_id = f"fl-{responses.new_uuid().replace('-', '')[:17]}"
    ec2.flow_logs[flow_log_id] = {
        "FlowLogId": flow_log_id,
        "ResourceId": properties["ResourceId"],
        "ResourceType": properties["ResourceType"],
        "TrafficType": properties["TrafficType"],
        "LogDestinationType": properties["LogDestinationType"],
        "LogDestination": properties["LogGroupName"],
        "FlowLogStatus": "ACTIVE",
        "CreationTime": ec2.now_ts(),
    }
    return flow_log_id, {"Id": flow_log_id}


def _create_prefix_list(_logical_id: str, properties: Properties, _stack: str) -> Created:
    prefix_list_id = f"pl-{responses.new_uuid().replace('-', '')[:17]}"
    ec2.prefix_lists[prefix_list_id] = {"PrefixListId": prefix_list_id, "Version": 0}
    return _update_prefix_list(prefix_list_id, {}, properties, _stack)


def _update_prefix_list(physical_id: str, old: Properties, new: Properties, _stack: str) -> Created:
    record = ec2.prefix_lists[physical_id]
    record |= {
        "PrefixListName": new["PrefixListName"],
        "AddressFamily": new["AddressFamily"],
        "MaxEntries": int(new["MaxEntries"]),
        "State": "create-complete",
        "Version": record["Version"] + 1,
        "Entries": [
            {"Cidr": entry["Cidr"], "Description": entry.get("Description", "")}
            for entry in new.get("Entries", [])
        ],
    }
    provisioners.ec2_apply_tags(physical_id, new, old)
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT_ID}:prefix-list/{physical_id}"
    attributes = {"PrefixListId": physical_id, "Arn": arn, "Version": record["Version"]}
    return physical_id, attributes | {"OwnerId": ACCOUNT_ID}


def _security_group_rule(store: str) -> dict[str, Any]:
    def create(_logical_id: str, properties: Properties, _stack: str) -> Created:
        group = ec2.security_groups.get(properties["GroupId"])
        if group is None:
            raise ValueError(f"The security group '{properties['GroupId']}' does not exist")
        group.setdefault(store, []).extend(provisioners.ec2_sg_permissions([properties]))
        rule_id = f"sgr-{responses.new_uuid().replace('-', '')[:17]}"
        return rule_id, {"Id": rule_id}

    def delete(_physical_id: str, properties: Properties) -> None:
        group = ec2.security_groups.get(properties.get("GroupId"))
        if group is None:
            return
        for permission in provisioners.ec2_sg_permissions([properties]):
            if permission in group.get(store, []):
                group[store].remove(permission)

    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> Created:
        if old == new:
            return physical_id, {"Id": physical_id}
        delete(physical_id, old)
        return create("", new, stack)

    return {"create": create, "update": update, "delete": delete}


def _add_vpc_cidr(physical_id: str, _properties: Properties) -> dict[str, Any]:
    return {"CidrBlock": ec2.vpcs[physical_id]["CidrBlock"]}


def _add_vpc_config(physical_id: str, properties: Properties) -> dict[str, Any]:
    config = lambda_svc.functions[physical_id]["config"]
    declared = properties.get("VpcConfig")
    if declared:
        subnets = list(declared.get("SubnetIds", []))
        vpc_id = ec2.subnets[subnets[0]]["VpcId"] if subnets else ""
        config["VpcConfig"] = {
            "SubnetIds": subnets,
            "SecurityGroupIds": list(declared.get("SecurityGroupIds", [])),
            "VpcId": vpc_id,
        }
    else:
        config.pop("VpcConfig", None)
    return {}


def _add_dead_letters(physical_id: str, properties: Properties) -> dict[str, Any]:
    """Each version that is published afterwards has it, too."""
    config = lambda_svc.functions[physical_id]["config"]
    config["DeadLetterConfig"] = dict(properties.get("DeadLetterConfig") or {})
    return {}


def _add_database_tags(physical_id: str, properties: Properties) -> dict[str, Any]:
    rds.tags[rds.clusters[physical_id]["DBClusterArn"]] = list(properties.get("Tags", []))
    return {}


def _add_bucket_tags(physical_id: str, properties: Properties) -> dict[str, Any]:
    tags = {one["Key"]: str(one["Value"]) for one in properties.get("Tags") or ()}
    if tags:
        s3.bucket_tags[physical_id] = tags
    else:
        s3.bucket_tags.pop(physical_id, None)
    return {}


def extend(type_name: str, extra: Any) -> None:
    """Let `extra(physical_id, properties)` follow create and update and add to the attributes."""
    handlers = provisioners.RESOURCE_HANDLERS[type_name]
    own_create, own_update = handlers["create"], handlers["update"]

    def create(logical_id: str, properties: Properties, stack: str) -> Created:
        physical_id, attributes = own_create(logical_id, properties, stack)
        return physical_id, attributes | extra(physical_id, properties)

    def update(
        physical_id: str, old: Properties, new: Properties, stack: str, *rest: Any, **named: Any
    ) -> Created:
        updated_id, attributes = own_update(physical_id, old, new, stack, *rest, **named)
        return updated_id, attributes | extra(updated_id, new)

    handlers["create"], handlers["update"] = create, update


# --- ECS ---------------------------------------------------------------------------------------


def _add_service_connect_defaults(physical_id: str, properties: Properties) -> dict[str, Any]:
    if declared := properties.get("ServiceConnectDefaults"):
        ecs.clusters[physical_id]["serviceConnectDefaults"] = {"namespace": declared["Namespace"]}
    return {}


def _create_task_definition(logical_id: str, properties: Properties, stack: str) -> Created:
    family = properties.get("Family", f"{stack}-{logical_id}")
    request = api_parameters("ecs", "RegisterTaskDefinition", properties | {"Family": family})
    body = _called(ecs.register_task_definition(request), "AWS::ECS::TaskDefinition")
    arn = body["taskDefinition"]["taskDefinitionArn"]
    return arn, {"TaskDefinitionArn": arn}


def _update_task_definition(
    physical_id: str, _old: Properties, new: Properties, *_: str
) -> Created:
    """Update tags; any other change is a new revision, which replaces the resource."""
    _tag(physical_id, new)
    return physical_id, {"TaskDefinitionArn": physical_id}


def _tag(arn: str, properties: Properties) -> None:
    tags = api_parameters("ecs", "TagResource", {"Tags": properties.get("Tags", [])})["tags"]
    ecs.tags[arn] = tags


def _create_service(logical_id: str, properties: Properties, stack: str) -> Created:
    name = properties.get("ServiceName", f"{stack}-{logical_id}")
    request = api_parameters("ecs", "CreateService", properties | {"ServiceName": name})
    body = _called(ecs.create_service(request), "AWS::ECS::Service")
    _keep_dropped_fields(request, body["service"])
    arn = body["service"]["serviceArn"]
    return arn, {"ServiceArn": arn, "Name": name}


def _update_service(physical_id: str, old: Properties, new: Properties, _stack: str) -> Created:
    cluster, name = physical_id.split("/")[-2:]
    # What is absent from the template is left alone: a live count above all.
    changed = {key: value for key, value in new.items() if value != old.get(key)}
    changed = {key: changed[key] for key in changed if key.lower() not in _ONLY_AT_CREATION}
    request = api_parameters("ecs", "UpdateService", changed)
    request |= {"cluster": cluster, "service": name}
    body = _called(ecs.update_service(request), "AWS::ECS::Service")
    _keep_dropped_fields(request, body["service"])
    _tag(physical_id, new)
    return physical_id, {"ServiceArn": physical_id, "Name": name}


_ONLY_AT_CREATION = {"cluster", "servicename", "launchtype", "schedulingstrategy", "role", "tags"}


def _keep_dropped_fields(request: dict[str, Any], described: dict[str, Any]) -> None:
    """Store what the emulator's API call does not, where AWS's description shows it."""
    cluster, name = described["serviceArn"].split("/")[-2:]
    record = ecs.services[f"{cluster}/{name}"]
    for field in ("availabilityZoneRebalancing", "enableECSManagedTags", "propagateTags"):
        if field in request:
            record[field] = request[field]
    if "serviceConnectConfiguration" in request:
        record["deployments"][0]["serviceConnectConfiguration"] = request[
            "serviceConnectConfiguration"
        ]


def _called(response: tuple[int, Any, bytes], type_name: str) -> dict[str, Any]:
    status, _, body = response
    content: dict[str, Any] = json.loads(body)
    if status >= 400:
        raise ValueError(f"{type_name}: {content.get('message') or content}")
    return content


# --- Step Functions ----------------------------------------------------------------------------


def _definition_as_json(own: Any) -> Any:
    """AWS takes a definition in YAML from S3 as well; the emulator's engine reads only JSON."""

    def definition(properties: Properties) -> str:
        text: str = own(properties)
        try:
            json.loads(text)
        except ValueError:
            return json.dumps(yaml.safe_load(text))
        return text

    return definition


# --- What AWS refuses to delete ------------------------------------------------------------------


def _refuse_deletion(type_name: str, reason: Any) -> None:
    """`reason(physical_id)` returns why AWS would not delete a resource; empty if it would."""
    handlers = provisioners.RESOURCE_HANDLERS[type_name]
    own = handlers["delete"]

    def delete(physical_id: str, properties: Properties) -> None:
        if words := reason(physical_id):
            raise ValueError(words)
        own(physical_id, properties)

    handlers["delete"] = delete


def _not_empty(bucket: str) -> str:
    found = s3.buckets.get(bucket)
    if found and (found["objects"] or s3.bucket_has_versions(bucket)):
        return f"The bucket you tried to delete is not empty: {bucket}"
    return ""


def _protected(identifier: str) -> str:
    if rds.clusters.get(identifier, {}).get("DeletionProtection"):
        return "Cannot delete protected Cluster, please disable deletion protection and try again."
    return ""


def _protected_balancer(arn: str) -> str:
    for attribute in alb.lb_attrs.get(arn, []):
        if (attribute["Key"], attribute["Value"]) == ("deletion_protection.enabled", "true"):
            return f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
    return ""


# --- Documents in S3 ---------------------------------------------------------------------------

_VIRTUAL_HOSTED = re.compile(
    r"https://([^/]+)\.s3\.[a-z0-9-]+\.amazonaws\.com/([^?]+)(?:\?versionId=(.+))?"
)


def _virtual_hosted(own: Any) -> Any:
    """`https://<bucket>.s3.<region>.amazonaws.com/<key>`; the emulator reads only path style.

    With `?versionId=` CloudFormation reads that version; the emulator would read the newest.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-console-create-stack.html
    """

    def resolve(
        parameters: dict[str, list[str]], body_key: str, url_key: str, label: str
    ) -> tuple[Any, Any]:
        url = (parameters.get(url_key) or [""])[0]
        if found := _VIRTUAL_HOSTED.fullmatch(url):
            if found[3]:
                version = unquote(found[3])
                data = s3.get_object_data(found[1], found[2], version)
                if data is None:
                    return None, helpers.error("ValidationError", f"{label} not found at {url}")
                return data.decode(), None
            path_style = f"https://s3.amazonaws.com/{found[1]}/{found[2]}"
            parameters = parameters | {url_key: [path_style]}
        result: tuple[Any, Any] = own(parameters, body_key, url_key, label)
        return result

    return resolve
