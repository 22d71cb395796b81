from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.stack import ChangeSet, ResourceChange, Stack
from lifecycle.pages.plan import plan_page
from lifecycle.plans.fingerprint import Fingerprint, PlanDescription
from lifecycle.plans.report import PlanInput, render, summary
from lifecycle.plans.text import plan_text
from lifecycle.services.settings import patched

from tests.support.login import RESOLVED
from tools.generate_parameters import ROOT

CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b"
DEFAULTS = {name: str(d.get("default", "")) for name, d in cluster_parameters().items()}
DEFAULTS["CertificateArn"] = CERTIFICATE
LIVING = DEFAULTS
MACHINE = frozenset(name for name, d in cluster_parameters().items() if d["machine"])
STACK = Stack("control-demo", "arn:stack", "UPDATE_COMPLETE", parameters=LIVING)
ADDED = (
    ResourceChange("Add", "DatabaseCluster", "AWS::RDS::DBCluster"),
    ResourceChange("Add", "DatabaseInstance1", "AWS::RDS::DBInstance"),
    ResourceChange("Add", "EcsCluster", "AWS::ECS::Cluster"),
)
MARK = PlanDescription("f" * 64, datetime(2026, 1, 1, 12, tzinfo=UTC), "demo.plan.1")
PREFLIGHT: dict[str, Any] = {
    "result": "WARN",
    "checks": [
        {"name": "names", "result": "PASS", "seen": "fine", "remedy": ""},
        {"name": "Fargate vCPU", "result": "WARN", "seen": "unread", "remedy": "Look."},
    ],
}


def change_set(*changes: ResourceChange, status: str = "READY") -> ChangeSet:
    return ChangeSet("arn:cs", status, changes=changes, name="plan-x", stack="control-demo")


def line(service: str, action: str, count: int, restarts: int = 0) -> dict[str, Any]:
    return {
        "service": service,
        "action": action,
        "count": {"live": 0, "after": count},
        "restarts": restarts,
        "order": None,
        "differences": [],
    }


CREATION = PlanInput(
    cluster="demo",
    region="us-east-1",
    stack=None,
    change_set=change_set(*ADDED),
    before={},
    after=DEFAULTS,
    counts={},
    services=(line("orchestration-cluster", "create", 3), line("connectors", "create", 1)),
    rendered={},
    tags=(),
    settings=({}, {}),
    named=(),
    machine=MACHINE,
    refusal="",
    template=json.loads((ROOT / "stacks" / "cluster.json").read_text()),
)
LOGS = ResourceChange(
    "Modify", "Logs", "AWS::Logs::LogGroup", "False", properties=("RetentionInDays",)
)
UPDATE = replace(
    CREATION,
    stack=STACK,
    change_set=change_set(LOGS),
    before=LIVING,
    after={**LIVING, "LogRetentionDays": "90"},
    counts={"orchestration-cluster": 4, "connectors": 1},
    services=(line("orchestration-cluster", "none", 4), line("connectors", "none", 1)),
)


def plan(situation: PlanInput, author: str = "") -> dict[str, Any]:
    told = render(
        situation,
        mark=MARK,
        fingerprint=Fingerprint("1", "2", {}, {}, {}, "", "", "arn:role"),
        requested={},
        requested_settings={},
        preflight=PREFLIGHT,
        author=author,
    )
    return dict(json.loads(json.dumps(told)))


def data(*changes: ResourceChange) -> list[str]:
    return list(plan(replace(UPDATE, change_set=change_set(*changes)))["data"])


def test_a_creation_tells_what_is_added_and_that_there_is_no_data_yet() -> None:
    told = plan(CREATION)
    assert (told["kind"], told["status"]) == ("create", "READY")
    assert told["counts"]["add"] == 3
    assert told["data"] == []
    assert told["cost"]["before"]["total"] == "0.00"
    assert told["cost"]["after"]["total"] == "609.85"
    assert '"confirm": "demo"' in told["undo"]
    text = plan_text(told)
    assert "3 to add" in text
    assert "Data: none yet." in text
    assert "0.00 before, 609.85 after" in text


