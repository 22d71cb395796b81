"""After a restore: Camunda's users get the passwords of the secrets again.

Restored data has the passwords of its time, and the secrets those of the last rotation. The
administrator's former value (AWSPREVIOUS) logs in where one rotation lies between; the connectors'
user gets its password from the administrator, and the memberships of the other one of the two that
take turns. A broker sets the password of a user only when it makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.polling import Wait
from lifecycle.errors import ManagementUnavailable, RestoreFailed
from lifecycle.operation.steps import CAMUNDA_LOGINS
from lifecycle.rotation.decisions import next_user, refuse_foreign_user
from lifecycle.rotation.request import OUTPUTS, PURPOSES, Secret
from lifecycle.times import epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.operation.journal import Journal
    from lifecycle.operation.model import Operation
    from lifecycle.rotation.ports import Account, CamundaUsers, SecretVersions

# Seconds with the same answer. What the brokers export again after a restore may hold the change.
PATIENCE: Final = 5 * 60
# FollowStart fails a start that takes too long; once it has ended, it waits for nothing any more.
UNREACHABLE: Final = 60 * 60
# Memberships that bring others along come first.
_KINDS: Final = ("groups", "roles", "tenants")
_OTHER: Final = "other"
_RETIRED: Final = "retired"


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look has found to do, or to wait for; ``done`` is remembered for the next one."""

    reason: str
    done: str = ""


@dataclass(frozen=True, slots=True)
class RestoredLogins:
    """The use case and its ports."""

    secrets: SecretVersions
    camunda: Callable[[str], CamundaUsers]
    journal: Journal

    def align(
        self, operation: Operation, cluster: ClusterOutputs, *, memory: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Take the next step towards the secrets' values (AWSCURRENT) being accepted.

        No secret is changed. ``memory`` is what the last look returned, empty at first; it has no
        value. Returns ``status`` ``SET``, or ``WAITING`` with ``memory``: the machine follows the
        start meanwhile, since connectors start only then. Raises ``RestoreFailed`` where neither
        value of the administrator's secret is accepted, ``SecretRefused``, ``SecretUnreadable``,
        ``RotationRefused`` for a secret that names another user, what Camunda's API raises, and as
        ``Journal.hold`` does.
        """
        if cluster.uses_oidc:
            return {"status": "SET"}
        done = tuple(memory.get("done", ()))
        now = epoch(self.journal.clock.now())
        self.journal.hold(operation, "it set passwords of Camunda's users")
        try:
            look = self._look(cluster, done)
        except ManagementUnavailable as error:
            wait = Wait.at("unreachable", now, Wait.read(memory.get("waited")))
            if wait.lasted(UNREACHABLE, now):
                raise RestoreFailed(
                    f"For {UNREACHABLE // 60} minutes no broker answered requests about users: "
                    f"{error.message.rstrip('.')}."
                ) from error
            return {"status": "WAITING", "memory": {"done": list(done), "waited": wait.as_state()}}
        if look is None:
            if done:
                self.journal.step(operation, CAMUNDA_LOGINS, "Camunda accepts both secrets")
            return {"status": "SET"}
        wait = Wait.at(look.reason, now, Wait.read(memory.get("waited")))
        if wait.lasted(PATIENCE, now):
            raise RestoreFailed(
                f"For {PATIENCE // 60} minutes {look.reason}.",
                next_step="Brokers run on the restored data, whose passwords are of its time. If "
                "the administrator's was rotated more than once since, put the password of that "
                f"time into {cluster.required(OUTPUTS[Secret.ADMIN])} as a new version with the "
                "stage AWSPREVIOUS; then start the same request again. It continues here.",
            )
        if look.done:
            self.journal.step(operation, CAMUNDA_LOGINS, look.reason)
        kept = [*done, *([look.done] if look.done and look.done not in done else [])]
        return {"status": "WAITING", "memory": {"done": kept, "waited": wait.as_state()}}

    def _look(self, cluster: ClusterOutputs, done: tuple[str, ...]) -> _Look | None:
        """Look, and take one step; None once both values are accepted."""
        users = self.camunda(cluster.discovery_name)
        admin, former = self._values(cluster, Secret.ADMIN)
        if users.account(admin) is None:
            if Secret.ADMIN in done:
                return _Look("Camunda does not accept the administrator's value yet")
            if former is None or former.username != admin.username or not users.account(former):
                return _Look(
                    "Camunda accepts neither the present value (AWSCURRENT) nor the former one "
                    "(AWSPREVIOUS) of the administrator's secret"
                )
            users.set_password(former, admin)
            return _Look("the administrator gets the value of the secret", Secret.ADMIN)
        return self._connectors(cluster, users, admin, done)

    def _connectors(
        self,
        cluster: ClusterOutputs,
        users: CamundaUsers,
        admin: Credentials,
        done: tuple[str, ...],
    ) -> _Look | None:
        current, _ = self._values(cluster, Secret.CONNECTORS)
        account = users.account(current)
        if account is None:
            if Secret.CONNECTORS in done:
                return _Look("Camunda does not accept the connectors' value yet")
            users.set_password(admin, current)
            return _Look("the connectors' user gets the value of the secret", Secret.CONNECTORS)
        # The other one may be who the connectors were at that moment. With this one's password,
        # which no other user has, it shows its memberships, until it gets one that is not stored.
        other = Credentials(next_user(current.username), current.password)
        there = users.account(other)
        if _RETIRED in done:
            return _Look("Camunda still accepts the other user") if there is not None else None
        if there is None:
            if Secret.CONNECTORS not in done and any(account.memberships.values()):
                return None
            if _OTHER in done:
                return _Look("Camunda does not accept the other user of the connectors yet")
            users.set_password(admin, other)
            return _Look("the other user of the connectors is read", _OTHER)
        if lacking := _lacking(account, there):
            kind, names = lacking
            for name in names:
                users.add_member(admin, kind, name, current.username)
            return _Look(f"the connectors' user gets what it lacks: {kind} {', '.join(names)}")
        unknown = Credentials(other.username, self.secrets.unknown_password())
        users.set_password(admin, unknown)
        return _Look("the other user gets a random password that is not stored", _RETIRED)

    def _values(
        self, cluster: ClusterOutputs, secret: Secret
    ) -> tuple[Credentials, Credentials | None]:
        """Return the present value of a secret, and the former one if there is one."""
        arn = cluster.required(OUTPUTS[secret])
        stages = self.secrets.stages(arn, cluster=cluster.cluster_name, purpose=PURPOSES[secret])
        current = self.secrets.read(arn, stages.current)
        former = self.secrets.read(arn, stages.previous) if stages.previous else None
        refuse_foreign_user(secret, current.username, None, former.username if former else None)
        return current, former


def _lacking(account: Account, other: Account) -> tuple[str, list[str]] | None:
    """Return the first kind of memberships that only the other one has, and their names."""
    for kind in _KINDS:
        names = other.memberships.get(kind, frozenset()) - account.memberships.get(
            kind, frozenset()
        )
        if names:
            return kind, sorted(names)
    return None
