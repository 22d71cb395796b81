"""A whole run under the functions' own rights: which they used, and where no secret may be."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from lifecycle.cluster.management_access import OPEN_UNTIL, PORT

from local.component import Instance
from local.config import CONTROL_STACK, REPOSITORY, LocalConfig
from local.instance import leftovers
from tests.support.blocks import block
from tests.unit.rights.statements import content, of
from tests.unit.rights.test_machines import LOGGING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

BLOCK = block("rights")
REQUEST = json.loads((REPOSITORY / "events" / "provision-local.json").read_text())
# Moves the brokers to another revision, too.
CHANGE = {
    "clusterName": "demo",
    "parameters": {"LogRetentionDays": 90, "OrchestrationImage": "camunda/camunda:8.9.23"},
    "settings": {"brokers": {"environment": {"LOGGING_LEVEL_ROOT": "WARN"}}},
}
# Changes what holds data: refused after the change set was looked at.
REFUSED = {"clusterName": "demo", "parameters": {"DatabaseName": "another"}}
# What happens after the first provisioning: machine, input, error or nothing.
STORY: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("provision", REQUEST, ""),
    ("provision", REFUSED, "ChangeSetRefused"),
    ("plan", {"clusterName": "demo", "provision": {"parameters": CHANGE["parameters"]}}, ""),
    ("provision", CHANGE, ""),
    ("plan", {"clusterName": "demo", "scale": {"count": 4}}, ""),
    ("plan", {"clusterName": "demo", "teardown": {}}, ""),
    ("scale", {"clusterName": "demo", "count": 4}, ""),
    ("scale", {"clusterName": "demo", "count": 3}, ""),
    ("rotate", {"clusterName": "demo"}, ""),
    ("manage", {"clusterName": "demo", "action": "open-management"}, ""),
    ("manage", {"clusterName": "demo", "action": "close-management"}, ""),
    ("manage", {"clusterName": "demo", "action": "open-management"}, ""),
    ("manage", {"clusterName": "demo", "action": "open-management", "minutes": 30}, ""),
    ("backup", {"clusterName": "demo", "action": "take"}, ""),
    (
        "backup",
        {"clusterName": "demo", "action": "delete", "backup": 1, "confirm": "demo"},
        "BackupRefused",
    ),
    ("teardown", {"clusterName": "demo", "dryRun": True}, ""),
)
SHORTEST_SECRET = 12
SECONDS = 300

# Granted, and not seen in this run: with the function, or for all functions.
NOT_SEEN: Mapping[tuple[str, str], str] = {
    ("*", "cloudformation:TagResource"): "the emulator asks for CreateChangeSet alone",
    ("*", "cloudformation:UntagResource"): "the emulator asks for CreateChangeSet alone",
    ("*", "ecr:DescribeImages"): "only for images in the account's own registry: test_plans",
    ("*", "kms:Decrypt"): "the emulator's Secrets Manager does not ask KMS",
    ("*", "rds-db:connect"): "asked by the database's front: tests/integration",
    ("*", "s3:GetObject"): "the emulator reads a template without asking for its caller",
    ("*", "dynamodb:GetItem"): "read only after a conditional write was lost",
    ("*", "kms:GenerateDataKey"): "the emulator's SNS does not ask KMS",
    ("*", "pricing:GetProducts"): "the emulator has no Price List API",
    ("*", "servicequotas:GetAWSDefaultServiceQuota"): "only where no quota was ever applied",
    ("BeginOperation", "dynamodb:DeleteItem"): "only for a cluster that is frozen",
    ("CleanUpOperation", "dynamodb:DeleteItem"): "only after a scaling whose lock is gone",
    ("CleanUpOperation", "ecs:DescribeTasks"): "only after an aborted scaling",
    ("CleanUpOperation", "ecs:GetTaskProtection"): "only after an aborted scaling",
    ("CleanUpOperation", "ecs:ListTasks"): "only after an aborted scaling",
    ("CleanUpOperation", "ecs:UpdateTaskProtection"): "only after an aborted scaling",
    ("DiscardPlan", "states:DescribeExecution"): "only where an operation holds the cluster",
    ("ExecuteChangeSet", "cloudformation:SetStackPolicy"): "only for a plan that replaces",
    ("FollowStack", "cloudformation:DescribeStackEvents"): "only while CloudFormation works",
    **{
        ("DeleteBackups", action): "only of an older backup: test_backups"
        for action in (
            "dynamodb:UpdateItem",
            "rds:DeleteDBClusterSnapshot",
            "states:DescribeExecution",
        )
    },
    **{
        ("ValidateBackup", action): "only to delete former data: test_restore"
        for action in (
            "cloudwatch:GetMetricStatistics",
            "dynamodb:Query",
            "rds:DescribeDBClusters",
            "rds:DescribeDBClusterSnapshots",
            "tag:GetResources",
        )
    },
    ("FollowStack", "cloudformation:SetStackPolicy"): "only for a plan that replaces",
    ("FollowStart", "ecs:DescribeTasks"): "only after a task stopped",
    (
        "FollowStart",
        "ecs:TagResource",
    ): "CreateService with tags needs it on AWS",
    ("PlanTeardown", "kms:DescribeKey"): "only for a snapshot of the cluster: test_teardown",
    ("PreflightCluster", "lambda:InvokeFunction"): "plans of running brokers, minor steps",
    (
        "PreflightCluster",
        "rds:DescribeDBClusterSnapshots",
    ): "only before a step to another minor version",
    ("PreflightCluster", "secretsmanager:DescribeSecret"): "only for a secret that is named",
    ("PreflightCluster", "ssm:ListTagsForResource"): "only for a parameter that is named",
    ("ServeApi", "ecs:DescribeTasks"): "only with EnableExecuteCommand: test_provisioning",
    ("ServeApi", "ecs:ListTasks"): "only with EnableExecuteCommand: test_provisioning",
    ("SendMessage", "states:DescribeExecution"): "only for an operation that runs for long",
    ("SendMessage", "states:ListExecutions"): "every five minutes",
    ("RollServices", "ecs:TagResource"): "only where tags and tasks change: test_provisioning",
    ("RollServices", "ecs:UntagResource"): "only where tags and tasks change: test_provisioning",
    **{
        ("RestartService", action): "only for brokers: test_work_goes_on"
        for action in (
            "ecs:DescribeTasks",
            "ecs:GetTaskProtection",
            "ecs:ListTasks",
            "ecs:StopTask",
            "ecs:UpdateTaskProtection",
            "lambda:InvokeFunction",
        )
    },
    ("StartServices", "ecs:TagResource"): "only where tags change: test_provisioning",
    ("StartServices", "ecs:UntagResource"): "only where tags change: test_provisioning",
    ("StartServices", "ecs:UpdateService"): "only for what changes in place: test_provisioning",
    ("FollowStart", "logs:DescribeLogStreams"): "only after a task stopped",
    ("FollowStart", "logs:GetLogEvents"): "only after a task stopped",
    ("JudgeHealth", "dynamodb:UpdateItem"): "only when the verdict changes",
    ("JudgeHealth", "events:PutEvents"): "only when the verdict changes",
    ("ObserveHealth", "acm:DescribeCertificate"): "only with a certificate",
    ("ObserveHealth", "elasticloadbalancing:DescribeTags"): "only while a way in is open",
    **{
        ("PreflightCluster", action): "only before ManagementListener=true: test_manage"
        for action in (
            "ec2:DescribeSecurityGroupRules",
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeTags",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
        )
    },
    ("PlanScale", "ec2:DescribeSecurityGroupRules"): "only for an adopted cluster",
    ("PlanScale", "ecs:DescribeTaskDefinition"): "only for an adopted cluster",
    ("PlanStack", "cloudformation:DescribeChangeSet"): "only for a change set that is there",
    ("PlanStack", "ecs:DescribeServices"): "only for a reviewed plan",
    ("PlanStack", "s3:ListBucket"): "S3 asks for it only when an object is missing",
    ("PreflightCluster", "acm:DescribeCertificate"): "only with a certificate",
    ("PreflightCluster", "kms:DescribeKey"): "only with a key of one's own",
    ("PreflightCluster", "kms:GetKeyPolicy"): "only with a key of one's own",
    ("PreflightCluster", "ec2:DescribeManagedPrefixLists"): "only for a list that is named",
    ("PreflightCluster", "ec2:DescribeSecurityGroups"): "only for a group that is named",
    ("PreflightCluster", "route53:GetHostedZone"): "only with a hosted zone: test_front_door",
    ("PreflightCluster", "route53:ListResourceRecordSets"): "only with a zone: test_front_door",
    ("PreflightCluster", "cloudformation:DescribeChangeSet"): "only for a reviewed plan",
    ("PreflightCluster", "ecs:DescribeServices"): "only for a living cluster that grows",
    ("ServeApi", "s3:ListBucket"): "S3 asks for it only when an object is missing",
    ("ServeApi", "s3:GetObjectVersion"): "only to read a plan: test_api",
    ("ServeApi", "states:StopExecution"): "only to cancel an operation: test_api",
    ("ServeApi", "states:RedriveExecution"): "only to resume an operation: test_api",
    ("ServeApi", "states:GetExecutionHistory"): "only to resume an operation: test_api",
    ("ProbeHealth", "s3:ListBucket"): "S3 asks for it only when an object is missing",
    ("ProtectTasks", "ecs:DescribeServices"): "only to free what an aborted run protected",
    ("ProtectTasks", "ecs:DescribeTasks"): "only to free what an aborted run protected",
    ("ProtectTasks", "ecs:GetTaskProtection"): "only to free what an aborted run protected",
    ("ProtectTasks", "ecs:ListTasks"): "only to free what an aborted run protected",
    **{
        ("RollBackStack", action): "only for a stack in UPDATE_FAILED: test_bad_moments"
        for action in (
            "cloudformation:DescribeStacks",
            "cloudformation:RollbackStack",
            "dynamodb:UpdateItem",
        )
    },
}

# Functions that the run does not invoke; each is invoked under its own rights by another run.
NEVER_RAN: Mapping[str, str] = {
    "CopyBackups": "only to restore from another cluster: test_restore_from",
    "DeleteFormerData": "only of a cluster that was restored: statemachines/test_former_data.py",
    "DeleteStack": "only for a removal: test_teardown",
    "DiscardPlan": "only when a plan expires: test_plans",
    "EmptyBuckets": "only for the removal of a trial: test_teardown",
    "FailPlan": "only for a plan that fails: test_plans",
    "HandleRetirement": "only before AWS retires tasks: test_work_goes_on",
    "ListClusters": "only to check all clusters: test_health",
    "RehearseCluster": "only for a rehearsal: test_rehearse",
    "ValidateRehearsal": "only for a rehearsal: test_rehearse",
    "PublishConsole": "only with Console=cognito: test_publish_console",
    "RestoreBrokers": "only for a restore: test_restore",
    "RestoreDatabase": "only for a restore: test_restore",
    "RollBackStack": "only for a stack in UPDATE_FAILED: test_bad_moments",
    "SeedLogin": "only with CognitoUserPool=create: tests/unit/test_user_pool.py",
    "ServeApi": "only for requests to the API: test_api",
    "StopCluster": "only for a removal: test_teardown",
    "StopServices": "only for a start that fails: test_provisioning",
    "ValidateRestart": "only for a restart: test_api",
    "ValidateRestore": "only for a restore: test_restore",
}
# State machines that the run does not start.
NEVER_STARTED: Mapping[str, str] = {
    "CheckAllHealth": "starts CheckHealth for each cluster: test_health",
    "Rehearse": "restores a backup into a trial: test_rehearse",
    "Restart": "restarts brokers: test_work_goes_on",
    "Restore": "restores data: test_restore",
}
SCHEDULES = frozenset(
    {"HealthScheduleRole", "MaintenanceSchedulerRole", "PlanSchedulerRole", "WaySchedulerRole"}
)
NOT_SEEN_OF_SCHEDULES: Mapping[tuple[str, str], str] = {
    ("MaintenanceSchedulerRole", "lambda:InvokeFunction"): "only before Fargate retires a task",
    ("PlanSchedulerRole", "lambda:InvokeFunction"): "only once a plan has expired",
    **{
        (role, "sqs:SendMessage"): "the emulator's Scheduler delivers, or drops what is refused"
        for role in SCHEDULES
    },
}
# What CloudFormation only reads: here it reads its own state.
READING = ("Describe", "Get", "List")
NOT_SEEN_OF_DEPLOYMENT: Mapping[str, set[str]] = {
    "only when a resource goes: tests/unit/local/test_deployment_of_a_cluster.py": {
        "cloudwatch:DeleteAlarms",
        "cloudwatch:DeleteDashboards",
        "ec2:DeleteManagedPrefixList",
        "ec2:DeleteSecurityGroup",
        "ec2:RevokeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupIngress",
        "ecs:DeleteCluster",
        "ecs:DeregisterTaskDefinition",
        "elasticfilesystem:DeleteAccessPoint",
        "elasticfilesystem:DeleteFileSystem",
        "elasticfilesystem:DeleteFileSystemPolicy",
        "elasticfilesystem:DeleteMountTarget",
        "elasticloadbalancing:DeleteListener",
        "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:DeleteRule",
        "elasticloadbalancing:DeleteTargetGroup",
        "iam:DeleteRole",
        "iam:DeleteRolePolicy",
        "kms:DeleteAlias",
        "kms:ScheduleKeyDeletion",
        "logs:DeleteLogGroup",
        "logs:DeleteRetentionPolicy",
        "logs:DisassociateKmsKey",
        "rds:CreateDBClusterSnapshot",
        "rds:DeleteDBCluster",
        "rds:DeleteDBClusterParameterGroup",
        "rds:DeleteDBInstance",
        "rds:DeleteDBSubnetGroup",
        "s3:DeleteBucket",
        "s3:DeleteBucketPolicy",
        "scheduler:DeleteSchedule",
        "secretsmanager:DeleteSecret",
        "servicediscovery:DeleteNamespace",
        "servicediscovery:DeleteService",
    },
    "only for a cluster with an address of its own (NotificationEmail)": {
        "sns:CreateTopic",
        "sns:DeleteTopic",
        "sns:SetTopicAttributes",
        "sns:Subscribe",
        "sns:TagResource",
        "sns:Unsubscribe",
        "sns:UntagResource",
    },
    "only with CognitoUserPool=create: tests/unit/rights": {
        "cognito-idp:AdminCreateUser",
        "cognito-idp:AdminDeleteUser",
        "cognito-idp:AdminGetUser",
        "cognito-idp:CreateResourceServer",
        "cognito-idp:CreateUserPool",
        "cognito-idp:CreateUserPoolClient",
        "cognito-idp:CreateUserPoolDomain",
        "cognito-idp:DeleteResourceServer",
        "cognito-idp:DeleteUserPool",
        "cognito-idp:DeleteUserPoolClient",
        "cognito-idp:DeleteUserPoolDomain",
        "cognito-idp:SetUserPoolMfaConfig",
        "cognito-idp:TagResource",
        "cognito-idp:UntagResource",
        "cognito-idp:UpdateResourceServer",
        "cognito-idp:UpdateUserPool",
        "cognito-idp:UpdateUserPoolClient",
        "cognito-idp:UpdateUserPoolDomain",
    },
    "only for a database that is restored: test_restore": {
        "rds:RestoreDBClusterFromSnapshot",
    },
    "only with a hosted zone: test_front_door": {
        "acm:AddTagsToCertificate",
        "acm:DeleteCertificate",
        "acm:RemoveTagsFromCertificate",
        "acm:RequestCertificate",
        "acm:UpdateCertificateOptions",
    },
    "only when what it is for changes in place, which the run does not": {
        "cloudwatch:PutDashboard",
        "ec2:ModifyManagedPrefixList",
        "ec2:UpdateSecurityGroupRuleDescriptionsEgress",
        "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
        "ecs:UpdateCluster",
        "ecs:UpdateClusterSettings",
        "elasticfilesystem:ModifyMountTargetSecurityGroups",
        "elasticfilesystem:PutLifecycleConfiguration",
        "elasticfilesystem:UpdateFileSystem",
        "elasticloadbalancing:ModifyListener",
        "elasticloadbalancing:ModifyListenerAttributes",
        "elasticloadbalancing:ModifyRule",
        "elasticloadbalancing:ModifyTargetGroup",
        "elasticloadbalancing:SetIpAddressType",
        "elasticloadbalancing:SetRulePriorities",
        "elasticloadbalancing:SetSecurityGroups",
        "elasticloadbalancing:SetSubnets",
        "iam:PutRolePermissionsBoundary",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole",
        "iam:UpdateRoleDescription",
        "kms:DisableKey",
        "kms:DisableKeyRotation",
        "kms:EnableKey",
        "kms:PutKeyPolicy",
        "kms:UpdateAlias",
        "kms:UpdateKeyDescription",
        "rds:ModifyDBCluster",
        "rds:ModifyDBInstance",
        "rds:ModifyDBSubnetGroup",
        "rds:RebootDBInstance",
        "rds:ResetDBClusterParameterGroup",
        "scheduler:UpdateSchedule",
        "secretsmanager:UpdateSecret",
        "servicediscovery:UpdateHttpNamespace",
        "servicediscovery:UpdatePrivateDnsNamespace",
        "servicediscovery:UpdateService",
    },
    "only with managedPolicyArns in the settings of a request": {
        "iam:AttachRolePolicy",
        "iam:DetachRolePolicy",
    },
    "only when tags go, and of buckets with ABAC": {
        "cloudwatch:UntagResource",
        "ec2:DeleteTags",
        "ecs:UntagResource",
        "elasticfilesystem:DeleteTags",
        "elasticfilesystem:UntagResource",
        "elasticloadbalancing:RemoveTags",
        "iam:UntagRole",
        "kms:UntagResource",
        "logs:UntagResource",
        "rds:RemoveTagsFromResource",
        "s3:TagResource",
        "s3:UntagResource",
        "secretsmanager:UntagResource",
        "servicediscovery:UntagResource",
    },
    "EFS, Cloud Map, KMS and services with a key act for their caller: not attributed": {
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:ModifyNetworkInterfaceAttribute",
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "route53:ChangeResourceRecordSets",
        "route53:CreateHostedZone",
        "route53:DeleteHostedZone",
    },
}


@dataclass
class Run:
    """An instance after every machine has run, one request was refused and one run aborted."""

    instance: Instance
    credentials: set[str]
    outputs: list[str] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return self.instance.client(service)

    def pages(self, service: str, operation: str, key: str, **given: Any) -> list[Any]:
        pages = self.client(service).get_paginator(operation).paginate(**given)
        return [item for page in pages for item in page.get(key, [])]

    def start(self, machine: str, request: Any) -> str:
        states = self.client("stepfunctions")
        arn = next(
            one["stateMachineArn"]
            for one in states.list_state_machines()["stateMachines"]
            if one["name"] == f"{CONTROL_STACK}-{machine}"
        )
        name = f"demo.{machine}.{uuid.uuid4().hex[:8]}"
        started = states.start_execution(stateMachineArn=arn, name=name, input=json.dumps(request))
        return str(started["executionArn"])

    def ended(self, execution: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def over() -> bool:
            found.update(self.client("stepfunctions").describe_execution(executionArn=execution))
            return bool(found["status"] != "RUNNING")

        _until(over, "the execution to end")
        return found

    def is_locked(self) -> bool:
        items = [item for _, items in _items(self) for item in items]
        return any(item.get("pk", {}).get("S") == f"LOCK#{CONTROL_STACK}-demo" for item in items)

    def used(self, function: str, action: str) -> bool:
        return (action, True) in self.uses()[f"{function}Role"]

    def uses(self) -> dict[str, set[tuple[str, bool]]]:
        """What each role asked for and whether it was allowed, by the role's logical id."""
        found: dict[str, set[tuple[str, bool]]] = defaultdict(set)
        for line in self.instance.config.authorisation_log.read_text().splitlines():
            entry = json.loads(line)
            role = entry["role"]
            if role not in self.roles:
                self.roles |= self._roles()
            found[self.roles[role]].add((entry["action"], entry["allowed"]))
        return found

    def uses_of(self, logical_ids: Collection[str]) -> dict[str, set[str]]:
        """Actions that were allowed, by the name without `Role` that these roles have."""
        return {
            role.removesuffix("Role"): {action for action, allowed in uses if allowed}
            for role, uses in self.uses().items()
            if role in logical_ids
        }

    def _roles(self) -> dict[str, str]:
        """Logical ids of all roles of the control plane's stacks and the cluster's, by name."""
        return {
            resource["PhysicalResourceId"]: resource["LogicalResourceId"]
            for stack in self.pages("cloudformation", "describe_stacks", "Stacks")
            for resource in self.pages(
                "cloudformation",
                "list_stack_resources",
                "StackResourceSummaries",
                StackName=stack["StackName"],
            )
            if resource["ResourceType"] == "AWS::IAM::Role"
        }

    def let_a_health_check_be_due(self) -> None:
        """Change the cluster's schedule to a moment from now."""
        api = self.client("scheduler")
        (found,) = api.list_schedules(GroupName="default")["Schedules"]
        schedule = api.get_schedule(Name=found["Name"])
        at = datetime.now(UTC) + timedelta(seconds=1)
        api.update_schedule(
            **{name: schedule[name] for name in ("Name", "FlexibleTimeWindow", "Target")},
            ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
        )

    def let_the_way_in_end(self) -> None:
        """Let the end of what is open be now, and its schedules be due."""
        now = datetime.now(UTC)
        tag = [{"Key": OPEN_UNTIL, "Value": f"{now:%Y-%m-%dT%H:%M:%SZ}"}]
        balancers = self.pages("elbv2", "describe_load_balancers", "LoadBalancers")
        listeners = [
            one["ListenerArn"]
            for balancer in balancers
            for one in self.pages(
                "elbv2",
                "describe_listeners",
                "Listeners",
                LoadBalancerArn=balancer["LoadBalancerArn"],
            )
            if one["Port"] == PORT
        ]
        rules = self.client("ec2").describe_security_group_rules(
            Filters=[{"Name": "tag-key", "Values": [OPEN_UNTIL]}]
        )["SecurityGroupRules"]
        self.client("elbv2").add_tags(ResourceArns=listeners, Tags=tag)
        self.client("ec2").create_tags(
            Resources=[one["SecurityGroupRuleId"] for one in rules], Tags=tag
        )
        api = self.client("scheduler")
        at = now + timedelta(seconds=1)
        for one in api.list_schedules(NamePrefix="ways-")["Schedules"]:
            named = {"Name": one["Name"], "GroupName": one["GroupName"]}
            schedule = api.get_schedule(**named)
            kept = ("FlexibleTimeWindow", "Target", "ActionAfterCompletion")
            api.update_schedule(
                **named,
                **{name: schedule[name] for name in kept},
                ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
            )