def test_a_creation_takes_as_long_as_its_longest_chain_and_the_start() -> None:
    told = plan(CREATION)
    assert told["path"] == [
        {"what": "DatabaseCluster", "minutes": [1, 5]},
        {"what": "DatabaseInstance1", "minutes": [6, 12]},
        {"what": "brokers and connectors start", "minutes": [3, 10]},
    ]
    assert told["minutes"] == [10, 27]
    text = plan_text(told).replace("\n  ", " ")
    assert "10 to 27 minutes, in sequence: DatabaseCluster 1 to 5, Database" in text
    assert plan(UPDATE)["minutes"] == [1, 2]


def test_a_new_revision_tells_who_is_restarted_and_how_long_that_takes() -> None:
    revisions = change_set(
        ResourceChange("Modify", "OrchestrationTaskDefinition", "AWS::ECS::TaskDefinition", "True"),
        ResourceChange("Modify", "ConnectorsTaskDefinition", "AWS::ECS::TaskDefinition", "True"),
    )
    services = (
        line("orchestration-cluster", "replace tasks", 4, restarts=4),
        line("connectors", "replace tasks", 1, restarts=1),
    )
    told = plan(replace(UPDATE, change_set=revisions, services=services))
    assert told["rolls"] == {"orchestration-cluster": 4, "connectors": 1}
    # Four brokers of 2 to 6 minutes, connectors 1 to 4.
    assert told["minutes"] == [9, 28]
    text = plan_text(told)
    assert "4 brokers are replaced one at a time" in text
    assert plan(UPDATE)["rolls"] == {}
    assert "Restarts:" not in plan_text(plan(UPDATE))


def test_an_update_tells_the_parameters_and_the_way_back() -> None:
    told = plan(UPDATE)
    assert told["kind"] == "update"
    assert told["parameters"] == [{"name": "LogRetentionDays", "from": "30", "to": "90"}]
    assert '"LogRetentionDays": "30"' in told["undo"]
    text = plan_text(told)
    assert "LogRetentionDays: '30' -> '90'" in text
    assert "1 to change" in text


def test_a_living_cluster_costs_what_runs_not_what_it_began_with() -> None:
    cost = plan(UPDATE)["cost"]
    assert cost["before"] == cost["after"]
    assert cost["after"]["items"]["brokers"] == "576.64"


def test_an_unfinished_cluster_is_continued() -> None:
    unfinished = replace(STACK, status="CREATE_FAILED", parameters=DEFAULTS)
    assert plan(replace(CREATION, stack=unfinished, before=DEFAULTS))["kind"] == "continue"


def test_a_region_without_prices_says_exactly_that() -> None:
    told = plan(replace(CREATION, region="mars-north-1"))
    assert told["cost"]["after"]["total"] is None
    assert "Cost per month: no price for mars-north-1\n" in plan_text(told)


def test_a_missing_price_leaves_no_total() -> None:
    after = {**DEFAULTS, "DatabaseInstanceClass": "db.x99.huge"}
    text = plan_text(plan(replace(CREATION, after=after)))
    assert "0.00 before, no total after" in text
    assert "no price for db.x99.huge in us-east-1" in text


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("ReplaceAndRetain", "retained and billed until you delete it"),
        ("ReplaceAndSnapshot", "a snapshot of the current resource"),
        ("ReplaceAndDelete", "DELETED with its data"),
        ("", "its DeletionPolicy / UpdateReplacePolicy"),
    ],
)
def test_data_that_is_replaced_is_called_out_with_what_becomes_of_it(
    policy: str, words: str
) -> None:
    (told,) = data(
        ResourceChange(
            "Modify", "FileSystem", "AWS::EFS::FileSystem", "True", policy, ("KmsKeyId",)
        )
    )
    assert "is REPLACED by a new, empty resource" in told
    assert words in told


def test_data_that_may_be_replaced_or_is_removed_or_stays_is_called_out_too() -> None:
    assert (
        "may be REPLACED"
        in data(ResourceChange("Modify", "B", "AWS::S3::Bucket", "Conditional"))[0]
    )
    assert (
        "removed from the stack"
        in data(ResourceChange("Remove", "B", "AWS::S3::Bucket", "", "Retain"))[0]
    )
    assert "in place (RetentionInDays); its data is kept" in data(LOGS)[0]
    assert data(replace(LOGS, properties=("Tags",))) == []
    assert data(replace(LOGS, properties=("Tags",), replacement="True")) != []


