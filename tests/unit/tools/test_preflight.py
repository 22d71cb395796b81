from __future__ import annotations

import json
import tomllib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from lifecycle.preflight.checks import FARGATE_ZONES
from moto import mock_aws

from local.aws.emulator import iam_evaluator
from local.aws.strict.quota_values import ASKED_WITH, quota
from tools import preflight
from tools.generate_parameters import ROOT
from tools.preflight import (
    NETWORK,
    OF_CONSOLE,
    POLICY,
    QUOTAS,
    Answer,
    Check,
    Question,
    Result,
    Zone,
    check_api_log_role,
    check_control_stacks,
    check_permissions,
    check_quota,
    check_stack,
    check_stack_name,
    check_zones,
    collect,
    listed_by_cloudformation,
    main,
    overall,
    principal,
    questions,
    read_quota,
    simulate,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKYO = "ap-northeast-1"


def in_tokyo(ids: str) -> list[Zone]:
    """Zones a, c, d, … with these ids; Fargate is in 1, 2 and 4."""
    return [
        Zone(f"{TOKYO}{letter}", f"apne1-az{number}")
        for letter, number in zip("acde", ids, strict=False)
    ]


def test_three_zones_are_needed() -> None:
    three = [Zone(f"eu-central-1{letter}", "") for letter in "abc"]
    assert check_zones("eu-central-1", three, three).result is Result.PASS
    too_few = check_zones("eu-central-1", three[:2], three[:2])
    assert too_few.result is Result.FAIL
    assert too_few.remedy


@pytest.mark.parametrize(
    ("ids", "result", "remedy"),
    [
        ("124", Result.PASS, ""),
        ("1243", Result.WARN, "ZoneA=ap-northeast-1a ZoneB=ap-northeast-1c ZoneC=ap-northeast-1d"),
        ("1324", Result.FAIL, "ZoneA=ap-northeast-1a ZoneB=ap-northeast-1d ZoneC=ap-northeast-1e"),
        ("123", Result.FAIL, "three such zones"),
    ],
)
def test_zones_are_counted_by_id_without_those_that_have_no_fargate(
    ids: str, result: Result, remedy: str
) -> None:
    check = check_zones(TOKYO, in_tokyo(ids), in_tokyo(ids))
    assert check.result is result
    assert remedy in check.remedy


def test_a_zone_of_which_the_id_is_not_known_has_fargate_only_where_all_have() -> None:
    assert Zone("eu-central-1a", "").has_fargate("eu-central-1")
    assert not Zone(f"{TOKYO}a", "").has_fargate(TOKYO)


def test_cloudformation_takes_zones_with_a_default_subnet_if_there_are_any() -> None:
    zones = in_tokyo("4312")
    names = [zone.name for zone in zones]
    assert listed_by_cloudformation(reversed(zones), set()) == zones
    assert listed_by_cloudformation(zones, {names[2], names[0]}) == [zones[0], zones[2]]
    # It lists two, of which three cannot be taken.
    check = check_zones(TOKYO, zones, [zones[0], zones[2]])
    assert check.result is Result.FAIL
    assert f"ZoneA={names[0]} ZoneB={names[2]} ZoneC={names[3]}" in check.remedy


@pytest.mark.parametrize(
    ("letters", "result"),
    [("ade", Result.PASS), ("acd", Result.FAIL), ("ad", Result.FAIL), ("add", Result.FAIL)],
)
def test_zones_that_are_chosen_have_fargate(letters: str, result: Result) -> None:
    zones = in_tokyo("1324")
    check = check_zones(TOKYO, zones, zones, [f"{TOKYO}{letter}" for letter in letters])
    assert check.result is result


ROLE = "arn:aws:iam::123456789012:role/logs-of-every-api"


@pytest.mark.parametrize(
    ("role", "parameter", "result", "remedy"),
    [
        ("", "create", Result.PASS, ""),
        (ROLE, "present", Result.PASS, ""),
        (ROLE, "create", Result.FAIL, "ApiGatewayLogRole=present"),
        ("", "present", Result.FAIL, "ApiGatewayLogRole=create"),
    ],
)
def test_a_role_that_the_account_has_for_the_logs_of_its_apis_is_not_replaced(
    role: str, parameter: str, result: Result, remedy: str
) -> None:
    check = check_api_log_role(role, parameter)
    assert check.result is result
    assert remedy in check.remedy
    assert role in check.seen


class TestCollected:
    """What is asked of AWS, by what moto has without further packages, and stubs."""

    account: dict[str, Any] | ClientError
    stacks: list[dict[str, Any]]
    others: tuple[str, ...]

    @pytest.fixture(autouse=True)
    def _aws(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(key, "testing")
        monkeypatch.setenv("AWS_REGION", TOKYO)
        self.account, self.stacks, self.others = {"throttleSettings": {}}, [], ()
        monkeypatch.setattr(preflight, "simulate", lambda *_: [])
        own: Any = boto3.session.Session.client
        stubs = {
            "apigateway": SimpleNamespace(get_account=self.get_account),
            "cloudformation": SimpleNamespace(
                describe_stacks=self.describe_stacks, get_paginator=self.get_paginator
            ),
        }
        monkeypatch.setattr(
            boto3.session.Session,
            "client",
            lambda session, service, **more: stubs.get(service) or own(session, service, **more),
        )
        with mock_aws():
            yield

    def get_account(self) -> dict[str, Any]:
        if isinstance(self.account, ClientError):
            raise self.account
        return self.account

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_exports"
        pages = [{"Exports": [self._export(name)]} for name in ("camunda-lifecycle", *self.others)]
        return SimpleNamespace(paginate=lambda: pages)

    @staticmethod
    def _export(stack: str) -> dict[str, str]:
        arn = f"arn:aws:cloudformation:{TOKYO}:123456789012:stack/{stack}/0f3a"
        return {"Name": f"{stack}-DeploymentRoleArn", "ExportingStackId": arn}

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - as boto3 has it
        if not self.stacks:
            message = f"Stack with id {StackName} does not exist"
            error: Any = {"Code": "ValidationError", "Message": message}
            raise ClientError({"Error": error}, "DescribeStacks")
        return {"Stacks": self.stacks}

    def found(self, **given: Any) -> dict[str, Check]:
        return {check.name: check for check in collect("camunda-lifecycle", 1, **given)}

    @pytest.mark.parametrize("exists", [False, True])
    @pytest.mark.parametrize("console", [False, True])
    def test_the_policies_that_a_deployment_needs_are_simulated(
        self, monkeypatch: pytest.MonkeyPatch, *, console: bool, exists: bool
    ) -> None:
        """The console's users have a boundary, which an update may create, too."""
        asked: list[Question] = []

        def simulate(_iam: Any, _principal: str, questions: list[Question]) -> list[Answer]:
            asked.extend(questions)
            return []

        monkeypatch.setattr(preflight, "simulate", simulate)
        self.stacks = [{"StackStatus": "UPDATE_COMPLETE"}] * exists
        self.found(console=console)
        actions = [action for one in asked for action in one.actions]
        assert "lambda:CreateFunction" in actions
        assert ("cognito-idp:CreateUserPool" in actions) == console
        boundaries = [one for one in asked if ":policy/camunda-boundaries/" in one.resource]
        creates = any("iam:CreatePolicyVersion" in one.actions for one in boundaries)
        assert creates == (console or not exists)
        assert len(asked) == len({str(one) for one in asked}), "each once"

    def test_zones_are_those_of_the_account_by_their_ids(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        zones = boto3.client("ec2", region_name=TOKYO).describe_availability_zones()
        ids = {one["ZoneName"]: one["ZoneId"] for one in zones["AvailabilityZones"]}
        assert len(ids) == 3
        assert self.found()["availability zones"].result is Result.PASS
        assert self.found(zones=list(ids))["availability zones"].result is Result.PASS
        assert self.found(zones=list(ids)[:2])["availability zones"].result is Result.FAIL
        served = {TOKYO: FARGATE_ZONES[TOKYO] - set(list(ids.values())[:1])}
        monkeypatch.setattr(preflight, "FARGATE_ZONES", served)
        check = self.found()["availability zones"]
        assert check.result is Result.FAIL
        assert check.seen.startswith("2 with Fargate")

    def test_the_role_of_the_account_is_read(self) -> None:
        assert self.found()["API Gateway's log role"].result is Result.PASS
        self.account = {"cloudwatchRoleArn": ROLE}
        assert self.found()["API Gateway's log role"].result is Result.FAIL
        assert self.found(api_log_role="present")["API Gateway's log role"].result is Result.PASS

    def test_a_role_that_cannot_be_read_is_none_that_is_not_there(self) -> None:
        self.account = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetAccount")
        check = self.found()["API Gateway's log role"]
        assert check.result is Result.WARN
        assert "ApiGatewayLogRole=present" in check.remedy

    def test_a_control_stack_whose_name_begins_alike_is_found_by_its_export(self) -> None:
        assert self.found()["control stacks"].result is Result.PASS
        self.others = ("payments", "camunda-lifecycle-dev")
        check = self.found()["control stacks"]
        assert check.result is Result.FAIL
        assert "camunda-lifecycle-dev" in check.seen

    def test_an_update_makes_none_of_these(self) -> None:
        self.stacks = [{"StackStatus": "CREATE_COMPLETE"}]
        only_before = {"availability zones", "API Gateway's log role", "VPCs"}
        assert not only_before & self.found().keys()


@pytest.mark.parametrize(
    ("used", "needed", "result"), [(2, 3, Result.PASS), (3, 3, Result.FAIL), (5, 0, Result.PASS)]
)
def test_a_quota_must_leave_room(used: int, needed: int, result: Result) -> None:
    check = check_quota("x", used=used, quota=5.0, needed=needed, remedy="Raise it.")
    assert check.result is result
    assert bool(check.remedy) == (result is Result.FAIL)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (quota("ec2", "L-0263D0A3", asked=True), 5.0),
        (quota("ec2", "L-0263D0A3", asked=True) | {"Value": 0.0}, 0.0),
        (quota("rds", "L-952B80B8", asked=False), None),
    ],
)
def test_a_quota_is_read_only_where_it_has_a_value(
    answer: dict[str, Any], value: float | None
) -> None:
    api = boto3.client(
        "service-quotas",
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )
    named = answer["ServiceCode"], answer["QuotaCode"]
    with Stubber(api) as stub:
        stub.add_response("get_service_quota", {"Quota": answer})
        assert read_quota(api, *named) == value
        stub.add_client_error("get_service_quota", "AccessDeniedException")
        assert read_quota(api, *named) is None


def test_who_deploys_may_ask_the_services_whose_quotas_are_read() -> None:
    """Those of EC2 need no more than the right to read a quota."""
    asked = {ASKED_WITH[service] for service, _ in QUOTAS.values() if service in ASKED_WITH}
    assert asked <= {action for one in asked_for() for action in one.actions}


def test_a_quota_that_cannot_be_read_is_a_warning() -> None:
    check = check_quota("x", used=0, quota=None, needed=1, remedy="Raise it.")
    assert check.result is Result.WARN
    assert "servicequotas:GetServiceQuota" in check.remedy


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (None, Result.PASS),
        ("CREATE_COMPLETE", Result.PASS),
        ("UPDATE_ROLLBACK_COMPLETE", Result.PASS),
        ("UPDATE_IN_PROGRESS", Result.FAIL),
        ("ROLLBACK_COMPLETE", Result.FAIL),
        ("UPDATE_ROLLBACK_FAILED", Result.FAIL),
    ],
)
def test_a_stack_state_that_needs_a_decision_fails(status: str | None, result: Result) -> None:
    check = check_stack("camunda-lifecycle", status)
    assert check.result is result
    assert bool(check.remedy) == (result is Result.FAIL)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("camunda-lifecycle", Result.PASS),
        ("c" * 32, Result.PASS),
        ("c" * 33, Result.FAIL),
        ("Camunda-Lifecycle", Result.FAIL),
        ("camunda_lifecycle", Result.FAIL),
        ("1camunda", Result.FAIL),
    ],
)
def test_the_control_stack_has_a_name_that_policies_match(name: str, result: Result) -> None:
    check = check_stack_name(name)
    assert check.result is result
    assert name in check.seen