def _until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


def _watch_credentials(config: LocalConfig, found: set[str], over: threading.Event) -> None:
    """Read the keys out of the environments of the functions' processes while they live."""
    while not over.wait(0.05):
        try:
            processes = json.loads(config.processes_file.read_text())
        except (OSError, ValueError):
            continue
        for process in processes:
            if process["name"].startswith("lambda "):
                found |= _keys_of(process["pid"])


def _keys_of(pid: int) -> set[str]:
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return set()
    pairs = dict(entry.partition("=")[::2] for entry in environment.split("\0"))
    names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {pairs[name] for name in names if pairs.get(name)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    instance = Instance.of(LocalConfig(tmp_path_factory.mktemp("instance"), BLOCK))
    config = instance.config
    outputs = []

    def command(name: str) -> int:
        options = ["--root", str(config.root), "--block", BLOCK]
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "local", name, *options],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        outputs.append(done.stdout + done.stderr)
        return done.returncode

    credentials: set[str] = set()
    over = threading.Event()
    watcher = threading.Thread(target=_watch_credentials, args=(config, credentials, over))
    watcher.start()
    try:
        assert command("up") == 0, outputs[-1]
        it = Run(instance, credentials, outputs)
        for machine, request, error in STORY:
            ended = it.ended(it.start(machine, request))
            assert ended.get("error", "") == error, ended
        it.let_the_way_in_end()
        closed = "elasticloadbalancing:DeregisterTargets"
        _until(lambda: it.used("CloseWays", closed), "the way in to be closed at its end")
        aborted = it.start("provision", REQUEST)
        _until(it.is_locked, "the operation to begin")
        it.client("stepfunctions").stop_execution(executionArn=aborted)
        last = "events:PutEvents"
        _until(lambda: it.used("CleanUpOperation", last), "the cleaner to tell the end")
        it.start("check_health", {"clusterName": "demo"})
        _until(lambda: it.used("JudgeHealth", "dynamodb:PutItem"), "a verdict")
        it.let_a_health_check_be_due()
        _until(partial(it.uses_of, {"HealthScheduleRole"}), "the schedule to start it")
        yield it
    finally:
        over.set()
        watcher.join()
        command("down")
        assert leftovers(instance) == []


