from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.adapters.aws.account import way_out, why_unused
from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.stack import Stack
from lifecycle.errors import ClusterFrozen, PreflightFailed
from lifecycle.preflight.checks import (
    NEEDED_ENDPOINTS,
    NO_PRIVATE_DNS,
    Bucket,
    Certificate,
    Engine,
    Facts,
    Key,
    Live,
    Need,
    Network,
    Quota,
    Subnet,
    check_all,
    refuse_failed,
)
from lifecycle.preflight.hosted_zone import HostedZone, Record
from lifecycle.preflight.key_policy import KeyPolicy
from lifecycle.preflight.service_roles import SERVICE_ROLES, ServiceRoles
from lifecycle.preflight.way_back import Backup, Snapshot
from lifecycle.services.autoscaling import ScalableTarget
from lifecycle.services.definition import BROKERS, CONNECTORS

from tests.fakes.account import ROOMY
from tests.support.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULTS = {name: str(d.get("default", "")) for name, d in cluster_parameters().items()}
OURS = {"camunda:control-plane": "control", "camunda:cluster": "demo"}
REQUEST: dict[str, Any] = {"cluster": "demo", "stack": "control-demo", "parameters": {}}


def stack(status: str, *, tags: Mapping[str, str] = OURS, made: bool = True) -> Stack:
    outputs = {"ContractVersion": "2"} if made else {}
    return Stack("control-demo", "arn", status, tags=tags, outputs=ClusterOutputs(outputs))


def checks(
    facts: Facts = ROOMY,
    found: Stack | None = None,
    *,
    name: str = "control-demo",
    control_stack: str = "control",
    planning: bool = False,
    reviewed: bool = False,
    accept_no_way_back: bool = False,
    certificate: str = "",
    **parameters: str,
) -> dict[str, Check]:
    all_of_them = check_all(
        Need.of(name, found, {**DEFAULTS, **parameters}),
        facts,
        stack=found,
        control_stack=control_stack,
        cluster="demo",
        certificate=certificate,
        planning=planning,
        reviewed=reviewed,
        accept_no_way_back=accept_no_way_back,
    )
    assert len({check.name for check in all_of_them}) == len(all_of_them)
    return {check.name: check for check in all_of_them}


def network(**changes: Any) -> Facts:
    assert ROOMY.network is not None
    return replace(ROOMY, network=replace(ROOMY.network, **changes))


def subnets(**changes: Any) -> tuple[Subnet, ...]:
    assert ROOMY.network is not None
    return tuple(replace(subnet, **changes) for subnet in ROOMY.network.subnets)


NOT_ALWAYS = {
    *("region", "unread", "live", "engine", "secrets", "backup", "snapshot", "now"),
    *("autoscaled", "https_certificate", "hosted_zone", "kms_key", "kms_key_policy", "sources"),
}
CLOSED = subnets(way_out="")
ALL_ENDPOINTS = frozenset(NEEDED_ENDPOINTS)


def test_an_account_with_room_passes_everything() -> None:
    assert {check.result for check in checks().values()} == {Result.PASS}
    assert len(checks()) == 23


@pytest.mark.parametrize(
    ("facts", "failed"),
    [
        (replace(ROOMY, vcpu=Quota(6, 0)), "Fargate vCPU"),
        (replace(ROOMY, vcpu=Quota(16, 3)), "Fargate vCPU"),
        (replace(ROOMY, vcpu=Quota(6, None)), "Fargate vCPU"),
        (replace(ROOMY, application_balancers=Quota(50, 50)), "Application Load Balancers"),
        (replace(ROOMY, network_balancers=Quota(50, 50)), "Network Load Balancers"),
        (replace(ROOMY, database_clusters=Quota(40, 40)), "Aurora clusters"),
        (replace(ROOMY, database_instances=Quota(40, 40)), "database instances"),
        (replace(ROOMY, engine_offered=False), "database engine"),
        (replace(ROOMY, class_offered=False), "database instance class"),
        (replace(ROOMY, ecs_cluster_exists=True), "ECS cluster name"),
        (replace(ROOMY, control_stacks=("control-dev",)), "control stacks"),
        (replace(ROOMY, bucket=Bucket(private=False, versioned=True)), "artifact bucket"),
        (replace(ROOMY, bucket=Bucket(private=True, versioned=False)), "artifact bucket"),
        (network(dns_support=False), "VPC DNS"),
        (network(dns_hostnames=False), "VPC DNS"),
        (network(subnets=subnets(free=10)), "free addresses"),
        (network(subnets=subnets(zone="zone-0")), "availability zones"),
        (network(subnets=CLOSED), "way out of the private subnets"),
        (network(subnets=CLOSED, endpoints=ALL_ENDPOINTS), "way out of the private subnets"),
        (network(subnets=subnets(way_out="igw-1")), "way out of the private subnets"),
        (network(subnets=subnets(way_out="pcx-1")), "way out of the private subnets"),
        (network(subnets=subnets(way_out="eigw-1")), "way out of the private subnets"),
    ],
)
def test_what_is_missing_fails_with_a_remedy(facts: Facts, failed: str) -> None:
    found = checks(facts)
    assert [c.name for c in found.values() if c.result is Result.FAIL] == [failed]
    assert found[failed].remedy
    with pytest.raises(PreflightFailed, match=failed):
        refuse_failed(list(found.values()))


def test_the_default_cluster_needs_fourteen_vcpu() -> None:
    seen = checks(replace(ROOMY, vcpu=Quota(6, 0)))["Fargate vCPU"].seen
    assert "14 needed (brokers 12, connectors 2), 0 of 6 used" in seen
    assert checks(replace(ROOMY, vcpu=Quota(14, 0)))["Fargate vCPU"].result is Result.PASS


def test_everything_that_fails_is_named_at_once() -> None:
    facts = replace(ROOMY, vcpu=Quota(6, 0), engine_offered=False)
    with pytest.raises(PreflightFailed) as caught:
        refuse_failed(list(checks(facts).values()))
    assert "2 of 23 checks failed" in caught.value.message
    assert "Fargate vCPU" in caught.value.message
    assert "database engine" in caught.value.message


