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
WAY_CHANGED: Final = "Way in is opened or closed"
BACKUP: Final = "Backup"
FORMER_DELETED: Final = "Former data is deleted"
OBSERVATION: Final = "Observation"
TASKS_START: Final = "Tasks start"
CLUSTER_CHANGE: Final = "Cluster change"
TASKS_STOP: Final = "Tasks stop"
SERVICES_STOP: Final = "Brokers and connectors stop"
BUCKETS_EMPTIED: Final = "Buckets of the trial are emptied"
STACK_DELETED: Final = "CloudFormation deletes the infrastructure"
DATABASE_RESTORED: Final = "Database is restored beside the present one"
DATABASE_LOGIN: Final = "Administrator of the restored database is set"
CAMUNDA_LOGINS: Final = "Users of Camunda have the passwords of the secrets"
BROKERS_RESTORED: Final = "Brokers are restored from the backup"
BACKUPS_COPIED: Final = "Backups are copied"
USERS_TAKEN_OVER: Final = "Users keep their passwords"
MARKERS_PLANTED: Final = "Process instances are planted"
TRIAL_MADE: Final = "Backup is restored into a trial"
COMPARISON: Final = "Trial is compared with the cluster"
TRIAL_REMOVED: Final = "Trial is removed"
MARKERS_REMOVED: Final = "Planted process instances are cancelled"

# In the order in which an operation may go through them; scaling out needs no stop, in no start.
STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "provision": (
        CHANGE_SET,
        BACKUP,
        STACK_BUILT,
        DATABASE_USER,
        SERVICES_START,
        BROKERS_REPLACED,
        VERIFICATION,
    ),
    "scale": (OBSERVATION, BACKUP, TASKS_START, CLUSTER_CHANGE, TASKS_STOP, VERIFICATION),
    "restart": (BACKUP, SERVICE_RESTARTED, VERIFICATION),
    "rotate": (PASSWORDS_ROTATED, SERVICE_RESTARTED, VERIFICATION),
    "manage": (WAY_CHANGED,),
    "restore": (
        DATABASE_RESTORED,
        SERVICES_STOP,
        CHANGE_SET,
        STACK_BUILT,
        DATABASE_LOGIN,
        DATABASE_USER,
        BACKUPS_COPIED,
        USERS_TAKEN_OVER,
        BROKERS_RESTORED,
        SERVICES_START,
        CAMUNDA_LOGINS,
        VERIFICATION,
    ),
    # A deletion of former data has the first two, everything else the last one only.
    "backup": (VERIFICATION, FORMER_DELETED, BACKUP),
    "rehearse": (
        MARKERS_PLANTED,
        BACKUP,
        TRIAL_MADE,
        COMPARISON,
        TRIAL_REMOVED,
        MARKERS_REMOVED,
    ),
    "plan": (),
    "teardown": (SERVICES_STOP, BUCKETS_EMPTIED, STACK_DELETED),
}
