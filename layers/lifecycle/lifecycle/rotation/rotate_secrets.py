"""Rotate secrets one after the other: look at one, and take one step."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.polling import Wait, next_wait
from lifecycle.errors import (
    ChangeInProgress,
    CredentialsRefused,
    DatabaseNotReady,
    DatabaseUnreachable,
    FormerPasswordAccepted,
    InvalidResponse,
    ManagementRefused,
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
    refuse_foreign_user,
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
# Answers that another attempt does not change: an error, an unsupported request, an unknown shape.
_DEFINITE: Final = (ManagementRefused, ChangeInProgress, InvalidResponse)
# Memberships that bring others along come first: groups are in roles, roles and groups in tenants.
_KINDS: Final = ("groups", "roles", "tenants")
_REPEATED: Final = frozenset({RotationAction.WAIT, RotationAction.ALIGN, RotationAction.PROMOTE})
# What a look leaves for the next one, beside the wait: ids and facts, never a value.
_KEPT: Final = ("target", "continued", "applied", "restarted", "retired")


@dataclass(frozen=True, slots=True)
class _Difference:
    """What the next user of the connectors lacks, and what only it has, of one kind."""

    kind: str = ""
    lacking: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()

    def named(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return memberships with their kind, as messages show them."""
        return tuple(f"{self.kind} {name}" for name in names)