@pytest.mark.parametrize("fact", [f.name for f in fields(Facts) if f.name not in NOT_ALWAYS])
def test_what_cannot_be_read_is_a_warning(fact: str) -> None:
    unread: dict[str, Any] = {fact: None, "unread": {fact: "not authorized"}}
    found = checks(replace(ROOMY, **unread))
    (warned,) = [check for check in found.values() if check.result is not Result.PASS]
    assert warned.result is Result.WARN
    assert "not authorized" in warned.seen
    assert warned.remedy


@pytest.mark.parametrize(
    ("quota", "result"),
    [
        (Quota(14, None), Result.WARN),
        (Quota(13.9, None), Result.FAIL),
        (Quota(20, 6), Result.PASS),
        (Quota(19.9, 6), Result.FAIL),
    ],
)
def test_a_quota_suffices_to_its_edge(quota: Quota, result: Result) -> None:
    check = checks(replace(ROOMY, vcpu=quota))["Fargate vCPU"]
    assert check.result is result
    if result is Result.FAIL:
        assert f"Raise the quota to {14 + (quota.used or 0):g} or more" in check.remedy


def test_a_quota_whose_use_cannot_be_read_is_a_warning_while_it_could_suffice() -> None:
    check = checks(replace(ROOMY, vcpu=Quota(100, None)))["Fargate vCPU"]
    assert check.result is Result.WARN


def test_no_way_out_is_well_with_endpoints_and_mirrored_images() -> None:
    facts = network(subnets=CLOSED, endpoints=ALL_ENDPOINTS)
    mirrored = checks(facts, ImageRegistryPrefix="123456789012.dkr.ecr.eu-central-1.amazonaws.com")
    assert mirrored["way out of the private subnets"].result is Result.PASS


def test_a_collector_needs_its_endpoint_and_an_image_that_can_be_pulled() -> None:
    mirror = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    given: dict[str, Any] = {
        "ImageRegistryPrefix": mirror,
        "PrometheusWorkspaceArn": "arn:aws:aps:…",
    }
    mirrored = {**given, "CollectorImage": f"{mirror}/collector:v0.49.0"}
    name = "way out of the private subnets"
    without = checks(network(subnets=CLOSED, endpoints=ALL_ENDPOINTS), **mirrored)[name]
    assert without.result is Result.FAIL
    assert "no endpoints for aps-workspaces" in without.seen
    facts = network(subnets=CLOSED, endpoints=ALL_ENDPOINTS | {"aps-workspaces"})
    assert checks(facts, **mirrored)[name].result is Result.PASS
    public = checks(facts, **given)[name]
    assert public.result is Result.FAIL
    assert "cannot be pulled from public.ecr.aws" in public.seen
    assert "CollectorImage" in public.remedy


def test_an_internet_gateway_takes_nothing_from_tasks_without_a_public_address() -> None:
    assert ROOMY.network is not None
    three = ROOMY.network.subnets
    mixed = network(subnets=(replace(three[0], way_out="igw-1"), *three[1:]))
    check = checks(mixed)["way out of the private subnets"]
    assert check.result is Result.FAIL
    assert "subnet-0 by igw-1" in check.seen
    with_endpoints = network(subnets=subnets(way_out="igw-1"), endpoints=ALL_ENDPOINTS)
    mirrored = checks(with_endpoints, ImageRegistryPrefix="123456789012.dkr.ecr.x.amazonaws.com")
    assert mirrored["way out of the private subnets"].seen == "by VPC endpoints"


@pytest.mark.parametrize("way", ["nat-1", "tgw-1", "vgw-1", "eni-1", "vpce-1"])
def test_what_leads_out_of_private_subnets_passes(way: str) -> None:
    facts = network(subnets=subnets(way_out=way))
    assert checks(facts)["way out of the private subnets"].result is Result.PASS


def test_an_endpoint_that_nobody_uses_is_told_with_the_reason() -> None:
    facts = network(
        subnets=CLOSED,
        endpoints=ALL_ENDPOINTS - {"logs"},
        unused_endpoints={"logs": "private DNS is off"},
    )
    check = checks(facts)["way out of the private subnets"]
    assert check.result is Result.FAIL
    assert "logs (private DNS is off)" in check.seen


def test_an_endpoint_without_private_dns_may_be_reached_by_a_zone_of_ones_own() -> None:
    facts = network(
        subnets=CLOSED,
        endpoints=ALL_ENDPOINTS - {"logs"},
        unused_endpoints={"logs": NO_PRIVATE_DNS},
    )
    mirrored = checks(facts, ImageRegistryPrefix="123456789012.dkr.ecr.x.amazonaws.com")
    check = mirrored["way out of the private subnets"]
    assert check.result is Result.WARN
    assert "private DNS is disabled on the endpoints for logs" in check.seen
    other = network(
        subnets=CLOSED,
        endpoints=ALL_ENDPOINTS - {"logs", "ecr.api"},
        unused_endpoints={"logs": NO_PRIVATE_DNS},
    )
    mirrored = checks(other, ImageRegistryPrefix="123456789012.dkr.ecr.x.amazonaws.com")
    assert mirrored["way out of the private subnets"].result is Result.FAIL


def test_a_living_cluster_is_not_measured_against_what_it_already_has() -> None:
    names = set(checks(found=stack("UPDATE_COMPLETE")))
    assert names.isdisjoint({"Fargate vCPU", "Aurora clusters", "database instances"})
    assert "Fargate vCPU" in checks(found=stack("CREATE_FAILED", made=False))


LIVING = replace(stack("UPDATE_COMPLETE"), parameters=DEFAULTS)