@pytest.mark.parametrize(
    ("name", "present", "result"),
    [
        ("camunda-lifecycle", ["camunda-lifecycle"], Result.PASS),
        ("camunda-dev", ["camunda-lifecycle", "camunda-de", "camunda-develop"], Result.PASS),
        ("camunda-lifecycle", ["camunda-lifecycle-2"], Result.FAIL),
        ("camunda-lifecycle-2", ["camunda-lifecycle"], Result.FAIL),
        ("camunda", ["payments", "camunda-lifecycle-2"], Result.FAIL),
    ],
)
def test_names_of_control_stacks_do_not_begin_alike(
    name: str, present: list[str], result: Result
) -> None:
    check = check_control_stacks(name, present)
    assert check.result is result
    if result is Result.FAIL:
        assert all(one in check.seen for one in present if one != "payments")
        assert check.remedy


def test_the_names_of_samconfig_do_not_begin_alike() -> None:
    with (ROOT / "samconfig.toml").open("rb") as file:
        environments = tomllib.load(file)
    names = [
        one["global"]["parameters"]["stack_name"]
        for one in environments.values()
        if isinstance(one, dict)
    ]
    assert len(names) == 3
    for name in names:
        assert check_stack_name(name).result is Result.PASS
        assert check_control_stacks(name, names).result is Result.PASS
    for one in environments.values():
        if isinstance(one, dict):
            tag = f"camunda:control-plane={one['global']['parameters']['stack_name']}"
            assert one["deploy"]["parameters"]["tags"] == tag


