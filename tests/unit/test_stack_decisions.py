from __future__ import annotations

import json
from dataclasses import replace

import pytest
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.stack import (
    PRECIOUS_TYPES,
    ChangeSet,
    ResourceChange,
    Stack,
    StackEvent,
    first_failure,
    progress_of,
)
from lifecycle.cluster.stack_decisions import (
    StackAction,
    decide_on,
    keeps_what_worked,
    refuse_dangerous,
    refuse_protected,
    refuse_unfinished,
    refuse_unreplaced,
    stack_parameters,
    stack_policy,
)
from lifecycle.errors import ChangeSetRefused, CreationIncomplete, StackNotUsable

OURS = {"camunda:control-plane": "control", "camunda:cluster": "demo"}
OUTPUTS = ClusterOutputs({"ContractVersion": "2"})


def stack(status: str, **changes: object) -> Stack:
    values: dict[str, object] = {"name": "control-demo", "stack_id": "arn", "tags": OURS}
    return Stack(status=status, **{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (None, StackAction.CREATE),
        ("REVIEW_IN_PROGRESS", StackAction.CREATE),
        ("CREATE_FAILED", StackAction.UPDATE),
        ("UPDATE_FAILED", StackAction.UPDATE),
        ("CREATE_COMPLETE", StackAction.UPDATE),
        ("UPDATE_COMPLETE", StackAction.UPDATE),
        ("UPDATE_ROLLBACK_COMPLETE", StackAction.UPDATE),
        ("CREATE_IN_PROGRESS", StackAction.WAIT),
        ("UPDATE_IN_PROGRESS", StackAction.WAIT),
        ("UPDATE_ROLLBACK_IN_PROGRESS", StackAction.WAIT),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", StackAction.WAIT),
    ],
)
def test_each_state_has_one_next_step(status: str | None, action: StackAction) -> None:
    found = None if status is None else stack(status)
    assert decide_on(found, "control", "demo").action is action


@pytest.mark.parametrize(
    ("status", "outputs", "keeps"),
    [
        (None, {}, True),
        ("REVIEW_IN_PROGRESS", {}, True),
        ("CREATE_FAILED", {}, True),
        # An update that went on with a creation, and stopped half-way too.
        ("UPDATE_FAILED", {}, True),
        ("UPDATE_FAILED", OUTPUTS, False),
        ("CREATE_COMPLETE", OUTPUTS, False),
        ("UPDATE_ROLLBACK_COMPLETE", OUTPUTS, False),
    ],
)
def test_what_worked_is_kept_until_a_stack_was_complete(
    status: str | None, outputs: dict[str, str], keeps: bool
) -> None:
    assert keeps_what_worked(stack(status, outputs=outputs) if status else None) is keeps


def test_only_a_stack_that_was_complete_is_rolled_back() -> None:
    decision = decide_on(stack("UPDATE_FAILED", outputs=OUTPUTS), "control", "demo")
    assert decision.action is StackAction.ROLL_BACK


@pytest.mark.parametrize("status", ["CREATE_FAILED", "UPDATE_FAILED"])
def test_a_half_made_stack_with_nothing_to_do_is_an_error(status: str) -> None:
    with pytest.raises(CreationIncomplete):
        refuse_unfinished(stack(status), ChangeSet("arn", "EMPTY"))
    refuse_unfinished(stack("UPDATE_COMPLETE", outputs=OUTPUTS), ChangeSet("arn", "EMPTY"))


@pytest.mark.parametrize(
    "status",
    [
        "ROLLBACK_COMPLETE",
        "ROLLBACK_FAILED",
        "DELETE_FAILED",
        "DELETE_IN_PROGRESS",
        "UPDATE_ROLLBACK_FAILED",
        "A_STATE_OF_TOMORROW",
    ],
)
def test_states_that_need_a_person_say_what_the_person_can_do(status: str) -> None:
    with pytest.raises(StackNotUsable) as caught:
        decide_on(stack(status, reason="Because."), "control", "demo")
    assert status in caught.value.message
    assert "start again" in caught.value.next_step


def test_somebody_elses_stack_is_left_alone() -> None:
    with pytest.raises(StackNotUsable, match="does not carry the tags"):
        decide_on(stack("CREATE_COMPLETE", tags={}), "control", "demo")


def test_a_stack_of_the_former_kind_is_refused_and_an_adopted_one_is_not_taken_for_it() -> None:
    former = stack("UPDATE_COMPLETE", outputs=ClusterOutputs({"ContractVersion": "1"}))
    with pytest.raises(StackNotUsable, match="kept the ECS services in the stack") as caught:
        decide_on(former, "control", "demo")
    assert "tear it down" in caught.value.next_step
    adopted = stack(
        "UPDATE_COMPLETE", outputs=ClusterOutputs({"ContractVersion": "1", "Adopted": "true"})
    )
    with pytest.raises(StackNotUsable, match="created by another tool"):
        decide_on(adopted, "control", "demo")
    present = stack("UPDATE_COMPLETE", outputs=ClusterOutputs({"ContractVersion": "2"}))
    assert decide_on(present, "control", "demo").action is StackAction.UPDATE


