"""Tear a cluster down: list, stop, empty what a trial leaves, delete, follow to the end.

Each step makes true what it stands for and returns how far that is, whatever did a part of it
before; so repeating any of them is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.find import refuse_mistaken
from lifecycle.cluster.former_data import FORMER_PATIENCE, final_snapshot, in_the_way
from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.cluster.lifetimes import PresentDatabase
from lifecycle.cluster.names import change_set_name, stack_name
from lifecycle.cluster.polling import Wait, next_wait
from lifecycle.cluster.stack import BALANCER, StackResource, progress_of
from lifecycle.cluster.trial import is_trial
from lifecycle.errors import (
    AwsUnavailable,
    FormerDataNotDeleted,
    NamespaceNotEmpty,
    StackNotDeleted,
    StackNotUsable,
    TasksStillRunning,
)
from lifecycle.operation.steps import BUCKETS_EMPTIED, SERVICES_STOP, STACK_DELETED
from lifecycle.services.definition import NAMES
from lifecycle.teardown.decisions import (
    STOP_SECONDS,
    StackState,
    absent_plan,
    deletion_policies,
    kept_resources,
    read_teardown_request,
    refuse_adopted,
    state_of,
    teardown_plan,
    what_blocks,
)
from lifecycle.teardown.discovery import leftovers, namespaces_of, services_of
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cluster.ports import FormerData, Stacks
    from lifecycle.cluster.stack import Stack
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.services.ports import Services, TargetGroups
    from lifecycle.teardown.ports import Balancers, Databases, Health, Namespaces, Storage, WaysBack

DATABASE: Final = "AWS::RDS::DBCluster"
BUCKET: Final = "AWS::S3::Bucket"
_TARGET_GROUPS: Final = (
    "RestTargetGroupArn",
    "GrpcTargetGroupArn",
    "ConnectorsTargetGroupArn",
    "ManagementTargetGroupArn",
)


@dataclass(frozen=True, slots=True)
class TeardownPlanner:
    """What a teardown would do; changes nothing."""

    stacks: Stacks
    storage: Storage
    ways: WaysBack
    former: FormerData
    control_stack: str
    region: str

    def plan(self, raw: object) -> dict[str, Any]:
        """Validate a request and list what is deleted and retained, with its cost.

        Returns the request as the machine carries it (``cluster``, ``stack``, ``ecsCluster``,
        ``dryRun``) and the ``plan``. Raises ``InvalidRequest``, ``ClusterFrozen``,
        ``StackNotUsable``.
        """
        request = read_teardown_request(raw)
        name = stack_name(self.control_stack, request.cluster)
        stack = self.stacks.describe(name)
        carried = {
            "cluster": request.cluster,
            "stack": name,
            # An ECS cluster that is provisioned has its stack's name.
            "ecsCluster": name,
            "dryRun": request.dry_run,
            "approves": request.approves,
        }
        if (
            stack is None
            or state_of(stack, self.control_stack, request.cluster) is StackState.ABSENT
        ):
            return {**carried, "plan": absent_plan(name, request.cluster)}
        refuse_if_frozen(name, stack.tags)
        refuse_adopted(stack)
        if stack.outputs:
            refuse_mistaken(self.stacks, stack, self.control_stack, request.cluster)
        contents = self.stacks.contents(name)
        policies = deletion_policies(self.stacks.template(name))
        trial = is_trial(stack.parameters)
        beside = self.former.databases(request.cluster, _database(contents))
        if stuck := in_the_way(beside):
            raise StackNotUsable(
                f"Stack {name} cannot be deleted: {stuck}, and it stands in the subnet group of "
                f"cluster {request.cluster}, whose tags it has.",
                next_step="Start it if it is stopped, and enable its key if that is not enabled. "
                "If it has instances, something works with it: delete it in RDS, or restore it "
                "into another subnet group and delete it here. Then start the same request again.",
            )
        # What restores have replaced is kept as what the stack has now.
        former = (
            [] if trial else _former_buckets(self.former, request.cluster, stack.stack_id, contents)
        )
        policies |= dict.fromkeys((one.logical_id for one in former), "Retain")
        contents = [*contents, *former]
        retained = [one for one in contents if policies.get(one.logical_id, "Delete") != "Delete"]
        kept = kept_resources(
            contents,
            policies,
            {one.logical_id: self.storage.size(one) for one in retained},
            region=self.region,
        )
        # Of a trial nothing is kept.
        back = (
            None
            if trial
            else self.ways.of(
                request.cluster,
                stack.outputs.get("BackupBucketName", ""),
                PresentDatabase(
                    stack.outputs.get("DatabaseClusterId", ""),
                    stack.outputs.get("DatabaseSnapshot", ""),
                ),
            )
        )
        plan = teardown_plan(stack, contents, policies, kept, back, beside=beside)
        return {**carried, "plan": plan}


def _database(contents: Sequence[StackResource]) -> str:
    """Return the identifier of the stack's own database, empty without one."""
    found = [one.physical_id for one in contents if one.resource_type == DATABASE]
    return found[0] if found else ""