def test_what_holds_no_data_is_not_called_out() -> None:
    assert data(ResourceChange("Modify", "Rule", "AWS::EC2::SecurityGroupIngress", "True")) == []
    assert data(*ADDED) == []


def test_the_undoing_of_a_replacement_is_not_promised() -> None:
    replaced = ResourceChange("Modify", "FileSystem", "AWS::EFS::FileSystem", "True")
    told = plan(replace(UPDATE, change_set=change_set(replaced), named=("FileSystem",)))
    assert "The data of FileSystem is not restored" in told["undo"]
    assert told["replace"] == ["FileSystem"]


def test_loud_changes_come_first_and_are_marked() -> None:
    changes = (
        LOGS,
        ResourceChange("Remove", "Old", "AWS::EC2::SecurityGroupIngress"),
        ResourceChange("Add", "New", "AWS::EC2::SecurityGroupIngress"),
    )
    lines = plan_text(plan(replace(UPDATE, change_set=change_set(*changes)))).splitlines()
    marked = [line for line in lines if line.startswith("  ! ")]
    assert marked == ["  ! remove      Old AWS::EC2::SecurityGroupIngress"]
    positions = [
        next(n for n, line in enumerate(lines) if f" {name} AWS" in line)
        for name in ("Old", "Logs", "New")
    ]
    assert positions == sorted(positions)


def test_a_refused_plan_says_why_and_not_how_to_apply_it() -> None:
    told = plan(replace(UPDATE, refusal="It would replace the database."))
    assert told["status"] == "REFUSED"
    text = plan_text(told)
    assert "REFUSED: It would replace the database." in text
    for words in ("To apply", "Can be applied until", "To undo"):
        assert words not in text
        assert words in plan_text(plan(UPDATE))


def test_an_empty_plan_changes_nothing() -> None:
    told = plan(replace(UPDATE, change_set=change_set(status="EMPTY"), after=LIVING))
    assert told["status"] == "UNCHANGED"
    text = plan_text(told)
    assert "No changes." in text
    for words in ("To apply", "Can be applied until", "To undo"):
        assert words not in text


def test_who_made_it_is_told_when_it_is_known() -> None:
    assert "by arn:aws:iam::1:user/ann" in plan_text(plan(UPDATE, "arn:aws:iam::1:user/ann"))
    assert "unknown (started from the console" in plan_text(plan(UPDATE))


def test_another_tls_policy_is_told_to_clients_that_have_used_one() -> None:
    listener = ResourceChange(
        "Modify",
        "HttpsListener",
        "AWS::ElasticLoadBalancingV2::Listener",
        "False",
        properties=("SslPolicy",),
    )
    certificate = {"CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b"}
    changes = replace(UPDATE.change_set, changes=(listener,))
    encrypted = replace(
        UPDATE,
        change_set=changes,
        before={**UPDATE.before, **certificate},
        after={**UPDATE.after, **certificate},
    )
    assert [one for one in plan(encrypted)["warnings"] if "TLS policy" in one]
    # From clear to TLS there was none.
    first = replace(encrypted, before={**UPDATE.before, "CertificateArn": ""})
    assert not [one for one in plan(first)["warnings"] if "TLS policy" in one]
    other = replace(encrypted, change_set=replace(changes, changes=(LOGS,)))
    assert not [one for one in plan(other)["warnings"] if "TLS policy" in one]


def test_warnings_of_preflight_are_in_the_text() -> None:
    text = plan_text(plan(UPDATE))
    assert "1 of 2 checks passed" in text
    assert "WARN Fargate vCPU: unread (Look.)" in text


def test_the_command_to_apply_it_can_be_pasted() -> None:
    last = plan_text(plan(UPDATE)).splitlines()[-1]
    assert json.loads(last) == {"clusterName": "demo", "changeSet": "arn:cs"}


def test_lines_fit_a_ticket() -> None:
    assert all(len(line) <= 120 for line in plan_text(plan(CREATION)).splitlines())


def test_the_outline_fits_a_state_however_large_the_plan() -> None:
    many = tuple(
        ResourceChange("Modify", f"FileSystem{n}", "AWS::EFS::FileSystem", "True")
        for n in range(500)
    )
    told = plan(replace(UPDATE, change_set=change_set(*many)))
    outline = summary(told, key="plans/demo/plan-x.json", text_key="plans/demo/plan-x.txt")
    assert len(json.dumps(outline)) < 32 * 1024
    assert outline["counts"]["replace"] == 500
    assert outline["cost"]["before"] == outline["cost"]["after"] == "756.64"