@dataclass(frozen=True, slots=True)
class _Seen:
    """One look: what is decided on, and the values that the step needs; they stay in here."""

    observed: RotationObserved
    values: Mapping[str, Credentials]
    difference: _Difference

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
        memory: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Take the next step of rotating ``secrets``; a value that exists is never replaced.

        ``memory`` is what the last look returned, empty at first; after ``RESTART`` the machine
        has replaced the connectors that run by those of a deployment that is not older than
        ``asked`` of its ``memory`` (epoch seconds): the new value was AWSCURRENT by then, which an
        older one's tasks may have started without. Returns ``status`` ``ROTATED``, ``RESTART``, or
        ``WAITING`` with ``wait`` (seconds), each with ``memory`` and ``rotations`` (what is done,
        by secret). Raises ``RotationRefused`` (the value in use was not changed),
        ``CredentialsRefused`` for the administrator's, ``RotationFailed`` and
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
        place = _Place(operation, secret, cluster.required(OUTPUTS[secret]))
        try:
            seen = self._look(operation, cluster, secret, kept)
            decision = decide_rotation(seen.observed)
            detail = place.described(decision, seen.observed)
            self.journal.step(operation, PASSWORDS_ROTATED, f"{secret}: {detail}")
            kept |= self._act(operation, cluster, seen, decision, kept)
        except _PASSING as error:
            target = str(kept.get("target", ""))
            decision = RotationDecision(RotationAction.WAIT, error.message.rstrip("."), target)
            self.journal.step(operation, PASSWORDS_ROTATED, f"{secret}: {decision.reason}")
        except CredentialsRefused as error:
            raise self._administrator_refused(operation, cluster, secret, error) from error
        except _DEFINITE as error:
            raise place.failed(f"ended: {error.message}", kept) from error
        return self._followed(place, decision, kept, memory, rotations)

    # --- the look --------------------------------------------------------------------------------

    def _look(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        secret: Secret,
        kept: Mapping[str, Any],
    ) -> _Seen:
        arn = cluster.required(OUTPUTS[secret])
        stages = self._stages(cluster, secret)
        if stages.rotated:
            raise RotationRefused(
                f"Secrets Manager rotates secret {secret} on a schedule of its own.",
                next_step="Turn that off (CancelRotateSecret), then start the same request again.",
            )
        values = self._values(arn, stages)
        refuse_foreign_user(
            secret,
            values[stages.current].username,
            _user(values, stages.pending, stages),
            _user(values, stages.previous, stages),
        )
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
        difference = _difference(secret, stages, accounts)
        return _Seen(
            RotationObserved(
                secret=secret,
                current=Version(stages.current, accepted[stages.current]),
                pending=version(stages.pending),
                previous=version(stages.previous),
                target=target,
                applied=bool(kept.get("applied")),
                restarted=bool(kept.get("restarted")) or secret is not Secret.CONNECTORS,
                retired=bool(kept.get("retired")),
                lacking=difference.named(difference.lacking),
                surplus=difference.named(difference.surplus),
                own=self._own(cluster, secret, stages, values, target),
            ),
            values,
            difference,
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
    ) -> tuple[str, ...]:
        """Return which of the two users has authorizations itself, until the next one is in use."""
        if secret is not Secret.CONNECTORS or target == stages.current:
            return ()
        present = values[stages.current].username
        following = values[stages.pending].username if stages.pending else next_user(present)
        users, admin = self.camunda(cluster.discovery_name), self._admin(cluster)
        found = {name: users.own_authorizations(admin, name) for name in (present, following)}
        return tuple(f"{number} of {name}" for name, number in found.items() if number)

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
            case RotationAction.ALIGN:
                self._align(cluster, seen.values[decision.target].username, seen.difference)
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

    def _align(self, cluster: ClusterOutputs, username: str, difference: _Difference) -> None:
        users, admin = self.camunda(cluster.discovery_name), self._admin(cluster)
        for name in difference.lacking:
            users.add_member(admin, difference.kind, name, username)
        for name in difference.surplus:
            users.remove_member(admin, difference.kind, name, username)

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

    def _administrator_refused(
        self,
        operation: Operation,
        cluster: ClusterOutputs,
        secret: Secret,
        error: CredentialsRefused,
    ) -> CredentialsRefused:
        """Name the secret of the administrator that was refused, and how to go on from there."""
        arn = cluster.required(OUTPUTS[Secret.ADMIN])
        pending = self._stages(cluster, Secret.ADMIN).pending
        again = _request(operation, secret)
        if not pending:
            return CredentialsRefused(
                f"{error.message} The administrator is that of secret {arn} (AWSCURRENT).",
                next_step="Put the administrator's real password into that secret, then start "
                f"{again}.",
            )
        return CredentialsRefused(
            f"{error.message} The administrator is that of secret {arn} (AWSCURRENT); a rotation "
            f"of it did not end, and Camunda may have its version {pending} (AWSPENDING) already.",
            next_step=f"Start {_request(operation, Secret.ADMIN)}, which goes on with that "
            f"version, then {again}."
            if secret is not Secret.ADMIN
            else f"Start {again}: it goes on with that version.",
        )

    def _stages(self, cluster: ClusterOutputs, secret: Secret) -> Stages:
        arn, purpose = cluster.required(OUTPUTS[secret]), PURPOSES[secret]
        return self.secrets.stages(arn, cluster=cluster.cluster_name, purpose=purpose)

    # --- what follows ----------------------------------------------------------------------------

    def _followed(
        self,
        place: _Place,
        decision: RotationDecision,
        kept: Mapping[str, Any],
        memory: Mapping[str, Any],
        rotations: list[dict[str, Any]],
    ) -> dict[str, Any]:
        """Return what the machine carries on; end what makes no progress."""
        secret = place.secret
        if decision.action is RotationAction.DONE:
            rotations = [*rotations, _report(secret, decision, kept)]
            begins = {"rotations": rotations}
            return {"status": "WAITING", "wait": 1, "rotations": rotations, "memory": begins}
        carried: dict[str, Any] = {
            "rotations": rotations,
            "kept": {name: kept[name] for name in _KEPT if name in kept},
        }
        now = epoch(self.journal.clock.now())
        if decision.action is RotationAction.RESTART:
            carried["asked"] = now
            return {"status": "RESTART", "rotations": rotations, "memory": carried}
        # The others are taken once; these again, until the next look shows what they did.
        waits = decision.action in _REPEATED
        wait = Wait.at(f"{secret} {decision.action}", now, Wait.read(memory.get("waited")))
        if waits and wait.lasted(PATIENCE, now):
            raise place.gave_up(decision, kept)
        carried["waited"] = wait.as_state()
        # A login shows a change as soon as it is exported, which takes about a second.
        seconds = 1 if not waits or wait.looks < 5 else next_wait(wait.looks - 4, near_end=False)
        return {"status": "WAITING", "wait": seconds, "rotations": rotations, "memory": carried}


