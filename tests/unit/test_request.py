from __future__ import annotations

import json
from pathlib import Path

import pytest
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.errors import InvalidRequest
from lifecycle.provisioning.request import read_plan_request, read_provision_request

from tests.support.declared import in_clear

EVENTS = Path(__file__).parents[2] / "events"


def problems_of(raw: object, present: dict[str, str] | None = None) -> dict[str, dict[str, str]]:
    with pytest.raises(InvalidRequest) as caught:
        read_provision_request(raw, in_clear(), present)
    return {problem["field"]: problem for problem in caught.value.problems}


# Changes of a cluster that there is; every other event also makes a new one.
OF_A_LIVING_CLUSTER = {
    "plan-database-upgrade",
    "plan-replace-data",
    "plan-update",
    "provision-prometheus",
    "provision-settings",
    "provision-without-process-instances",
}
DEFAULTS = {name: str(one.get("default", "")) for name, one in cluster_parameters().items()}


def present_of(event: Path) -> dict[str, str]:
    return DEFAULTS if event.stem in OF_A_LIVING_CLUSTER else {}


@pytest.mark.parametrize("event", sorted(EVENTS.glob("provision-*.json")), ids=lambda p: p.stem)
def test_every_provision_event_that_is_shipped_is_accepted(event: Path) -> None:
    raw = json.loads(event.read_text())
    request = read_provision_request(raw, cluster_parameters(), present_of(event))
    assert request.cluster == raw["clusterName"]
    assert set(request.parameters) >= set(raw.get("parameters", {}))
    assert request.change_set == raw.get("changeSet", "")


