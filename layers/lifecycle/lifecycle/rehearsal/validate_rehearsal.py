"""Check a rehearsal request, and plan it, before anything is started."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.backups import restore_minutes
from lifecycle.cluster.find import find_own_cluster
from lifecycle.cluster.freeze import refuse_freeze
from lifecycle.cluster.names import stack_name
from lifecycle.cluster.trial import rehearsal_trial
from lifecycle.errors import RehearsalRefused
from lifecycle.operation.journal import busy
from lifecycle.rehearsal.request import lock_name, read_rehearsal_request
from lifecycle.times import epoch

if TYPE_CHECKING:
    from lifecycle.cluster.ports import Clock, Stacks
    from lifecycle.operation.ports import Locks
    from lifecycle.services.ports import Services

_SCHEDULE: Final = "PT15M"


@dataclass(frozen=True, slots=True)
class RehearsalValidator:
    """The use case and its ports; it only reads."""

    stacks: Stacks
    services: Services
    locks: Locks
    clock: Clock
    control_stack: str

    def validate(self, raw: object) -> dict[str, Any]:
        """Validate ``{"clusterName": "demo"}``; change nothing.

        Returns ``cluster``, ``stack``, ``ecsCluster`` (of the lock), ``trial``, ``dryRun`` and
        ``plan``, as the state machine carries them. Raises ``InvalidRequest`` that names every
        wrong field, ``ClusterNotFound``, ``ClusterFrozen``, ``StackNotUsable`` and
        ``RehearsalRefused``; for a request of a schedule also ``ClusterBusy`` while an operation
        holds the cluster, for which the request of a person waits.
        """
        request = read_rehearsal_request(raw)
        stack = find_own_cluster(self.stacks, self.control_stack, request.cluster)
        outputs = stack.outputs
        refuse_freeze(outputs.ecs_cluster, self.locks.frozen(outputs.ecs_cluster))
        if request.scheduled:
            self._refuse_busy(outputs.ecs_cluster)
        if outputs.get("ContinuousBackup", "true") != "true":
            raise RehearsalRefused(
                f"ContinuousBackup of {request.cluster} is false; allowed is true: without it, "
                "Camunda does not compare the database with the backup that is restored."
            )
        found = self.services.describe(outputs.ecs_cluster, outputs.service_names)
        if not found[0].running:
            raise RehearsalRefused(
                f"No broker of {request.cluster} runs: nothing can be backed up, nor compared."
            )
        trial = rehearsal_trial(request.cluster)
        if self.stacks.describe(stack_name(self.control_stack, trial)) is not None:
            raise RehearsalRefused(
                f"Cluster {trial}, into which {request.cluster} is restored, exists: an earlier "
                "rehearsal could not remove it.",
                next_step=f"Tear {trial} down, then start the same request again.",
            )
        return {
            "cluster": request.cluster,
            "stack": stack.name,
            "ecsCluster": lock_name(stack.name),
            "trial": trial,
            "dryRun": request.dry_run,
            "plan": _plan(
                request.cluster,
                trial,
                outputs.brokers,
                stack.parameters.get("BackupSchedule", _SCHEDULE),
            ),
        }

    def _refuse_busy(self, ecs_cluster: str) -> None:
        lock = self.locks.held(ecs_cluster)
        if lock is not None and lock.expires_at > epoch(self.clock.now()):
            raise busy(lock)


def _plan(cluster: str, trial: str, brokers: int, schedule: str) -> dict[str, Any]:
    return {
        "steps": [
            (
                f"Process instances that wait for a message are planted in {cluster}, one on each "
                "partition."
            ),
            f"A backup of {cluster} is taken, with a snapshot of its database.",
            (
                f"Trial {trial} is made of it: stack, database, copy of the backups, brokers, "
                "verification. This is what a restore after the loss of everything takes, and is "
                "timed."
            ),
            (
                "The planted instances are found in the trial and go on; totals of what there was "
                "at the moment of the backup are compared."
            ),
            (
                f"Trial {trial} is torn down, whatever happened before, and the planted instances "
                "are cancelled."
            ),
        ],
        "minutes": {
            "brokers": restore_minutes(schedule),
            "text": "Stack and database are made first, which takes Aurora longer for a large "
            "volume. How long it took last is in the health report (recoverySeconds), once one was "
            "rehearsed.",
        },
        "cost": f"For as long as it lasts, the trial costs what {cluster} costs without "
        f"connectors: {brokers} brokers, instances and storage of the database, a file system, "
        "load balancers; and requests to S3 for each object that is copied.",
        "warnings": [
            (
                "Timers of process instances fire in the trial as well. Nothing works on their "
                f"jobs, because connectors do not run and no worker of {cluster} has its address."
            ),
            (
                "The trial's load balancers are internal, without a certificate, and its users "
                f"have the passwords of {cluster}'s: the verification logs in there, in clear "
                "within the VPC."
            ),
        ],
    }