# --- rights -----------------------------------------------------------------------------------


def _of_type(kind: str) -> set[str]:
    resources = content()["Resources"]
    return {name for name, resource in resources.items() if resource["Type"] == kind}


def _roles_of(kind: str) -> set[str]:
    """Logical ids of the roles that SAM makes for functions or for state machines."""
    return {f"{name}Role" for name in _of_type(kind)}


FUNCTION = "AWS::Serverless::Function"
MACHINE = "AWS::Serverless::StateMachine"
DEPLOYMENT = "ClusterDeploymentRole"


def _granted(logical_id: str) -> set[str]:
    """Without its trust policy and without denials."""
    statements = [one for one in of(logical_id) if one.allows and one.is_of_a_role]
    return {action for one in statements for action in one.actions}


def test_nobody_was_denied_anything(run: Run) -> None:
    uses = run.uses()
    assert ("s3:PutObject", True) in uses["OrchestrationTaskRole"], "its lease of a node id"
    denied = {
        role: sorted(action for action, allowed in asked if not allowed)
        for role, asked in uses.items()
    }
    assert {role: actions for role, actions in denied.items() if actions} == {}
    logs = [path.read_text() for path in (run.instance.config.logs / "lambda").glob("*.log")]
    assert logs
    assert [line for text in logs for line in text.splitlines() if "AccessDenied" in line] == []


