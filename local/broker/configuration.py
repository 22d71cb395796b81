"""The dynamic configuration of a cluster: who holds which partition, and the change under way.

It is a document that every broker keeps and passes on; the broker that executes the next step of a
change writes it. What is planned for a request, and how each request is rejected, follows
recordings of 8.6.0 and, for newer behaviour, Camunda's source (`ScaleRequestTransformer`,
`PartitionReassignRequestTransformer`): `PRE_SCALING` and `POST_SCALING` around a change of members,
partition scaling. Times are seconds since the epoch, given by the caller.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

type Dialect = Literal["8.6", "8.9", "8.10"]
type Json = dict[str, Any]

EXPORTER = "rdbms"
_KEPT_CHANGES = 10
_ILLEGAL = "java.lang.IllegalArgumentException: "
_STATE = "java.lang.IllegalStateException: "


class BadRequest(Exception):
    """The body is not of the type that the endpoint takes."""


class Refusal(Exception):
    """An answer that is not a success: HTTP status and Camunda's message."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(f"{status}: {message}")


@dataclass
class Replica:
    """A partition on a member, and the state of its one exporter there."""

    state: str
    priority: int
    exporter: str = "ENABLED"


@dataclass
class Member:
    """A broker in the configuration; partitions by id."""

    state: str = "ACTIVE"
    version: int = 0
    updated: float | None = None
    partitions: dict[int, Replica] = field(default_factory=dict)

    def touch(self, now: float) -> None:
        """Count a change of this member."""
        self.version += 1
        self.updated = now


@dataclass
class Step:
    """One step of a change; ``begun`` and ``done`` are times. ``broker`` executes it.

    ``detail`` is the backup of a restore, an exporter, or the state of exporting.
    """

    operation: str
    broker: int
    partition: int | None = None
    priority: int | None = None
    brokers: list[int] = field(default_factory=list)
    detail: str = ""
    begun: float | None = None
    done: float | None = None


@dataclass
class Change:
    """A change under way; the factor and the number of partitions are those after it."""

    id: int
    started: float
    steps: list[Step]
    replication_factor: int
    partitions: int


@dataclass
class Ended:
    """A change that ended."""

    id: int
    status: str
    started: float
    completed: float


@dataclass(frozen=True)
class Wanted:
    """The target of a request: members, replicas of each partition, number of partitions."""

    members: frozenset[int]
    replication_factor: int
    partitions: int