@pytest.mark.parametrize("event", sorted(EVENTS.glob("plan-*.json")), ids=lambda p: p.stem)
def test_every_plan_event_that_is_shipped_is_accepted(event: Path) -> None:
    raw = json.loads(event.read_text())
    request = read_plan_request(raw, cluster_parameters(), present_of(event))
    planned = raw.get("provision", {})
    assert set(request.parameters) >= set(planned.get("parameters", {}))
    assert set(request.replace) == set(planned.get("replace", []))
    assert request.teardown is ("teardown" in raw)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"clusterName": "demo"}, "(input)"),
        ({"clusterName": "demo", "provision": {}, "scale": {"count": 4}}, "(input)"),
        ({"clusterName": "demo", "provision": []}, "provision"),
        ({"clusterName": "demo", "provision": {"parameter": {}}}, "provision.parameter"),
        ({"clusterName": "demo", "provision": {}, "dryRun": True}, "dryRun"),
        ({"clusterName": "Demo", "provision": {}}, "clusterName"),
        (
            {"clusterName": "demo", "provision": {"parameters": {"Brokers": "x"}}},
            "provision.parameters.Brokers",
        ),
        (
            {"clusterName": "demo", "provision": {"parameters": {"ReplicationFactor": 5}}},
            "provision.parameters.Brokers",
        ),
        ({"clusterName": "demo", "provision": {"parameters": []}}, "provision.parameters"),
        ({"clusterName": "demo", "provision": {"replace": "FileSystem"}}, "provision.replace"),
        ({"clusterName": "demo", "provision": {"replace": ["a-b"]}}, "provision.replace"),
        ({"clusterName": "demo", "provision": {"tags": {"team": 7}}}, "provision.tags.team"),
        ([], "(input)"),
    ],
)
def test_a_wrong_request_for_a_plan_names_the_field(raw: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_plan_request(raw, in_clear())
    assert field in [problem["field"] for problem in caught.value.problems]


@pytest.mark.parametrize("change_set", ["", 3, "-x", "arn:aws:s3:::bucket", "a" * 129, None])
def test_what_is_no_name_of_a_change_set_is_refused(change_set: object) -> None:
    found = problems_of({"clusterName": "demo", "changeSet": change_set})
    assert set(found) == {"changeSet"}


def test_a_plan_is_applied_with_nothing_beside_it() -> None:
    raw = {"clusterName": "demo", "changeSet": "plan-x", "parameters": {"Brokers": 3}, "tags": {}}
    assert set(problems_of(raw)) == {"parameters", "tags"}


def test_forty_tags_are_taken_and_no_more() -> None:
    tags = {f"t{n}": "x" for n in range(41)}
    assert "tags" in problems_of({"clusterName": "demo", "tags": tags})
    del tags["t0"]
    read_provision_request({"clusterName": "demo", "tags": tags}, in_clear())


def test_tags_are_taken_as_they_are() -> None:
    tags = {"cost-center": "4711 / EU", "team": "platform@example.com", "old": None}
    request = read_provision_request({"clusterName": "demo", "tags": tags}, in_clear())
    assert request.tags == tags


@pytest.mark.parametrize(
    "tag", ["Kostenträger", "équipe à Paris", "費用\u3000部門", "отдел 7", "٤٧", "cafe\u00e9"]
)
def test_tags_have_letters_spaces_and_digits_of_any_script(tag: str) -> None:
    """As AWS takes them: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]."""
    tags = {tag: tag}
    request = read_provision_request({"clusterName": "demo", "tags": tags}, in_clear())
    assert request.tags == tags


@pytest.mark.parametrize(
    ("tags", "field"),
    [
        ([], "tags"),
        ({"": "x"}, "tags"),
        ({"aws:x": "y"}, "tags"),
        ({"AWS:x": "y"}, "tags"),
        ({"camunda:cluster": "other"}, "tags"),
        ({"Camunda:frozen": "by a request"}, "tags"),
        ({"a,b": "x"}, "tags"),
        ({" a": "x"}, "tags"),
        ({"\u3000a": "x"}, "tags"),
        ({"price €": "x"}, "tags"),
        ({"team": "\U0001f680"}, "tags.team"),
        ({"team": "a\u2028b"}, "tags.team"),
        ({"k" * 129: "x"}, "tags"),
        ({"team": ""}, "tags.team"),
        ({"team": "v" * 257}, "tags.team"),
        ({"team": "a\nb"}, "tags.team"),
        ({"team": 4711}, "tags.team"),
        ({"team": True}, "tags.team"),
        ({"team": "a", "Team": "b"}, "tags.Team"),
        ({f"tag-{n}": "x" for n in range(41)}, "tags"),
    ],
)
def test_a_wrong_tag_is_named(tags: object, field: str) -> None:
    assert set(problems_of({"clusterName": "demo", "tags": tags})) == {field}


@pytest.mark.parametrize(
    ("tags", "wrong"),
    [
        ({"team": "x"}, {"tags.team"}),
        ({"Team": "x", "other": "y"}, {"tags"}),
        ({"Team": "x"}, set()),
        ({"Team": None, "other": "y"}, set()),
    ],
)
def test_tags_are_held_against_those_the_cluster_has(
    tags: dict[str, str | None], wrong: set[str]
) -> None:
    present = {"Team": "platform", "camunda:cluster": "demo", **{f"t{n}": "x" for n in range(39)}}
    raw = {"clusterName": "demo", "tags": tags}
    try:
        read_provision_request(raw, in_clear(), {}, present)
        found: set[str] = set()
    except InvalidRequest as error:
        found = {problem["field"] for problem in error.problems}
    assert found >= wrong
    assert bool(found) == bool(wrong)


CERTIFICATE = "arn:aws:acm:eu-central-1:111122223333:certificate/12345678-abcd"


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        (
            {
                "LoadBalancerScheme": "internet-facing",
                "AllowedCidrs": "203.0.113.0/24",
                "CertificateArn": CERTIFICATE,
                "ManagementListener": True,
            },
            "parameters.ManagementListener",
        ),
        ({"DomainName": "camunda.example.com"}, "parameters.CertificateArn"),
    ],
)
def test_what_cloudformation_would_refuse_by_its_rules_is_refused_before(
    parameters: dict[str, object], field: str
) -> None:
    assert set(problems_of({"clusterName": "demo", "parameters": parameters})) == {field}