@pytest.mark.parametrize(
    ("changes", "used", "result", "seen"),
    [
        # Six brokers live, whatever the parameter of the bootstrap says: 4 vCPU more for each.
        ({"BrokerCpu": "8192"}, 76, Result.PASS, "24 needed more (brokers 24, connectors 0)"),
        ({"BrokerCpu": "8192"}, 77, Result.FAIL, "24 needed more (brokers 24, connectors 0)"),
        # New connectors start beside the old ones.
        ({"ConnectorsMemory": "8192"}, 97, Result.FAIL, "4 needed more (brokers 0, connectors 4)"),
    ],
)
def test_a_living_cluster_that_grows_needs_room_for_what_is_more(
    changes: Mapping[str, Any], used: int, result: Result, seen: str
) -> None:
    facts = replace(ROOMY, vcpu=Quota(100, used), live=Live(brokers=6, connectors=2))
    check = checks(facts, LIVING, **changes)["Fargate vCPU"]
    assert check.result is result
    assert check.seen.startswith(seen)


def test_a_living_cluster_that_shrinks_or_keeps_its_size_needs_nothing() -> None:
    smaller = checks(found=LIVING, BrokerCpu="2048", LogRetentionDays="90")
    assert smaller.keys().isdisjoint({"Fargate vCPU", "database instances"})


def test_more_database_instances_of_a_living_cluster_count_against_the_quota() -> None:
    facts = replace(ROOMY, database_instances=Quota(40, 39))
    check = checks(facts, LIVING, DatabaseInstances="3")["database instances"]
    assert check.result is Result.FAIL
    assert check.seen.startswith("2 needed, 39 of 40 used")


def test_live_counts_that_cannot_be_read_are_a_warning() -> None:
    facts = replace(ROOMY, unread={"live": "not authorized"})
    check = checks(facts, LIVING, BrokerCpu="8192")["Fargate vCPU"]
    assert (check.result, "not authorized" in check.seen) == (Result.WARN, True)


def test_the_ecs_cluster_of_a_stack_that_was_begun_is_its_own() -> None:
    facts = replace(ROOMY, ecs_cluster_exists=True)
    begun = checks(facts, stack("CREATE_FAILED", made=False))
    assert begun["ECS cluster name"].result is Result.PASS
    review = checks(facts, stack("REVIEW_IN_PROGRESS", tags={}, made=False))
    assert review["ECS cluster name"].result is Result.FAIL


@pytest.mark.parametrize(
    ("status", "planning", "applying"),
    [
        ("CREATE_FAILED", Result.PASS, Result.PASS),
        ("UPDATE_FAILED", Result.PASS, Result.PASS),
        ("UPDATE_COMPLETE", Result.PASS, Result.PASS),
        ("REVIEW_IN_PROGRESS", Result.PASS, Result.PASS),
        ("UPDATE_IN_PROGRESS", Result.FAIL, Result.WARN),
        ("UPDATE_ROLLBACK_IN_PROGRESS", Result.FAIL, Result.WARN),
        ("DELETE_IN_PROGRESS", Result.FAIL, Result.FAIL),
        ("ROLLBACK_COMPLETE", Result.FAIL, Result.FAIL),
        ("ROLLBACK_FAILED", Result.FAIL, Result.FAIL),
        ("UPDATE_ROLLBACK_FAILED", Result.FAIL, Result.FAIL),
        ("DELETE_FAILED", Result.FAIL, Result.FAIL),
    ],
)
def test_each_state_of_the_stack_is_decided(
    status: str, planning: Result, applying: Result
) -> None:
    found = stack(status)
    assert checks(found=found, planning=True)["cluster stack"].result is planning
    check = checks(found=found)["cluster stack"]
    assert check.result is applying
    assert check.remedy or check.result is Result.PASS


def test_a_foreign_stack_of_that_name_fails() -> None:
    check = checks(found=stack("CREATE_COMPLETE", tags={}))["cluster stack"]
    assert check.result is Result.FAIL
    assert "does not carry the tags" in check.seen


def test_a_frozen_cluster_may_be_planned_for_but_not_changed() -> None:
    found = stack("UPDATE_COMPLETE", tags={**OURS, "camunda:frozen": "audit"})
    assert checks(found=found, planning=True)["freeze"].result is Result.WARN
    check = checks(found=found)["freeze"]
    assert check.result is Result.FAIL
    assert "audit" in check.seen


def test_a_name_too_long_for_dns_fails() -> None:
    assert checks(name="c" * 63)["names"].result is Result.PASS
    check = checks(name="c" * 64)["names"]
    assert check.result is Result.FAIL
    assert "a DNS label allows 63" in check.seen


@pytest.mark.parametrize("control_stack", ["Control", "c" * 33, "control-Plane"])
def test_a_control_stack_whose_name_policies_cannot_match_fails(control_stack: str) -> None:
    assert checks(control_stack="c" * 32)["names"].result is Result.PASS
    check = checks(control_stack=control_stack)["names"]
    assert check.result is Result.FAIL
    assert f"the control stack is called {control_stack}" in check.seen
    assert "2 to 32 characters" in check.remedy


@pytest.mark.parametrize("tag", ["latest", "8.9.0-alpha3", "8.9.0-rc1", "SNAPSHOT", "8.9"])
def test_an_image_that_is_no_release_fails(tag: str) -> None:
    check = checks(OrchestrationImage=f"camunda/camunda:{tag}")["images"]
    assert check.result is Result.FAIL
    assert tag in check.seen


@pytest.mark.parametrize(
    ("before", "after", "seen"),
    [
        ("8.9.16", "8.9.17", None),
        ("8.9.16", "8.10.2", None),
        ("8.9.16", "8.9.16@sha256:" + "a" * 64, None),
        ("8.9.16", "8.9.15", "is a downgrade"),
        ("8.10.0", "8.9.20", "is a downgrade"),
        ("8.9.16", "8.11.0", "skips a minor version"),
    ],
)
def test_a_version_goes_forward_one_minor_at_a_time(
    before: str, after: str, seen: str | None
) -> None:
    present = {**DEFAULTS, "OrchestrationImage": f"camunda/camunda:{before}"}
    living = replace(stack("UPDATE_COMPLETE"), parameters=present)
    check = checks(found=living, OrchestrationImage=f"camunda/camunda:{after}")["version step"]
    assert check.result is (Result.FAIL if seen else Result.PASS)
    assert seen is None or seen in check.seen