@pytest.mark.parametrize(
    ("machine", "never"),
    [
        # A start that failed, and an update that stopped half-way.
        ("provision", {"StopServices", "RollBackStack", "SeedLogin"}),
        ("plan", {"FailPlan"}),
        ("scale", set[str]()),
        ("rotate", set[str]()),
        ("manage", set[str]()),
        ("backup", {"DeleteFormerData"}),
        ("check_health", set[str]()),
    ],
)
def test_the_functions_of_a_machine_ran(run: Run, machine: str, never: set[str]) -> None:
    definition = (REPOSITORY / "statemachines" / f"{machine}.asl.yaml").read_text()
    named = set(re.findall(r"FunctionName: \$\{(\w+)\}", definition))
    assert named
    assert named - set(run.uses_of(_roles_of(FUNCTION))) <= never


def test_each_function_ran_or_says_where_it_runs(run: Run) -> None:
    """Else its rights were looked at nowhere in what follows."""
    assert _of_type(FUNCTION) - run.uses_of(_roles_of(FUNCTION)).keys() == NEVER_RAN.keys()


def test_each_right_of_a_function_was_used_or_says_why_not(run: Run) -> None:
    unused = {}
    for function, used in run.uses_of(_roles_of(FUNCTION)).items():
        left = {
            action
            for action in _granted(function) - used
            if not {("*", action), (function, action)} & NOT_SEEN.keys()
        }
        if left:
            unused[function] = sorted(left)
    assert unused == {}