def _former_buckets(
    former: FormerData, cluster: str, stack_id: str, contents: Sequence[StackResource]
) -> list[StackResource]:
    """Return the buckets of former leases as the stack would have them."""
    present = {one.physical_id for one in contents}
    names = former.leases(cluster, stack_id, present)
    return [
        StackResource(f"FormerNodeIdBucket{number}", BUCKET, name)
        for number, name in enumerate(names, 1)
    ]


@dataclass(frozen=True, slots=True)
class ClusterStopper:
    """Counts to zero, and nothing left that runs or is registered."""

    stacks: Stacks
    services: Services
    targets: TargetGroups
    namespaces: Namespaces
    journal: Journal
    control_stack: str

    def stop(
        self, operation: Operation, *, stack: str, waited: Mapping[str, Any], polls: int
    ) -> dict[str, Any]:
        """Set the counts to zero, delete the services, then what they left in Cloud Map.

        ``waited`` is what the last look returned as such, empty at first. Returns ``status``
        ``STOPPED`` when all of it is gone, or ``WAITING`` with ``wait`` (seconds) and ``waited``.
        Raises ``ClusterFrozen``, ``StackNotUsable``, ``TasksStillRunning``, ``NamespaceNotEmpty``.
        """
        now = epoch(self.journal.clock.now())
        lasting = Wait.at(SERVICES_STOP, now, Wait.read(waited))
        self.journal.look(operation, SERVICES_STOP, "reading the stack")
        found = self.stacks.describe(stack)
        state = state_of(found, self.control_stack, operation.cluster)
        if found is None or state is StackState.ABSENT:
            return {"status": "STOPPED"}
        if polls == 0:
            refuse_if_frozen(stack, found.tags)
        if state is StackState.BUSY:
            self.journal.look(
                operation, SERVICES_STOP, f"CloudFormation is still busy ({found.status})"
            )
            wait = next_wait(polls, near_end=False)
            return {"status": "WAITING", "waited": lasting.as_state(), "wait": wait}
        self.journal.change(operation, "it set the counts to zero")
        waiting = self._services(found) + self._targets(found)
        waiting = waiting or self._delete_services(found)
        registered = [] if waiting else self._empty_namespaces(found)
        if not waiting and not registered:
            done = "no task runs, no service remains, and Cloud Map is empty"
            self.journal.step(operation, SERVICES_STOP, done)
            return {"status": "STOPPED"}
        if lasting.lasted(STOP_SECONDS, now):
            raise _overdue(waiting, registered)
        waiting = waiting or registered
        self.journal.step(operation, SERVICES_STOP, "; ".join(waiting))
        seconds = next_wait(min(polls, 3), near_end=False)
        return {"status": "WAITING", "waited": lasting.as_state(), "wait": seconds}

    def _services(self, stack: Stack) -> list[str]:
        ecs_cluster = stack.name
        waiting = []
        for service in reversed(self.services.describe(ecs_cluster, NAMES)):
            if service.status == "ACTIVE" and service.desired > 0:
                self.services.set_count(ecs_cluster, service.name, 0)
            tasks = service.running + service.pending
            if tasks or service.desired:
                waiting.append(f"{service.name}: {tasks} tasks still run")
        return waiting

    def _delete_services(self, stack: Stack) -> list[str]:
        """Delete services without tasks: what they refer to goes with the stack, so they go first.

        A service that ECS deletes is DRAINING for a while; then its name is free.
        """
        ecs_cluster = stack.name
        there = [one for one in self.services.describe(ecs_cluster, NAMES) if one.exists]
        for service in there:
            if service.status == "ACTIVE":
                self.services.delete(ecs_cluster, service.name)
        return [f"ECS deletes the service {service.name}" for service in there]

    def _empty_namespaces(self, stack: Stack) -> list[str]:
        """Delete what ECS left in the stack's namespaces; return what still has instances."""
        contents = self.stacks.contents(stack.name)
        owned = services_of(contents)
        busy = []
        for namespace in namespaces_of(contents):
            left = leftovers(self.namespaces.services(namespace), owned)
            busy += [f"Cloud Map has {one.instances} instances of {one.name}" for one in left.busy]
            busy += [
                f"Cloud Map still finds instances of {one.name}"
                for one in left.removable
                if not self.namespaces.delete_service(one.identifier)
            ]
        return busy

    def _targets(self, stack: Stack) -> list[str]:
        waiting = []
        for output in _TARGET_GROUPS:
            arn = stack.outputs.get(output)
            targets = self.targets.health(arn) if arn and not _deleting(stack) else ()
            if targets:
                waiting.append(f"{len(targets)} targets of {output.removesuffix('Arn')}")
        return waiting


