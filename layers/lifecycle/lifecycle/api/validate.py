"""Check a machine's input before it is started, with the code with which the machine itself checks.

So a caller hears of every wrong field, of a cluster that does not exist or is frozen, at once and
not from a failed execution. The machine checks again: much may happen in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lifecycle.backup.validate_backup import validate_backup
from lifecycle.cluster.find import find_own_cluster, find_stack
from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.cluster.names import stack_name
from lifecycle.errors import LifecycleError, PlanNotFound
from lifecycle.manage.validate_manage import validate_manage
from lifecycle.observability import of_aws
from lifecycle.plans.fingerprint import read_description
from lifecycle.provisioning.validate import validate_plan, validate_request
from lifecycle.rehearsal.request import lock_name, read_rehearsal_request
from lifecycle.restart.validate_restart import validate_restart
from lifecycle.restore.request import read_restore_request
from lifecycle.rotation.validate_rotation import validate_rotation
from lifecycle.scaling.request import refuse_idle
from lifecycle.scaling.validate import validate_scaling
from lifecycle.services.images import BROKERS, PARAMETER, versions
from lifecycle.teardown.decisions import read_teardown_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.ports import Stacks
    from lifecycle.cluster.stack import Stack
    from lifecycle.operation.start import Validator
    from lifecycle.restore.request import RestoreRequest
    from lifecycle.services.registries import Registries


@dataclass(frozen=True, slots=True)
class StartValidation:
    """The checks of each verb, with what they need from outside."""

    stacks: Stacks
    control_stack: str
    declarations: Mapping[str, Mapping[str, object]]
    probe: Probe
    registries: Registries

    def by_verb(self) -> dict[str, Validator]:
        """Return the check of each machine's input, by the machine's verb."""
        return {
            "provision": self._provision,
            "plan": self._plan,
            "scale": self._scale,
            "restart": self._restart,
            "rotate": self._rotate,
            "manage": self._manage,
            "backup": self._backup,
            "restore": self._restore,
            "rehearse": self._rehearse,
            "teardown": self._teardown,
        }

    def _provision(self, raw: Mapping[str, object]) -> str:
        request = validate_request(
            raw,
            control_stack=self.control_stack,
            declarations=self.declarations,
            stacks=self.stacks,
            registries=self.registries,
        )
        name = stack_name(self.control_stack, request.cluster)
        stack = self.stacks.describe(name)
        if stack is not None:
            refuse_if_frozen(name, stack.tags)
        if request.change_set:
            self._planned(request.change_set, name)
        return name

    def _planned(self, change_set: str, stack: str) -> None:
        found = self.stacks.change_set(change_set, stack)
        if found.status == "GONE":
            raise PlanNotFound(f"There is no change set {change_set}: {found.reason}.")
        read_description(found.description)

    def _plan(self, raw: Mapping[str, object]) -> str:
        request = validate_plan(
            raw,
            control_stack=self.control_stack,
            declarations=self.declarations,
            stacks=self.stacks,
            registries=self.registries,
        )
        if request.count or request.partitions or request.teardown:
            self._find(request.cluster)
        return ""

    def _scale(self, raw: Mapping[str, object]) -> str:
        request = validate_scaling(raw, control_stack=self.control_stack, stacks=self.stacks)
        self._idle_brokers(self._find(request["cluster"]), request["count"])
        return str(request["ecsCluster"])

    def _idle_brokers(self, stack: Stack, count: int) -> None:
        """Refuse to add more brokers than all hold a partition, by what there is now.

        The stack names the partitions of the bootstrap; the brokers are queried only where these
        are too few. What they do not report, or has to be repaired or finished, is left to the
        machine.
        """
        bootstrap, factor = stack.outputs.partitions, stack.outputs.replication_factor
        given = {
            BROKERS: stack.outputs.get(BROKERS, ""),
            PARAMETER: stack.outputs.get(PARAMETER, ""),
        }
        version = versions(given).brokers
        if count < bootstrap + factor or version is None:
            return
        try:
            now = self.probe.query("partitions", stack.outputs)
        except Exception as error:
            if isinstance(error, LifecycleError) or of_aws(error) is not None:
                return
            raise
        partitions, brokers = now.get("partitions"), now.get("brokers")
        if partitions is not None and brokers is not None and count > brokers:
            refuse_idle(count, partitions=partitions, factor=factor, version=version)

    def _restart(self, raw: Mapping[str, object]) -> str:
        request = validate_restart(raw, control_stack=self.control_stack, stacks=self.stacks)
        return "" if request["dryRun"] else str(request["ecsCluster"])

    def _rotate(self, raw: Mapping[str, object]) -> str:
        request = validate_rotation(raw, control_stack=self.control_stack, stacks=self.stacks)
        return "" if request["dryRun"] else str(request["ecsCluster"])

    def _manage(self, raw: Mapping[str, object]) -> str:
        request = validate_manage(raw, control_stack=self.control_stack, stacks=self.stacks)
        return "" if request["dryRun"] else str(request["ecsCluster"])

    def _restore(self, raw: Mapping[str, object]) -> str:
        """Check what can be checked without the backups, which the machine reads first."""
        request = read_restore_request(raw)
        if request.source:
            return self._restore_elsewhere(request)
        stack = find_own_cluster(self.stacks, self.control_stack, request.cluster)
        return "" if request.dry_run else stack.outputs.ecs_cluster

    def _restore_elsewhere(self, request: RestoreRequest) -> str:
        """A new cluster of another's backups; its stack exists where an earlier start made it."""
        name = stack_name(self.control_stack, request.cluster)
        stack = self.stacks.describe(name)
        if stack is not None:
            refuse_if_frozen(name, stack.tags)
        return "" if request.dry_run else name

    def _backup(self, raw: Mapping[str, object]) -> str:
        request = validate_backup(raw, control_stack=self.control_stack, stacks=self.stacks)
        return "" if request["dryRun"] else str(request["ecsCluster"])

    def _rehearse(self, raw: Mapping[str, object]) -> str:
        """Check what can be checked without the services, which the machine reads."""
        request = read_rehearsal_request(raw)
        stack = find_own_cluster(self.stacks, self.control_stack, request.cluster)
        return "" if request.dry_run else lock_name(stack.name)

    def _teardown(self, raw: Mapping[str, object]) -> str:
        request = read_teardown_request(raw)
        stack = self._find(request.cluster)
        if request.dry_run:
            return ""
        refuse_if_frozen(stack.name, stack.tags)
        return stack.name

    def _find(self, cluster: str) -> Stack:
        return find_stack(self.stacks, self.control_stack, cluster)