def test_what_a_request_does_not_name_stays_as_it_is() -> None:
    declarations: dict[str, dict[str, object]] = {
        "ControlStack": {},
        "Brokers": {},
        "LogRetentionDays": {},
        "NewInThisVersion": {},
    }
    living = stack("UPDATE_COMPLETE", parameters={"Brokers": "3", "LogRetentionDays": "30"})
    assert stack_parameters(
        declarations=declarations,
        stack=living,
        requested={"LogRetentionDays": "90"},
        by_machine={"ControlStack": "control"},
    ) == {"ControlStack": "control", "Brokers": "3", "LogRetentionDays": "90"}


def test_a_change_set_that_was_never_executed_gives_no_present_values() -> None:
    shell = stack("REVIEW_IN_PROGRESS", parameters={"Brokers": "3"})
    assert (
        stack_parameters(declarations={"Brokers": {}}, stack=shell, requested={}, by_machine={})
        == {}
    )


@pytest.mark.parametrize("precious", sorted(PRECIOUS_TYPES))
@pytest.mark.parametrize(
    ("action", "replacement"), [("Remove", ""), ("Modify", "True"), ("Modify", "Conditional")]
)
def test_what_brokers_stand_on_and_data_are_never_replaced_or_removed(
    precious: str, action: str, replacement: str
) -> None:
    with pytest.raises(ChangeSetRefused, match=r"Thing \("):
        refuse_dangerous([ResourceChange(action, "Thing", precious, replacement)])


def test_a_restore_whose_data_would_stay_is_refused() -> None:
    """CloudFormation replaces no database whose SnapshotIdentifier stays."""
    names = ("DatabaseCluster", "NodeIdBucket")
    leases = ResourceChange("Modify", "NodeIdBucket", "AWS::S3::Bucket", "True")
    kept = ResourceChange("Modify", "DatabaseCluster", "AWS::RDS::DBCluster", "False")
    for changes in ([leases], [leases, kept]):
        with pytest.raises(ChangeSetRefused, match="would not replace DatabaseCluster"):
            refuse_unreplaced(changes, names)
    for seen in ("True", "Conditional"):
        refuse_unreplaced([leases, replace(kept, replacement=seen)], names)
    refuse_unreplaced([kept], ())


BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"


@pytest.mark.parametrize(
    ("change", "present", "refused"),
    [
        (ResourceChange("Modify", "Web", BALANCER, "True"), "true", True),
        (ResourceChange("Modify", "Web", BALANCER, "Conditional"), "true", True),
        (ResourceChange("Remove", "Web", BALANCER), "true", True),
        (ResourceChange("Modify", "Web", BALANCER, "False"), "true", False),
        (ResourceChange("Add", "Web", BALANCER), "true", False),
        (ResourceChange("Modify", "Rule", "AWS::X::Y", "True"), "true", False),
        (ResourceChange("Modify", "Web", BALANCER, "True"), "false", False),
        (ResourceChange("Modify", "Web", BALANCER, "True"), "", False),
    ],
)
def test_a_protected_load_balancer_is_not_replaced(
    change: ResourceChange, present: str, refused: bool
) -> None:
    """CloudFormation would leave the old one behind, and complete."""
    parameters = {"LoadBalancerDeletionProtection": present} if present else {}
    if not refused:
        refuse_protected([change], parameters)
        return
    with pytest.raises(ChangeSetRefused, match="Web, which LoadBalancerDeletionProtection true"):
        refuse_protected([change], parameters)


def test_harmless_changes_pass() -> None:
    refuse_dangerous(
        [
            ResourceChange("Modify", "Role", "AWS::IAM::Role", "False"),
            ResourceChange("Modify", "Definition", "AWS::ECS::TaskDefinition", "True"),
            ResourceChange("Add", "Bucket", "AWS::S3::Bucket"),
            ResourceChange("Remove", "Rule", "AWS::EC2::SecurityGroupIngress"),
        ]
    )


def event(logical_id: str, status: str, reason: str = "") -> StackEvent:
    return StackEvent("2026-01-01T00:00:00+00:00", logical_id, "AWS::X::Y", status, reason)


def test_the_first_failure_is_the_cause_not_the_cancellations_it_led_to() -> None:
    events = [
        event("A", "CREATE_IN_PROGRESS"),
        event("B", "CREATE_FAILED", "Resource creation cancelled"),
        event("C", "CREATE_FAILED", "no such instance class"),
        event("D", "CREATE_FAILED", "Resource creation cancelled"),
    ]
    found = first_failure(events)
    assert found is not None
    assert found.logical_id == "C"
    assert first_failure(events[:2]) is None


def test_progress_counts_resources_not_events_nor_the_stack_itself() -> None:
    events = [
        event("control-demo", "CREATE_IN_PROGRESS"),
        event("A", "CREATE_IN_PROGRESS"),
        event("B", "CREATE_IN_PROGRESS"),
        event("A", "CREATE_COMPLETE"),
    ]
    progress = progress_of(events, "control-demo")
    assert (progress.done, progress.working) == (1, ("B",))


def test_the_stack_policy_denies_replacing_and_removing_what_is_precious() -> None:
    allow, deny = json.loads(stack_policy())["Statement"]
    assert allow["Effect"] == "Allow"
    assert deny["Action"] == ["Update:Replace", "Update:Delete"]
    assert set(deny["Condition"]["StringEquals"]["ResourceType"]) == PRECIOUS_TYPES