def test_values_become_what_cloudformation_takes() -> None:
    request = read_provision_request(
        {
            "clusterName": "demo",
            "parameters": {
                "Brokers": 5,
                "Partitions": "6",
                "DatabaseDeletionProtection": False,
                "AllowedCidrs": ["203.0.113.0/24", " 198.51.100.0/24"],
            },
        },
        in_clear(),
    )
    assert request.parameters == {
        "Brokers": "5",
        "Partitions": "6",
        "DatabaseDeletionProtection": "false",
        "AllowedCidrs": "203.0.113.0/24,198.51.100.0/24",
    }
    assert request.on_start_failure == "stop"
    assert not request.accept_no_way_back
    assert request.with_instances


def test_every_wrong_field_is_named_at_once_with_what_was_given_and_what_is_allowed() -> None:
    problems = problems_of(
        {
            "clusterName": "Demo!",
            "clusterNmae": "demo",
            "onStartFailure": "explode",
            "acceptNoWayBack": "yes",
            "verifyWithProcessInstances": "no",
            "parameters": {
                "Brokers": "three",
                "Partitons": 3,
                "LogRetentionDays": 8,
                "ControlStack": "mine",
                "OrchestrationImage": "camunda/camunda:8.9.0-alpha3",
            },
        }
    )
    assert set(problems) == {
        "clusterName",
        "clusterNmae",
        "onStartFailure",
        "acceptNoWayBack",
        "verifyWithProcessInstances",
        "parameters.Brokers",
        "parameters.Partitons",
        "parameters.LogRetentionDays",
        "parameters.ControlStack",
        "parameters.OrchestrationImage",
    }
    assert problems["clusterName"]["given"] == '"Demo!"'
    assert "19 characters" in problems["clusterName"]["allowed"]
    assert "did you mean clusterName?" in problems["clusterNmae"]["allowed"]
    assert "did you mean Partitions?" in problems["parameters.Partitons"]["allowed"]
    assert "from 1 to 30" in problems["parameters.Brokers"]["allowed"]
    assert "30" in problems["parameters.LogRetentionDays"]["allowed"]
    assert "the machine sets this" in problems["parameters.ControlStack"]["allowed"]


def test_fewer_brokers_than_copies_is_refused() -> None:
    problems = problems_of(
        {"clusterName": "demo", "parameters": {"Brokers": 2, "ReplicationFactor": 3}}
    )
    assert problems["parameters.Brokers"]["given"] == "2"
    assert "replication factor, 3" in problems["parameters.Brokers"]["allowed"]


def test_a_memory_that_fargate_does_not_offer_is_refused_with_what_it_offers() -> None:
    problems = problems_of(
        {"clusterName": "demo", "parameters": {"BrokerCpu": 1024, "BrokerMemory": 16384}}
    )
    assert "2048 to 8192" in problems["parameters.BrokerMemory"]["allowed"]


def test_an_internet_facing_load_balancer_needs_ranges_and_a_certificate() -> None:
    raw = {"clusterName": "demo", "parameters": {"LoadBalancerScheme": "internet-facing"}}
    with pytest.raises(InvalidRequest) as caught:
        read_provision_request(raw, cluster_parameters())
    fields = {problem["field"] for problem in caught.value.problems}
    assert fields == {"parameters.AllowedCidrs", "parameters.CertificateArn"}


def test_plaintext_on_the_internet_only_when_accepted_in_so_many_words() -> None:
    request = read_provision_request(
        {
            "clusterName": "demo",
            "parameters": {
                "LoadBalancerScheme": "internet-facing",
                "AllowedCidrs": "203.0.113.0/24",
                "AcceptPlaintext": True,
            },
        },
        in_clear(),
    )
    assert request.parameters["AcceptPlaintext"] == "true"