def test_each_right_of_a_machine_was_used_or_says_why_not(run: Run) -> None:
    """Step Functions here calls functions and other machines, and delivers no logs."""
    used = run.uses_of(_roles_of(MACHINE))
    assert _of_type(MACHINE) - used.keys() == NEVER_STARTED.keys()
    unused = {name: sorted(_granted(name) - one - LOGGING) for name, one in used.items()}
    assert {name: actions for name, actions in unused.items() if actions} == {}


def test_each_right_of_a_schedule_was_used_or_says_why_not(run: Run) -> None:
    used = {f"{name}Role": one for name, one in run.uses_of(SCHEDULES).items()}
    unused = {
        (role, action) for role in SCHEDULES for action in _granted(role) - used.get(role, set())
    }
    assert unused == NOT_SEEN_OF_SCHEDULES.keys()


def test_each_right_of_the_deployment_role_was_used_or_says_why_not(run: Run) -> None:
    """CloudFormation here acts on its own state; `local.aws.resource_rights` is what is attributed.

    That is what creates, tags, changes and deletes a resource, with the ARN and the tags on which
    AWS authorises it. Not attributed: what CloudFormation only reads; what KMS, EFS, Cloud Map and
    RDS do with the rights of their caller; a deletion that the emulator's handler does itself while
    it replaces a resource. `tests/unit/rights` derives these from the schemas of the types.
    """
    (used,) = run.uses_of({DEPLOYMENT}).values()
    reasons = {action: why for why, actions in NOT_SEEN_OF_DEPLOYMENT.items() for action in actions}
    left = {
        action
        for action in _granted(DEPLOYMENT) - used
        if not action.partition(":")[2].startswith(READING)
    }
    assert sorted(left - reasons.keys()) == []
    assert sorted(used - _granted(DEPLOYMENT)) == []


