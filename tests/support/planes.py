"""Control planes on paper: the roles that one has, what belongs to it, and how IAM decides.

Values of the templates become those that a deployment would have; what a template names and this
module cannot resolve fails. Decisions are the emulator's own evaluation of policies, which follows
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import iam_evaluator
from tests.support.nested import expanded, flattened, in_root, templates
from tests.support.sam import translated
from tests.unit.templates.resolver import resolve
from tools.generate_parameters import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REGION: Final = "eu-central-1"
ACCOUNT: Final = "123456789012"
TAG: Final = "camunda:control-plane"
_SUFFIX: Final = "1A2B3C4D5E6F"
_NAMED: Final = re.compile(r"\$\{([A-Za-z][\w:.]*)\}")
# What AWS chooses.
_IDS: Final[Mapping[str, str]] = {
    "AWS::ApiGateway::RestApi": "a1b2c3d4e5",
    "AWS::CloudFront::Distribution": "E1A2B3C4D5",
    "AWS::Cognito::IdentityPool": f"{REGION}:5a1d0000-0000-4000-8000-000000000000",
    "AWS::Cognito::UserPool": f"{REGION}_AbCd12345",
}
_PARAMETERS: Final[Mapping[str, str]] = {
    "AdoptedEcsCluster": ".",
    "EventBusName": "default",
    "PermissionsBoundaryArn": "",
}


def arn(service: str, rest: str, *, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{region}:{account}:{rest}"


@dataclass(frozen=True)
class Role:
    """A role with its documents: what it is given, and what limits that."""

    name: str
    arn: str
    tags: Mapping[str, str]
    documents: Sequence[Mapping[str, Any]]
    boundary: Mapping[str, Any] | None = None

    @functools.cached_property
    def parsed(self) -> Any:
        return [iam_evaluator.parse_policy_document(one) for one in self.documents]

    @functools.cached_property
    def limits(self) -> Any:
        if self.boundary is None:
            return []
        return [[iam_evaluator.parse_policy_document(self.boundary)]]

    def statements(self) -> Iterator[Mapping[str, Any]]:
        for document in self.documents:
            yield from document["Statement"]


@dataclass(frozen=True)
class Resource:
    """Something that a request names, with the tags that IAM sees of it."""

    arn: str
    tags: Mapping[str, str] = field(default_factory=dict)
    policy: Mapping[str, Any] | None = None


def decide(
    role: Role, action: str, resource: Resource, keys: Mapping[str, Any] | None = None
) -> str:
    """IAM's decision: ``Allow``, ``Deny`` or ``ImplicitDeny``."""
    tags = {f"aws:resourcetag/{key}".lower(): value for key, value in resource.tags.items()}
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.arn.rpartition('/')[2]}/session",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource.arn,
        region=REGION,
        service_context={"aws:tagkeys": None}
        | tags
        | {key.lower(): value for key, value in (keys or {}).items()},
        principal_keys={
            f"aws:principaltag/{key}".lower(): value for key, value in role.tags.items()
        }
        | {"aws:securetransport": "true"},
        secure_transport=True,
    )
    found = iam_evaluator.evaluate(context, role.parsed, *role.limits)
    if resource.policy is not None and found.decision != "Deny":
        found = iam_evaluator.combine_resource_policy(found, context, resource.policy, ACCOUNT)
    return str(found.decision)