def test_the_name_is_checked_before_anything_is_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    assert main(["--stack", "Camunda"]) == 1
    assert "FAIL  stack name  Camunda" in capsys.readouterr().out


def deployer(old: str = "", new: str = "") -> dict[str, Any]:
    """Statements of the deployer's policies, after a replacement in their text."""
    texts = [one.read_text() for one in (POLICY, NETWORK, OF_CONSOLE)]
    read = [json.loads(text.replace(old, new) if old else text) for text in texts]
    statements = [one for policy in read for one in policy["Statement"]]
    return {"Version": "2012-10-17", "Statement": statements}


def asked_for(stack: str = "camunda-lifecycle") -> list[Question]:
    return questions(
        deployer(),
        stack=stack,
        partition="aws",
        region="eu-central-1",
        account="123456789012",
    )


class Simulator:
    """IAM's policy simulator: the emulator's evaluation, with the resources and keys it is given.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """

    def __init__(self, policy: dict[str, Any]) -> None:
        self.statements = iam_evaluator.parse_policy_document(json.dumps(policy))

    def get_paginator(self, _name: str) -> Simulator:
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        keys = {
            entry["ContextKeyName"].lower(): entry["ContextKeyValues"]
            if entry["ContextKeyType"].endswith("List")
            else entry["ContextKeyValues"][0]
            for entry in request["ContextEntries"]
        }
        (resource,) = request["ResourceArns"]
        return [
            {"EvaluationResults": [self._one(action, resource, keys)]}
            for action in request["ActionNames"]
        ]

    def _one(self, action: str, resource: str, keys: dict[str, Any]) -> dict[str, Any]:
        context = iam_evaluator.EvalContext(
            principal_arn="arn:aws:iam::123456789012:role/Deployer",
            principal_type="AssumedRole",
            principal_account="123456789012",
            action=action,
            resource_arn=resource,
            region="eu-central-1",
            service_context=keys,
        )
        allowed = iam_evaluator.evaluate(context, [self.statements]).decision == "Allow"
        return {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": "allowed" if allowed else "implicitDeny",
        }


