"""Check and plan a new cluster that is made of another one's backups, before anything is made."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.freeze import refuse_if_frozen
from lifecycle.cluster.names import stack_name
from lifecycle.cluster.stack import is_half_made, is_ours, is_running, present_parameters
from lifecycle.cluster.validation import Problem, invalid
from lifecycle.errors import RestoreRefused, StackNotUsable
from lifecycle.preflight import backup_gate
from lifecycle.provisioning.request import BOOTSTRAP_PARAMETERS
from lifecycle.provisioning.validate import as_state, validate_request
from lifecycle.restore.engines import takes
from lifecycle.restore.facts import Present
from lifecycle.restore.history import last_complete
from lifecycle.restore.keys import refuse_closed_key
from lifecycle.restore.partitions import partitions_now
from lifecycle.restore.plan import RECORDS, measured_by, new_cluster_plan
from lifecycle.restore.request import FROM
from lifecycle.restore.target import choose
from lifecycle.services.images import versions
from lifecycle.times import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.cluster.ports import Clock, Stacks
    from lifecycle.cluster.stack import Stack
    from lifecycle.restore.facts import DatabaseFound, Target
    from lifecycle.restore.ports import PastOperations, RestoredDatabases
    from lifecycle.restore.request import RestoreRequest
    from lifecycle.restore.source import SourceFound, Sources
    from lifecycle.services.ports import Services
    from lifecycle.services.registries import Registries

CONNECTORS: Final = "Connectors"
ENGINE: Final = "DatabaseEngineVersion"
# https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html


@dataclass(frozen=True, slots=True)
class NewClusterValidator:
    """The use case and its ports; it only reads."""

    stacks: Stacks
    services: Services
    databases: RestoredDatabases
    past: PastOperations
    sources: Sources
    declarations: Mapping[str, Mapping[str, object]]
    registries: Callable[[], Registries]
    clock: Clock
    control_stack: str

    def validate(self, request: RestoreRequest) -> dict[str, Any]:
        """Return what the restore machine carries of a cluster that it makes.

        As ``RestoreValidator.validate`` does; ``creates`` is true until its stack is complete,
        ``copies`` is the bucket whose backups are copied. A cluster that exists is refused, unless
        an earlier start of the same request made it. Raises as that does.
        """
        name = stack_name(self.control_stack, request.cluster)
        stack = self.stacks.describe(name)
        self._refuse_unusable(stack, request.cluster)
        made = present_parameters(stack)
        if made and (made.get("DataGeneration") or "1") == "1":
            raise _exists(request, f"was not made of backups of {request.source}")
        outputs = stack.outputs if stack is not None else {}
        now = self.clock.now()
        source = self.sources.find(
            request.source,
            until=request.to or now,
            now=now,
            backup=request.backup,
            without=outputs.get("BackupBucketName", ""),
        )
        database = self.databases.found(request.source)
        of = Present(
            stack=name,
            partitions=source.partitions,
            version=None,
            generation=source.generation,
            snapshot=source.snapshot,
            database=source.database,
            restored=source.restored,
            since=source.since,
        )
        there = partitions_now(of, source.answered, source.newest, database)
        of = replace(of, partitions=there)
        provision = self._parameters(request, source, made, there)
        full = {
            **{key: str(one.get("default", "")) for key, one in self.declarations.items()},
            **made,
            **provision["parameters"],
        }
        present = Present(
            stack=name,
            partitions=int(full["Partitions"]),
            version=versions(full).brokers,
            generation=int(made.get("DataGeneration") or "1"),
            snapshot=made.get("DatabaseSnapshot", ""),
            database=outputs.get("DatabaseClusterId", ""),
            restored=made.get("RestoredBackup", ""),
        )
        if not made:
            _refuse_fewer(request, present.partitions, of, source, database)
        target = choose(
            request,
            present,
            [one for _, one in source.backups],
            # A backup of before partitions were added has no part of those.
            [one for one in source.ranges if one.partition <= present.partitions],
            database,
            now=now,
            of=of,
            gone=not source.living,
            continuous=full["ContinuousBackup"] == "true",
        )
        self._refuse_existing(request, made, target)
        refuse_closed_key(target, self.sources.things)
        if not made:
            provision["parameters"] |= self._engine(request, target)
        brokers = int(full["Brokers"])
        running = self._running(stack)
        bucket = source.bucket_of(target.backup, target.at)
        return {
            **provision,
            FROM: request.source,
            "asked": dict(request.parameters),
            "dryRun": request.dry_run,
            "approves": request.approves,
            "creates": stack is None or not stack.outputs.complete,
            "copies": bucket,
            "brokers": brokers,
            "resumes": target.changed and running > 0,
            "target": target,
            "continuous": full["ContinuousBackup"] == "true",
            "restored": {
                "parameters": {
                    "DatabaseSnapshot": target.snapshot,
                    "DataGeneration": str(target.generation),
                    "RestoredBackup": target.restored,
                },
                "replace": [],
            },
            "plan": new_cluster_plan(
                target,
                request.to,
                now=now,
                source=request.source,
                living=source.living,
                bucket=bucket,
                unread=source.unread,
                parameters=provision["parameters"],
                schedule=full["BackupSchedule"],
                connectors=int(full[CONNECTORS]),
                newest=source.newest,
                records=self.past.of_cluster(request.source, RECORDS),
                rehearsed=measured_by(self.past, request.source),
            ),
        }

    def _refuse_unusable(self, stack: Stack | None, cluster: str) -> None:
        if stack is None or not present_parameters(stack):
            return
        if not is_ours(stack, self.control_stack, cluster):
            raise StackNotUsable(
                f"A stack named {stack.name} exists but does not carry the tags of cluster "
                f"{cluster} of {self.control_stack}; it is left alone.",
                next_step="Choose another cluster name.",
            )
        refuse_if_frozen(stack.name, stack.tags)
        if is_running(stack.status):
            raise StackNotUsable(
                f"Stack {stack.name} is in {stack.status}.",
                next_step="Wait until it has finished, then start the same request again.",
            )

    def _parameters(
        self,
        request: RestoreRequest,
        source: SourceFound,
        made: Mapping[str, str],
        partitions: int,
    ) -> dict[str, Any]:
        """Validate the parameters as provisioning does, with those that the source decides.

        ``partitions`` is how many it has: its stack has fewer where they were added since.
        """
        asked = request.parameters
        problems = []
        if source.living and str(asked.get(CONNECTORS, "0")) != "0":
            allowed = (
                f"0, while {request.source} exists: connectors of a copy would call other systems "
                "a second time"
            )
            problems.append(Problem(f"parameters.{CONNECTORS}", asked[CONNECTORS], allowed))
        if not source.living and not made:
            seen = sorted({one.partitions for _, one in source.backups})
            of = {"Partitions": f", which is {' or '.join(map(str, seen))} in its backups"}
            problems += [
                Problem(
                    f"parameters.{name}",
                    None,
                    f"the number that {request.source} had when the backup was made"
                    f"{of.get(name, '')}: Camunda restores only to the same",
                )
                for name in BOOTSTRAP_PARAMETERS
                if name not in asked
            ]
        if problems:
            raise invalid(problems)
        taken = dict(source.parameters or {})
        if source.living:
            taken |= {
                "Brokers": str(source.brokers),
                "Partitions": str(partitions),
                CONNECTORS: "0",
            }
        # A stack that an earlier start made has them already.
        base = {} if made else {"ContinuousBackup": "true", **taken}
        provision = validate_request(
            {"clusterName": request.cluster, "parameters": {**base, **asked}},
            control_stack=self.control_stack,
            declarations=self.declarations,
            stacks=self.stacks,
            registries=self.registries(),
        )
        state = as_state(provision, self.control_stack)
        return {key: one for key, one in state.items() if key not in {backup_gate.ACCEPT, "backup"}}

    def _refuse_existing(
        self, request: RestoreRequest, made: Mapping[str, str], target: Target
    ) -> None:
        if made and not target.changed:
            of = f"backup {target.backup} of {request.source}"
            raise _exists(request, f"was not made of {of}")

    def _engine(self, request: RestoreRequest, target: Target) -> dict[str, str]:
        """Return the version of Aurora that a snapshot needs, if it exists already.

        RDS restores it to its own version or a later one of the same major:
        https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterFromSnapshot.html
        """
        listed = self.sources.things.snapshots(self.control_stack)
        found = next((one for one in listed if one.name == target.snapshot), None)
        if found is None:
            return {}
        is_known = re.fullmatch(
            str(self.declarations[ENGINE]["allowedPattern"]), found.engine_version
        )
        if ENGINE not in request.parameters:
            return {ENGINE: found.engine_version} if is_known else {}
        given = str(request.parameters[ENGINE])
        if not takes(found.engine_version, given):
            allowed = (
                f"{found.engine_version}, which snapshot {found.name} has, or a later one of the "
                "same major version"
            )
            raise invalid([Problem(f"parameters.{ENGINE}", given, allowed)])
        return {}

    def _running(self, stack: Stack | None) -> int:
        if stack is None or not stack.outputs.complete or is_half_made(stack):
            return 0
        outputs = stack.outputs
        return self.services.describe(outputs.ecs_cluster, outputs.service_names)[0].desired


def _refuse_fewer(
    request: RestoreRequest,
    given: int,
    of: Present,
    source: SourceFound,
    database: DatabaseFound,
) -> None:
    """Refuse fewer partitions than the source has where no backup is named.

    Of the backups that have so few the newest would be restored, and what came since is lost.
    ``of`` has how many there are now; how many there were at the moment of the request, the last
    backup before it shows.
    """
    if request.backup is not None:
        return
    to = request.to
    until = [one for _, one in source.backups if to is None or one.at <= to]
    last = last_complete(of, until, database)
    shown = last.partitions if last is not None else 0
    if given >= (of.partitions if to is None else shown):
        return
    had = f"{request.source} has {of.partitions}"
    if last is not None and shown > given:
        had = f"backup {last.backup} of {written(last.at)}, the newest until then, has {shown}"
    raise RestoreRefused(
        f"parameters.Partitions is {given}, and {had}: a new cluster with {given} would be made of "
        "an older backup, without anything since partitions were added.",
        next_step=f"Nothing was changed. Give {of.partitions if to is None else shown} as "
        "Partitions, or name the older backup that is meant as backup.",
    )


def _exists(request: RestoreRequest, why: str) -> RestoreRefused:
    return RestoreRefused(
        f"Cluster {request.cluster} exists, and {why}; allowed is a name of no cluster.",
        next_step="Nothing was changed. To restore the cluster to a backup of its own, leave from "
        "out.",
    )
