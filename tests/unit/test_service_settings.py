from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle.cluster.parameters import cluster_environment
from lifecycle.errors import InvalidRequest, PlanStale
from lifecycle.provisioning.request import read_plan_request, read_provision_request
from lifecycle.provisioning.template import effective_template
from lifecycle.services.settings import back, patched, refusals, settings_of

from tests.support.declared import in_clear
from tests.support.world import World, operation
from tools.generate_parameters import SHIPPED

SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:team/mail-a1b2c3"
KEY = f"{SECRET}:password::"
PARAMETER = "arn:aws:ssm:eu-central-1:123456789012:parameter/team/limit"
POLICY = "arn:aws:iam::123456789012:policy/camunda/invoices"
GIVEN: dict[str, Any] = {
    "brokers": {
        "environment": {"LOGGING_LEVEL_ROOT": "WARN"},
        "secrets": {"SPRING_APPLICATION_JSON": SECRET},
        "managedPolicyArns": [POLICY],
        "javaToolOptions": "-XX:+ExitOnOutOfMemoryError",
    },
    "connectors": {
        "environment": {"CAMUNDA_CONNECTOR_POLLING_INTERVAL": "10s"},
        "secrets": {"SECRET_MAIL": KEY, "SECRET_LIMIT": PARAMETER},
    },
}


def made(settings: dict[str, Any]) -> dict[str, Any]:
    body = effective_template(SHIPPED.read_bytes(), {}, settings)
    template: dict[str, Any] = json.loads(body)
    return template


def container(template: dict[str, Any], definition: str) -> dict[str, Any]:
    containers = template["Resources"][definition]["Properties"]["ContainerDefinitions"]
    first: dict[str, Any] = containers[0]
    return first


class TestTemplate:
    def test_settings_reach_the_container_of_their_service_alone(self) -> None:
        template = made(GIVEN)
        brokers = container(template, "OrchestrationTaskDefinition")
        assert {"Name": "LOGGING_LEVEL_ROOT", "Value": "WARN"} in brokers["Environment"]
        assert {
            "Name": "JAVA_TOOL_OPTIONS",
            "Value": "-XX:+ExitOnOutOfMemoryError",
        } in brokers["Environment"]
        assert {"Name": "SPRING_APPLICATION_JSON", "ValueFrom": SECRET} in brokers["Secrets"]
        connectors = container(template, "ConnectorsTaskDefinition")
        assert {"Name": "SECRET_MAIL", "ValueFrom": KEY} in connectors["Secrets"]
        assert "LOGGING_LEVEL_ROOT" not in json.dumps(connectors)
        assert "SECRET_MAIL" not in json.dumps(brokers)

    def test_an_execution_role_reads_exactly_its_secrets_and_only_with_the_tag(self) -> None:
        roles = made(GIVEN)["Resources"]
        policies = roles["ConnectorsExecutionRole"]["Properties"]["Policies"]
        statements = policies[-1]["PolicyDocument"]["Statement"]
        tag = {
            "StringEquals": {
                "aws:ResourceTag/camunda:control-plane": {"Ref": "ControlStack"},
                "aws:ResourceTag/camunda:purpose": "task",
            }
        }

        def through(service: str) -> dict[str, Any]:
            return {
                "kms:ViaService": {"Fn::Sub": f"{service}.${{AWS::Region}}.${{AWS::URLSuffix}}"}
            }

        assert [(s["Action"], s["Resource"], s["Condition"]) for s in statements] == [
            ("secretsmanager:GetSecretValue", [SECRET], tag),
            (
                "kms:Decrypt",
                "*",
                {
                    "StringEquals": {
                        "kms:EncryptionContext:SecretARN": [SECRET],
                        **through("secretsmanager"),
                    }
                },
            ),
            ("ssm:GetParameters", [PARAMETER], tag),
            (
                "kms:Decrypt",
                "*",
                {
                    "StringEquals": {
                        "kms:EncryptionContext:PARAMETER_ARN": [PARAMETER],
                        **through("ssm"),
                    }
                },
            ),
        ]

    def test_policies_are_attached_to_the_role_of_the_tasks_whose_boundary_stays(self) -> None:
        resources, before = made(GIVEN)["Resources"], made({})["Resources"]
        role = resources["OrchestrationTaskRole"]["Properties"]
        assert role.pop("ManagedPolicyArns") == [POLICY]
        assert role == before["OrchestrationTaskRole"]["Properties"]
        assert resources["ConnectorsTaskRole"] == before["ConnectorsTaskRole"]

    def test_the_template_itself_says_what_was_given(self) -> None:
        body = effective_template(SHIPPED.read_bytes(), {}, GIVEN).decode()
        assert settings_of(body) == GIVEN
        assert settings_of(effective_template(SHIPPED.read_bytes(), {}, {}).decode()) == {}
        assert settings_of("AWSTemplateFormatVersion: '2010-09-09'\n") == {}

    def test_every_setting_changes_a_resource(self) -> None:
        without = made({})["Resources"]
        for service, kinds in GIVEN.items():
            for kind, value in kinds.items():
                assert made({service: {kind: value}})["Resources"] != without