def test_every_reason_is_for_a_right_that_is_granted() -> None:
    stale = {
        (function, action)
        for function, action in NOT_SEEN
        if function != "*" and action not in _granted(function)
    }
    assert stale == set()
    reasons = [action for actions in NOT_SEEN_OF_DEPLOYMENT.values() for action in actions]
    assert len(reasons) == len(set(reasons))
    assert set(reasons) - _granted(DEPLOYMENT) == set()
    assert {action for machine in _of_type(MACHINE) for action in _granted(machine)} >= LOGGING


# --- secrets ----------------------------------------------------------------------------------


def _stored(run: Run) -> dict[str, str]:
    """Every value of every secret, also former ones, by ARN and version."""
    client = run.client("secretsmanager")
    found = {}
    for secret in run.pages("secretsmanager", "list_secrets", "SecretList"):
        arn = secret["ARN"]
        for version in client.list_secret_version_ids(SecretId=arn)["Versions"]:
            given = {"SecretId": arn, "VersionId": version["VersionId"]}
            value = client.get_secret_value(**given)["SecretString"]
            found[f"{arn} {version['VersionStages']}"] = value
    return found


def _secrets(run: Run) -> dict[str, str]:
    """Every secret value in each form in which it could be written down, with what it is."""
    found = dict.fromkeys(run.credentials, "credentials of a function's role")
    for arn, text in _stored(run).items():
        name = arn.rpartition(":")[2]
        found[text] = f"the whole of {name}"
        if text.startswith("https://"):
            continue  # a webhook's URL is not JSON
        content = json.loads(text)
        if "clientSecret" in content:
            found[content["clientSecret"]] = f"client secret of {name}"
            continue
        pair = f"{content['username']}:{content['password']}".encode()
        found[base64.b64encode(pair).decode()] = f"basic authorization of {name}"
        for form in {content["password"], quote(content["password"], safe="")}:
            found[form] = f"password of {name}"
        found[json.dumps(content["password"])[1:-1]] = f"password of {name}"
    return found