def _overdue(
    tasks: Sequence[str], registered: Sequence[str]
) -> TasksStillRunning | NamespaceNotEmpty:
    minutes = STOP_SECONDS // 60
    if tasks:
        return TasksStillRunning(
            f"Counts have been zero for {minutes} minutes, yet {'; '.join(tasks)}.",
            next_step="Check the services' events in ECS (task protection, draining), then start "
            "the same operation again; it resumes where it stopped.",
        )
    return NamespaceNotEmpty(
        f"The services were stopped {minutes} minutes ago, yet {'; '.join(registered)}.",
        next_step="Find out what registered them (aws servicediscovery list-instances); "
        "instances of other clusters must leave the namespace. Then start the same "
        "operation again.",
    )


def _deleting(stack: Stack) -> bool:
    # What the outputs name may be gone already.
    return stack.status.startswith("DELETE_")


@dataclass(frozen=True, slots=True)
class TrialEmptier:
    """Empties the buckets of a trial, which CloudFormation deletes only when they are empty."""

    stacks: Stacks
    storage: Storage
    former: FormerData
    journal: Journal
    control_stack: str

    def empty(self, operation: Operation, *, stack: str) -> dict[str, Any]:
        """Delete objects for a while, if the stack's tag marks it as a trial.

        Returns ``status`` ``EMPTY`` or ``MORE``.
        """
        self.journal.step(operation, BUCKETS_EMPTIED, "reading the stack")
        found = self.stacks.describe(stack)
        state = state_of(found, self.control_stack, operation.cluster)
        # Only the stack's own word counts: what is deleted here has no backup.
        if found is None or state is StackState.ABSENT or not is_trial(found.parameters):
            return {"status": "EMPTY"}
        contents = self.stacks.contents(stack)
        for resource in contents:
            if resource.resource_type != BUCKET:
                continue
            self.journal.step(operation, BUCKETS_EMPTIED, resource.physical_id)
            if not self.storage.empty_bucket(resource.physical_id):
                return {"status": "MORE"}
        # CloudFormation left what a restore replaced where it was not empty.
        for one in _former_buckets(self.former, operation.cluster, found.stack_id, contents):
            self.journal.step(operation, BUCKETS_EMPTIED, one.physical_id)
            if not self.storage.empty_bucket(one.physical_id):
                return {"status": "MORE"}
            self.former.delete_bucket(one.physical_id)
        return {"status": "EMPTY"}


