"""After a restore Camunda's users get the values of the secrets, however old the data is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.errors import RestoreFailed, RotationRefused
from lifecycle.operation.model import Operation
from lifecycle.rotation.request import Secret
from lifecycle.rotation.restored_logins import RestoredLogins

from tests.fakes.rotation import User
from tests.support.rotation import ARNS, RotationWorld
from tests.support.world import operation


class Restored:
    """Secrets after rotations, and users as they were before them."""

    def __init__(self, *, admin: int = 0, connectors: int = 0) -> None:
        self.world = RotationWorld()
        self.users = self.world.users
        self.operation: Operation = operation()
        self.world.table.begin(self.operation, now=self.world.clock.now())
        for secret, times in ((Secret.ADMIN, admin), (Secret.CONNECTORS, connectors)):
            for number in range(times):
                self.rotate(secret, f"{secret}-{number}")

    def rotate(self, secret: Secret, token: str) -> None:
        """Give the secret a new value; the data is of before that."""
        arn, secrets = ARNS[secret], self.world.secrets
        current = secrets.value(arn)
        name = current.username
        if secret is Secret.CONNECTORS:
            name = "connectors" if name.endswith("-b") else "connectors-b"
        secrets.create(arn, name, token)
        secrets.promote(arn, token, secrets.kept[arn].stages["AWSCURRENT"])

    @property
    def logins(self) -> RestoredLogins:
        return RestoredLogins(
            secrets=self.world.secrets, camunda=lambda _: self.users, journal=self.world.journal
        )

    def align(self, *, looks: int = 60, outputs: dict[str, str] | None = None) -> int:
        """Look until it is done; returns in how many looks. What is carried has no value."""
        cluster = ClusterOutputs({**self.world.outputs, **(outputs or {})})
        memory: dict[str, object] = {}
        for number in range(1, looks + 1):
            found = self.logins.align(self.operation, cluster, memory=memory)
            assert "password-number" not in str(found)
            if found["status"] == "SET":
                return number
            memory = found["memory"]
            self.world.clock.pass_seconds(10)
        raise AssertionError(f"not done: {memory}")

    def accepts(self, secret: Secret) -> bool:
        """Whether the present value of a secret is accepted."""
        return self.users.accepts(self.world.current(secret))


def test_without_a_rotation_nothing_is_changed() -> None:
    restored = Restored()
    before = {name: replace(one) for name, one in restored.users.users.items()}
    assert restored.align() == 1
    assert restored.users.users == before


@pytest.mark.parametrize("connectors", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("admin", [0, 1])
def test_the_values_of_the_secrets_are_accepted_and_no_former_one(
    admin: int, connectors: int
) -> None:
    restored = Restored()
    of_then = restored.world.current(Secret.CONNECTORS)
    admin_of_then = restored.world.current(Secret.ADMIN)
    restored = Restored(admin=admin, connectors=connectors)
    restored.align()
    assert restored.accepts(Secret.ADMIN)
    assert restored.accepts(Secret.CONNECTORS)
    account = restored.users.account(restored.world.current(Secret.CONNECTORS))
    assert account is not None
    assert account.memberships["roles"] == {"connectors"}
    assert restored.users.accepts(admin_of_then) is (admin == 0)
    assert restored.users.accepts(of_then) is (connectors == 0)


def test_the_other_user_was_in_use_at_that_moment() -> None:
    """Both exist, and only the one that was in use has what it had then."""
    restored = Restored(connectors=2)
    restored.users.known["groups"].add("late")
    used = User("password-of-then", "password-of-then")
    used.memberships["roles"].add("connectors")
    used.memberships["groups"].add("late")
    restored.users.users["connectors-b"] = used
    restored.users.users["connectors"].password = "retired-by-then"
    restored.users.users["connectors"].shown = "retired-by-then"
    restored.align()
    account = restored.users.account(restored.world.current(Secret.CONNECTORS))
    assert account is not None
    assert account.memberships["groups"] == {"late"}
    assert not restored.users.accepts(Credentials("connectors-b", "password-of-then"))
    current = restored.world.current(Secret.CONNECTORS)
    assert not restored.users.accepts(Credentials("connectors-b", current.password))


@pytest.mark.parametrize("looks", range(1, 6))
def test_interrupted_at_any_look_it_ends_the_same(looks: int) -> None:
    restored = Restored(admin=1, connectors=1)
    with pytest.raises(AssertionError, match="not done"):
        restored.align(looks=looks)
    restored.align()
    account = restored.users.account(restored.world.current(Secret.CONNECTORS))
    assert account is not None
    assert account.memberships["roles"] == {"connectors"}
    assert restored.accepts(Secret.ADMIN)


def test_two_rotations_of_the_administrator_end_in_words() -> None:
    restored = Restored(admin=2)
    with pytest.raises(RestoreFailed) as caught:
        restored.align()
    assert "accepts neither the present value (AWSCURRENT) nor the former one" in (
        caught.value.message
    )
    assert "as a new version with the stage AWSPREVIOUS" in str(caught.value.next_step)


def test_brokers_that_do_not_answer_yet_are_waited_for() -> None:
    restored = Restored(admin=1)
    restored.users.running = False
    with pytest.raises(AssertionError, match="not done"):
        restored.align(looks=200)
    with pytest.raises(RestoreFailed, match="For 60 minutes no broker answered"):
        restored.align(looks=400)
    restored.users.running = True
    restored.align()
    assert restored.accepts(Secret.ADMIN)


def test_with_an_identity_provider_no_user_is_read() -> None:
    restored = Restored(admin=1)
    restored.users.running = False
    assert restored.align(outputs={"Authentication": "oidc"}) == 1


def test_a_secret_that_names_another_user_changes_no_password() -> None:
    restored = Restored()
    arn = ARNS[Secret.CONNECTORS]
    restored.world.secrets.kept[arn].values["first"] = Credentials("boss", "password-x")
    with pytest.raises(RotationRefused):
        restored.align()
    assert "boss" not in restored.users.users
