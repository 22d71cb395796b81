"""Check before any change what would make it fail, and report all of it at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lifecycle.certificates import rds_root_certificate
from lifecycle.cluster.checks import overall
from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.cluster.stack import ecs_cluster_of, present_parameters
from lifecycle.errors import InvalidRequest, LifecycleError, ProbeAsleep
from lifecycle.observability import of_aws
from lifecycle.preflight.checks import (
    Need,
    check_all,
    check_management,
    check_partitions,
    opens_management,
    refuse_failed,
)
from lifecycle.preflight.identity_provider import Wanted, check_identity_provider, unread
from lifecycle.preflight.way_back import ACCEPT, read_backup
from lifecycle.services.registries import check_registries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.camunda.ports import Probe
    from lifecycle.cluster.checks import Check
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.management_access import ManagementAccess
    from lifecycle.cluster.ports import Clock, Stacks
    from lifecycle.cluster.stack import Stack
    from lifecycle.operation.ports import Freezes
    from lifecycle.preflight.checks import Facts
    from lifecycle.preflight.ports import Account
    from lifecycle.services.registries import Registries


@dataclass(frozen=True, slots=True)
class Preflight:
    """The use case and its ports. It changes nothing."""

    stacks: Stacks
    freezes: Freezes
    account: Account
    region: str
    control_stack: str
    declarations: Mapping[str, Mapping[str, object]]
    registries: Registries
    probe: Callable[[], Probe]
    management: Callable[[ClusterOutputs], ManagementAccess | None]
    clock: Clock

    def check(self, request: Mapping[str, Any], *, planning: bool) -> dict[str, Any]:
        """Run every check for a request; returns ``result`` and ``checks``.

        ``planning`` when a plan is made: what only keeps it from being applied is a warning then.
        Raises ``PreflightFailed`` naming each failed check, ``ClusterFrozen``, and ``ProbeAsleep``:
        a backup or a provider that cannot be queried yet is not a missing one.
        """
        stack = self.stacks.describe(request["stack"])
        freeze = self.freezes.frozen(ecs_cluster_of(stack)) if stack is not None else None
        if stack is not None and not planning:
            refuse_if_frozen(stack.name, stack.tags)
        parameters = self._parameters(request, stack)
        need = Need.of(request["stack"], stack, parameters, request.get("settings", {}))
        facts = replace(self.account.facts(need), now=self.clock.now())
        runs = facts.live is None or facts.live.brokers > 0
        if stack is not None and (need.crosses_minor or (planning and not need.creates and runs)):
            facts = self._with_backup(facts, stack)
        checks = check_all(
            need,
            facts,
            stack=stack,
            freeze=freeze,
            control_stack=self.control_stack,
            cluster=request["cluster"],
            certificate=self._certificate_problem(),
            planning=planning,
            reviewed=planning or bool(request.get("changeSet")),
            accept_no_way_back=request.get(ACCEPT) is True,
        )
        if stack is not None and opens_management(parameters, present_parameters(stack)):
            checks.append(self._management(stack, planning=planning))
        checks.append(check_registries(parameters, present_parameters(stack), self.registries))
        made = stack is not None and bool(stack.outputs.get("CognitoUserPoolId"))
        checks += self._identity_provider(request["cluster"], parameters, made=made)
        if why := request.get("partitionsUnread"):
            checks.append(check_partitions(parameters, why))
        refuse_failed(checks)
        return {
            "result": overall(checks),
            "checks": [check.as_dict() for check in checks],
        }

    def _management(self, stack: Stack, *, planning: bool) -> Check:
        """Read whether the port that the stack is to listen on is taken by a way in."""
        if not stack.outputs.get("ManagementTargetGroupArn"):
            return check_management(None, unread="", planning=planning)
        try:
            return check_management(self.management(stack.outputs), unread="", planning=planning)
        except Exception as error:
            known = error if isinstance(error, LifecycleError) else of_aws(error)
            if known is None:
                raise
            return check_management(None, unread=known.message, planning=planning)

    def _with_backup(self, facts: Facts, stack: Stack) -> Facts:
        try:
            answer = self.probe().query("backup", stack.outputs)
            if not answer["problem"]:
                return replace(facts, backup=read_backup(answer))
            why = str(answer["problem"])
        except ProbeAsleep:
            raise
        except LifecycleError as error:
            why = error.message
        return replace(facts, unread={**facts.unread, "backup": why.rstrip(".")})

    def _identity_provider(
        self, cluster: str, parameters: Mapping[str, str], *, made: bool
    ) -> list[Check]:
        """Query the provider from inside the VPC, as brokers will; nothing without one."""
        wanted = Wanted.of(cluster, parameters)
        if wanted is None:
            return []
        if wanted.created:
            return unread(made=made)
        try:
            answer = self.probe().query(
                "issuer",
                wanted.outputs,
                client_claim=wanted.client_claim,
                username_claim=wanted.username_claim,
            )
        except ProbeAsleep:
            raise
        except LifecycleError as error:
            answer = {"providerProblem": error.message, "tokenProblem": error.message}
        return check_identity_provider(wanted, answer)

    def _parameters(self, request: Mapping[str, Any], stack: Any) -> dict[str, str]:
        """Every parameter that the cluster will have: the plan's, requested, present, default."""
        planned: Mapping[str, str] = {}
        if request.get("changeSet"):
            planned = self.stacks.change_set(request["changeSet"], request["stack"]).parameters
        defaults = {name: str(d.get("default", "")) for name, d in self.declarations.items()}
        return {**defaults, **present_parameters(stack), **request["parameters"], **planned}

    def _certificate_problem(self) -> str:
        try:
            rds_root_certificate(self.region)
        except InvalidRequest as error:
            return error.message
        return ""