def test_a_plan_tells_which_tags_change_and_how_to_take_that_back() -> None:
    tags = [
        {"name": "old", "from": "x", "to": None},
        {"name": "team", "from": None, "to": "platform"},
    ]
    told = plan(replace(UPDATE, after=LIVING, tags=tags))
    assert told["tags"] == tags
    undo = json.loads(told["undo"].removeprefix("Plan and apply the previous values: "))
    assert undo["provision"] == {"parameters": {}, "tags": {"old": "x", "team": None}}
    text = plan_text(told)
    assert "old: 'x' -> none" in text
    assert "team: none -> 'platform'" in text


def trial(situation: PlanInput) -> PlanInput:
    return replace(situation, after={**situation.after, "Trial": "true"})


def test_a_plan_warns_before_brokers_are_replaced_and_before_there_is_no_way_back() -> None:
    services = (line("orchestration-cluster", "replace tasks", 4, restarts=4),)
    patch = {**UPDATE.after, "OrchestrationImage": "camunda/camunda:8.9.23"}
    (warning,) = plan(replace(UPDATE, services=services, after=patch))["warnings"]
    assert "Do not deploy processes" in warning
    minor = {**UPDATE.after, "OrchestrationImage": "camunda/camunda:8.10.1"}
    told = plan(replace(UPDATE, services=services, after=minor))
    assert "no way back from 8.10.1 to 8.9." in told["warnings"][1]
    assert "WARNING: There is no way back" in plan_text(told)
    assert plan(UPDATE)["warnings"] == []
    assert plan(trial(CREATION))["warnings"] == []


def test_a_plan_of_replacing_brokers_names_the_backup_it_begins_with_and_its_waiver() -> None:
    services = (line("orchestration-cluster", "replace tasks", 4, restarts=4),)
    older = {**UPDATE.before, "BackupMaxAge": "12"}
    told = plan(replace(UPDATE, services=services, before=older))
    assert "younger than 12 hours (BackupMaxAge)" in told["backup"]
    assert '"acceptNoBackup": true beside changeSet' in told["backup"]
    assert "snapshot" not in told["backup"]
    assert '"acceptNoBackup": true' in plan_text(told)
    minor = {**UPDATE.after, "OrchestrationImage": "camunda/camunda:8.10.1"}
    step = plan(replace(UPDATE, services=services, after=minor))
    assert "backup of the brokers and snapshot of the database" in step["backup"]
    assert '"acceptNoWayBack": true' in step["backup"]
    assert plan(UPDATE)["backup"] == plan(CREATION)["backup"] == ""


def test_a_plan_warns_of_a_database_in_one_zone_when_it_comes_to_that() -> None:
    def instances(before: str, after: str) -> list[str]:
        changed = replace(
            UPDATE,
            before={**UPDATE.before, "DatabaseInstances": before},
            after={**UPDATE.after, "DatabaseInstances": after},
        )
        return [one for one in plan(changed)["warnings"] if "one instance, in one zone" in one]

    assert "one instance, in one zone" in plan(CREATION)["warnings"][0]
    assert len(instances("2", "1")) == 1
    assert instances("1", "1") == instances("1", "2") == []


def test_a_plan_warns_of_what_interrupts_the_database_and_promises_no_way_back() -> None:
    after = {**UPDATE.before, "DatabaseEngineVersion": "18.3", "LogRetentionDays": "90"}
    told = plan(replace(UPDATE, after=after))
    assert "a major version: every instance is shut down" in told["warnings"][0]
    assert "WARNING: Aurora PostgreSQL" in plan_text(told)
    assert "DatabaseEngineVersion" not in told["undo"]
    assert '"LogRetentionDays"' in told["undo"]
    assert "Aurora stays at 18.3" in told["undo"]
    alone = plan(replace(UPDATE, after={**UPDATE.before, "DatabaseEngineVersion": "18.3"}))
    assert alone["undo"].startswith("No parameter can be reverted. Aurora stays at 18.3")


