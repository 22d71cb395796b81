"""Rotate secrets one after the other: look at one, and take one step."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.polling import Wait, next_wait
from lifecycle.errors import (
    CredentialsRefused,
    DatabaseNotReady,
    DatabaseUnreachable,
    FormerPasswordAccepted,
    ManagementUnavailable,
    RotationFailed,
    RotationRefused,
)
from lifecycle.operation.steps import PASSWORDS_ROTATED
from lifecycle.provisioning.seed import SeedTarget
from lifecycle.rotation.decisions import (
    PATIENCE,
    RotationAction,
    RotationDecision,
    RotationObserved,
    Version,
    decide_rotation,
    next_user,
)
from lifecycle.rotation.request import OUTPUTS, PURPOSES, Secret
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.rotation.ports import (
        Account,
        CamundaUsers,
        DatabaseLogins,
        SecretVersions,
        Stages,
    )

# Neither is answered for good while brokers or the database change roles.
_PASSING: Final = (ManagementUnavailable, DatabaseNotReady, DatabaseUnreachable)
# What a look leaves for the next one, beside the wait: ids and facts, never a value.
_KEPT: Final = ("target", "continued", "applied", "restarted", "retired")


@dataclass(frozen=True, slots=True)
class _Seen:
    """One look: what is decided on, and the values that the step needs; they stay in here."""

    observed: RotationObserved
    values: Mapping[str, Credentials]
    lacking: Mapping[str, frozenset[str]]

    def accepted(self) -> Credentials | None:
        """Return a value that is accepted, the newest one first."""
        observed = self.observed
        for one in (observed.pending, observed.current, observed.previous):
            if one is not None and one.accepted:
                return self.values[one.version_id]
        return None


@dataclass(frozen=True, slots=True)
class SecretRotator:
    """The use case and its ports."""

    secrets: SecretVersions
    camunda: Callable[[str], CamundaUsers]
    database: Callable[[SeedTarget], DatabaseLogins]
    journal: Journal

    def rotate(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        *,
        secrets: Iterable[str],
        connectors_run: bool,
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Take the next step of rotating ``secrets``; a value that exists is never replaced.

        ``memory`` is what the last look returned, empty at first; after ``RESTART`` the machine
        has replaced the connectors. Returns ``status`` ``ROTATED``, ``RESTART``, or ``WAITING``
        with ``wait`` (seconds), each with ``memory`` and ``rotations`` (what is done, by secret).
        Raises ``RotationRefused`` (that secret was not changed), ``RotationFailed`` and
        ``FormerPasswordAccepted``.
        """
        rotations = list(memory.get("rotations", ()))
        done = {one["secret"] for one in rotations}
        left = [one for one in Secret if one in set(secrets) - done]
        if not left:
            return {"status": "ROTATED", "rotations": rotations, "memory": {"rotations": rotations}}
        secret = left[0]
        kept = dict(memory.get("kept") or {})
        if memory.get("asked"):
            kept["restarted"] = True
        try:
            seen = self._look(operation, cluster, secret, kept, connectors_run=connectors_run)
            decision = decide_rotation(seen.observed)
            self.journal.step(operation, PASSWORDS_ROTATED, f"{secret}: {decision.reason}")
            kept |= self._act(operation, cluster, seen, decision, kept)
        except _PASSING as error:
            target = str(kept.get("target", ""))
            decision = RotationDecision(RotationAction.WAIT, error.message.rstrip("."), target)
            self.journal.step(operation, PASSWORDS_ROTATED, f"{secret}: {decision.reason}")
        return self._followed(secret, decision, kept, memory, rotations)

    # --- the look --------------------------------------------------------------------------------

    def _look(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        secret: Secret,
        kept: Mapping[str, Any],
        *,
        connectors_run: bool,
    ) -> _Seen:
        arn = cluster.required(OUTPUTS[secret])
        stages = self._stages(cluster, secret)
        if stages.rotated:
            raise RotationRefused(
                f"Secrets Manager rotates secret {secret} on a schedule of its own.",
                next_step="Turn that off (CancelRotateSecret), then start the same request again.",
            )
        values = self._values(arn, stages)
        accepted: dict[str, bool]
        accounts: dict[str, Account | None] = {}
        if secret is Secret.DATABASE:
            database = self.database(SeedTarget.from_outputs(cluster))
            accepted = {name: database.accepts(value) for name, value in values.items()}
        else:
            users = self.camunda(cluster.discovery_name)
            accounts = {name: users.account(value) for name, value in values.items()}
            accepted = {name: account is not None for name, account in accounts.items()}

        def version(name: str) -> Version | None:
            return Version(name, accepted[name]) if name in values else None

        target = str(kept.get("target", ""))
        lacking = _lacking(secret, stages, accounts)
        return _Seen(
            RotationObserved(
                secret=secret,
                current=Version(stages.current, accepted[stages.current]),
                pending=version(stages.pending),
                previous=version(stages.previous),
                target=target,
                applied=bool(kept.get("applied")),
                restarted=bool(kept.get("restarted"))
                or secret is not Secret.CONNECTORS
                or not connectors_run,
                retired=bool(kept.get("retired")),
                lacking=tuple(
                    f"{kind} {name}" for kind, names in lacking.items() for name in sorted(names)
                ),
                own=self._own(cluster, secret, stages, values, target),
            ),
            values,
            lacking,
        )

    def _values(self, arn: str, stages: Stages) -> dict[str, Credentials]:
        """Return each version's value by its id; a former value equal to the present is left out.

        So is a version that has no stage of its own: AWSPENDING stays where AWSCURRENT is.
        """
        values = {stages.current: self.secrets.read(arn, stages.current)}
        for name in (stages.pending, stages.previous):
            if name and name not in values:
                value = self.secrets.read(arn, name)
                if name != stages.previous or value != values[stages.current]:
                    values[name] = value
        return values

    def _own(
        self,
        cluster: ClusterOutputs,
        secret: Secret,
        stages: Stages,
        values: Mapping[str, Credentials],
        target: str,
    ) -> int:
        if secret is not Secret.CONNECTORS or target or stages.pending in values:
            return 0
        users = self.camunda(cluster.discovery_name)
        return users.own_authorizations(self._admin(cluster), values[stages.current].username)

    # --- the step --------------------------------------------------------------------------------

    def _act(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        seen: _Seen,
        decision: RotationDecision,
        kept: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Take the step, and return what the next look has to know."""
        observed = seen.observed
        secret = observed.secret
        arn = cluster.required(OUTPUTS[secret])
        known: dict[str, Any] = {}
        if decision.target and not kept.get("target"):
            known = {
                "target": decision.target,
                "continued": decision.target != _token(operation, secret),
            }
        match decision.action:
            case RotationAction.CREATE:
                token = _token(operation, secret)
                username = seen.values[observed.current.version_id].username
                if secret is Secret.CONNECTORS:
                    username = next_user(username)
                self.secrets.create(arn, username, token)
                known = {"target": token, "continued": False}
            case RotationAction.APPLY:
                self._apply(cluster, seen, decision.target)
                known["applied"] = True
            case RotationAction.GRANT:
                username = seen.values[decision.target].username
                for kind, names in seen.lacking.items():
                    for name in sorted(names):
                        self.camunda(cluster.discovery_name).add_member(
                            self._admin(cluster), kind, name, username
                        )
            case RotationAction.PROMOTE:
                self.secrets.promote(arn, decision.target, observed.current.version_id)
            case RotationAction.RETIRE:
                former = observed.previous
                if former is not None:
                    self._retire(cluster, seen.values[former.version_id])
                known["retired"] = True
            case _:
                pass
        return known

    def _apply(self, cluster: ClusterOutputs, seen: _Seen, target: str) -> None:
        value = seen.values[target]
        if seen.observed.secret is Secret.CONNECTORS:
            self.camunda(cluster.discovery_name).set_password(self._admin(cluster), value)
            return
        login = seen.accepted()
        if login is None:  # decided otherwise: nothing would be applied
            return
        if seen.observed.secret is Secret.DATABASE:
            database = self.database(SeedTarget.from_outputs(cluster))
            database.set_password(login, value.password)
            return
        users = self.camunda(cluster.discovery_name)
        try:
            users.set_password(login, value)
        except CredentialsRefused:
            # One that was sent before, and whose answer was lost, may take effect right now.
            if users.account(value) is None:
                raise

    def _retire(self, cluster: ClusterOutputs, former: Credentials) -> None:
        """Give a user a random password that is not stored.

        It is not deleted: a broker that starts makes the user of its environment where there is
        none, with the password of its environment.
        """
        unknown = Credentials(former.username, self.secrets.unknown_password())
        self.camunda(cluster.discovery_name).set_password(self._admin(cluster), unknown)

    def _admin(self, cluster: ClusterOutputs) -> Credentials:
        current = self._stages(cluster, Secret.ADMIN).current
        return self.secrets.read(cluster.required(OUTPUTS[Secret.ADMIN]), current)

    def _stages(self, cluster: ClusterOutputs, secret: Secret) -> Stages:
        arn, purpose = cluster.required(OUTPUTS[secret]), PURPOSES[secret]
        return self.secrets.stages(arn, cluster=cluster.cluster_name, purpose=purpose)

    # --- what follows ----------------------------------------------------------------------------

    def _followed(
        self,
        secret: Secret,
        decision: RotationDecision,
        kept: Mapping[str, Any],
        memory: Mapping[str, Any],
        rotations: list[dict[str, Any]],
    ) -> dict[str, Any]:
        """Return what the machine carries on; end what makes no progress."""
        if decision.action is RotationAction.DONE:
            rotations = [*rotations, _report(secret, decision, kept)]
            begins = {"rotations": rotations}
            return {"status": "WAITING", "wait": 1, "rotations": rotations, "memory": begins}
        carried: dict[str, Any] = {
            "rotations": rotations,
            "kept": {name: kept[name] for name in _KEPT if name in kept},
        }
        if decision.action is RotationAction.RESTART:
            carried["asked"] = True
            return {"status": "RESTART", "rotations": rotations, "memory": carried}
        now = epoch(self.journal.clock.now())
        waits = decision.action in {RotationAction.WAIT, RotationAction.GRANT}
        wait = Wait.at(f"{secret} {waits}", now, Wait.read(memory.get("waited")))
        if waits and wait.lasted(PATIENCE, now):
            raise _gave_up(secret, decision, kept)
        carried["waited"] = wait.as_state()
        # A login shows a change as soon as it is exported, which takes about a second.
        seconds = 1 if not waits or wait.looks < 5 else next_wait(wait.looks - 4, near_end=False)
        return {"status": "WAITING", "wait": seconds, "rotations": rotations, "memory": carried}


def _token(operation: Operation, secret: Secret) -> str:
    """Return the id of the version that an operation makes: the same however often it is made.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    """
    return hashlib.sha256(f"{operation.execution_arn} {secret}".encode()).hexdigest()


def _lacking(
    secret: Secret, stages: Stages, accounts: Mapping[str, Account | None]
) -> dict[str, frozenset[str]]:
    """Return the memberships that the next user of the connectors lacks, by kind."""
    names = (stages.pending, stages.current)
    if stages.pending not in accounts:
        names = (stages.current, stages.previous)
    following, present = (accounts.get(name) for name in names)
    if secret is not Secret.CONNECTORS or following is None or present is None:
        return {}
    missing = {
        kind: held - following.memberships.get(kind, frozenset())
        for kind, held in present.memberships.items()
    }
    return {kind: names for kind, names in missing.items() if names}


def _report(secret: Secret, decision: RotationDecision, kept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "secret": str(secret),
        "version": decision.target,
        "continued": bool(kept.get("continued")),
        "former": "refused",
    }


def _gave_up(
    secret: Secret, decision: RotationDecision, kept: Mapping[str, Any]
) -> RotationFailed | FormerPasswordAccepted:
    lasted = f"for {PATIENCE // 60} minutes: {decision.reason}."
    if decision.in_use:
        return FormerPasswordAccepted(f"Secret {secret} has its new value, but {lasted}")
    return RotationFailed(f"Rotating secret {secret} made no progress {lasted}")