@dataclass
class Configuration:
    """Members with their partitions, the change under way and those that ended.

    ``progress`` counts steps within ``version``: of two copies the one with the higher pair is the
    newer. ``generations``: which of a partition's Raft groups it is: one is formed anew by
    force, and by a restore.
    """

    cluster_size: int
    partitions: int
    replication_factor: int
    dialect: Dialect = "8.9"
    version: int = 1
    progress: int = 0
    cluster_id: str = "00000000-0000-4000-8000-000000000000"
    members: dict[int, Member] = field(default_factory=dict)
    pending: Change | None = None
    last: Ended | None = None
    history: list[Ended] = field(default_factory=list)
    generations: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.members:
            nodes = range(self.cluster_size)
            self.members = {node: Member() for node in nodes}
            placement = self._placement(nodes, self.replication_factor, self.partitions)
            for partition, replicas in placement.items():
                for node, priority in replicas.items():
                    self.members[node].partitions[partition] = Replica("ACTIVE", priority)

    @property
    def stamp(self) -> tuple[int, int]:
        """Order of copies: the higher is the newer."""
        return self.version, self.progress

    def coordinator(self) -> int:
        """Give the member that decides on changes: the lowest id."""
        return min(self.members)

    def retained(self, body: object) -> set[int]:
        """Give the members that a forced request keeps. Raises BadRequest."""
        if isinstance(body, list):
            return set(self.members) & _numbers(body)
        return set(self.members) - _numbers(_object(_object(body).get("brokers")).get("remove"))

    def replicas(self, partition: int) -> dict[int, Replica]:
        """Give the members that hold a partition."""
        return {
            node: member.partitions[partition]
            for node, member in self.members.items()
            if partition in member.partitions
        }

    # Requests of users

    def describe(self) -> Json:
        """Give the body of ``GET /actuator/cluster``."""
        payload: Json = {"version": self.version, "brokers": self._listed()}
        if self.last is not None:
            payload["lastChange"] = _ended(self.last)
        if self.pending is not None:
            steps = self.pending.steps
            payload["pendingChange"] = {
                "id": self.pending.id,
                "status": "IN_PROGRESS",
                "completed": [self._operation(step) for step in steps if step.done is not None],
                "pending": [self._operation(step) for step in steps if step.done is None],
            }
        if self.dialect != "8.6":
            payload["clusterId"] = self.cluster_id
            payload["routing"] = self.routing()
        return payload

    def routing(self) -> Json:
        """Give the routing state: partitions that get requests, and how messages are spread."""
        handling: Json = {"strategy": "AllPartitions", "partitionCount": self.partitions}
        growing = self.pending is not None and self.pending.partitions > self.partitions
        if self.pending is not None and growing:
            added = list(range(self.partitions + 1, self.pending.partitions + 1))
            active = any(
                step.operation == "AWAIT_REDISTRIBUTION" and step.done
                for step in self.pending.steps
            )
            handling = {
                "strategy": "ActivePartitions",
                "basePartitionCount": self.partitions,
                "additionalActivePartitions": added if active else [],
                "inactivePartitions": [] if active else added,
            }
        return {
            "version": self.version if growing else 1,
            "requestHandling": handling,
            "messageCorrelation": {"strategy": "HashMod", "partitionCount": self.partitions},
        }

    def changes(self) -> list[Json]:
        """Give the body of ``GET /actuator/cluster/changes`` (8.10): the ten that ended last."""
        return [_ended(change) for change in self.history]

    def restore_status(self) -> Json | None:
        """Give the body of ``GET /v2/restore`` (8.10); None without a restore under way."""
        steps = self.pending.steps if self.pending else []
        begun = {
            (step.broker, step.partition)
            for step in steps
            if step.operation == "PARTITION_PRE_RESTORE" and step.begun is not None
        }
        brokers: dict[int, list[Json]] = {}
        for step in steps:
            if step.operation == "PARTITION_RESTORE":
                waits = "RESTORING" if (step.broker, step.partition) in begun else "PENDING"
                shown = {
                    "partitionId": step.partition,
                    "state": waits if step.done is None else "RESTORED",
                    "backupIds": [int(step.detail)],
                    "completedAt": None if step.done is None else instant(step.done),
                }
                brokers.setdefault(step.broker, []).append(shown)
        if self.pending is None or not brokers:
            return None
        return {
            "status": "IN_PROGRESS",
            "changeId": str(self.pending.id),
            "startedAt": instant(self.pending.started),
            "brokers": [
                {
                    "brokerId": str(node),
                    "partitionsRestored": sum(one["state"] == "RESTORED" for one in held),
                    "partitionsToRestore": len(held),
                    "partitions": held,
                }
                for node, held in brokers.items()
            ],
        }

    def require_recovery(self) -> None:
        """Raise Refusal unless all brokers that hold a partition are in recovery mode."""
        holders = [member for member in self.members.values() if member.partitions]
        if any(member.state != "RECOVERING" for member in holders):
            raise Refusal(
                409,
                "Restore is only allowed while physical tenant 'default' is in recovery mode.",
            )

    def exporters(self) -> list[Json]:
        """Give the body of ``GET /actuator/exporters``: on the way while replicas differ."""
        states = {
            one.exporter for member in self.members.values() for one in member.partitions.values()
        }
        step = self.next_step()
        going = step is not None and step.operation.endswith("ABLE_EXPORTER")
        status = min(states) if len(states) == 1 else "UNKNOWN"
        if step is not None and going and len(states) != 1:
            status = "ENABLING" if "ENABLE_" in step.operation else "DISABLING"
        return [{"exporterId": EXPORTER, "status": status}]

    # Requests: each gives the body of its 202, or raises Refusal or BadRequest

    def patch(
        self, body: object, *, now: float, dry_run: bool = False, force: bool = False
    ) -> Json:
        """Answer ``PATCH /actuator/cluster``."""
        request = _object(body)
        brokers, partitions = _object(request.get("brokers")), _object(request.get("partitions"))
        count = _number(brokers.get("count"))
        add, remove = _numbers(brokers.get("add")), _numbers(brokers.get("remove"))
        if force:
            if count is not None:
                raise Refusal(400, "Cannot force change the broker count.")
            if add:
                raise Refusal(400, "Cannot force add brokers")
            if not remove:
                raise Refusal(400, "Must provide a set of brokers to force remove.")
            return self._answer(self._forced(remove), None, now, dry_run)
        if count is not None and (add or remove):
            raise Refusal(
                400,
                "Cannot change brokers count and add/remove brokers at the same time. Specify "
                "either the new brokers count or brokers to add and remove.",
            )
        if add & remove:
            raise Refusal(
                400, f"{_ILLEGAL}Cannot add and remove the same member in the same request"
            )
        members = set(range(count)) if count is not None else (set(self.members) | add) - remove
        return self._scale(
            members,
            _number(partitions.get("replicationFactor")),
            _number(partitions.get("count")),
            now,
            dry_run,
        )

    def set_brokers(
        self,
        body: object,
        *,
        now: float,
        dry_run: bool = False,
        force: bool = False,
        replication_factor: int | None = None,
    ) -> Json:
        """Answer ``POST /actuator/cluster/brokers``: the complete set of members."""
        if not isinstance(body, list):
            raise BadRequest
        members = _numbers(body)
        if force:
            return self._answer(self._forced(set(self.members) - members), None, now, dry_run)
        return self._scale(members, replication_factor, None, now, dry_run)

    def add_broker(self, node: int, *, now: float, dry_run: bool = False) -> Json:
        """Answer ``POST /actuator/cluster/brokers/{id}``: a member without partitions."""
        steps = [] if node in self.members else [Step("BROKER_ADD", node)]
        return self._answer(steps, None, now, dry_run)

    def remove_broker(self, node: int, *, now: float, dry_run: bool = False) -> Json:
        """Answer ``DELETE /actuator/cluster/brokers/{id}``: a member without partitions."""
        if node in self.members:
            self._refuse_holder(node, self.members[node].partitions)
        steps = [Step("BROKER_REMOVE", node)] if node in self.members else []
        return self._answer(steps, None, now, dry_run)

    def join_partition(
        self, node: int, partition: int, body: object, *, now: float, dry_run: bool = False
    ) -> Json:
        """Answer ``POST /actuator/cluster/brokers/{b}/partitions/{p}``."""
        held = self._member(node, "join").partitions.get(partition)
        if held is not None:
            raise Refusal(
                400,
                f"{_STATE}Expected to join partition {partition}, but the local member already "
                f"has the partition at state {held.state}",
            )
        priority = _number(_object(body).get("priority")) or 0
        return self._answer([Step("PARTITION_JOIN", node, partition, priority)], None, now, dry_run)

    def leave_partition(
        self, node: int, partition: int, *, now: float, dry_run: bool = False
    ) -> Json:
        """Answer ``DELETE /actuator/cluster/brokers/{b}/partitions/{p}``."""
        if partition not in self._member(node, "leave").partitions:
            raise Refusal(
                400,
                f"{_STATE}Expected to leave partition, but the local member does not have the "
                f"partition {partition}",
            )
        return self._answer([Step("PARTITION_LEAVE", node, partition)], None, now, dry_run)

    def mode(self, mode: str, *, now: float, dry_run: bool = False) -> Json:
        """Answer ``PATCH /v2/mode``: brokers that are in that mode already are left out."""
        self._refuse_second()
        recovery = mode == "RECOVERING"
        nodes = [
            node
            for node in self._holders()
            if (self.members[node].state == "RECOVERING") != recovery
        ]
        steps = [Step("ENTER_RECOVERY" if recovery else "EXIT_RECOVERY", node) for node in nodes]
        steps += [Step("AWAIT_MODE_CHANGE", node) for node in nodes]
        return self._answer(steps, None, now, dry_run)

    def restore(self, backup: int, *, now: float, dry_run: bool = False) -> Json:
        """Answer ``POST /v2/restore``; order of steps: ``RestoreRequestTransformer``."""
        self.require_recovery()
        nodes = self._holders()
        held = [(node, partition) for node in nodes for partition in self.members[node].partitions]
        steps = [Step("PARTITION_PRE_RESTORE", *one) for one in held]
        steps += [Step("PARTITION_RESTORE", *one, detail=str(backup)) for one in held]
        steps += [Step("EXIT_RECOVERY", node) for node in nodes]
        steps += [Step("AWAIT_MODE_CHANGE", node) for node in nodes]
        steps.append(Step("UPDATE_INCARNATION_NUMBER", self.coordinator()))
        return self._answer(steps, None, now, dry_run)

    def set_exporter(self, exporter: str, verb: str, *, now: float, dry_run: bool = False) -> Json:
        """Answer ``POST /actuator/exporters/{id}/{verb}``, and ``DELETE`` as ``delete``."""
        known = exporter == EXPORTER
        if not known or verb == "delete":
            begin = f"Expected to {verb} exporter"
            if self.dialect == "8.10":
                why = "the exporter is still configured. Delete the exporter from the application "
                why = f"{why}configuration first." if known else "no matching exporters were found"
                text = f"{begin} '{exporter}' for physical tenant 'all tenants', but {why}"
                raise Refusal(400 if known else 404, text)
            state = f"is in state '{self.exporters()[0]['status']}' instead of 'CONFIG_NOT_FOUND'."
            why = f"partition '1' with exporter '{exporter}' {state}"
            if not known:
                why = f"the partition '1' does not have the exporter '{exporter}'"
            raise Refusal(400, f"{_STATE}{begin}, but {why}")
        steps = [
            Step(f"PARTITION_{verb.upper()}_EXPORTER", node, partition, detail=exporter)
            for node in self._holders()
            for partition in self.members[node].partitions
        ]
        return self._answer(steps, None, now, dry_run)

    def set_exporting(self, state: str, *, now: float, dry_run: bool = False) -> Json:
        """Plan that exporting is paused or resumed, as 8.10 does it."""
        steps = [Step("EXPORTING_STATE_CHANGE", node, detail=state) for node in self._holders()]
        return self._answer(steps, None, now, dry_run)

    def _holders(self) -> list[int]:
        return sorted(node for node, member in self.members.items() if member.partitions)

    def cancel(self, change_id: int, *, now: float) -> Json:
        """Answer ``DELETE /actuator/cluster/changes/{id}``; steps that were done stay done."""
        if self.pending is None:
            raise Refusal(400, f"Cannot cancel change {change_id} because no change is in progress")
        if self.pending.id != change_id:
            raise Refusal(
                400, f"Cannot cancel change {change_id} because it is not the current change"
            )
        self._close("CANCELLED", now)
        self.version += 2
        self.progress = 0
        return self.describe()

    # Steps

    def next_step(self) -> Step | None:
        """Give the step that has its turn."""
        steps = self.pending.steps if self.pending else []
        return next((step for step in steps if step.done is None), None)

    def begin(self, step: Step, now: float) -> None:
        """Write that a step has begun."""
        step.begun = now
        self.progress += 1
        partition, priority = step.partition or 0, step.priority or 0
        match step.operation:
            case "BROKER_ADD":
                self.members[step.broker] = Member(state="JOINING")
            case "BROKER_REMOVE" if not step.brokers:
                self.members[step.broker].state = "LEAVING"
            case "PARTITION_JOIN" | "PARTITION_BOOTSTRAP":
                held = self.members[step.broker].partitions
                if partition in held:
                    return
                # Exporters are those that the partition has elsewhere.
                others = [one.exporter for one in self.replicas(partition).values()]
                held[partition] = Replica("JOINING", priority, *others[:1])
            case "PARTITION_LEAVE":
                self.members[step.broker].partitions[partition].state = "LEAVING"
            case _:
                return
        self.members[step.broker].touch(now)

    def complete(self, step: Step, now: float) -> None:
        """Write that a step is done; after the last one the change has ended."""
        step.done = now
        self.progress += 1
        touched = {step.broker}
        match step.operation:
            case "BROKER_ADD":
                self.members[step.broker].state = "ACTIVE"
            case "BROKER_REMOVE":
                touched = set(step.brokers or [step.broker])
                for node in touched:
                    self.members[node].state = "LEFT"
            case "PARTITION_JOIN" | "PARTITION_BOOTSTRAP":
                self.members[step.broker].partitions[step.partition or 0].state = "ACTIVE"
            case "PARTITION_LEAVE":
                del self.members[step.broker].partitions[step.partition or 0]
            case "PARTITION_RECONFIGURE_PRIORITY":
                replica = self.members[step.broker].partitions[step.partition or 0]
                replica.priority = step.priority or 0
            case "PARTITION_FORCE_RECONFIGURE":
                partition = step.partition or 0
                self.generations[partition] = self.generations.get(partition, 1) + 1
                touched = set(self.replicas(partition)) - set(step.brokers)
                for node in touched:
                    del self.members[node].partitions[partition]
            case _ if not self._complete_other(step):
                touched = set()
        for node in touched & set(self.members):
            self.members[node].touch(now)
        if self.next_step() is None:
            self.end(now)

    def _complete_other(self, step: Step) -> bool:
        """Write that a step is done which moves no partition; whether it changes its broker."""
        match step.operation:
            case "ENTER_RECOVERY" | "EXIT_RECOVERY":
                member = self.members[step.broker]
                member.state = "RECOVERING" if step.operation == "ENTER_RECOVERY" else "ACTIVE"
                for replica in member.partitions.values():
                    replica.state = member.state
                return True
            case "PARTITION_ENABLE_EXPORTER" | "PARTITION_DISABLE_EXPORTER":
                state = "ENABLED" if "ENABLE_" in step.operation else "DISABLED"
                self.members[step.broker].partitions[step.partition or 0].exporter = state
                return True
            case "PARTITION_RESTORE" if self.pending is not None:
                # Higher than all before it: each needed a change of its own.
                self.generations[step.partition or 0] = self.pending.id
        return False

    def end(self, now: float) -> None:
        """Write that the change is complete."""
        change = self.pending
        if change is None:
            return
        self.members = {n: m for n, m in self.members.items() if m.state != "LEFT"}
        forced = any(step.operation == "PARTITION_FORCE_RECONFIGURE" for step in change.steps)
        self.partitions = change.partitions
        self.replication_factor = (
            min(len(self.replicas(partition + 1)) for partition in range(self.partitions))
            if forced
            else change.replication_factor
        )
        self._close("COMPLETED", now)
        self.version += 1
        self.progress = 0

    def _close(self, status: str, now: float) -> None:
        if self.pending is not None:
            self.last = Ended(self.pending.id, status, self.pending.started, now)
            self.history = [self.last, *self.history][:_KEPT_CHANGES]
            self.pending = None

    # For keeping it in a file and passing it on

    def to_json(self) -> Json:
        """Give the whole state, JSON-serialisable."""
        return asdict(self)

    @classmethod
    def from_json(cls, state: Json) -> Self:
        """Give back what ``to_json`` gave."""
        known = {one.name for one in fields(cls)}
        given: Json = {name: value for name, value in state.items() if name in known}
        pending = given["pending"]
        given["members"] = {
            int(node): Member(
                **{
                    **member,
                    "partitions": {
                        int(partition): Replica(**replica)
                        for partition, replica in member["partitions"].items()
                    },
                }
            )
            for node, member in given["members"].items()
        }
        given["pending"] = pending and Change(
            **{**pending, "steps": [Step(**step) for step in pending["steps"]]}
        )
        given["last"] = given["last"] and Ended(**given["last"])
        given["history"] = [Ended(**one) for one in given["history"]]
        given["generations"] = {int(one): n for one, n in given["generations"].items()}
        return cls(**given)

    # Planning

    def _scale(
        self,
        members: set[int],
        replication_factor: int | None,
        partitions: int | None,
        now: float,
        dry_run: bool,
    ) -> Json:
        factor = self.replication_factor if replication_factor is None else replication_factor
        count = self.partitions if partitions is None else partitions
        if count != self.partitions and self.dialect == "8.6":
            raise Refusal(
                500,
                "java.lang.UnsupportedOperationException: Partition scaling is not enabled.",
            )
        if not members:
            raise Refusal(400, f"{_ILLEGAL}Cannot reassign partitions if no brokers are provided")
        if count < self.partitions:
            raise Refusal(
                400,
                f"New partition count [{count}] must be greater than or equal to the current "
                f"partition count [{self.partitions}]",
            )
        if factor <= 0:
            raise Refusal(400, f"Replication factor [{factor}] must be greater than 0")
        if len(members) < factor:
            raise Refusal(
                400,
                f"Number of brokers [{len(members)}] is less than the replication factor "
                f"[{factor}]",
            )
        wanted = Wanted(frozenset(members), factor, count)
        return self._answer(self._plan(wanted), wanted, now, dry_run)

    def _answer(self, steps: list[Step], wanted: Wanted | None, now: float, dry_run: bool) -> Json:
        before = self._listed()
        if not steps:
            return self._planned(self.last.id if self.last else 0, before, before, [])
        self._refuse_second()
        change = Change(
            self.version + 1,
            now,
            steps,
            wanted.replication_factor if wanted else self.replication_factor,
            wanted.partitions if wanted else self.partitions,
        )
        trial = copy.deepcopy(self)
        trial.pending = copy.deepcopy(change)
        for step in list(trial.pending.steps):
            trial.begin(step, now)
            trial.complete(step, now)
        answer = self._planned(change.id, before, trial._listed(), steps)
        if not dry_run:
            self.version, self.progress, self.pending = change.id, 0, change
        return answer

    def _refuse_second(self) -> None:
        if self.pending is not None:
            raise Refusal(
                409,
                "Cannot apply configuration change. Another configuration change "
                f"[ClusterConfiguration[version={self.version}, members={self._listed()}]] is in "
                "progress.",
            )

    def _plan(self, wanted: Wanted) -> list[Step]:
        """Plan the steps as Camunda orders them: joins before leaves, members last."""
        members, new = sorted(wanted.members), range(self.partitions + 1, wanted.partitions + 1)
        steps = [Step("BROKER_ADD", node) for node in members if node not in self.members]
        placement = self._placement(members, wanted.replication_factor, wanted.partitions)
        for partition in range(1, self.partitions + 1):
            steps += self._moves(partition, placement[partition])
        if new:
            steps.append(Step("START_PARTITION_SCALE_UP", self.coordinator()))
        for partition in new:
            by_priority = sorted(placement[partition].items(), key=lambda item: -item[1])
            steps += [
                Step(
                    "PARTITION_JOIN" if place else "PARTITION_BOOTSTRAP", node, partition, priority
                )
                for place, (node, priority) in enumerate(by_priority)
            ]
        if new:
            steps.append(Step("AWAIT_REDISTRIBUTION", self.coordinator()))
            steps.append(Step("AWAIT_RELOCATION", self.coordinator()))
        removed = sorted(set(self.members) - wanted.members)
        steps += [Step("BROKER_REMOVE", node) for node in removed]
        for node in removed:
            self._refuse_holder(
                node,
                {p: r for p, r in self.members[node].partitions.items() if r.state == "JOINING"},
            )
        if self.dialect != "8.6" and wanted.members != set(self.members):
            steps.insert(0, Step("PRE_SCALING", self.coordinator(), brokers=members))
            steps.append(Step("POST_SCALING", self.coordinator(), brokers=members))
        return steps

    def _moves(self, partition: int, wanted: Mapping[int, int]) -> list[Step]:
        present = {
            node: replica.priority
            for node, replica in self.replicas(partition).items()
            if replica.state != "JOINING"
        }
        return [
            *(
                Step("PARTITION_JOIN", node, partition, priority)
                for node, priority in wanted.items()
                if node not in present
            ),
            *(Step("PARTITION_LEAVE", node, partition) for node in present if node not in wanted),
            *(
                Step("PARTITION_RECONFIGURE_PRIORITY", node, partition, priority)
                for node, priority in wanted.items()
                if node in present and present[node] != priority
            ),
        ]

    def _forced(self, removed: set[int]) -> list[Step]:
        """Plan a forced removal: every partition goes on with the members that are retained."""
        retained = set(self.members) - removed
        partitions = range(1, self.partitions + 1)
        lost = [p for p in partitions if not set(self.replicas(p)) & retained]
        if lost or not retained:
            raise Refusal(
                400,
                f"Expected to force configure and retain members '{sorted(retained)}', but this "
                f"will result in partitions '{lost or list(partitions)}' having no replicas",
            )
        steps = []
        for partition in partitions:
            left = sorted(set(self.replicas(partition)) & retained, key=_as_listed)
            steps.append(Step("PARTITION_FORCE_RECONFIGURE", left[0], partition, brokers=left))
        gone = sorted(removed & set(self.members))
        return steps + [Step("BROKER_REMOVE", min(retained), brokers=[node]) for node in gone]

    def _placement(
        self, nodes: Iterable[int], factor: int, partitions: int
    ) -> dict[int, dict[int, int]]:
        """Place round robin; priorities fall from the leader, and rise on every second round."""
        ordered = sorted(nodes)
        placement: dict[int, dict[int, int]] = {}
        for index in range(partitions):
            rising = (index // len(ordered)) % 2 == 1
            placement[index + 1] = {
                ordered[(index + place) % len(ordered)]: factor
                if place == 0
                else (place if rising else factor - place)
                for place in range(factor)
            }
        return placement

    def _listed(self) -> list[Json]:
        return _brokers(self.members, () if self.dialect == "8.6" else (EXPORTER,))

    def _member(self, node: int, verb: str) -> Member:
        if node not in self.members:
            raise Refusal(
                400,
                f"{_STATE}Expected to {verb} partition, but the local member is not active",
            )
        return self.members[node]

    def _refuse_holder(self, node: int, partitions: Mapping[int, Replica]) -> None:
        if partitions:
            raise Refusal(
                400,
                f"{_STATE}Expected to remove member {node}, but the member still has partitions "
                f"assigned. Partitions: [{dict(partitions)}]",
            )

    def _planned(
        self, change_id: int, before: list[Json], after: list[Json], steps: Sequence[Step]
    ) -> Json:
        return {
            "changeId": change_id,
            "currentTopology": before,
            "plannedChanges": [self._operation(step) for step in steps],
            "expectedTopology": after,
        }

    def _operation(self, step: Step) -> Json:
        operation: Json = {"operation": step.operation, "brokerId": step.broker}
        if step.partition is not None:
            operation["partitionId"] = step.partition
        if step.priority is not None:
            operation["priority"] = step.priority
        operation["brokers"] = list(step.brokers)
        if step.operation.endswith("ABLE_EXPORTER"):
            operation["exporterId"] = step.detail
        if step.operation == "EXPORTING_STATE_CHANGE":
            operation["exportingState"] = step.detail
        if step.done is not None:
            operation["completedAt"] = instant(step.done)
        return operation


def instant(moment: float | None) -> str:
    """Give a time as Camunda prints it; what never changed is of the year 0."""
    if moment is None:
        return "0000-01-01T00:00:00Z"
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def _ended(change: Ended) -> Json:
    return {
        "id": change.id,
        "status": change.status,
        "startedAt": instant(change.started),
        "completedAt": instant(change.completed),
    }


def _as_listed(node: int) -> tuple[bool, int]:
    """Not sorted by id, like the real answer."""
    return node == 0, node


def _brokers(members: Mapping[int, Member], exporters: Sequence[str]) -> list[Json]:
    return [
        {
            "id": node,
            "state": members[node].state,
            "version": members[node].version,
            "lastUpdatedAt": instant(members[node].updated),
            "partitions": [
                {
                    "id": partition,
                    "state": replica.state,
                    "priority": replica.priority,
                    "config": {
                        "exporting": {
                            "exporters": [
                                {"id": one, "state": replica.exporter} for one in exporters
                            ]
                        }
                    },
                }
                for partition, replica in sorted(members[node].partitions.items())
            ],
        }
        for node in sorted(members, key=_as_listed)
    ]


def _object(value: object) -> Json:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest
    return value


def _number(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadRequest
    try:
        return int(value)
    except ValueError as error:
        raise BadRequest from error


def _numbers(value: object) -> set[int]:
    if value is None:
        return set()
    if not isinstance(value, list):
        raise BadRequest
    numbers = (_number(one) for one in value)
    return {number for number in numbers if number is not None}