def test_every_form_of_a_plan_warns_of_what_stays_in_clear() -> None:
    clear = {"CertificateArn": ""}
    for situation in (
        replace(CREATION, after={**CREATION.after, **clear}),
        replace(UPDATE, before={**UPDATE.before, **clear}, after={**UPDATE.after, **clear}),
    ):
        told = plan(situation)
        (warning,) = [one for one in told["warnings"] if "in clear" in one]
        assert "passwords and process data" in warning
        assert f"WARNING: {warning[:40]}" in plan_text(told)
        assert warning in plan_page(told)
    assert not [one for one in plan(UPDATE)["warnings"] if "in clear" in one]


def test_tags_alone_restart_no_broker() -> None:
    change = ResourceChange(
        "Modify",
        "OrchestrationTaskDefinition",
        "AWS::ECS::TaskDefinition",
        "False",
        properties=("Tags",),
    )
    told = plan(replace(UPDATE, change_set=change_set(change)))
    assert told["rolls"] == {}
    assert told["minutes"] == [1, 2]


def test_what_differs_of_a_service_is_told_with_what_it_does() -> None:
    difference = {
        "property": "healthCheckGracePeriodSeconds",
        "effect": "IN_PLACE",
        "from": 60,
        "to": 900,
        "already": True,
    }
    changed = {**line("orchestration-cluster", "change", 4), "differences": [difference]}
    text = plan_text(plan(replace(UPDATE, services=(changed,))))
    assert "orchestration-cluster is changed in place; no task is replaced" in text
    assert "healthCheckGracePeriodSeconds: 60 -> 900 (already so" in text


def test_settings_are_told_by_name_and_undone_by_a_patch() -> None:
    before: dict[str, Any] = {"brokers": {"environment": {"A": "1", "B": "2"}}}
    after: dict[str, Any] = {
        "brokers": {"environment": {"A": "1", "B": "3"}},
        "connectors": {"secrets": {"SECRET_X": "arn:x"}, "managedPolicyArns": ["arn:p", "arn:q"]},
    }
    told = plan(replace(UPDATE, settings=(before, after)))
    assert told["settings"] == [
        {"name": "brokers.environment.B", "from": "2", "to": "3"},
        {"name": "connectors.managedPolicyArns", "from": None, "to": "arn:p, arn:q"},
        {"name": "connectors.secrets.SECRET_X", "from": None, "to": "arn:x"},
    ]
    patch = json.loads(told["undo"].split(": ", 1)[1])["provision"]["settings"]
    assert patched(after, patch) == before
    text = plan_text(told)
    assert "brokers.environment.B: '2' -> '3'" in text
    assert "connectors.secrets.SECRET_X: none -> 'arn:x'" in text


def test_a_plan_says_what_a_restore_takes() -> None:
    rare = {**UPDATE.after, "BackupSchedule": "PT1H", "BackupCheckpointInterval": "PT15M"}
    assert "about 25 minutes" in plan(replace(UPDATE, after=rare))["restore"]
    less = {**rare, "DatabaseBackupRetentionDays": "2"}
    assert "goes back 2 days" in plan_text(plan(replace(UPDATE, after=less))).replace("\n  ", " ")


def test_going_to_an_identity_provider_is_one_way_in_words_and_in_the_undo() -> None:
    told = plan(replace(UPDATE, after={**LIVING, **RESOLVED, "Connectors": "2"}))
    assert any("there is no way back" in one for one in told["warnings"])
    assert any("Connectors use their password until" in one for one in told["warnings"])
    assert '"parameters": {"Connectors": "1"}' in told["undo"]
    assert "The login stays oidc" in told["undo"]
    shown = {one["name"]: one["to"] for one in told["parameters"]}
    assert shown["OidcTokenUrl"] == RESOLVED["OidcTokenUrl"]
    alone = plan(replace(UPDATE, after={**LIVING, **RESOLVED}))
    assert alone["undo"].startswith("No parameter can be reverted.")


def test_another_client_of_an_identity_provider_can_be_reverted() -> None:
    before = {**LIVING, **RESOLVED}
    told = plan(replace(UPDATE, before=before, after={**before, "OidcClientId": "other"}))
    assert '"OidcClientId": "camunda-web"' in told["undo"]
    assert "stays oidc" not in told["undo"]