class Plane:
    """One control plane of this account and region."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._source = flattened()
        self._made = translated()

    def policy(self, logical_id: str) -> Mapping[str, Any]:
        """Document of a managed or a bucket policy of the control plane."""
        properties = self._made[logical_id]["Properties"]
        found: Mapping[str, Any] = self._value(properties["PolicyDocument"])
        return found

    def resolved(self, node: Any) -> Any:
        """A part of the control plane's template with the values of this one."""
        return self._value(node)

    def arn_of(self, logical_id: str) -> str:
        """ARN of a resource of the control plane."""
        kind = self._made[logical_id]["Type"]
        properties = self._made[logical_id].get("Properties", {})
        generated = f"{self.name}-{logical_id}-{_SUFFIX}"
        path = self._value(properties.get("Path", properties.get("RolePath", "/")))
        match kind:
            case "AWS::IAM::Role":
                named = self._value(properties.get("RoleName", generated))
                return arn("iam", f"role{path}{named}", region="")
            case "AWS::IAM::ManagedPolicy":
                return arn("iam", f"policy{path}{generated}", region="")
            case "AWS::S3::Bucket":
                named = self._value(properties.get("BucketName", generated))
                return f"arn:aws:s3:::{named.lower()}"
            case "AWS::DynamoDB::Table":
                return arn("dynamodb", f"table/{generated}")
            case "AWS::Logs::LogGroup":
                given = self._value(properties.get("LogGroupName", generated))
                return arn("logs", f"log-group:{given}:*")
            case "AWS::SNS::Topic":
                return arn("sns", generated)
            case "AWS::SQS::Queue":
                return arn("sqs", generated)
            case "AWS::KMS::Key":
                return arn("kms", f"key/{self.name}-topic-key")
            case "AWS::Lambda::Function":
                return arn("lambda", f"function:{generated}")
            case "AWS::StepFunctions::StateMachine":
                return arn("states", f"stateMachine:{self._value(properties['StateMachineName'])}")
            case "AWS::Scheduler::ScheduleGroup":
                return arn("scheduler", f"schedule-group/{generated}")
        raise KeyError(f"{logical_id}: {kind}")

    def roles(self) -> Mapping[str, Role]:
        """Every role of the control plane, by its logical id."""
        return {
            name: self._role(name, resource["Properties"])
            for name, resource in self._made.items()
            if resource["Type"] == "AWS::IAM::Role" and "Condition" not in resource
        }

    def boundary_of(self, role: str) -> str:
        """Logical id of the boundary that a role has."""
        return str(self._made[role]["Properties"]["PermissionsBoundary"]["Ref"])

    def _role(self, name: str, properties: Mapping[str, Any]) -> Role:
        documents = [
            self._value(one["PolicyDocument"])
            for one in properties.get("Policies", ())
            if "Ref" not in one
        ]
        for attached in properties.get("ManagedPolicyArns", ()):
            logical_id = attached.get("Ref") if isinstance(attached, dict) else None
            if logical_id in self._made:
                documents.append(self.policy(logical_id))
        boundary = properties.get("PermissionsBoundary")
        tags = {one["Key"]: self._value(one["Value"]) for one in properties.get("Tags", ())}
        limit = self.policy(boundary["Ref"]) if boundary else None
        return Role(name, self.arn_of(name), tags, documents, limit)

    def _value(self, node: Any) -> Any:
        if isinstance(node, list):
            items = [self._value(one) for one in node]
            return [one for one in items if one is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref":
                return self._ref(argument)
            if function == "Fn::GetAtt":
                return self._att(argument if isinstance(argument, str) else ".".join(argument))
            if function == "Fn::Sub":
                return self._sub(argument)
            if function == "Fn::If":
                # Of the optional parameters none is given.
                return self._value(argument[2])
            if function == "Fn::Select":
                return "00000000-0000-4000-8000-000000000000"  # of the id of the stack
        values = {key: self._value(one) for key, one in node.items()}
        return {key: one for key, one in values.items() if one is not _NOTHING}

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::StackName": self.name,
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": _NOTHING,
            "AWS::StackId": "id",
        }
        if name in pseudo:
            return pseudo[name]
        if name in self._source["Parameters"]:
            return _PARAMETERS.get(name, f"parameter-{name}")
        if self._made[name]["Type"] in _IDS:
            return _IDS[self._made[name]["Type"]]
        found = self.arn_of(name)
        if self._made[name]["Type"] in {"AWS::S3::Bucket", "AWS::Scheduler::ScheduleGroup"}:
            return re.split(r"[:/]", found)[-1]
        return found

    def _att(self, name: str) -> Any:
        logical_id, _, attribute = name.partition(".")
        if attribute.startswith("Outputs.") and logical_id in templates():
            output = expanded(templates()[logical_id])["Outputs"][attribute.split(".")[1]]
            return self._value(in_root(output["Value"], logical_id))
        if logical_id == "Network":
            return f"network-{attribute}"
        if attribute in {"Arn", "QueueUrl", "TopicArn"}:
            return self.arn_of(logical_id)
        if attribute in {"QueueName", "Name"}:
            return re.split(r"[:/]", self.arn_of(logical_id))[-1]
        raise KeyError(name)

    def _sub(self, argument: Any) -> str:
        text, given = argument if isinstance(argument, list) else (argument, {})
        values = {name: self._value(one) for name, one in given.items()}

        def replaced(match: re.Match[str]) -> str:
            name = match[1]
            if name in values:
                return str(values[name])
            return str(self._att(name) if "." in name else self._ref(name))

        return _NAMED.sub(replaced, text)

    # --- what belongs to it ---------------------------------------------------------------------

    @property
    def tags(self) -> Mapping[str, str]:
        return {TAG: self.name}

    def audit_trail(self) -> list[Resource]:
        """Bucket of templates, plans and reports: itself, and an object in it."""
        bucket = self.arn_of("ArtifactBucket")
        policy = self.policy("ArtifactBucketPolicy")
        return [
            Resource(one, policy=policy) for one in (bucket, f"{bucket}/operations/demo.scale.json")
        ]

    def cluster(self, cluster: str = "demo") -> list[Resource]:
        """Resources of one cluster, with the tags and resource policies that they have."""
        stack = f"{self.name}-{cluster}"
        tags = {TAG: self.name, "camunda:cluster": cluster}
        template = resolve("cluster")
        found = [
            Resource(one, tags)
            for one in (
                arn("cloudformation", f"stack/{stack}/0f3a"),
                arn("ecs", f"cluster/{stack}"),
                arn("ecs", f"service/{stack}/orchestration-cluster"),
                arn("ecs", f"service/{stack}/connectors"),
                arn("ecs", f"task/{stack}/a1b2"),
                arn("ecs", f"task-definition/{stack}-orchestration-cluster:1"),
                arn("secretsmanager", "secret:AdminUserSecret-AbCdEfGhIjKl-a1B2c3"),
                arn("kms", "key/b1c2"),
                arn("rds", f"cluster:{stack}-databasecluster-a1b2"),
                arn("rds", f"db:{stack}-databaseinstance1-a1b2"),
                arn("rds", f"subgrp:{stack}-databasesubnetgroup-a1b2"),
                arn("rds", f"cluster-pg:{stack}-databaseparameters-a1b2"),
                arn("rds", f"cluster-snapshot:{stack}-snapshot-a1b2"),
                arn("logs", f"log-group:{stack}-OrchestrationLogGroup-{_SUFFIX}"),
                arn("logs", f"log-group:{stack}-OrchestrationLogGroup-{_SUFFIX}:log-stream:1"),
                arn("elasticfilesystem", "file-system/fs-0a1b"),
                arn("elasticfilesystem", "access-point/fsap-0a1b"),
                arn("ec2", "security-group/sg-0a1b"),
                arn("ec2", "prefix-list/pl-0a1b"),
                arn("elasticloadbalancing", "loadbalancer/app/other/0a1b"),
                arn("elasticloadbalancing", "loadbalancer/net/other/0a1b"),
                arn("elasticloadbalancing", "listener/app/other/0a1b/0c1d"),
                arn("elasticloadbalancing", "listener-rule/app/other/0a1b/0c1d/0e1f"),
                arn("elasticloadbalancing", "targetgroup/other/0a1b"),
                arn("servicediscovery", "namespace/ns-0a1b"),
                arn("servicediscovery", "service/srv-0a1b"),
                arn("cloudwatch", f"alarm:{stack}-NoChecksAlarm-{_SUFFIX}"),
                arn("acm", "certificate/0a1b"),
                *(self.role_of_task(template, role) for role in _ROLES_OF_TASKS),
            )
        ]
        schedule = template.properties("HealthCheckSchedule")["Name"]
        aliases = [template.properties(f"{one}KeyAlias")["AliasName"] for one in _KEYS]
        dashboards = resolve("cluster", HealthDashboard="true").properties("ClusterDashboard")
        named = [
            arn("scheduler", f"schedule/default/{schedule}"),
            arn("cloudwatch", f"dashboard/{dashboards['DashboardName']}", region=""),
            *(arn("kms", alias) for alias in aliases),
        ]
        found += [Resource(self._named(one)) for one in named]
        found += [Resource(one) for one in self.without_tags()]
        for bucket in ("NodeIdBucket", "BackupBucket"):
            name = f"arn:aws:s3:::{stack}-{bucket.lower()}-{_SUFFIX.lower()}"
            policy = json.dumps(template.properties(f"{bucket}Policy")["PolicyDocument"])
            guarded = json.loads(
                policy.replace(f"att({bucket}.Arn)", name).replace('"control"', f'"{self.name}"')
            )
            found += [Resource(one, policy=guarded) for one in (name, f"{name}/0.json")]
        return found

    def without_tags(self) -> list[str]:
        """What no template tags: of a kind without tags, or made by a service for us."""
        return [
            arn("rds-db", "dbuser:cluster-A1B2/camunda"),
            arn("route53", "hostedzone/Z0A1B", region="", account=""),
            arn("ec2", "network-interface/eni-0a1b"),
            arn("servicediscovery", "service/srv-of-ecs"),
        ]

    def _named(self, text: str) -> str:
        """A name of the resolved cluster template, of this control plane instead of ``control``."""
        return re.sub(r"(?<=[/_])control(?=[/_-])", self.name, text)

    def role_of_task(self, template: Any, logical_id: str) -> str:
        path = self._named(template.properties(logical_id)["Path"])
        return arn("iam", f"role{path}{self.name}-demo-{logical_id}-{_SUFFIX}", region="")

    def own(self) -> list[Resource]:
        """Resources of the control plane itself, with the tag that all of them carry."""
        kinds = {
            "AWS::IAM::Role",
            "AWS::IAM::ManagedPolicy",
            "AWS::DynamoDB::Table",
            "AWS::Logs::LogGroup",
            "AWS::SNS::Topic",
            "AWS::SQS::Queue",
            "AWS::KMS::Key",
            "AWS::Lambda::Function",
            "AWS::StepFunctions::StateMachine",
        }
        found = [
            Resource(self.arn_of(name), self.tags)
            for name, resource in self._made.items()
            if resource["Type"] in kinds and "Condition" not in resource
        ]
        for name, resource in self._made.items():
            if resource["Type"] == "AWS::StepFunctions::StateMachine":
                machine = self.arn_of(name).rpartition(":")[2]
                found.append(Resource(arn("states", f"execution:{machine}:demo.scale.1")))
        for group in ("FunctionLogs", "StateMachineLogs", "ApiAccessLogs"):
            stream = self.arn_of(group).removesuffix("*") + "log-stream:1"
            found.append(Resource(stream))
        for nested in ("Access", "Monitoring", "Schedules", "Network"):
            stack = f"stack/{self.name}-{nested}-{_SUFFIX}/0f3a"
            found.append(Resource(arn("cloudformation", stack), self.tags))
        return found


_ROLES_OF_TASKS: Final = (
    "OrchestrationExecutionRole",
    "ConnectorsExecutionRole",
    "OrchestrationTaskRole",
    "ConnectorsTaskRole",
)
_KEYS: Final = ("Storage", "Database", "Secrets")
_NOTHING: Final = object()


@functools.cache
def plane(name: str) -> Plane:
    """The control plane of that name; translated once."""
    return Plane(name)


def ready_policy(path: str, name: str) -> Role:
    """A person with one of the ready policies, for the control plane called ``name``."""
    text = (ROOT / path).read_text().replace("camunda-lifecycle", name)
    return Role(path, arn("iam", "role/person", region=""), {}, [json.loads(text)])