def test_what_a_living_cluster_has_counts_for_the_rules_between_parameters() -> None:
    present = {"Brokers": "5", "ReplicationFactor": "3", "Partitions": "3"}
    problems = problems_of({"clusterName": "demo", "parameters": {"Brokers": 3}}, present=present)
    assert "bootstrapped" in problems["parameters.Brokers"]["allowed"]


def test_the_same_bootstrap_values_again_are_no_change() -> None:
    present = {"Brokers": "3", "ReplicationFactor": "3", "Partitions": "3"}
    request = read_provision_request(
        {"clusterName": "demo", "parameters": {"Brokers": 3}}, in_clear(), present
    )
    assert request.parameters == {"Brokers": "3"}


@pytest.mark.parametrize("raw", [None, [], "demo", 3, {"clusterName": "demo", "parameters": []}])
def test_anything_that_is_no_request_is_refused(raw: object) -> None:
    assert problems_of(raw)


WORKSPACE = (
    "arn:aws:aps:eu-central-1:123456789012:workspace/ws-0123abcd-45ef-67ab-89cd-0123456789ab"
)
OURS = {"OrchestrationImage": "team/camunda:42", "ConnectorsImage": "team/connectors:42"}
NEWER = {"OrchestrationImage": "c/camunda:8.10.1", "ConnectorsImage": "c/connectors:8.10.0"}


@pytest.mark.parametrize(
    ("parameters", "field", "allowed"),
    [
        ({"Brokers": 6}, "Brokers", "at most 5 (Partitions + ReplicationFactor - 1) on 8.9"),
        ({**OURS, "CamundaVersion": "8.9.22", "Brokers": 6}, "Brokers", "at most 5"),
        (OURS, "CamundaVersion", "the version of Camunda in team/camunda:42"),
        ({"OrchestrationImage": "camunda/camunda:latest"}, "CamundaVersion", "latest"),
        ({"CamundaVersion": "8.9.1"}, "CamundaVersion", "8.9.22, as in the tag"),
        ({"OrchestrationImage": "c:8.10.1"}, "ConnectorsImage", "brokers' minor, 8.10.1"),
        ({"OrchestrationImage": "c:8.10.1"}, "ConnectorsImage", "OrchestrationImage: c:8.10.1"),
        ({"Partitions": 26}, "Partitions", "a BrokerMemory of 8320 or more"),
        ({"Partitions": 25, "PrometheusWorkspaceArn": WORKSPACE}, "Partitions",
         "a BrokerMemory of 8256 or more"),
        (
            {"RocksDbMemoryFraction": 0.01},
            "RocksDbMemoryFraction",
            "which holds 2 partitions of 32 MiB, not 3",
        ),
        ({"RehearsalSchedule": "monthly", "ContinuousBackup": "false"},
         "RehearsalSchedule", "none while ContinuousBackup is false"),
        ({"BackupSchedule": "PT5M", "BackupCheckpointInterval": "PT10M"},
         "BackupCheckpointInterval", "PT5M (BackupSchedule) or less"),
        ({"BackupCheckpointInterval": "PT30M"}, "BackupCheckpointInterval", "PT15M"),
        ({"MaintenanceWindow": "SUN 02:00-02:20"}, "MaintenanceWindow", "half an hour or longer"),
        ({"MaintenanceTimeZone": "Europe/Berln"}, "MaintenanceTimeZone",
         "for example Europe/Berlin"),
        ({"OrchestrationImage": "c:8.9.0-alpha3"}, "OrchestrationImage", "a released version"),
        ({"OrchestrationImage": "c:8.9.0-rc1", "CamundaVersion": "8.9.0"}, "OrchestrationImage",
         "a released version"),
    ],
)  # fmt: skip
def test_what_a_broker_would_not_survive_is_refused(
    parameters: dict[str, object], field: str, allowed: str
) -> None:
    found = problems_of({"clusterName": "demo", "parameters": parameters})
    assert set(found) == {f"parameters.{field}"}
    assert allowed in found[f"parameters.{field}"]["allowed"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"Brokers": 5},
        {**NEWER, "Brokers": 6},
        {**OURS, "CamundaVersion": "8.9.22"},
        {"Partitions": 26, "RocksDbMemoryFraction": 0.11},
        {"Partitions": 26, "BrokerMemory": 12288},
    ],
)
def test_what_a_broker_survives_is_accepted(parameters: dict[str, object]) -> None:
    read_provision_request({"clusterName": "demo", "parameters": parameters}, in_clear())