class TestPatch:
    def test_what_is_not_named_stays_and_null_removes(self) -> None:
        patch = {
            "brokers": {"environment": {"NEW": "1"}, "javaToolOptions": None},
            "connectors": {"secrets": {"SECRET_MAIL": None}},
        }
        after = patched(GIVEN, patch)
        assert after["brokers"]["environment"] == {"LOGGING_LEVEL_ROOT": "WARN", "NEW": "1"}
        assert "javaToolOptions" not in after["brokers"]
        assert after["brokers"]["managedPolicyArns"] == [POLICY]
        assert after["connectors"]["secrets"] == {"SECRET_LIMIT": PARAMETER}

    def test_what_becomes_empty_is_gone(self) -> None:
        assert patched(GIVEN, {"brokers": None, "connectors": None}) == {}
        assert (
            patched(
                {"brokers": {"environment": {"A": "1"}}}, {"brokers": {"environment": {"A": None}}}
            )
            == {}
        )

    @given(
        *(
            st.dictionaries(
                st.sampled_from(["brokers", "connectors"]),
                st.fixed_dictionaries(
                    {},
                    optional={
                        "environment": st.dictionaries(
                            st.sampled_from("ABC"), st.sampled_from("12"), min_size=1
                        ),
                        "managedPolicyArns": st.lists(st.sampled_from("pq"), min_size=1),
                        "javaToolOptions": st.sampled_from(["-Xa", "-Xb"]),
                    },
                ),
            )
            for _ in range(2)
        )
    )
    def test_a_patch_leads_back(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        before, after = patched({}, one), patched({}, other)
        assert patched(after, back(before, after)) == before


@pytest.mark.parametrize(
    ("settings", "path", "allowed"),
    [
        ([], "", "a JSON object with brokers and connectors"),
        ({"broker": {}}, ".broker", "no such service"),
        ({"brokers": "x"}, ".brokers", "a JSON object with environment"),
        ({"brokers": {"env": {}}}, ".brokers.env", "no such field"),
        ({"brokers": {"environment": []}}, ".brokers.environment", "names to values"),
        ({"brokers": {"environment": {"lower": "x"}}}, ".brokers.environment.lower", "upper-case"),
        ({"brokers": {"environment": {"A": 1}}}, ".brokers.environment.A", "text of at most"),
        (
            {"brokers": {"environment": {"CAMUNDA_CLUSTER_SIZE": "5"}}},
            ".brokers.environment.CAMUNDA_CLUSTER_SIZE",
            "the parameter Brokers sets it",
        ),
        (
            {"brokers": {"environment": {"CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE": "fixed"}}},
            ".brokers.environment.CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE",
            "the template sets it",
        ),
        (
            {"brokers": {"environment": {"ZEEBE_BROKER_DATA_DIRECTORY": "/x"}}},
            ".brokers.environment.ZEEBE_BROKER_DATA_DIRECTORY",
            "CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY",
        ),
        (
            {"brokers": {"secrets": {"CAMUNDA_LICENSE_KEY": SECRET}}},
            ".brokers.secrets.CAMUNDA_LICENSE_KEY",
            "the parameter LicenseKeySecretArn sets it",
        ),
        (
            {"connectors": {"environment": {"JAVA_TOOL_OPTIONS": "-Xmx1g"}}},
            ".connectors.environment.JAVA_TOOL_OPTIONS",
            "connectors.javaToolOptions sets it",
        ),
        (
            {"brokers": {"environment": {"AWS_REGION": "x"}}},
            ".brokers.environment.AWS_REGION",
            "reserved",
        ),
        (
            {"brokers": {"environment": {"MY_PASSWORD": "x"}}},
            ".brokers.environment.MY_PASSWORD",
            "give an ARN in brokers.secrets",
        ),
        (
            {"connectors": {"environment": {"SECRET_MAIL": "x"}}},
            ".connectors.environment.SECRET_MAIL",
            "give an ARN in connectors.secrets",
        ),
        (
            {"brokers": {"environment": {"SPRING_APPLICATION_JSON": "{}"}}},
            ".brokers.environment.SPRING_APPLICATION_JSON",
            "give an ARN",
        ),
        (
            {"connectors": {"secrets": {"MAIL": SECRET}}},
            ".connectors.secrets.MAIL",
            "SECRET_ and a name",
        ),
        ({"brokers": {"secrets": {"A": "hunter2"}}}, ".brokers.secrets.A", "the ARN of a secret"),
        (
            {"brokers": {"managedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]}},
            ".brokers.managedPolicyArns",
            "under /camunda/",
        ),
        (
            {"brokers": {"environment": {"A": "{{resolve:secretsmanager:team/mail}}"}}},
            ".brokers.environment.A",
            "give an ARN in secrets",
        ),
        (
            {"brokers": {"javaToolOptions": "-Dx={{resolve:ssm-secure:x}}"}},
            ".brokers.javaToolOptions",
            "give an ARN in secrets",
        ),
        ({"brokers": {"javaToolOptions": ""}}, ".brokers.javaToolOptions", "one line"),
        (
            {"brokers": {"environment": {"A": "1"}, "secrets": {"A": SECRET}}},
            ".brokers.secrets.A",
            "is not in environment as well",
        ),
        (
            {"brokers": {"environment": {f"A{n}": "x" * 4000 for n in range(5)}}},
            "",
            "at most 16384 bytes",
        ),
    ],
)
def test_what_is_refused(settings: object, path: str, allowed: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_provision_request({"clusterName": "demo", "settings": settings}, in_clear())
    (problem,) = caught.value.problems
    assert problem["field"] == f"settings{path}"
    assert allowed in problem["allowed"]
    with pytest.raises(InvalidRequest, match=r"provision\.settings"):
        read_plan_request({"clusterName": "demo", "provision": {"settings": settings}}, in_clear())


def test_what_looked_like_a_secret_is_not_repeated() -> None:
    settings = {"brokers": {"secrets": {"A": "hunter2"}, "environment": {"MY_TOKEN": "hunter3"}}}
    with pytest.raises(InvalidRequest) as caught:
        read_provision_request({"clusterName": "demo", "settings": settings}, in_clear())
    assert "hunter" not in str(caught.value) + json.dumps(caught.value.problems)


@pytest.mark.parametrize(
    "name",
    ["OIDC_TOKENURI", "CAMUNDA_KEYSTORE_PATH", "ZEEBE_BROKER_CLUSTER_MEMBERSHIP_PROBETIMEOUT"],
)
def test_names_that_are_no_secrets(name: str) -> None:
    assert not refusals({"brokers": {"environment": {name: "x"}}}, cluster_environment(), {})


def test_a_name_is_held_against_what_the_cluster_has() -> None:
    present = {"brokers": {"environment": {"A": "1"}}}
    wanted: dict[str, Any] = {"brokers": {"secrets": {"A": SECRET}}}
    assert refusals(wanted, cluster_environment(), present)
    wanted["brokers"]["environment"] = {"A": None}
    assert not refusals(wanted, cluster_environment(), present)


class TestLivingCluster:
    @pytest.fixture
    def world(self) -> World:
        world = World()
        self.provision(world, GIVEN, 1)
        return world

    def provision(self, world: World, settings: dict[str, Any], number: int) -> None:
        op = operation(number)
        planned = world.changer.plan(
            op,
            stack="control-demo",
            requested={},
            requested_tags={},
            requested_settings=settings,
            template=SHIPPED.read_bytes(),
            database_ca="PEM",
            polls=0,
        )
        world.stacks.execute_change_set(planned["changeSet"], "token", keep=planned["creates"])
        world.stacks.finish()

    def settings(self, world: World) -> dict[str, Any]:
        return settings_of(world.stacks.template("control-demo"))

    def test_the_stack_alone_knows_its_settings(self, world: World) -> None:
        world.table.locks.clear()
        world.table.records.clear()
        self.provision(world, {"brokers": {"environment": {"LOGGING_LEVEL_ROOT": "INFO"}}}, 2)
        expected = json.loads(json.dumps(GIVEN))
        expected["brokers"]["environment"]["LOGGING_LEVEL_ROOT"] = "INFO"
        assert self.settings(world) == expected

    def test_null_removes_one(self, world: World) -> None:
        world.table.locks.clear()
        self.provision(world, {"connectors": None, "brokers": {"javaToolOptions": None}}, 2)
        after = self.settings(world)
        assert set(after) == {"brokers"}
        assert set(after["brokers"]) == {"environment", "secrets", "managedPolicyArns"}
        assert "SECRET_MAIL" not in world.stacks.template("control-demo")

    def plan(self, world: World, settings: dict[str, Any], number: int) -> dict[str, Any]:
        op = replace(operation(number), operation_id=f"demo.plan.{number}", machine="plan")
        common: dict[str, Any] = {
            "stack": "control-demo",
            "requested": {},
            "requested_tags": {},
            "requested_settings": settings,
            "replace": (),
            "template": SHIPPED.read_bytes(),
            "database_ca": "PEM",
        }
        created = world.planner.create(op, **common)
        told = world.planner.render(
            op, change_set=created["changeSet"], preflight={}, polls=0, **common
        )
        outline: dict[str, Any] = told["plan"]
        return outline

    def adopt(self, world: World, plan: dict[str, Any], number: int) -> dict[str, Any]:
        world.table.locks.clear()
        return world.adopter.adopt(
            operation(number),
            stack="control-demo",
            change_set=plan["changeSet"],
            template=SHIPPED.read_bytes(),
            database_ca="PEM",
            polls=0,
        )

    def test_a_plan_of_settings_is_applied_as_it_was_told(self, world: World) -> None:
        plan = self.plan(world, {"brokers": {"environment": {"LOGGING_LEVEL_ROOT": None}}}, 2)
        stored = json.loads(world.artifacts.objects[plan["planKey"]])
        assert stored["settings"] == [
            {"name": "brokers.environment.LOGGING_LEVEL_ROOT", "from": "WARN", "to": None}
        ]
        assert self.adopt(world, plan, 3)["status"] == "PLANNED"
        world.stacks.execute_change_set(plan["changeSet"], "token", keep=False)
        after = self.settings(world)
        assert "environment" not in after["brokers"]
        assert after["connectors"] == GIVEN["connectors"]

    def test_a_plan_is_stale_once_other_settings_are_there(self, world: World) -> None:
        plan = self.plan(world, {"brokers": {"environment": {"LOGGING_LEVEL_ROOT": None}}}, 2)
        changed = patched(GIVEN, {"brokers": {"javaToolOptions": None}})
        world.stacks.bodies["control-demo"] = json.dumps(made(changed))
        with pytest.raises(PlanStale, match="the cluster template"):
            self.adopt(world, plan, 3)