NOW = datetime(2026, 1, 2, tzinfo=UTC)
SAVED = replace(
    ROOMY,
    now=NOW,
    backup=Backup("COMPLETED", NOW - timedelta(hours=1)),
    snapshot=Snapshot(NOW - timedelta(hours=3)),
)
UNSAVED = [
    ({"backup": Backup("", None)}, "there is no backup of the brokers"),
    ({"backup": Backup("IN_PROGRESS", NOW)}, "is IN_PROGRESS, not COMPLETED"),
    ({"backup": Backup("COMPLETED", None)}, "backup of the brokers has no timestamp"),
    ({"backup": Backup("COMPLETED", NOW - timedelta(hours=5))}, "more than 4 hours ago"),
    ({"backup": None, "unread": {"backup": "no broker"}}, "backups could not be read: no broker"),
    ({"snapshot": Snapshot(None)}, "there is no available snapshot of the database"),
    (
        {"snapshot": Snapshot(NOW - timedelta(days=9))},
        "snapshot of the database is from 2025-12-24",
    ),
    ({"snapshot": None, "unread": {"snapshot": "denied"}}, "snapshots could not be read: denied"),
    ({"now": None}, "has no timestamp"),
]
NEXT_MINOR: dict[str, Any] = {
    "OrchestrationImage": "camunda/camunda:8.10.0",
    "ConnectorsImage": "camunda/connectors-bundle:8.10.0",
}


def living_on(version: str) -> Stack:
    present = {
        **DEFAULTS,
        "OrchestrationImage": f"camunda/camunda:{version}",
        "ConnectorsImage": f"camunda/connectors-bundle:{version}",
    }
    return replace(stack("UPDATE_COMPLETE"), parameters=present)


def test_another_minor_needs_a_fresh_backup_and_a_snapshot() -> None:
    check = checks(SAVED, living_on("8.9.16"), **NEXT_MINOR)["way back"]
    assert check.result is Result.PASS
    assert "no way back from 8.10.0 to 8.9.16 but a restore" in check.seen


@pytest.mark.parametrize(("changes", "seen"), UNSAVED)
def test_what_a_way_back_lacks_is_taken_unless_it_is_accepted_or_cannot_be(
    changes: dict[str, Any], seen: str
) -> None:
    def check(**how: Any) -> Check:
        facts = replace(SAVED, **changes)
        return checks(facts, living_on("8.9.16"), **how, **NEXT_MINOR)["way back"]

    assert seen in check().seen
    if "backup" in changes and changes["backup"] is None:
        # Brokers that do not answer take none.
        assert check().result is Result.FAIL
        assert '"acceptNoWayBack": true' in check().remedy
        assert check(planning=True).result is Result.WARN
    else:
        for planning in (False, True):
            assert check(planning=planning).result is Result.PASS
            assert "taken before the first change" in check(planning=planning).seen
    accepted = check(accept_no_way_back=True)
    assert accepted.result is Result.WARN
    assert seen in accepted.seen
    assert "accepted by acceptNoWayBack" in accepted.seen


def test_the_age_of_a_way_back_is_a_parameter_of_the_cluster() -> None:
    living = living_on("8.9.16")
    longer = replace(living, parameters={**living.parameters, "BackupMaxAge": "6"})
    assert SAVED.now is not None
    old = replace(SAVED, backup=Backup("COMPLETED", SAVED.now - timedelta(hours=5)))
    assert "4 hours ago" in checks(old, living, **NEXT_MINOR)["way back"].seen
    assert "ago" not in checks(old, longer, **NEXT_MINOR)["way back"].seen


@pytest.mark.parametrize(
    ("backup", "result", "seen"),
    [
        (Backup("COMPLETED", NOW - timedelta(hours=3)), Result.PASS, "COMPLETED, from 2026-01-01"),
        (Backup("COMPLETED", NOW - timedelta(hours=5)), Result.PASS, "is taken before the first"),
        (Backup("FAILED", NOW), Result.PASS, "is FAILED, not COMPLETED; what is missing is taken"),
        (None, Result.WARN, "could not be read: no broker"),
    ],
)
def test_a_plan_shows_the_backup_that_replacing_brokers_needs(
    backup: Backup | None, result: Result, seen: str
) -> None:
    unread = {} if backup is not None else {"backup": "no broker"}
    facts = replace(ROOMY, now=SAVED.now, backup=backup, unread=unread)
    check = checks(facts, living_on("8.9.16"), planning=True)["fresh backup"]
    assert (check.result, seen in check.seen) == (result, True)
    assert ('"acceptNoBackup": true' in check.remedy) is (result is Result.WARN)
    assert "fresh backup" not in checks(facts, living_on("8.9.16"))


@pytest.mark.parametrize("version", ["8.9.17", "8.9.16"])
def test_within_a_minor_no_backup_is_asked_for(version: str) -> None:
    image = f"camunda/camunda:{version}"
    assert "way back" not in checks(found=living_on("8.9.16"), OrchestrationImage=image)
    assert "way back" not in checks(OrchestrationImage="camunda/camunda:8.10.0")


@pytest.mark.parametrize(
    ("image", "version", "seen"),
    [
        ("team/camunda:43", "8.9.17", None),
        ("team/camunda:43", "8.9.15", "is a downgrade"),
        ("team/camunda:42", "8.11.0", "skips a minor version"),
        ("team/camunda:43", "", "one of which is unknown"),
    ],
)
def test_a_version_beside_an_image_of_one_s_own_goes_forward_too(
    image: str, version: str, seen: str | None
) -> None:
    own = {"OrchestrationImage": "team/camunda:42", "CamundaVersion": "8.9.16"}
    living = replace(stack("UPDATE_COMPLETE"), parameters={**DEFAULTS, **own})
    found = checks(found=living, OrchestrationImage=image, CamundaVersion=version)
    assert found["version step"].result is (Result.FAIL if seen else Result.PASS)
    assert seen is None or seen in found["version step"].seen
    assert found["images"].result is (Result.PASS if version else Result.FAIL)