def permissions(policy: dict[str, Any], stack: str = "camunda-lifecycle") -> Check:
    return check_permissions(simulate(Simulator(policy), "arn", asked_for(stack)))


def policy_without(sid: str) -> dict[str, Any]:
    policy = deployer()
    policy["Statement"] = [one for one in policy["Statement"] if one.get("Sid") != sid]
    return policy


def test_the_policy_that_is_asked_for_is_enough() -> None:
    assert permissions(deployer()) == Check(
        "permissions", Result.PASS, "docs/deployer-policy.json, on its resources"
    )


@pytest.mark.parametrize(
    ("sid", "action"),
    [
        ("RolesPassedToTheirServices", "iam:PassRole"),
        ("Functions", "lambda:CreateFunction"),
        ("KeyIdsByTheirServices", "kms:CreateKey"),
        ("CreationIdsByEc2", "ec2:CreateVpc"),
        ("OwnNetworkIdsByEc2", "ec2:DeleteVpc"),
        ("RolesWithinOurBoundaries", "iam:CreateRole"),
        ("CreationHasNoResourceLevelPermissions", "cognito-idp:CreateUserPool"),
        ("OurDistributionAndPools", "cloudfront:UpdateDistribution"),
        ("TagsOnlyThroughCloudFormation", "cognito-identity:TagResource"),
        ("PoliciesOfTheDistribution", "cloudfront:UpdateOriginAccessControl"),
    ],
)
def test_a_statement_that_is_missing_is_told(sid: str, action: str) -> None:
    check = permissions(policy_without(sid))
    assert check.result is Result.FAIL
    missing = {
        answer.action
        for answer in simulate(Simulator(policy_without(sid)), "arn", asked_for())
        if not answer.allowed
    }
    assert action in missing
    assert check.remedy


