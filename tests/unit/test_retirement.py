"""Fargate's notices: what is restarted, when, once, and what people are told of it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.maintenance_window import next_opening, read_window
from lifecycle.cluster.names import tags
from lifecycle.cluster.stack import Stack
from lifecycle.errors import ClusterBusy, ClusterFrozen, LifecycleError, NoticeUnreadable
from lifecycle.operation.record import Record
from lifecycle.restart.handle_retirement import PUT_OFF, RetirementHandler
from lifecycle.restart.request import read_restart_request
from lifecycle.restart.retirement import LEAD, Affected, read_notice
from lifecycle.services.brokers import BrokerService, BrokerTask

from tests.fakes.scheduler import FakeSchedules
from tests.fakes.sns import FakeMessages
from tests.support.scaling import OneStack
from tests.support.world import CONTROL, TestClock
from tools.generate_parameters import ROOT, load_template

STACK = f"{CONTROL}-demo"
# As the documentation of AWS shows it, with our names: RFC 1123 dates, services as cluster|service.
NOTICE: dict[str, Any] = {
    "version": "0",
    "id": "3c268027-f43c-0171-7425-1d799EXAMPLE",
    "detail-type": "AWS Health Event",
    "source": "aws.health",
    "account": "123456789012",
    "time": "2026-01-01T00:00:00Z",
    "region": "eu-central-1",
    "resources": [f"{STACK}|orchestration-cluster", "somebody|orchestration-cluster"],
    "detail": {
        "eventArn": "arn:aws:health:eu-central-1::event/ECS/AWS_ECS_TASK_PATCHING_RETIREMENT/x1",
        "service": "ECS",
        "eventScopeCode": "ACCOUNT_SPECIFIC",
        "lastUpdatedTime": "Thu, 01 Jan 2026 00:00:01 GMT",
        "eventRegion": "eu-central-1",
        "eventTypeCode": "AWS_ECS_TASK_PATCHING_RETIREMENT",
        "eventTypeCategory": "scheduledChange",
        "startTime": "Thu, 08 Jan 2026 00:00:00 GMT",
        "endTime": "Sat, 10 Jan 2026 00:00:00 GMT",
        "eventDescription": [{"language": "en_US", "latestDescription": "A software update…"}],
        "affectedEntities": [],
    },
}
ANNOUNCED = datetime(2026, 1, 1, tzinfo=UTC)
BEGINS = datetime(2026, 1, 8, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- the window ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "zone", "now", "opening"),
    [
        ("", "UTC", "2026-01-01T12:00", "2026-01-01T12:00"),
        ("SUN 02:00-06:00", "UTC", "2026-01-01T12:00", "2026-01-04T02:00"),
        ("SUN 02:00-06:00", "Europe/Berlin", "2026-01-01T12:00", "2026-01-04T01:00"),
        ("SUN 02:00-06:00", "UTC", "2026-01-04T03:00", "2026-01-04T03:00"),
        ("SUN 02:00-06:00", "UTC", "2026-01-04T05:45", "2026-01-11T02:00"),
        ("MON THU 22:00-02:00", "UTC", "2026-01-02T01:00", "2026-01-02T01:00"),
        ("MON THU 22:00-02:00", "UTC", "2026-01-02T02:00", "2026-01-05T22:00"),
        ("FRI 00:00-00:00", "UTC", "2026-01-02T23:00", "2026-01-02T23:00"),
        # The clocks go forward at 02:00, and back at 03:00, in the window.
        ("SUN 01:00-05:00", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T00:00"),
        ("SUN 03:30-05:00", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:30"),
        ("SUN 03:30-05:00", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T02:30"),
    ],
)
def test_the_window_opens_on_the_clocks_of_its_zone(
    window: str, zone: str, now: str, opening: str
) -> None:
    assert next_opening(read_window(window, zone), at(now)) == at(opening)


@pytest.mark.parametrize(
    ("window", "zone"),
    [
        ("02:00-06:00", "UTC"),
        ("SUN, MON 02:00-06:00", "UTC"),
        ("SUN 02:00-02:20", "UTC"),
        ("SUN 25:00-26:00", "UTC"),
        ("SUN 02:00-06:00", "Europe/Berln"),
        ("SUN 02:00-06:00", "../etc/passwd"),
    ],
)
def test_a_window_that_cannot_be_read_is_refused(window: str, zone: str) -> None:
    with pytest.raises(ValueError, match="is "):
        read_window(window, zone)


# --- the notice ---------------------------------------------------------------------------------


def notice(**detail: Any) -> dict[str, Any]:
    event = copy.deepcopy(NOTICE)
    event["detail"] |= detail
    return event


def test_the_documented_notice_is_read() -> None:
    found = read_notice(NOTICE)
    assert (found.announced_at, found.begins_at, found.closed) == (ANNOUNCED, BEGINS, False)
    assert found.affected[0] == Affected(STACK, "orchestration-cluster")


def test_tasks_are_named_by_their_arn_and_services_by_either_form() -> None:
    arn = "arn:aws:ecs:eu-central-1:123456789012"
    listed = [f"{arn}:task/{STACK}/0a1b", f"{arn}:service/{STACK}/connectors", "UNKNOWN"]
    event = notice(affectedEntities=[{"entityValue": one} for one in listed])
    event["resources"] = []
    expected = (Affected(STACK, task="0a1b"), Affected(STACK, "connectors"))
    assert read_notice(event).affected == expected


def test_one_notice_has_one_id_however_often_and_in_whatever_words_it_comes() -> None:
    again = {
        **notice(lastUpdatedTime="later", eventDescription=[]),
        "id": "other",
        "time": "2026-01-02T00:00:00Z",
    }
    assert read_notice(again).id == read_notice(NOTICE).id
    later = notice(startTime="Thu, 15 Jan 2026 00:00:00 GMT")
    assert read_notice(later).id != read_notice(NOTICE).id


@pytest.mark.parametrize(
    "event", [{}, {"detail": None}, notice(startTime="soon"), {**NOTICE, "time": None}]
)
def test_a_notice_of_another_shape_is_an_error_that_is_seen(event: dict[str, Any]) -> None:
    with pytest.raises(NoticeUnreadable):
        read_notice(event)


def test_the_rule_of_the_template_matches_the_documented_notice() -> None:
    template = load_template(ROOT / "template.yaml")
    events = template["Resources"]["HandleRetirement"]["Properties"]["Events"]
    pattern = events["RetirementAnnounced"]["Properties"]["Pattern"]

    def matches(part: Any, given: Any) -> bool:
        if isinstance(part, list):
            return given in part
        return all(matches(wanted, given.get(name)) for name, wanted in part.items())

    assert matches(pattern, NOTICE)
    assert not matches(pattern, notice(eventTypeCode="AWS_ECS_SOMETHING_ELSE"))


# --- what is done -------------------------------------------------------------------------------


@dataclass
class Starter:
    """Notes what is started; ``refusal`` is why nothing is."""

    started: list[tuple[str, dict[str, object], str]] = field(default_factory=list)
    refusal: LifecycleError | None = None

    def start(
        self, verb: str, request: dict[str, object], *, key: str, caller: str
    ) -> tuple[Record, None]:
        if self.refusal is not None:
            raise self.refusal
        if (verb, request, key) not in self.started:
            self.started.append((verb, request, key))
        name = f"demo.{verb}.{key}"
        return Record(name, "demo", verb, "arn", "2026-01-01T00:00:00Z", caller=caller), None


@dataclass
class Tasks:
    """The tasks of both services, by when they were created."""

    created: list[datetime]

    def observe(self, ecs_cluster: str, service: str) -> BrokerService:
        assert ecs_cluster == STACK
        tasks = tuple(
            BrokerTask(f"t{n}", "", "RUNNING", True, created_at=int(one.timestamp()))
            for n, one in enumerate(self.created)
        )
        return BrokerService(service, len(tasks), (), tasks)


class World:
    """One cluster, its schedules, and whoever is told."""

    def __init__(self, **parameters: str) -> None:
        self.clock = TestClock()
        self.schedules = FakeSchedules()
        self.messages = FakeMessages()
        self.starter = Starter()
        self.fired: set[str] = set()
        self.tasks = Tasks([ANNOUNCED - timedelta(days=9)] * 3)
        self.stacks = OneStack(
            Stack(
                STACK,
                "arn",
                "CREATE_COMPLETE",
                tags=tags(CONTROL, "demo"),
                parameters=parameters,
                outputs=ClusterOutputs({"ClusterName": "demo", "EcsClusterName": STACK}),
            )
        )

    @property
    def handler(self) -> RetirementHandler:
        return RetirementHandler(
            stacks=self.stacks,  # type: ignore[arg-type]
            tasks=self.tasks,  # type: ignore[arg-type]
            service_of=lambda _, task: {"0a": "connectors"}.get(task, ""),
            schedules=self.schedules,
            starter=self.starter,  # type: ignore[arg-type]
            messages=self.messages,
            clock=self.clock,
            control_stack=CONTROL,
            region="eu-central-1",
        )

    def announce(self, event: dict[str, Any] = NOTICE) -> list[datetime]:
        self.handler.announced(event)
        return [moment for moment, _ in self.schedules.schedules.values()]

    def last(self) -> dict[str, str]:
        """What the scheduler calls with next; the time is then, and what fired may be forgotten."""
        fired = self.fired
        moment = min(at for name, (at, _) in self.schedules.schedules.items() if name not in fired)
        self.clock.at = max(self.clock.at, moment)
        for name, (at, payload) in list(self.schedules.schedules.items()):
            if at == moment and name not in fired:
                fired.add(name)
                self.schedules.fire(self.clock.at)
                return payload
        raise AssertionError(self.schedules.schedules)

    @property
    def subjects(self) -> list[str]:
        return [subject for subject, _ in self.messages.sent]


def test_a_restart_is_scheduled_in_the_window_and_people_are_told_before() -> None:
    world = World(MaintenanceWindow="SUN 02:00-06:00", MaintenanceTimeZone="Europe/Berlin")
    assert world.announce() == [at("2026-01-04T01:00")]
    assert world.subjects == ["Cluster demo: brokers will be restarted"]
    text = world.messages.sent[0][1]
    assert "2026-01-04 01:00 UTC (in the maintenance window)" in text
    assert "from 2026-01-08 00:00 UTC on" in text


def test_without_a_window_it_is_restarted_at_once() -> None:
    assert World().announce() == [ANNOUNCED + timedelta(minutes=1)]


@pytest.mark.parametrize("window", ["FRI 02:00-06:00", "not a window"])
def test_without_an_opening_before_aws_it_is_as_late_as_is_safe(window: str) -> None:
    world = World(MaintenanceWindow=window)
    soon = notice(startTime="Fri, 02 Jan 2026 00:00:00 GMT")
    assert world.announce(soon) == [at("2026-01-02T00:00") - LEAD]


def test_a_notice_that_comes_late_is_acted_on_at_once() -> None:
    world = World(MaintenanceWindow="SUN 02:00-06:00")
    world.clock.at = BEGINS + timedelta(hours=1)
    assert world.announce() == [world.clock.at + timedelta(minutes=1)]
    world.handler.due(world.last())
    assert len(world.starter.started) == 1


def test_a_notice_that_comes_twice_is_one_restart_and_one_message() -> None:
    world = World()
    world.announce()
    world.clock.pass_seconds(3600)
    assert len(world.announce()) == 1
    assert len(world.messages.sent) == 1


def test_a_notice_that_comes_again_after_its_restart_is_none() -> None:
    world = World(MaintenanceWindow="SUN 02:00-06:00")
    world.announce()
    world.starter.refusal = ClusterBusy("busy")
    world.handler.due(world.last())
    world.starter.refusal = None
    world.handler.due(world.last())
    world.clock.at = BEGINS
    told = list(world.subjects)
    again = {**notice(statusCode="open"), "time": "2026-01-08T00:00:00Z"}
    world.announce(again)
    assert world.subjects == told
    assert len(world.starter.started) == 1
    assert len(world.schedules.schedules) == 1, "the first is kept, and nothing is scheduled"


def test_both_services_of_a_notice_are_two_restarts_the_brokers_first() -> None:
    world = World()
    world.announce(
        {**NOTICE, "resources": [f"{STACK}|connectors", f"{STACK}|orchestration-cluster"]}
    )
    for _ in range(2):
        world.handler.due(world.last())
    assert [request["service"] for _, request, _ in world.starter.started] == [
        "brokers",
        "connectors",
    ]
    assert len({key for _, _, key in world.starter.started}) == 2


def test_a_cluster_of_a_control_stack_whose_name_begins_with_ours_is_not_ours() -> None:
    world = World()
    assert world.stacks.stack is not None
    world.stacks.stack = replace(
        world.stacks.stack, name=f"{CONTROL}-dev-demo", tags=tags(f"{CONTROL}-dev", "demo")
    )
    assert world.announce({**NOTICE, "resources": [f"{CONTROL}-dev-demo|connectors"]}) == []


def test_a_window_that_opens_just_before_aws_begins_is_too_late() -> None:
    world = World(MaintenanceWindow="THU 00:00-06:00")
    world.clock.at = at("2026-01-01T12:00")
    soon = notice(startTime="Thu, 08 Jan 2026 01:00:00 GMT")
    assert world.announce(soon) == [at("2026-01-08T01:00") - LEAD]


def test_what_is_put_off_stays_in_the_window() -> None:
    world = World(MaintenanceWindow="SUN MON 02:00-03:00")
    world.announce()
    world.starter.refusal = ClusterBusy("busy")
    moments = []
    for _ in range(3):
        world.handler.due(world.last())
        moments.append(world.clock.at)
    assert moments == [at("2026-01-04T02:00"), at("2026-01-04T02:30"), at("2026-01-05T02:00")]


def test_a_task_stands_for_its_service() -> None:
    arn = f"arn:aws:ecs:eu-central-1:123456789012:task/{STACK}"
    event = notice(affectedEntities=[{"entityValue": f"{arn}/0a"}, {"entityValue": f"{arn}/0b"}])
    event["resources"] = []
    world = World()
    world.announce(event)
    assert [p["service"] for _, p in world.schedules.schedules.values()] == ["connectors"]


@pytest.mark.parametrize(
    "event",
    [
        {**NOTICE, "resources": ["somebody|orchestration-cluster", f"{STACK}|metrics"]},
        {**NOTICE, "resources": [f"{CONTROL}-gone|orchestration-cluster"]},
        notice(eventRegion="us-east-1"),
        notice(statusCode="closed"),
    ],
    ids=["not ours", "no such cluster", "another region", "closed"],
)
def test_what_is_not_ours_is_left_alone(event: dict[str, Any]) -> None:
    world = World()
    assert world.announce(event) == []
    assert world.messages.sent == []


def test_the_moment_starts_one_restart_however_often_it_comes() -> None:
    world = World()
    world.announce()
    due = world.last()
    for _ in range(2):
        assert world.handler.due(due)["result"] == "STARTED"
    ((verb, request, key),) = world.starter.started
    # Without the restart AWS stops the brokers, whether there is a backup or not.
    wanted = {"clusterName": "demo", "service": "brokers", "acceptNoBackup": True}
    assert (verb, request) == ("restart", wanted)
    read_restart_request(request)
    assert key.startswith("retirement-")
    assert len(key) <= 40


def test_tasks_that_are_all_younger_than_the_notice_are_left_alone() -> None:
    world = World()
    world.announce()
    due = world.last()
    world.tasks.created = [ANNOUNCED + timedelta(hours=1)] * 3
    assert world.handler.due(due)["result"] == "NOT_NEEDED"
    world.tasks.created[0] = ANNOUNCED - timedelta(days=1)
    assert world.handler.due(due)["result"] == "STARTED"


def test_a_cluster_that_is_gone_needs_nothing() -> None:
    world = World()
    world.announce()
    world.stacks.stack = None
    assert world.handler.due(world.last())["result"] == "NOT_NEEDED"


@pytest.mark.parametrize("refusal", [ClusterBusy("busy"), ClusterFrozen("year end")])
def test_a_busy_or_frozen_cluster_is_tried_again_until_aws_begins(refusal: LifecycleError) -> None:
    world = World()
    world.announce()
    world.starter.refusal = refusal
    results: list[str] = []
    attempts: list[str] = []
    while not results or results[-1] == "PUT_OFF":
        due = world.last()
        attempts.append(due["attempt"])
        results.append(world.handler.due(due)["result"])
    assert results[-1] == "GIVEN_UP"
    assert attempts == [str(number) for number in range(1, len(results) + 1)]
    assert world.clock.at + PUT_OFF >= BEGINS
    assert len(results) == (BEGINS - ANNOUNCED) // PUT_OFF
    assert world.subjects == [
        "Cluster demo: brokers will be restarted",
        "Cluster demo: the restart of brokers is postponed",
        "Cluster demo: brokers were not restarted",
    ]
    assert all(len(name) <= 64 for name in world.schedules.schedules)


def test_it_goes_on_once_the_cluster_is_free() -> None:
    world = World()
    world.announce()
    world.starter.refusal = ClusterBusy("busy")
    world.handler.due(world.last())
    world.starter.refusal = None
    assert world.handler.due(world.last())["result"] == "STARTED"


@pytest.mark.parametrize(
    ("status", "subject"),
    [
        ("SUCCEEDED", "Cluster demo: brokers restarted before Fargate's retirement"),
        ("FAILED", "Cluster demo: the restart of brokers did not succeed"),
    ],
)
def test_people_are_told_how_it_ended(status: str, subject: str) -> None:
    world = World()
    for name in ("demo.restart.retirement-b-0a1b-1", "demo.restart.monday"):
        world.handler.ended({"detail": {"name": name, "status": status}})
    assert world.subjects == [subject]


def test_subjects_are_such_as_sns_takes() -> None:
    world = World()
    name = "a" * 19
    world.stacks.stack = replace(  # type: ignore[type-var]
        world.stacks.stack,
        name=f"{CONTROL}-{name}",
        tags=tags(CONTROL, name),
        outputs=ClusterOutputs({"ClusterName": name, "EcsClusterName": f"{CONTROL}-{name}"}),
    )
    world.announce({**NOTICE, "resources": [f"{CONTROL}-{name}|connectors"]})
    world.handler.ended({"detail": {"name": f"{name}.restart.retirement-c-1", "status": "FAILED"}})
    assert all(len(one) < 100 and one.isascii() for one in world.subjects)
    assert len(world.subjects) == 2