def _token(operation: Operation, secret: Secret) -> str:
    """Return the id of the version that an operation makes: the same however often it is made.

    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
    """
    return hashlib.sha256(f"{operation.execution_arn} {secret}".encode()).hexdigest()


def _user(values: Mapping[str, Credentials], version: str, stages: Stages) -> str | None:
    """Return the user of a version beside the current one; None where there is none."""
    return None if version == stages.current or version not in values else values[version].username


def _difference(
    secret: Secret, stages: Stages, accounts: Mapping[str, Account | None]
) -> _Difference:
    """Compare the next user of the connectors, until it is in use, with the present one.

    One kind at a time, because Camunda shows a user's memberships with those that its groups and
    roles bring along: a role of a group stays the group's, and leaves with it.
    """
    following, present = accounts.get(stages.pending), accounts.get(stages.current)
    if secret is not Secret.CONNECTORS or following is None or present is None:
        return _Difference()
    for kind in _KINDS:
        wanted, there = (one.memberships.get(kind, frozenset()) for one in (present, following))
        if wanted != there:
            return _Difference(kind, tuple(sorted(wanted - there)), tuple(sorted(there - wanted)))
    return _Difference()


def _request(operation: Operation, secret: Secret) -> str:
    """Return the input that rotates one secret."""
    return json.dumps({"clusterName": operation.cluster, "secrets": [str(secret)]})


def _report(secret: Secret, decision: RotationDecision, kept: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "secret": str(secret),
        "version": decision.target,
        "continued": bool(kept.get("continued")),
        "former": "refused",
    }


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an operation stands with one secret, for those who have to go on from there."""

    operation: Operation
    secret: Secret
    arn: str

    def described(self, decision: RotationDecision, observed: RotationObserved) -> str:
        """Return the step for the timeline, which is what remains if the execution is stopped.

        From the change of the administrator's own password until the new value is AWSCURRENT, the
        secret's present value is no login any more.
        """
        target = observed.pending.version_id if observed.pending is not None else ""
        open_ended = self.secret is not Secret.CONNECTORS and target == decision.target != ""
        return decision.reason + (f"; {self._going_on(target)}" if open_ended else "")

    def failed(self, why: str, kept: Mapping[str, Any]) -> RotationFailed:
        """Return the error of a secret that was not rotated."""
        target = str(kept.get("target", ""))
        if not target:
            return RotationFailed(
                f"Rotating secret {self.secret} {why}",
                next_step=f"Nothing of secret {self.arn} was changed. Fix the cause, then start "
                f"{_request(self.operation, self.secret)}.",
            )
        return RotationFailed(
            f"Rotating secret {self.secret} {why} {self._going_on(target)}.",
            next_step=f"Fix the cause, then start {_request(self.operation, self.secret)}: it goes "
            f"on with version {target} and makes no other. Leave the stages of {self.arn} as they "
            "are until then.",
        )

    def gave_up(
        self, decision: RotationDecision, kept: Mapping[str, Any]
    ) -> RotationFailed | FormerPasswordAccepted:
        """Return the error of a secret without progress."""
        lasted = f"for {PATIENCE // 60} minutes: {decision.reason}."
        if decision.in_use:
            return FormerPasswordAccepted(f"Secret {self.secret} has its new value, but {lasted}")
        return self.failed(f"made no progress {lasted}", kept)

    def _going_on(self, target: str) -> str:
        return (
            f"The new value is version {target} (AWSPENDING) of {self.arn}; if it stops here, "
            f"start {_request(self.operation, self.secret)}, which goes on with it"
        )
