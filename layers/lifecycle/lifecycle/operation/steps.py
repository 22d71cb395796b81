"""The steps of each state machine, as operations record them on the timeline: the only place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANGE_SET: Final = "Change set for the infrastructure"
STACK_BUILT: Final = "CloudFormation builds the infrastructure"
DATABASE_USER: Final = "Database user is seeded"
SERVICES_START: Final = "Brokers and connectors start"
BROKERS_REPLACED: Final = "Brokers are replaced"
VERIFICATION: Final = "Verification"
SERVICE_RESTARTED: Final = "Service is restarted"
PASSWORDS_ROTATED: Final = "Passwords are rotated"
OBSERVATION: Final = "Observation"
TASKS_START: Final = "Tasks start"
CLUSTER_CHANGE: Final = "Cluster change"
TASKS_STOP: Final = "Tasks stop"
SERVICES_STOP: Final = "Brokers and connectors stop"
BUCKETS_EMPTIED: Final = "Buckets of the trial are emptied"
STACK_DELETED: Final = "CloudFormation deletes the infrastructure"

# In the order in which an operation may go through them; scaling out needs no stop, in no start.
STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "provision": (
        CHANGE_SET,
        STACK_BUILT,
        DATABASE_USER,
        SERVICES_START,
        BROKERS_REPLACED,
        VERIFICATION,
    ),
    "scale": (OBSERVATION, TASKS_START, CLUSTER_CHANGE, TASKS_STOP, VERIFICATION),
    "restart": (SERVICE_RESTARTED, VERIFICATION),
    "rotate": (PASSWORDS_ROTATED, SERVICE_RESTARTED, VERIFICATION),
    "plan": (),
    "teardown": (SERVICES_STOP, BUCKETS_EMPTIED, STACK_DELETED),
}
