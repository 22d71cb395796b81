"""What operations need from outside, as small Protocols. Adapters implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from lifecycle.camunda.ports import LoginSource
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.former_data import DatabaseBeside
    from lifecycle.cluster.stack import ChangeSet, Stack, StackEvent, StackResource


class Clock(Protocol):
    """The time of day."""

    def now(self) -> datetime:
        """Present time, aware, in UTC."""
        ...


class Logins(Protocol):
    """How the functions log in to Camunda, for each cluster by its stack's outputs."""

    def of(self, cluster: ClusterOutputs) -> LoginSource:
        """Return the way to log in to a cluster; nothing is read yet."""
        ...


class Slots(Protocol):
    """A few places, each of which one call has at a time."""

    def take(self, number: int, token: str, *, now: int, until: int) -> bool:
        """Take a place until then (epoch seconds); return whether it was free."""
        ...

    def give_back(self, number: int, token: str) -> None:
        """Free a place that this call has; nothing where another has it."""
        ...


class Stacks(Protocol):
    """CloudFormation, for one cluster's stack."""

    def describe(self, name: str) -> Stack | None:
        """Describe a stack; None when there is none of that name."""
        ...

    def create_change_set(
        self,
        *,
        stack: str,
        name: str,
        create: bool,
        template_url: str | None,
        parameters: Mapping[str, str],
        tags: Mapping[str, str],
        description: str,
    ) -> str:
        """Create a change set and return its ARN.

        ``template_url`` None keeps the stack's template. The same name again returns the change
        set that is there.
        """
        ...

    def change_set(self, name: str, stack: str) -> ChangeSet:
        """Describe a change set of a stack, by its name or its ARN; ``GONE`` if there is none."""
        ...

    def template_of(self, change_set: ChangeSet) -> str:
        """Text of the template that a change set would apply, as it was uploaded."""
        ...

    def change_sets_of(self, stack: str) -> Sequence[str]:
        """ARNs of the change sets that a stack has."""
        ...

    def delete_change_set(self, arn: str) -> None:
        """Remove a change set that is not wanted; one that is gone is no error."""
        ...

    def execute_change_set(self, arn: str, token: str, *, keep: bool) -> None:
        """Execute; a failure keeps what worked, or is rolled back.

        ``token`` marks the events that follow.
        """
        ...

    def roll_back(self, name: str, token: str) -> None:
        """Begin to roll a failed update back; one that is rolled back already is no error.

        A stack that was never complete is deleted.
        """
        ...

    def protect(self, name: str, policy: str) -> None:
        """Turn termination protection on and set the stack policy (JSON)."""
        ...

    def set_policy(self, name: str, policy: str) -> None:
        """Set the stack policy (JSON)."""
        ...

    def events(self, name: str, token: str) -> Sequence[StackEvent]:
        """Events that carry the token, oldest first."""
        ...

    def contents(self, name: str) -> Sequence[StackResource]:
        """Resources that a stack holds; those that it deleted are not among them."""
        ...

    def template(self, name: str) -> str:
        """Text of the stack's template, as it was uploaded."""
        ...

    def unprotect(self, name: str) -> None:
        """Turn termination protection off."""
        ...

    def delete(self, name: str, token: str) -> None:
        """Delete a stack with the role it was made with. ``token`` marks the events that follow.

        Raises ``StackNotDeleted`` when CloudFormation refuses to begin.
        """
        ...


class ClusterStacks(Protocol):
    """The stacks of all clusters of one control plane."""

    def of_control_plane(self, control_stack: str) -> Sequence[Stack]:
        """Every cluster's stack, by name."""
        ...

    def describe(self, name: str) -> Stack | None:
        """Describe a stack; None when there is none of that name."""
        ...


class Prices(Protocol):
    """AWS's prices for the parts of a cluster, now."""

    def of(
        self, region: str, *, architecture: str, instance_classes: Collection[str]
    ) -> Mapping[str, Any]:
        """On-demand prices in USD, shaped like a region of ``cluster/prices.json``.

        What is not known for certain is left out; never raises.
        """
        ...


class FormerData(Protocol):
    """What restores have left of a cluster: databases, and buckets with leases of broker ids."""

    def databases(self, cluster: str, present: str) -> Sequence[DatabaseBeside]:
        """Return all that have a cluster's tags, but not the database ``present`` (its id)."""
        ...

    def delete_database(self, name: str, *, cluster: str, snapshot: str) -> None:
        """Lift the protection of one, and begin its deletion.

        With a final snapshot of that name, or without one where ``snapshot`` is empty. One that is
        gone or being deleted is left alone; so is one without the cluster's tags, and one with
        instances. Raises ``AwsUnavailable`` while RDS takes no change, and
        ``FormerDataNotDeleted`` where it refuses the deletion, with the protection set again.
        """
        ...

    def leases(self, cluster: str, stack_id: str, present: Collection[str]) -> Sequence[str]:
        """Return the buckets with leases that a cluster's stack has had, without ``present``."""
        ...

    def delete_bucket(self, name: str) -> None:
        """Delete an empty bucket; one that is gone is no error."""
        ...