@dataclass(frozen=True, slots=True)
class StackDeleter:
    """Deletes the stack, protection lifted at the last moment, and follows to the end."""

    stacks: Stacks
    databases: Databases
    former: FormerData
    balancers: Balancers
    health: Health
    journal: Journal
    control_stack: str

    def delete(
        self, operation: Operation, *, stack: str, begun: Mapping[str, Any], polls: int
    ) -> dict[str, Any]:
        """Begin the deletion, or return how far it is.

        ``begun`` holds ``stackId``, ``token`` and ``database`` of what this operation deletes,
        ``former`` databases that went before it, how long they are waited for (``wait``), and
        ``follows`` once CloudFormation deletes the
        stack; it is empty at first. Returns ``status`` ``WAITING`` with ``wait`` (seconds) and
        ``begun``, or ``GONE`` with the ``snapshots`` of the database. Raises ``StackNotDeleted``
        naming what blocks, and the remedy.
        """
        self.journal.step(operation, STACK_DELETED, "reading the stack")
        found = self.stacks.describe(begun.get("stackId", stack))
        state = (
            StackState.ABSENT
            if found is None
            else state_of(found, self.control_stack, operation.cluster)
        )
        if found is None or state is StackState.ABSENT:
            self.health.forget(operation.cluster)
            return {"status": "GONE", "snapshots": self._snapshots(begun)}
        begun = begun or self._identity(operation, found)
        token = begun["token"]
        # Of an earlier deletion, until this one is begun.
        if found.status == "DELETE_FAILED" and begun.get("follows"):
            blocked, remedy = what_blocks(self.stacks.events(found.stack_id, token), found.name)
            raise StackNotDeleted(
                f"Stack {stack} could not be deleted completely: {blocked}.",
                next_step=f"To continue, {remedy}; then start the same operation again.",
            )
        if state is StackState.STANDING:
            begun, going = self._without_former(operation, found, begun)
            if going:
                # CloudFormation does not delete a subnet group with a database in it.
                self.journal.step(operation, STACK_DELETED, going)
            else:
                self._begin(found, begun)
                begun = {**begun, "follows": "true"}
        elif state is StackState.DELETING:
            progress = progress_of(self.stacks.events(found.stack_id, token), found.name)
            working = ", ".join(progress.working[:4]) or "CloudFormation"
            detail = f"{progress.done} resources are done; waiting for {working}"
            self.journal.step(operation, STACK_DELETED, detail)
            begun = {**begun, "follows": "true"}
        return {"status": "WAITING", "wait": next_wait(polls, near_end=False), "begun": begun}

    def _identity(self, operation: Operation, stack: Stack) -> Mapping[str, str]:
        databases = [
            resource.physical_id
            for resource in self.stacks.contents(stack.stack_id)
            if resource.resource_type == DATABASE
        ]
        return {
            "stackId": stack.stack_id,
            "token": change_set_name(operation.operation_id, "teardown"),
            # Of one that is gone already, to list its snapshots; only the stack's own is changed.
            "database": (*databases, stack.outputs.get("DatabaseClusterId", ""))[0],
            "ownsDatabase": "true" if databases else "",
        }

    def _without_former(
        self, operation: Operation, stack: Stack, begun: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], str]:
        """Delete databases that restores have left, each with a final snapshot as the stack's own.

        Returns ``begun`` with their names (``former``), and what is being deleted, empty once none
        is left. A trial's, and a copy that a restore took a snapshot of, go without one. One that
        RDS creates, backs up or changes is waited for as one that it deletes.
        """
        beside = self.former.databases(operation.cluster, begun.get("database", ""))
        if stuck := in_the_way(beside):
            raise StackNotDeleted(
                f"Stack {stack.name} was not deleted: {stuck}, and it stands in the cluster's "
                "subnet group.",
                next_step="Start it if it is stopped, and enable its key if that is not enabled. "
                "If it has instances, something works with it: delete it in RDS. Then start the "
                "same operation again.",
            )
        names = [one for one in begun.get("former", "").split(",") if one]
        going = []
        for one in beside:
            going.append(f"database {one.name} is being deleted")
            if one.status != "deleting":
                plain = one.copy or is_trial(stack.parameters)
                snapshot = "" if plain else final_snapshot(one.name, operation.operation_id)
                self.journal.step(operation, STACK_DELETED, f"database {one.name} is deleted")
                try:
                    self.former.delete_database(
                        one.name, cluster=operation.cluster, snapshot=snapshot
                    )
                except AwsUnavailable as error:
                    going[-1] = error.message.rstrip(".")
                except FormerDataNotDeleted as error:
                    raise StackNotDeleted(
                        f"Stack {stack.name} was not deleted: a database stands in the cluster's "
                        f"subnet group. {error.message}",
                        next_step=error.next_step,
                    ) from error
            if not one.copy and one.name not in names:
                names.append(one.name)
        now = epoch(self.journal.clock.now())
        mark = "; ".join(going)
        wait = Wait.at(mark, now, Wait.read(begun.get("wait")))
        if going and wait.lasted(FORMER_PATIENCE, now):
            raise StackNotDeleted(
                f"Stack {stack.name} was not deleted: for {FORMER_PATIENCE // 3600} hours {mark}, "
                "in the cluster's subnet group.",
                next_step="Look at it in RDS, then start the same operation again.",
            )
        return {**begun, "former": ",".join(names), "wait": wait.as_state()}, mark

    def _begin(self, stack: Stack, begun: Mapping[str, Any]) -> None:
        # Directly at RDS and the load balancers, and only now: a stack that failed in between
        # takes no update that could do it, and nothing else can come between this and the deletion.
        if begun["database"] and begun.get("ownsDatabase"):
            self.databases.protect(begun["database"], on=False)
        for resource in self.stacks.contents(stack.stack_id):
            if resource.resource_type == BALANCER and resource.physical_id:
                self.balancers.unprotect(resource.physical_id)
        self.stacks.unprotect(stack.name)
        self.stacks.delete(stack.stack_id, begun["token"])

    def _snapshots(self, begun: Mapping[str, Any]) -> Sequence[str]:
        names = [begun.get("database", ""), *begun.get("former", "").split(",")]
        return [one for name in names if name for one in self.databases.snapshots(name)]
