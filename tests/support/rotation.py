"""A running cluster in memory whose passwords are rotated, with connectors that hold one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lifecycle.rotation.request import OUTPUTS, Secret
from lifecycle.rotation.rotate_secrets import SecretRotator
from lifecycle.rotation.validate_rotation import prepare_rotation

from tests.fakes.rotation import (
    FakeCamundaUsers,
    FakeDatabaseLogins,
    FakeSecretVersions,
    FakeTaskSecrets,
)
from tests.support.definitions import Function, load_handler
from tests.support.rolling import VERIFIED, RollingWorld, restart_functions
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.camunda.credentials import Credentials

ARNS = {secret: f"arn:secret:{secret}" for secret in Secret}
BY_REFERENCE = frozenset({f"{ARNS[Secret.CONNECTORS]}:username::"})


class RotationWorld(RollingWorld):
    """A cluster with three secrets, whose values Camunda and Aurora are held to.

    ``held`` are the logins of connectors that run, by the deployment that started them: a task gets
    the value that is AWSCURRENT when it starts, and keeps it.
    """

    ready = False

    def __init__(self, *, connectors: int = 1) -> None:
        super().__init__()
        self.secrets = FakeSecretVersions()
        values = {
            secret: self.secrets.add(ARNS[secret], name)
            for secret, name in (
                (Secret.ADMIN, "admin"),
                (Secret.DATABASE, "camunda_admin"),
                (Secret.CONNECTORS, "connectors"),
            )
        }
        self.users = FakeCamundaUsers(now=lambda: self.clock.now().timestamp())
        self.users.add(values[Secret.ADMIN], "admin")
        self.users.add(values[Secret.CONNECTORS], "connectors")
        self.admins = FakeDatabaseLogins(values[Secret.DATABASE])
        self.task_secrets = FakeTaskSecrets(BY_REFERENCE)
        self.declare(
            **{OUTPUTS[secret]: ARNS[secret] for secret in Secret},
            DatabaseEndpoint="db.example",
            DatabasePort="5432",
            DatabaseName="camunda",
            DatabaseUser="camunda",
            Connectors=str(connectors),
        )
        self.services.add("connectors", desired=connectors)
        self.held: dict[str, Credentials] = {}
        self.refused: list[str] = []
        self.ready = True
        self.look_at_connectors()

    def declare(self, **outputs: str) -> None:
        """Let the stack have these outputs."""
        super().declare(**outputs)
        stack = self.stacks.stack
        if stack is not None:
            self.stacks.stack = replace(stack, outputs=self.outputs)

    @property
    def rotator(self) -> SecretRotator:
        return SecretRotator(
            secrets=self.secrets,
            camunda=lambda _: self.users,
            database=lambda _: self.admins,
            journal=self.journal,
        )

    def look_at_connectors(self) -> None:
        """Note what running connectors hold, and whether Camunda refuses it."""
        (connectors,) = self.services.describe("", ["connectors"])
        if not connectors.desired:
            return
        living = {one.deployment for one in self.services.living_tasks("", "connectors")}
        now = living | {one.deployment_id for one in connectors.deployments}
        for new in now - self.held.keys():
            self.held[new] = self.secrets.value(ARNS[Secret.CONNECTORS])
        for deployment in self.held.keys() - now:
            del self.held[deployment]
        for deployment, login in self.held.items():
            if not self.users.accepts(login):
                self.refused.append(f"{deployment} as {login.username}")

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass; connectors that were started are in service then."""
        super().pass_seconds(seconds)
        if self.ready:
            self.look_at_connectors()
            self.services.settle("connectors")
            self.look_at_connectors()

    def former(self, secret: Secret) -> Credentials:
        """The value that is AWSPREVIOUS."""
        return self.secrets.value(ARNS[secret], "AWSPREVIOUS")

    def current(self, secret: Secret) -> Credentials:
        """The value that is AWSCURRENT."""
        return self.secrets.value(ARNS[secret])

    def accepts(self, secret: Secret, login: Credentials) -> bool:
        """Whether the secret's system accepts a login."""
        if secret is Secret.DATABASE:
            return self.admins.accepts(login)
        return self.users.accepts(login)

    def rotated(self, secret: Secret) -> bool:
        """Whether a secret has a new value that is accepted, and the former one is refused."""
        stages = self.secrets.kept[ARNS[secret]].stages
        return bool(
            "AWSPREVIOUS" in stages
            and "AWSPENDING" not in stages
            and self.accepts(secret, self.current(secret))
            and not self.accepts(secret, self.former(secret))
        )


def rotate_functions(
    world: RotationWorld, verify: Callable[[], dict[str, Any]] = lambda: dict(VERIFIED)
) -> dict[str, Function]:
    """The functions of the rotate machine on a world."""
    others = restart_functions(world, verify)
    del others["ValidateRestart"], others["TakeBackup"]
    return {
        "ValidateRotation": load_handler(
            "validate_rotation",
            rotation_validator=lambda raw: prepare_rotation(
                raw,
                control_stack=CONTROL,
                stacks=world.stacks,  # type: ignore[arg-type]
                services=world.services,
                tasks=world.task_secrets,
            ),
        ),
        "RotateSecrets": load_handler("rotate_secrets", secret_rotator=lambda: world.rotator),
        **others,
    }
