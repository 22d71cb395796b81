"""The newest backup of the brokers, queried inside the VPC before an irreversible step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.camunda.fan_out import query_all
from lifecycle.camunda.read_brokers import BROKER_SECONDS
from lifecycle.errors import LifecycleError
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Callable

    from lifecycle.camunda.ports import ManagementApi


def query_backup(api: ManagementApi) -> dict[str, Any]:
    """Return the result of ``backup``: ``state``, ``at`` (ISO 8601), ``unready``, ``problem``.

    A backup in progress hides no completed one: the schedule makes one at any time, and what is
    there to be restored is the one before it. A backup that failed is answered as it is.

    ``state`` is empty when there is no backup; ``at`` is when its earliest part was begun, null
    where a partition has none. ``unready`` is what brokers have not completed for the next
    minor version, or why one of them was not read. ``problem`` is why nothing could be read, and
    empty otherwise.
    """
    try:
        unready = _unready(api)
        found = api.backups()
        state = api.backup_state(found.newest) if found.newest else ""
        if state == "IN_PROGRESS" and 0 < found.settled < found.newest:
            before = api.backup_state(found.settled)
            state = before if before == "COMPLETED" else state
    except LifecycleError as error:
        return {"state": "", "at": None, "unready": [], "problem": error.message}
    parts = [at for at in found.latest.values() if at is not None]
    whole = bool(parts) and len(parts) == len(found.latest)
    return {
        "state": state,
        "at": written(min(parts)) if whole else None,
        "unready": unready,
        "problem": "",
    }


def _unready(api: ManagementApi) -> list[str]:
    def query_of(address: str) -> Callable[[], tuple[str, ...]]:
        return lambda: api.upgrade_readiness(address)

    addresses = api.addresses()
    results = query_all({one: query_of(one) for one in addresses}, seconds=BROKER_SECONDS)
    return [
        f"{address}: {why}"
        for address in addresses
        for why in (*results.answers.get(address, ()), *[results.problems.get(address)])
        if why
    ]