def test_continuous_backup_stays_while_rehearsals_are_scheduled() -> None:
    present = {
        "Brokers": "3",
        "ReplicationFactor": "3",
        "Partitions": "3",
        "RehearsalSchedule": "quarterly",
        "ContinuousBackup": "true",
    }
    raw = {"clusterName": "demo", "parameters": {"ContinuousBackup": False}}
    found = problems_of(raw, present)
    assert set(found) == {"parameters.ContinuousBackup"}
    assert "RehearsalSchedule none with it" in found["parameters.ContinuousBackup"]["allowed"]
    none = {"ContinuousBackup": False, "RehearsalSchedule": "none"}
    read_provision_request({"clusterName": "demo", "parameters": none}, in_clear(), present)


def test_memory_is_held_against_the_partitions_that_a_cluster_has() -> None:
    present = {"Brokers": "3", "ReplicationFactor": "3", "Partitions": "25"}
    smaller = {"BrokerCpu": "2048", "BrokerMemory": "4096"}
    found = problems_of({"clusterName": "demo", "parameters": smaller}, present)
    assert set(found) == {"parameters.BrokerMemory"}


def test_a_collector_needs_memory_that_partitions_may_not_leave() -> None:
    present = {"Brokers": "3", "ReplicationFactor": "3", "Partitions": "25"}
    raw = {"clusterName": "demo", "parameters": {"PrometheusWorkspaceArn": WORKSPACE}}
    (found,) = problems_of(raw, present).items()
    assert found[0] == "parameters.PrometheusWorkspaceArn"
    assert "no PrometheusWorkspaceArn (256 MiB for its collector)" in found[1]["allowed"]
    assert "0.1 of 7936 MiB, which holds 24 partitions" in found[1]["allowed"]
    read_provision_request(raw, in_clear(), {**present, "Partitions": "24"})


def test_a_living_cluster_keeps_the_brokers_it_was_made_with() -> None:
    present = {"Brokers": "6", "ReplicationFactor": "3", "Partitions": "3"}
    raw = {"clusterName": "demo", "parameters": {"LogRetentionDays": 90}}
    read_provision_request(raw, in_clear(), present)


@pytest.mark.parametrize("name", ["a--b", "demo-", "a---b-c"])
def test_a_new_cluster_has_no_name_that_rds_refuses(name: str) -> None:
    found = problems_of({"clusterName": name, "parameters": {}})
    assert "two hyphens in a row" in found["clusterName"]["allowed"]
    with pytest.raises(InvalidRequest) as caught:
        read_plan_request({"clusterName": name, "provision": {"parameters": {}}}, in_clear())
    assert [one["field"] for one in caught.value.problems] == ["clusterName"]
    # One that there is can be changed, scaled and removed.
    provision = {"clusterName": name, "parameters": {"LogRetentionDays": 30}}
    assert read_provision_request(provision, in_clear(), DEFAULTS).cluster == name
    plan = {"clusterName": name, "provision": {"parameters": {"LogRetentionDays": 30}}}
    assert read_plan_request(plan, in_clear(), DEFAULTS).cluster == name
    for verb, goal in (("scale", {"count": 5}), ("teardown", {})):
        raw = {"clusterName": name, verb: goal}
        assert read_plan_request(raw, in_clear(), {}).cluster == name


@pytest.mark.parametrize("name", ["a-b", "demo", "a-1-b"])
def test_a_new_cluster_may_have_single_hyphens(name: str) -> None:
    assert read_provision_request({"clusterName": name, "parameters": {}}, in_clear())
