"""The four policies of docs/policies: which routes and machines each opens, and nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from lifecycle.api.routes import ROUTES

from tests.e2e.test_api import POLICIES
from tests.support.authorization import action as known
from tests.support.authorization import standing_for
from tests.support.planes import Resource, Role, arn, decide, plane, ready_policy
from tests.unit.rights.actions import exists, resource_types
from tests.unit.rights.statements import content
from tools.generate_parameters import ROOT

MANAGED_LIMIT = 6_144
STACK = "camunda-lifecycle"
ROLES = ("viewer", "planner", "operator", "administrator")
STARTING = {"states:StartExecution", "states:StartSyncExecution"}
# Scopable in principle; what the console lists is everything there is.
LISTS = {"cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "logs:DescribeLogGroups"}
READING = ("Describe", "Get", "List", "Filter")

ROUTES_OF = {
    "viewer": {"listClusters", "readCluster", "readHealth", "listOperations", "readOperation"}
    | {"readPlan", "readReport", "listKept", "readKept", "listBackups"},
    "planner": {"planChange"},
    "operator": {"scaleBrokers", "scalePartitions", "restartService", "freezeCluster"}
    | {"cancelOperation", "resumeOperation", "closeManagement", "takeBackup"},
    "administrator": {"provisionCluster", "rotateSecrets", "tearDownCluster", "thawCluster"}
    | {"openManagement", "deleteBackup", "deleteFormerData", "restoreCluster", "rehearseRestore"},
}
MACHINES_OF = {
    "viewer": set[str](),
    "planner": {"plan"},
    "operator": {"scale", "restart", "check_health", "check_all_health"},
    "administrator": {"provision", "rotate", "manage", "backup", "restore", "rehearse", "teardown"},
}


def _up_to(table: dict[str, set[str]], role: str) -> set[str]:
    """What a role may: its own and that of every role before it."""
    return set().union(*(table[one] for one in ROLES[: ROLES.index(role) + 1]))


def _statements(role: str) -> list[dict[str, Any]]:
    policy = json.loads((ROOT / "docs" / "policies" / f"{role}.json").read_text())
    assert policy["Version"] == "2012-10-17"
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _grants(role: str) -> set[tuple[str, str]]:
    return {
        (action, resource)
        for statement in _statements(role)
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    }


def _opened_routes(role: str) -> set[str]:
    opened = set()
    for action, resource in _grants(role):
        if action == "execute-api:Invoke":
            stage_and_route = resource.split(":API_ID/")[1]
            _, _, pattern = stage_and_route.partition("/")
            opened |= {
                route.name
                for route in ROUTES
                if fnmatchcase(
                    f"{route.method}{route.resource}".format(name="demo", id="demo.scale.1"),
                    pattern,
                )
            }
    return opened


def _started_machines(role: str) -> set[str]:
    return {
        resource.rpartition(f":{STACK}-")[2]
        for action, resource in _grants(role)
        if action in STARTING
    }


def _machines() -> set[str]:
    names = [
        resource["Properties"]["Name"]["Fn::Sub"]
        for resource in content()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::StateMachine"
    ]
    return {name.removeprefix("${AWS::StackName}-") for name in names}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_its_routes(role: str) -> None:
    assert _opened_routes(role) == _up_to(ROUTES_OF, role)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_starts_its_machines(role: str) -> None:
    assert _started_machines(role) == _up_to(MACHINES_OF, role)


@pytest.mark.parametrize("role", ROLES)
def test_the_table_of_policies_names_its_machines(role: str) -> None:
    row = re.search(rf"^\| \[{role}\]\(.+", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert row is not None
    _, _, _, machines, others, _ = row[0].split("|")
    assert set(re.findall(r"`(\w+)`", machines)) == MACHINES_OF[role]
    stopped = {
        resource.split(f":{STACK}-")[1].partition(":")[0]
        for action, resource in _grants(role)
        if action == "states:StopExecution"
    }
    if role == "operator":  # that of the administrator is "these", the planner has none
        assert set(re.findall(r"`(\w+)`", others)) == stopped


@pytest.mark.parametrize("role", ROLES)
def test_what_is_enforced_on_the_embedded_aws_is_what_the_files_say(role: str) -> None:
    opened = {
        resource.split(":API_ID/*/")[1]
        for action, resource in _grants(role)
        if action == "execute-api:Invoke"
    }
    assert opened == set(POLICIES[role])


def test_the_administrator_reaches_every_route_and_machine() -> None:
    assert _opened_routes("administrator") == {route.name for route in ROUTES}
    assert _started_machines("administrator") == _machines()


@pytest.mark.parametrize("action", ["cancel", "resume"])
def test_an_operator_cancels_and_resumes_what_an_operator_starts(action: str) -> None:
    granted = [one for verb, one in _grants("operator") if verb == "execute-api:Invoke"]

    def may(operation_id: str) -> bool:
        path = f"POST/operations/{operation_id}/{action}"
        return any(fnmatchcase(path, one.partition(":API_ID/*/")[2]) for one in granted)

    assert may("demo.scale.k")
    assert may("demo.restart.k")
    assert not any(
        may(f"demo.{verb}.k") for verb in ("provision", "rotate", "manage", "teardown", "plan")
    )


@pytest.mark.parametrize(("less", "more"), [ROLES[0:2], ROLES[1:3], ROLES[2:4]])
def test_each_role_adds_to_the_one_before(less: str, more: str) -> None:
    assert _grants(less) < _grants(more)


def test_a_viewer_only_reads() -> None:
    for action, resource in _grants("viewer"):
        name = action.split(":")[1]
        reads = name.startswith(READING) or (action == "execute-api:Invoke" and "/GET/" in resource)
        assert reads, (action, resource)


def test_a_planner_changes_nothing() -> None:
    added = _grants("planner") - _grants("viewer")
    assert {action for action, _ in added} == {"execute-api:Invoke", "states:StartExecution"}
    assert all("plan" in resource.rpartition("/")[2] for _, resource in added)


@pytest.mark.parametrize("role", ROLES)
def test_a_policy_names_known_actions_and_our_names(role: str) -> None:
    for action, resource in _grants(role):
        assert exists(action), action
        if resource == "*":
            assert not resource_types(action) or action in LISTS, action
        else:
            assert STACK in resource or ":API_ID/" in resource, resource


@pytest.mark.parametrize("role", ROLES)
def test_a_policy_fits_into_a_managed_policy(role: str) -> None:
    text = json.dumps({"Statement": _statements(role)}, separators=(",", ":"))
    assert len(text) < MANAGED_LIMIT


def test_there_are_these_four_and_a_denial() -> None:
    found = {path.stem for path in (ROOT / "docs" / "policies").glob("*.json")}
    assert found == {*ROLES, "only-planners"}


# What changes a stack that exists, as the service authorization reference lists it.
CHANGING = [
    one
    for one in standing_for("cloudformation:*")
    if not known(one).reads
    and one != "cloudformation:createstack"
    and any(kind.name == "stack" for kind in known(one).types)
]


def _with_denial(role: Role) -> Role:
    """A role to which the denial is attached, beside what it has."""
    denial = ready_policy("docs/policies/only-planners.json", STACK).documents
    return replace(role, documents=[*role.documents, *denial])


def _administrator() -> Role:
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    return _with_denial(Role("administrator", "arn:aws:iam::123456789012:role/a", {}, [everything]))


@pytest.mark.parametrize("changing", CHANGING)
def test_with_the_denial_only_the_control_plane_changes_stacks_of_clusters(changing: str) -> None:
    own = plane(STACK)
    stack = Resource(
        arn("cloudformation", f"stack/{STACK}-demo/0f3a"), {**own.tags, "camunda:cluster": "demo"}
    )
    assert decide(_administrator(), changing, stack) == "Deny"
    functions = [_with_denial(role) for role in own.roles().values()]
    assert not [role.name for role in functions if decide(role, changing, stack) == "Deny"]
    nested = Resource(arn("cloudformation", f"stack/{STACK}-Access-1A2B/0f3a"), own.tags)
    for other in (nested, Resource(arn("cloudformation", f"stack/{STACK}/0f3a"), own.tags)):
        assert decide(_administrator(), changing, other) == "Allow", "sam deploy goes on"


def test_with_the_denial_nobody_else_creates_such_a_stack_or_passes_its_role() -> None:
    new = Resource(arn("cloudformation", f"stack/{STACK}-demo/*"))
    tags = {"aws:RequestTag/camunda:cluster": "demo"}
    assert decide(_administrator(), "cloudformation:CreateStack", new, tags) == "Deny"
    assert decide(_administrator(), "cloudformation:CreateChangeSet", new, tags) == "Deny"
    role = Resource("arn:aws:iam::123456789012:role/camunda/camunda-lifecycle-Access-1A-Role-2B")
    assert decide(_administrator(), "iam:PassRole", role) == "Deny"