# A signed database token or URL, an authorization header with something in it.
_PATTERNS = {
    "a signed token": re.compile(r"X-Amz-Signature=[0-9a-f]{16}|X-Amz-Security-Token=\w"),
    "an authorization header": re.compile(r"Authorization['\": ]+(Basic|Bearer) [A-Za-z0-9+/=]{8}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}


def _found_in(text: str, secrets: Mapping[str, str]) -> set[str]:
    known = {what for value, what in secrets.items() if value in text}
    return known | {what for what, pattern in _PATTERNS.items() if pattern.search(text)}


def _executions(run: Run) -> Iterator[tuple[str, Any]]:
    states = run.client("stepfunctions")
    for machine in states.list_state_machines()["stateMachines"]:
        found = states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
        for one in found:
            arn = one["executionArn"]
            yield arn, states.describe_execution(executionArn=arn)
            yield (
                f"history of {arn}",
                run.pages("stepfunctions", "get_execution_history", "events", executionArn=arn),
            )


def _log_groups(run: Run) -> Iterator[tuple[str, Any]]:
    for group in run.pages("logs", "describe_log_groups", "logGroups"):
        name = group["logGroupName"]
        yield name, run.pages("logs", "filter_log_events", "events", logGroupName=name)


def _log_files(run: Run) -> Iterator[tuple[str, Any]]:
    for path in sorted(run.instance.config.logs.rglob("*")):
        if path.is_file():
            yield str(path), path.read_text(errors="replace")


def _stacks(run: Run) -> Iterator[tuple[str, Any]]:
    cloudformation = run.client("cloudformation")
    for stack in cloudformation.describe_stacks()["Stacks"]:
        name = stack["StackName"]
        yield f"outputs and parameters of {name}", stack
        yield f"template of {name}", cloudformation.get_template(StackName=name)["TemplateBody"]
        events = run.pages("cloudformation", "describe_stack_events", "StackEvents", StackName=name)
        yield f"events of {name}", events


def _objects(run: Run) -> Iterator[tuple[str, Any]]:
    s3 = run.client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        for item in run.pages("s3", "list_objects_v2", "Contents", Bucket=bucket["Name"]):
            body = s3.get_object(Bucket=bucket["Name"], Key=item["Key"])["Body"].read()
            yield f"s3://{bucket['Name']}/{item['Key']}", body.decode(errors="replace")


def _items(run: Run) -> Iterator[tuple[str, Any]]:
    for table in run.pages("dynamodb", "list_tables", "TableNames"):
        yield table, run.pages("dynamodb", "scan", "Items", TableName=table)


def _functions(run: Run) -> Iterator[tuple[str, Any]]:
    for function in run.pages("lambda", "list_functions", "Functions"):
        yield function["FunctionName"], function


def _task_definitions(run: Run) -> Iterator[tuple[str, Any]]:
    ecs = run.client("ecs")
    for arn in run.pages("ecs", "list_task_definitions", "taskDefinitionArns"):
        yield arn, ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    for cluster in run.pages("ecs", "list_clusters", "clusterArns"):
        tasks = run.pages("ecs", "list_tasks", "taskArns", cluster=cluster)
        yield f"tasks of {cluster}", ecs.describe_tasks(cluster=cluster, tasks=tasks)["tasks"]


def _messages(run: Run) -> Iterator[tuple[str, Any]]:
    sqs = run.client("sqs")
    for url in sqs.list_queues().get("QueueUrls", []):
        yield url, sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])