def test_a_region_whose_database_authority_is_unknown_fails() -> None:
    check = checks(certificate="The bundle holds no root of region 'mars'.")
    assert check["database certificate"].result is Result.FAIL


class TestOperation:
    @pytest.fixture
    def world(self) -> World:
        return World()

    def test_the_report_has_every_check(self, world: World) -> None:
        report = world.preflight.check(REQUEST, planning=False)
        assert report["result"] == "PASS"
        assert len(report["checks"]) == 24

    def test_a_warning_does_not_end_it(self, world: World) -> None:
        world.account.found = replace(ROOMY, vcpu=None)
        assert world.preflight.check(REQUEST, planning=False)["result"] == "WARN"

    def test_a_failure_ends_it(self, world: World) -> None:
        world.account.found = replace(ROOMY, vcpu=Quota(6, 0))
        with pytest.raises(PreflightFailed, match="Fargate vCPU"):
            world.preflight.check(REQUEST, planning=True)

    def test_a_number_of_partitions_that_was_not_read_is_a_warning(self, world: World) -> None:
        request = {**REQUEST, "partitionsUnread": "The probe ended."}
        report = world.preflight.check(request, planning=False)
        assert report["result"] == "WARN"
        (told,) = [one for one in report["checks"] if one["name"] == "live partitions"]
        assert "not known: The probe ended; tasks get 3" in told["seen"]
        assert told["remedy"]

    def test_a_frozen_cluster_has_an_error_of_its_own(self, world: World) -> None:
        frozen = stack("UPDATE_COMPLETE", tags={**OURS, "camunda:frozen": "audit"})
        world.stacks.stacks["control-demo"] = frozen
        with pytest.raises(ClusterFrozen, match="audit"):
            world.preflight.check(REQUEST, planning=False)
        assert world.preflight.check(REQUEST, planning=True)["result"] == "WARN"

    def test_a_plan_is_measured_by_its_own_parameters(self, world: World) -> None:
        world.account.found = replace(ROOMY, vcpu=Quota(14, 0))
        arn = world.stacks.create_change_set(
            stack="control-demo",
            name="plan-x",
            create=True,
            template_url="https://template",
            parameters={"Brokers": "4"},
            tags={},
            description="",
        )
        world.preflight.check(REQUEST, planning=False)
        with pytest.raises(PreflightFailed, match="18 needed"):
            world.preflight.check({**REQUEST, "changeSet": arn}, planning=False)


def table(*routes: Mapping[str, str], subnet: str = "", main: bool = False) -> dict[str, Any]:
    association = {"SubnetId": subnet} if subnet else {}
    return {"Associations": [{**association, "Main": main}], "Routes": list(routes)}


LOCAL = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
NAT = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}


@pytest.mark.parametrize(
    ("tables", "way"),
    [
        ([table(LOCAL, NAT, subnet="s")], "nat-1"),
        ([table(LOCAL, subnet="s")], ""),
        ([table(LOCAL, subnet="s"), table(NAT, main=True)], ""),
        ([table(NAT, subnet="other"), table(LOCAL, main=True)], ""),
        ([table(NAT, subnet="other"), table(NAT, main=True)], "nat-1"),
        ([table({**NAT, "State": "blackhole"}, subnet="s")], ""),
        ([], ""),
    ],
)
def test_the_way_out_is_where_the_default_route_of_the_subnet_leads(
    tables: list[dict[str, Any]], way: str
) -> None:
    assert way_out(tables, "s") == way


GATEWAY = {"State": "available", "VpcEndpointType": "Gateway", "RouteTableIds": ["rtb-1", "rtb-2"]}
INTERFACE = {"State": "available", "VpcEndpointType": "Interface", "PrivateDnsEnabled": True}


@pytest.mark.parametrize(
    ("endpoint", "tables", "why"),
    [
        (GATEWAY, ["rtb-1", "rtb-2"], ""),
        (GATEWAY, ["rtb-1", "rtb-3"], "not in rtb-3"),
        (INTERFACE, ["rtb-1"], ""),
        ({**INTERFACE, "PrivateDnsEnabled": False}, [], "private DNS is off"),
        ({"State": "available", "VpcEndpointType": "Interface"}, [], "private DNS is off"),
        ({**INTERFACE, "State": "pendingAcceptance"}, [], "it is pendingacceptance"),
        ({}, [], "it is in no known state"),
    ],
)
def test_an_endpoint_serves_by_private_dns_or_by_routes(
    endpoint: dict[str, Any], tables: list[str], why: str
) -> None:
    assert why_unused(endpoint, tables) == why


def test_addresses_are_counted_per_subnet() -> None:
    assert ROOMY.network is not None
    three = ROOMY.network.subnets
    tight = Network(True, True, (replace(three[0], free=14), *three[1:]))
    assert checks(replace(ROOMY, network=tight))["free addresses"].result is Result.PASS
    tight = Network(True, True, (replace(three[0], free=13), *three[1:]))
    assert checks(replace(ROOMY, network=tight))["free addresses"].result is Result.FAIL


LIVING = replace(
    stack("UPDATE_COMPLETE"),
    outputs=ClusterOutputs({"ContractVersion": "2", "DatabaseClusterId": "database-1"}),
    parameters=DEFAULTS,
)
RUNS = replace(ROOMY, engine=Engine("17.9", frozenset({"17.10", "18.3"})))


