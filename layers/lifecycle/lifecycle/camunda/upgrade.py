"""Whether a broker has ended the upgrade before: Camunda's upgrade readiness (8.10)."""

from __future__ import annotations

from typing import Final

from lifecycle.camunda.json_reader import mapping, text

MIGRATED: Final = "MIGRATED"


def read_upgrade(payload: object) -> tuple[str, ...]:
    """Read ``GET /actuator/upgradeReadiness`` of one broker: what is not done; empty: all is.

    Good is ``upgradeable`` true with every condition MIGRATED. Camunda documents that
    conditions may be missing, so that it is necessary and not sufficient. Raises
    ``InvalidResponse``. Source: Camunda's upgrade-readiness-api.yaml (8.10).
    """
    answer = mapping(payload, "the upgrade readiness")
    tenants = mapping(answer.get("physicalTenants"), "physicalTenants")
    found = []
    for tenant, conditions in tenants.items():
        for name, one in mapping(conditions, tenant).items():
            state = text(mapping(one, name), "state")
            if state != MIGRATED:
                found.append(f"{name} of {tenant} is {state}")
    if answer.get("upgradeable") is not True and not found:
        found.append("it is not upgradeable")
    return tuple(found)