def _said(run: Run) -> Iterator[tuple[str, Any]]:
    yield "what the commands printed", "\n".join(run.outputs)


SOURCES: Mapping[str, Callable[[Run], Iterator[tuple[str, Any]]]] = {
    "executions": _executions,
    "log groups": _log_groups,
    "log files": _log_files,
    "stacks": _stacks,
    "objects": _objects,
    "items": _items,
    "functions": _functions,
    "task definitions and tasks": _task_definitions,
    "dead letters": _messages,
    "commands": _said,
}


@pytest.mark.parametrize("source", SOURCES)
def test_no_secret_is_in(run: Run, source: str) -> None:
    secrets = _secrets(run)
    leaks = {}
    searched = 0
    for where, found_there in SOURCES[source](run):
        is_text = isinstance(found_there, str)
        text = found_there if is_text else json.dumps(found_there, default=str)
        searched += len(text)
        if found := _found_in(text, secrets):
            leaks[where] = sorted(found)
    assert leaks == {}
    assert searched > 0, "there was nothing to search"


def test_what_is_searched_for_is_there_to_be_found(run: Run) -> None:
    secrets = _secrets(run)
    stored = _stored(run)
    assert len(stored) >= 6, "the admin of Aurora, two users of Camunda; new and former values"
    assert len(run.credentials) >= 2 * 5, "several functions' keys and tokens were seen"
    assert min(map(len, secrets)) >= SHORTEST_SECRET, "a short one would be found by chance"
    for text in stored.values():
        assert _found_in(text, secrets)
    key = next(iter(run.credentials))
    assert _found_in(f"key={key};", secrets) == {"credentials of a function's role"}


def test_only_references_to_secrets_reach_a_task_definition(run: Run) -> None:
    containers = [
        container
        for _, content in _task_definitions(run)
        if isinstance(content, dict)
        for container in content["containerDefinitions"]
    ]
    referred = [
        one["valueFrom"] for container in containers for one in container.get("secrets", [])
    ]
    assert referred
    assert all(value.startswith("arn:aws:secretsmanager:") for value in referred)