@pytest.mark.parametrize(
    ("facts", "wanted", "reviewed", "result", "words"),
    [
        (RUNS, "17.9", False, Result.PASS, "it stays 17.9"),
        (RUNS, "17.10", False, Result.PASS, "17.9 to 17.10, a minor version"),
        (RUNS, "18.3", True, Result.PASS, "17.9 to 18.3, a major version"),
        (RUNS, "18.3", False, Result.FAIL, "DatabaseEngineVersion 17.9 to 18.3 is a major version"),
        (
            RUNS,
            "17.7",
            True,
            Result.FAIL,
            "DatabaseEngineVersion 17.7 is below the database's version, 17.9",
        ),
        (
            RUNS,
            "16.9",
            True,
            Result.FAIL,
            "DatabaseEngineVersion 16.9 is below the database's version, 17.9",
        ),
        (RUNS, "18.1", True, Result.FAIL, "to DatabaseEngineVersion 18.1"),
        # What cannot be read is a warning, but what the stack says is enough to refuse by.
        (ROOMY, "17.9", False, Result.WARN, "could not be read"),
        (ROOMY, "18.3", True, Result.WARN, "could not be read"),
        (ROOMY, "18.3", False, Result.FAIL, "is a major version"),
        (ROOMY, "17.7", True, Result.FAIL, "is below the database's version, 17.9"),
    ],
)
def test_the_engine_goes_forwards_to_what_rds_names_and_to_a_major_version_by_a_plan(
    facts: Facts, wanted: str, reviewed: bool, result: Result, words: str
) -> None:
    found = checks(facts, LIVING, reviewed=reviewed, DatabaseEngineVersion=wanted)
    check = found["database version step"]
    assert check.result is result
    assert words in check.seen
    assert bool(check.remedy) == (result is not Result.PASS)


def test_what_may_be_chosen_is_listed_in_order() -> None:
    found = checks(RUNS, LIVING, reviewed=True, DatabaseEngineVersion="18.1")
    assert "Choose one of: 17.10, 18.3." in found["database version step"].remedy


def test_a_version_that_an_update_did_not_take_back_is_a_warning() -> None:
    facts = replace(ROOMY, engine=Engine("18.3", frozenset()))
    check = checks(facts, LIVING)["database version step"]
    assert check.result is Result.WARN
    assert "the database runs 18.3" in check.seen
    assert "Set DatabaseEngineVersion to 18.3" in check.remedy
    told = checks(facts, LIVING, DatabaseEngineVersion="18.3")["database version step"]
    assert told.result is Result.PASS


def test_a_new_cluster_takes_no_step() -> None:
    assert "database version step" not in checks(RUNS)


def test_a_major_version_is_refused_in_one_go_and_taken_by_a_plan() -> None:
    world = World()
    world.stacks.stacks["control-demo"] = LIVING
    world.account.found = RUNS
    request = {**REQUEST, "parameters": {"DatabaseEngineVersion": "18.3"}}
    with pytest.raises(PreflightFailed, match="is a major version"):
        world.preflight.check(request, planning=False)
    assert world.preflight.check(request, planning=True)["result"] == "PASS"


def test_a_wait_of_no_days_before_tasks_retire_is_a_warning_with_what_to_do() -> None:
    check = checks(replace(ROOMY, retirement_days=0))["Fargate task retirement"]
    assert check.result is Result.WARN
    assert "put-account-setting-default --name fargateTaskRetirementWaitPeriod" in check.remedy
    for days in (7, 14):
        facts = replace(ROOMY, retirement_days=days)
        assert checks(facts)["Fargate task retirement"].result is Result.PASS


def scaled(service: str, *, suspended: bool = False) -> ScalableTarget:
    return ScalableTarget("control-demo", service, 1, 10, suspended)


def autoscaling(facts: Facts) -> dict[str, Result]:
    found = checks(facts, stack("UPDATE_COMPLETE"), planning=True)
    return {name: one.result for name, one in found.items() if name.startswith("no autoscaling")}


def test_what_scales_the_brokers_by_itself_fails_and_says_how_it_is_removed() -> None:
    facts = replace(ROOMY, autoscaled=(scaled(BROKERS),))
    check = checks(facts, stack("UPDATE_COMPLETE"))["no autoscaling"]
    assert check.result is Result.FAIL
    assert "any number from 1 to 10" in check.seen
    assert f"--resource-id service/control-demo/{BROKERS}" in check.remedy
    assert autoscaling(facts) == {"no autoscaling": Result.FAIL}


def test_what_is_suspended_or_scales_connectors_keeps_nothing_from_being_done() -> None:
    suspended = replace(ROOMY, autoscaled=(scaled(BROKERS, suspended=True),))
    assert autoscaling(suspended) == {"no autoscaling": Result.PASS}
    connectors = replace(ROOMY, autoscaled=(scaled(CONNECTORS),))
    assert autoscaling(connectors) == {
        "no autoscaling": Result.PASS,
        "no autoscaling of the connectors": Result.WARN,
    }


def test_whether_something_scales_the_brokers_may_not_be_known() -> None:
    facts = replace(ROOMY, autoscaled=None, unread={"autoscaled": "not authorized"})
    check = checks(facts, stack("UPDATE_COMPLETE"))["no autoscaling"]
    assert check.result is Result.WARN
    assert "not authorized" in check.seen
    assert check.remedy


CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
NOW = datetime(2026, 11, 29, tzinfo=UTC)
ISSUED = Certificate("ISSUED", ("example.com", "*.example.com"), NOW + timedelta(days=90))


@pytest.mark.parametrize(
    ("certificate", "domain", "result"),
    [
        (ISSUED, "", Result.PASS),
        (ISSUED, "example.com", Result.PASS),
        (ISSUED, "camunda.example.com", Result.PASS),
        (ISSUED, "a.camunda.example.com", Result.FAIL),
        (ISSUED, "example.org", Result.FAIL),
        (replace(ISSUED, status="PENDING_VALIDATION"), "", Result.FAIL),
        (replace(ISSUED, ends=NOW), "", Result.FAIL),
        (replace(ISSUED, ends=None), "", Result.WARN),
        (Certificate(""), "", Result.FAIL),
        (None, "", Result.WARN),
    ],
)
def test_the_certificate_is_issued_for_the_name(
    certificate: Certificate | None, domain: str, result: Result
) -> None:
    facts = replace(ROOMY, https_certificate=certificate, now=NOW)
    check = checks(facts, CertificateArn=CERTIFICATE, DomainName=domain)["HTTPS certificate"]
    assert check.result is result
    assert bool(check.remedy) == (result is not Result.PASS)


