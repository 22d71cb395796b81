"""Whom a local broker lets in before it can read its users."""

from __future__ import annotations

import pytest

from local.broker.users import Users
from tests.support.memory_gateway import USERS, MemoryGateway

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("directory", "proven"), [("/data", True), ("/data/restored-2", False), (None, True)]
)
def test_on_restored_data_the_environment_proves_no_login(
    directory: str | None, proven: bool
) -> None:
    """The secondary storage has the passwords of then, and the environment those of now."""
    more = {} if directory is None else {"CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY": directory}
    password = USERS["CAMUNDA_SECURITY_INITIALIZATION_USERS_0_PASSWORD"]
    name = USERS["CAMUNDA_SECURITY_INITIALIZATION_USERS_0_USERNAME"]
    gateway = MemoryGateway()
    gateway.down.add(1)
    users = Users({**USERS, **more}, gateway)
    # It waits for nothing, so that it needs no event loop (and no socket of one).
    with pytest.raises(StopIteration) as ended:
        users.proves(name, password).send(None)
    assert ended.value.value is proven