@pytest.mark.parametrize("stack", ["other", "camunda-lifecycle-dev"])
def test_the_policy_is_of_one_name_and_serves_another_when_that_is_put_in(stack: str) -> None:
    assert permissions(deployer(), stack).result is Result.FAIL
    assert permissions(deployer("camunda-lifecycle", stack), stack).result is Result.PASS


def test_a_right_in_another_region_is_none() -> None:
    policy = deployer(":lambda:*:", ":lambda:us-east-1:")
    check = permissions(policy)
    assert check.result is Result.FAIL
    assert "lambda:" in check.seen


def test_a_role_is_passed_to_each_service_that_is_named() -> None:
    policy = deployer('"states.amazonaws.com"', '"x.amazonaws.com"')
    check = permissions(policy)
    assert check.result is Result.FAIL
    assert "iam:PassRole" in check.seen


def test_what_a_policy_of_ones_own_asks_beyond_is_no_verdict() -> None:
    check = check_permissions(
        [Answer("ec2:CreateVpc", "*", allowed=False, missing=("aws:VpcSourceIp",))]
    )
    assert check.result is Result.WARN
    assert "aws:VpcSourceIp" in check.seen


def test_no_simulation_is_no_pass() -> None:
    assert check_permissions([]).result is Result.WARN


def test_denied_actions_are_named_but_not_endlessly() -> None:
    denied = [Answer(f"ec2:Action{n}", "*", allowed=False) for n in range(12)]
    assert "and 4 more" in check_permissions(denied).seen


def test_the_simulator_gets_whole_names() -> None:
    """It takes neither actions nor ARNs with a wildcard; `*` alone is every resource."""
    for one in asked_for():
        assert not [action for action in one.actions if "*" in action]
        assert one.resource == "*" or "*" not in one.resource


def test_a_session_is_simulated_as_its_role_with_the_path() -> None:
    iam = boto3.client(
        "iam", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    path = "/aws-reserved/sso.amazonaws.com/eu-central-1/"
    name = "AWSReservedSSO_Deployer_0123456789abcdef"
    arn = f"arn:aws:iam::123456789012:role{path}{name}"
    role = {
        "Path": path,
        "RoleName": name,
        "RoleId": "AROAEXAMPLEEXAMPLE00",
        "Arn": arn,
        "CreateDate": "2026-01-01T00:00:00Z",
    }
    with Stubber(iam) as stub:
        stub.add_response("get_role", {"Role": role}, {"RoleName": name})
        assert principal(f"arn:aws:sts::123456789012:assumed-role/{name}/me", iam) == arn
    user = "arn:aws:iam::123456789012:user/me"
    assert principal(user, iam) == user


def test_the_worst_result_counts() -> None:
    ok, bad = Check("a", Result.PASS, ""), Check("b", Result.FAIL, "")
    assert overall([ok]) is Result.PASS
    assert overall([ok, Check("c", Result.WARN, "")]) is Result.WARN
    assert overall([ok, bad]) is Result.FAIL