@pytest.mark.parametrize(
    ("names", "domain", "covered"),
    [
        (("*.example.com",), "camunda.example.com", True),
        (("*.EXAMPLE.com",), "camunda.example.com", True),
        (("camunda.example.com.",), "camunda.example.com", True),
        (("*.example.com",), "example.com", False),
        (("*.example.com",), "a.camunda.example.com", False),
        (("*.com",), "example.com", False),
        (("c*.example.com",), "camunda.example.com", False),
        (("camunda.*.com",), "camunda.example.com", False),
        (("camunda.example.com.evil.example",), "camunda.example.com", False),
        ((), "camunda.example.com", False),
    ],
)
def test_a_certificate_names_a_domain_as_rfc_6125_has_it(
    names: tuple[str, ...], domain: str, covered: bool
) -> None:
    facts = replace(ROOMY, https_certificate=replace(ISSUED, names=names), now=NOW)
    check = checks(facts, CertificateArn=CERTIFICATE, DomainName=domain)["HTTPS certificate"]
    assert check.result is (Result.PASS if covered else Result.FAIL)


@pytest.mark.parametrize(("before", "result"), [("", Result.FAIL), ("example.org", Result.WARN)])
def test_a_new_domain_is_refused_where_the_present_certificate_does_not_name_it(
    before: str, result: Result
) -> None:
    present = {**DEFAULTS, "CertificateArn": CERTIFICATE, "DomainName": before}
    has = replace(LIVING, parameters=present)
    facts = replace(ROOMY, https_certificate=ISSUED, now=NOW)
    found = checks(facts, has, CertificateArn=CERTIFICATE, DomainName="example.org")
    assert found["HTTPS certificate"].result is result


def test_a_certificate_of_another_region_is_refused() -> None:
    facts = replace(ROOMY, https_certificate=ISSUED, now=NOW)
    elsewhere = CERTIFICATE.replace("eu-central-1", "us-east-1")
    assert checks(facts, CertificateArn=elsewhere)["HTTPS certificate"].result is Result.FAIL


def test_a_certificate_that_the_cluster_has_is_a_warning_when_it_ended() -> None:
    has = replace(LIVING, parameters={**DEFAULTS, "CertificateArn": CERTIFICATE})
    facts = replace(ROOMY, https_certificate=replace(ISSUED, ends=NOW), now=NOW)
    check = checks(facts, has, CertificateArn=CERTIFICATE)["HTTPS certificate"]
    assert check.result is Result.WARN


NAMED: dict[str, Any] = {"DomainName": "camunda.example.com", "HostedZoneId": "Z0123456789ABC"}
BOTH = ("camunda.example.com", "grpc.camunda.example.com")


def test_a_certificate_has_to_name_grpc_too_where_it_has_a_name() -> None:
    facts = replace(
        ROOMY,
        https_certificate=replace(ISSUED, names=BOTH[:1]),
        hosted_zone=HostedZone("example.com"),
        now=NOW,
    )
    check = checks(facts, CertificateArn=CERTIFICATE, **NAMED)["HTTPS certificate"]
    assert check.result is Result.FAIL
    assert "not for grpc.camunda.example.com" in check.seen
    own: dict[str, Any] = {"DomainName": BOTH[0], "GrpcDomainName": "zeebe.example.com"}
    check = checks(facts, CertificateArn=CERTIFICATE, **own)["HTTPS certificate"]
    assert "not for zeebe.example.com" in check.seen
    wild = replace(facts, https_certificate=replace(ISSUED, names=("*.example.com",)))
    assert (
        checks(wild, CertificateArn=CERTIFICATE, **own)["HTTPS certificate"].result is Result.PASS
    )


def test_the_zone_is_checked_for_a_requested_certificate_and_for_records() -> None:
    forbids = Record("example.com", "CAA", ('0 issue ";"',))
    facts = replace(ROOMY, hosted_zone=HostedZone("example.com", records=(forbids,)), now=NOW)
    found = checks(facts, **NAMED)
    assert found["hosted zone"].result is Result.FAIL
    assert "HTTPS certificate" not in found
    own = replace(facts, https_certificate=replace(ISSUED, names=BOTH))
    assert checks(own, CertificateArn=CERTIFICATE, **NAMED)["hosted zone"].result is Result.PASS
    unread = replace(ROOMY, unread={"hosted_zone": "throttled"})
    warned = checks(unread, **NAMED)["hosted zone"]
    assert warned.result is Result.WARN
    assert "throttled" in warned.seen


@pytest.mark.parametrize("status", ["UPDATE_COMPLETE", "CREATE_FAILED"])
def test_the_records_of_the_cluster_itself_are_its_own(status: str) -> None:
    records = tuple(Record(name, "A", ("x.elb.amazonaws.com",)) for name in BOTH)
    facts = replace(ROOMY, hosted_zone=HostedZone("example.com", records=records), now=NOW)
    made = stack(status, made=status == "UPDATE_COMPLETE")
    has = replace(made, parameters={**DEFAULTS, **NAMED})
    assert checks(facts, has, **NAMED)["hosted zone"].result is Result.PASS
    without = replace(made, parameters={**DEFAULTS, "DomainName": BOTH[0]})
    assert checks(facts, without, **NAMED)["hosted zone"].result is Result.FAIL
    elsewhere = {**DEFAULTS, **NAMED, "HostedZoneId": "Z9999999999999"}
    moved = replace(made, parameters=elsewhere)
    assert checks(facts, moved, **NAMED)["hosted zone"].result is Result.FAIL


def test_a_zone_that_forbids_a_certificate_fails_until_it_is_issued() -> None:
    forbids = Record("example.com", "CAA", ('0 issue ";"',))
    facts = replace(
        ROOMY,
        hosted_zone=HostedZone("example.com", records=(forbids,)),
        https_certificate=replace(ISSUED, names=BOTH),
        now=NOW,
    )
    kept = replace(LIVING, parameters={**DEFAULTS, **NAMED})
    assert checks(facts, kept, **NAMED)["hosted zone"].result is Result.WARN
    # The records stay, and the certificate is requested instead of the given one.
    given = replace(LIVING, parameters={**DEFAULTS, **NAMED, "CertificateArn": CERTIFICATE})
    assert checks(facts, given, **NAMED)["hosted zone"].result is Result.FAIL
    # A creation that failed while it waited would wait again.
    failed = replace(stack("CREATE_FAILED", made=False), parameters={**DEFAULTS, **NAMED})
    assert checks(facts, failed, **NAMED)["hosted zone"].result is Result.FAIL


KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
ENABLED = Key("Enabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")


@pytest.mark.parametrize(
    ("key", "arn", "result"),
    [
        (ENABLED, KEY, Result.PASS),
        (ENABLED, KEY.replace("eu-central-1", "us-east-1"), Result.FAIL),
        (replace(ENABLED, state="Disabled"), KEY, Result.FAIL),
        (replace(ENABLED, state="PendingDeletion"), KEY, Result.FAIL),
        (replace(ENABLED, usage="SIGN_VERIFY"), KEY, Result.FAIL),
        (replace(ENABLED, spec="RSA_2048"), KEY, Result.FAIL),
        (Key(""), KEY, Result.FAIL),
        (None, KEY, Result.WARN),
    ],
)
def test_a_key_of_ones_own_encrypts_data_of_this_region(
    key: Key | None, arn: str, result: Result
) -> None:
    assert checks(replace(ROOMY, kms_key=key), KmsKeyArn=arn)["KMS key"].result is result


@pytest.mark.parametrize(
    ("policy", "present", "result"),
    [
        (KeyPolicy(True, "why"), "", Result.PASS),
        (KeyPolicy(None, "why"), "", Result.WARN),
        (KeyPolicy(False, "why"), "", Result.FAIL),
        (KeyPolicy(False, "why"), KEY, Result.WARN),
        (None, "", Result.WARN),
    ],
)
def test_the_policy_of_a_key_of_ones_own_lets_iam_decide(
    policy: KeyPolicy | None, present: str, result: Result
) -> None:
    has = replace(LIVING, parameters={**DEFAULTS, "KmsKeyArn": KEY}) if present else None
    facts = replace(ROOMY, kms_key=ENABLED, kms_key_policy=policy)
    check = checks(facts, has, KmsKeyArn=KEY)["KMS key policy"]
    assert check.result is result
    assert bool(check.remedy) == (result is not Result.PASS)


ALL_SERVICES = frozenset(SERVICE_ROLES)
ECS = frozenset({"ecs.amazonaws.com"})


@pytest.mark.parametrize(
    ("roles", "result", "seen", "remedy"),
    [
        (ServiceRoles(), Result.PASS, "AWSServiceRoleForECS", ""),
        (ServiceRoles(ECS), Result.WARN, "missing: AWSServiceRoleForECS;", "Nothing to do"),
        (
            ServiceRoles(ALL_SERVICES, ECS),
            Result.FAIL,
            "may not create it: AWSServiceRoleForECS",
            "--aws-service-name ecs.amazonaws.com;",
        ),
        (
            ServiceRoles(ECS, None, "not authorized"),
            Result.WARN,
            "could not be read: not authorized",
            "--aws-service-name ecs.amazonaws.com",
        ),
    ],
)
def test_roles_of_services_are_there_or_may_be_made(
    roles: ServiceRoles, result: Result, seen: str, remedy: str
) -> None:
    check = checks(replace(ROOMY, service_roles=roles))["service-linked roles"]
    assert check.result is result
    assert seen in check.seen
    assert remedy in check.remedy


def test_a_living_cluster_has_the_roles_of_its_services() -> None:
    assert "service-linked roles" not in checks(ROOMY, LIVING)


@pytest.mark.parametrize(
    ("ids", "result"),
    [
        (("apne1-az1", "apne1-az2", "apne1-az4"), Result.PASS),
        (("apne1-az1", "apne1-az2", "apne1-az3"), Result.FAIL),
        (("apne1-az1", "apne1-az2", ""), Result.FAIL),
    ],
)
def test_zones_have_fargate_by_their_ids(ids: tuple[str, ...], result: Result) -> None:
    assert ROOMY.network is not None
    three = ROOMY.network.subnets
    placed = tuple(replace(one, zone_id=id_) for one, id_ in zip(three, ids, strict=True))
    facts = replace(network(subnets=placed), region="ap-northeast-1")
    assert checks(facts)["availability zones"].result is result


@pytest.mark.parametrize(
    ("present", "wanted", "reviewed", "result"),
    [
        ({}, "basic", False, None),
        ({}, "oidc", False, Result.FAIL),
        ({"Authentication": "basic"}, "oidc", False, Result.FAIL),
        ({"Authentication": "basic"}, "oidc", True, Result.PASS),
        ({"Authentication": "oidc"}, "oidc", False, Result.PASS),
        (None, "oidc", False, Result.PASS),
    ],
)
def test_a_running_cluster_goes_to_an_identity_provider_by_a_plan_alone(
    present: dict[str, str] | None, wanted: str, reviewed: bool, result: Result | None
) -> None:
    found = None
    if present is not None:
        found = replace(stack("UPDATE_COMPLETE"), parameters={"Brokers": "3", **present})
    check = checks(found=found, reviewed=reviewed, Authentication=wanted).get("login")
    assert (check.result if check else None) is result
    if result is Result.FAIL:
        assert check
        assert "Create a plan" in check.remedy
