"""Reconciles ECS desired counts: every service of the emulator gets tasks that really run.

One thread checks all services and tasks several times a second and takes the next step of each.
Nothing in it waits: a small pool of helpers stops processes and checks health. The
records that the emulator's API shows are the ones changed here, under one lock.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.certificates import rds_root_certificate

from local.aws.emulator import ecs, responses
from local.aws.sessions import open_session
from local.aws.strict import (
    Strictness,
    capacity_missing,
    service_connect,
    task_roles,
    task_secrets,
)
from local.config import ACCOUNT_ID, REGION
from local.fargate import registration, scheduling, service_revisions, standalone
from local.fargate.health import parse_check
from local.fargate.logs import LogShipper, NoLogStreamError, awslogs
from local.fargate.programs import CannotStartError, ContainerStart, launch
from local.fargate.task import (
    STARTING,
    Container,
    Task,
    attach_interface,
    environment_of,
    new_task,
    task_tags,
)
from local.names import replace_json
from local.proxy.probe import ask_http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.component import Instance
    from local.fargate.task import Record

logger = logging.getLogger(__name__)

_TICK = 0.1
_HELPERS = 16
_KEPT_EVENTS = 100
_ADDRESSES = 240
# A task's session on AWS is renewed for as long as it runs.
_SESSION_SECONDS = 30 * 86400.0
NODE_ID_FILE = "node-id"
"""In a task's directory, written by a process that has taken a node id: for users and tests."""
# AWS shows a stopped task for an hour.
_KEPT_STOPPED = 3600.0


@dataclass(frozen=True)
class Pace:
    """Seconds: what takes AWS longer, and what it is shortened to here. Thresholds stay."""

    provisioning: float = 0.3
    """To attach a network interface and to pull images: 20 to 60 on AWS."""
    drain: float = 1.0
    """Upper limit of a target group's deregistration delay."""
    steady: float = 0.5
    """A task must have run that long before it counts as healthy."""
    check_interval: float = 2.0
    """Upper limit of the interval of a container health check."""
    stop_timeout: float = 20.0
    """Upper limit of a container's stop timeout. Brokers that ignore SIGTERM were seen."""
    restart_attempt: float = 2.0
    """Upper limit of the time that a container has to run before it is restarted in place."""


class Supervisor:
    """The Fargate of one instance."""

    def __init__(
        self,
        instance: Instance,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._instance = instance
        self._pace = pace or Pace()
        self._clock = clock
        self.lock = threading.RLock()
        self._tasks: dict[str, Task] = {}
        # By their own id: the requests of RunTask whose tasks are still shown.
        self._runs: dict[str, Record] = {}
        self._numbers = 0
        # By deployment: a new one starts without the old one's delay.
        self._not_before: dict[str, float] = {}
        self._exits: dict[str, int] = {}
        self._strictness = Strictness(instance)
        self._shortages = capacity_missing.Shortages()
        self._published: object = None
        self._logs = LogShipper()
        self._helpers = ThreadPoolExecutor(_HELPERS, thread_name_prefix="fargate")
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._loop, name="fargate", daemon=True)

    @property
    def _root(self) -> Path:
        return self._instance.config.root / "fargate"

    # --- life of the component -----------------------------------------------------------------

    def start(self) -> None:
        """Begin. What earlier tasks left behind belongs to an emulator that is gone."""
        shutil.rmtree(self._root, ignore_errors=True)
        self._root.mkdir(parents=True)
        self._logs.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop every task and wait until its processes are gone."""
        with self.lock:
            self._ending = True
        self._wake.set()
        self._thread.join()
        with responses.request_scope(ACCOUNT_ID, REGION), self.lock:
            running = [
                container.process
                for task in self._tasks.values()
                for container in task.containers
                if container.process
            ]
            for service in list(ecs.services.values()):
                for task in self._of(service):
                    if task.registered:
                        registration.deregister(service, task, self._instance.names)
        with ThreadPoolExecutor(max(1, len(running))) as stoppers:
            list(stoppers.map(lambda process: process.stop(self._pace.stop_timeout), running))
        self._helpers.shutdown(wait=True, cancel_futures=True)
        self._logs.stop()
        (self._instance.config.tasks_file).unlink(missing_ok=True)

    def wake(self) -> None:
        """Reconcile the services now instead of at the next turn."""
        self._wake.set()

    def _loop(self) -> None:
        while not self._ending:
            self._wake.wait(_TICK)
            self._wake.clear()
            try:
                self.tick()
            except Exception:
                # The stand-in for a service of AWS does not end; the next turn tries again.
                logger.exception("supervising tasks")

    def tick(self) -> None:
        """Take the next step of every task and every service."""
        with responses.request_scope(ACCOUNT_ID, REGION), self.lock:
            now = self._clock()
            services = {record["_uid"]: record for record in _services()}
            for task in list(self._tasks.values()):
                service = services.get(task.service) or self._runs.get(task.service)
                if service is not None:
                    self._advance(service, task, now)
            for cluster in {run["clusterArn"] for run in self._runs.values()}:
                ecs.recount_cluster(cluster.rsplit("/", 1)[-1])
            for service in services.values():
                self._schedule(service, now)
                self._describe(service, now)
            self._forget(now)
            self._publish()

    # --- one task ------------------------------------------------------------------------------

    def _advance(self, service: Record, task: Task, now: float) -> None:
        try:
            if not task.live:
                self._advance_stopping(service, task, now)
            elif task.status == "PROVISIONING":
                if now - task.changed_at >= self._pace.provisioning:
                    task_roles.require(task.definition)
                    task_secrets.require(task.definition)
                    service_revisions.resolve(service, task.deployment)
                    attach_interface(task)
                    task.record["connectivity"] = "CONNECTED"
                    task.record["connectivityAt"] = task.record["pullStartedAt"] = now
                    task.move("PENDING", now)
            elif task.status in STARTING:
                self._start_containers(service, task, now)
            else:
                self._watch(service, task, now)
        except (CannotStartError, NoLogStreamError, FileNotFoundError) as error:
            self.stop_task(task, "TaskFailedToStart", str(error), now)

    def _start_containers(self, service: Record, task: Task, now: float) -> None:
        for container in task.containers:
            if not container.started and _dependencies_met(task, container):
                self._start(service, task, container, now)
            self._ask(container, now)
        self._note_exits(task)
        if task.live and all(container.started for container in task.containers):
            task.record["pullStoppedAt"] = task.record["startedAt"] = now
            task.move("RUNNING", now)
            task.registered = True
            for group in registration.register(service, task, self._instance.names):
                _event(service, f"registered 1 targets in (target-group {group})", now)

    def _start(self, service: Record, task: Task, container: Container, now: float) -> None:
        """Show the container as running, and start its process."""
        target = awslogs(container.definition, task.id)
        container.log.parent.mkdir(parents=True, exist_ok=True)
        if target:
            self._logs.follow(container.log, *target)
        check = container.definition.get("healthCheck")
        if check:
            container.check = parse_check(check, task.address)
            if container.check is None:
                _say(container, f"health check {check.get('command')} is not supported here")
        container.record["lastStatus"] = "RUNNING"
        container.started_at = now
        self._spawn(task, container)

    def _spawn(self, task: Task, container: Container) -> None:
        volumes = {
            mount["containerPath"]: self._volume(task, mount["sourceVolume"])
            for mount in container.definition.get("mountPoints") or []
        }
        names = task.directory / "service-connect.json"
        program = launch(
            ContainerStart(
                image=container.definition["image"],
                entry_point=tuple(container.definition.get("entryPoint") or ()),
                command=tuple(container.definition.get("command") or ()),
                environment=self._environment(container),
                labels=container.definition.get("dockerLabels") or {},
                address=task.address,
                memory=int(
                    container.definition.get("memory") or task.definition.get("memory") or 0
                ),
                credentials=self._credentials(task),
                names_file=self._instance.config.names_file,
                trust_file=self._instance.config.trust_file,
                home=task.directory,
                volumes=volumes,
                service_connect_file=names,
                task=task.arn,
            )
        )
        replace_json(names, service_connect.seen(task.connect, task.deployed, self._endpoints()))
        container.process = self._instance.processes.spawn(
            f"task {task.id[:8]} {container.name}",
            program.command,
            environment=program.environment,
            log=container.log,
            directory=task.directory,
        )

    def _volume(self, task: Task, name: str) -> Path:
        volume: Record = next(one for one in task.definition["volumes"] if one["name"] == name)
        file_system = (volume.get("efsVolumeConfiguration") or {}).get("fileSystemId")
        directory = task.directory / "volumes" / name
        if file_system:
            directory = self._root / "efs" / str(file_system)
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def _environment(self, container: Container) -> dict[str, str]:
        """Give a container's environment, with the authority of this machine's databases in it.

        It takes the place of exactly what the region's databases are signed with on AWS; any other
        certificate stays, and then the database is not trusted.
        """
        environment = environment_of(container.definition)
        local = self._instance.config.database_ca
        if local.exists():
            root = rds_root_certificate(REGION).strip()
            for name, value in environment.items():
                if value.strip() == root:
                    environment[name] = local.read_text()
        return environment

    def _credentials(self, task: Task) -> dict[str, str]:
        """Give what ECS's credential endpoint gives a task: a session of its role."""
        role = task.definition.get("taskRoleArn")
        if not role:
            return {}
        try:
            session = open_session(role, "ecs-tasks.amazonaws.com", task.id, _SESSION_SECONDS)
        except PermissionError as error:
            raise CannotStartError(f"ECS was unable to assume the role '{role}'") from error
        return {
            **session,
            "AWS_ENDPOINT_URL": self._instance.config.aws_endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _watch(self, service: Record, task: Task, now: float) -> None:
        task.node_id = scheduling.node_id_told(task.directory / NODE_ID_FILE)
        for container in task.containers:
            self._ask(container, now)
        self._note_exits(task)
        task.refresh_health()
        if not task.live or task.standalone:
            # "If the task is run manually, and not as part of a service, the task will continue
            # its lifecycle regardless of its health status" (HealthCheck, API reference).
            return
        if self._healthy(service, task):
            if not task.was_healthy:
                task.was_healthy = True
                self._note_success(service, task)
            return
        grace = service.get("healthCheckGracePeriodSeconds") or 0
        if now - task.record["startedAt"] < grace:
            return
        if task.record["healthStatus"] == "UNHEALTHY":
            _event(service, f"(task {task.id}) failed container health checks.", now)
            self._stop_unhealthy(task, "Task failed container health checks", now)
            return
        target = registration.unhealthy_target(service, task)
        if target is not None:
            _event(
                service,
                f"(task {task.id}) (port {target.port}) is unhealthy in "
                f"(target-group {target.group}) due to (reason {target.reason})",
                now,
            )
            reason = f"Task failed ELB health checks in (target-group {target.group})"
            self._stop_unhealthy(task, reason, now)

    def _note_success(self, service: Record, task: Task) -> None:
        self._exits[task.deployment] = 0
        primary = service["deployments"][0]
        if task.deployment == primary["id"] and primary["rolloutState"] == "IN_PROGRESS":
            primary["failedTasks"] = scheduling.failures_after_success(
                primary["failedTasks"], _breaker(service)
            )

    def _stop_unhealthy(self, task: Task, reason: str, now: float) -> None:
        task.record["_failed_checks"] = True
        self.stop_task(task, "ServiceSchedulerInitiated", reason, now)

    def _healthy(self, service: Record, task: Task) -> bool:
        if task.status != "RUNNING" or self._clock() - task.changed_at < self._pace.steady:
            return False
        if any(one.check for one in task.containers) and task.record["healthStatus"] != "HEALTHY":
            return False
        states = registration.target_states(service, task)
        return all(state in {"healthy", "unused"} for state in states.values())

    def _ask(self, container: Container, now: float) -> None:
        check = container.check
        if check is None or container.record["lastStatus"] != "RUNNING":
            return
        if container.asking is not None:
            if container.asking.done():
                starting = now - container.started_at < check.start_period
                ok = container.asking.exception() is None and container.asking.result()
                container.health = container.health.observe(
                    ok, retries=check.retries, starting=starting
                )
                container.asking = None
        elif now - container.asked_at >= min(check.interval, self._pace.check_interval):
            container.asked_at = now
            container.asking = self._helpers.submit(
                lambda: ask_http(check.address, check.port, check.path, check.timeout).status == 200
            )

    def _note_exits(self, task: Task) -> None:
        for container in task.containers:
            code = container.ended()
            if code is None or container.record["lastStatus"] == "STOPPED":
                continue
            if task.live and self._restarts(container, code):
                self._restart(task, container)
                continue
            self._note_exit(container, code)
            if container.essential and task.live:
                self.stop_task(
                    task,
                    "EssentialContainerExited",
                    "Essential container in task exited",
                    self._clock(),
                )
            elif code != 0 and _must_succeed(task, container):
                raise CannotStartError(
                    f"Container {container.name} exited with code {code}; another container "
                    "depends on its success"
                )

    def _restarts(self, container: Container, code: int) -> bool:
        """Whether a container is restarted in place instead of being stopped.

        Only one that ran for the period of its policy is; one that ends earlier stays stopped.
        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerRestartPolicy.html
        """
        policy = container.definition.get("restartPolicy") or {}
        if not policy.get("enabled") or code in (policy.get("ignoredExitCodes") or ()):
            return False
        period = min(float(policy.get("restartAttemptPeriod", 300)), self._pace.restart_attempt)
        return self._clock() - container.started_at >= period

    def _restart(self, task: Task, container: Container) -> None:
        if container.process:
            self._helpers.submit(container.process.stop)
        container.started_at = self._clock()
        _say(container, "restarted in place")
        self._spawn(task, container)

    def _note_exit(self, container: Container, code: int) -> None:
        container.record["lastStatus"] = "STOPPED"
        container.record["exitCode"] = code
        if code == 137:
            container.record["reason"] = "Killed by signal 9"
        if container.process:
            # Takes it off the list of children; it has ended.
            self._helpers.submit(container.process.stop)
        self._logs.finish(container.log)

    def stop_task(self, task: Task, code: str, reason: str, now: float) -> None:
        """Begin to stop a task; what already stops keeps its first reason."""
        if not task.live:
            return
        task.record |= {
            "desiredStatus": "STOPPED",
            "stopCode": code,
            "stoppedReason": reason,
            "stoppingAt": now,
        }
        task.stop_grace = 0.0
        task.move("DEACTIVATING", now)

    def _advance_stopping(self, service: Record, task: Task, now: float) -> None:
        if task.status == "DEACTIVATING":
            if task.registered:
                task.registered = False
                groups = registration.deregister(service, task, self._instance.names)
                task.stop_grace = self._pace.drain if groups else 0.0
                for group in groups:
                    _event(service, f"deregistered 1 targets in (target-group {group})", now)
            if now - task.changed_at >= task.stop_grace:
                registration.forget_targets(task)
                for container in task.containers:
                    if container.process and container.ended() is None:
                        wanted = float(container.definition.get("stopTimeout", 30))
                        grace = min(wanted, self._pace.stop_timeout)
                        task.stopping.append(self._helpers.submit(container.process.stop, grace))
                task.move("STOPPING", now)
        elif task.status == "STOPPING" and all(one.done() for one in task.stopping):
            for container in task.containers:
                code = container.ended()
                # What was never started has no exit code.
                if container.record["lastStatus"] == "RUNNING" and container.process:
                    self._note_exit(container, code if code is not None else 137)
                container.record["lastStatus"] = "STOPPED"
            task.record["executionStoppedAt"] = now
            task.record["attachments"][0]["status"] = "DELETED"
            task.record["stoppedAt"] = now
            task.record["connectivity"] = "DISCONNECTED"
            task.move("STOPPED", now)
            self._judge(service, task, now)

    def _judge(self, service: Record, task: Task, now: float) -> None:
        """Count a task that stopped on its own, and let the circuit breaker see it.

        AWS counts what does not reach RUNNING or fails a health check (`failedTasks` in the API
        reference); a process that ends after RUNNING is replaced but not counted
        (aws/containers-roadmap#1206).
        """
        if task.standalone:
            return
        code = task.record["stopCode"]
        never_ran = "startedAt" not in task.record
        failed_checks = task.record.get("_failed_checks", False)
        if code not in {"EssentialContainerExited", "TaskFailedToStart"} and not failed_checks:
            return
        exits = self._exits.get(task.deployment, 0) + 1
        self._exits[task.deployment] = exits
        self._not_before[task.deployment] = now + scheduling.retry_delay(exits)
        if exits == scheduling.breaker_threshold(service["desiredCount"]):
            _event(
                service,
                "is unable to consistently start tasks successfully. For more information, see "
                "the Troubleshooting section of the Amazon ECS Developer Guide.",
                now,
            )
        primary = service["deployments"][0]
        if task.deployment != primary["id"] or primary["rolloutState"] != "IN_PROGRESS":
            return
        if not (never_ran or failed_checks):
            return
        primary["failedTasks"] += 1
        breaker = _breaker(service)
        threshold = scheduling.breaker_threshold(service["desiredCount"], breaker)
        if breaker.get("enable") and primary["failedTasks"] >= threshold:
            cause = "tasks failed to start." if never_ran else "task failed health checks."
            _roll(primary, "FAILED", f"ECS deployment circuit breaker: {cause}", now)
            primary["desiredCount"] = 0
            _event(service, f"(deployment {primary['id']}) deployment failed: {cause}", now)

    # --- one service ---------------------------------------------------------------------------

    def _of(self, service: Record) -> list[Task]:
        return [task for task in self._tasks.values() if task.service == service["_uid"]]

    def _view(self, service: Record, now: float) -> scheduling.ServiceView:
        primary = service["deployments"][0]
        configuration = service.get("deploymentConfiguration") or {}
        return scheduling.ServiceView(
            desired=service["desiredCount"],
            deployment=primary["id"],
            failed=primary["rolloutState"] == "FAILED",
            minimum_percent=configuration.get("minimumHealthyPercent", 100),
            maximum_percent=configuration.get("maximumPercent", 200),
            tasks=tuple(
                scheduling.TaskView(
                    id=task.arn,
                    deployment=task.deployment,
                    running=task.status == "RUNNING",
                    healthy=self._healthy(service, task),
                    protected=service["status"] == "ACTIVE" and task.protected(now),
                    node_id=task.node_id,
                    created=task.record["createdAt"],
                )
                for task in self._of(service)
                if task.live
            ),
        )

    def _schedule(self, service: Record, now: float) -> None:
        view = self._view(service, now)
        decision = scheduling.decide(view)
        for arn in decision.stop:
            task = self._tasks[arn]
            reason = f"Scaling activity initiated by (deployment {view.deployment})"
            self.stop_task(task, "ServiceSchedulerInitiated", reason, now)
        if decision.stop:
            _event(service, _counted("has stopped", "running tasks", decision.stop), now)
        waits = now < self._not_before.get(view.deployment, 0.0)
        if decision.start and not waits and not self._capacity_is_missing(service, view, now):
            started = [self._add(service, now) for _ in range(decision.start)]
            _event(service, _counted("has started", "tasks", started), now)
            self._wake.set()
        self._conclude(service, now)

    def _capacity_is_missing(
        self, service: Record, view: scheduling.ServiceView, now: float
    ) -> bool:
        missing = self._strictness.on(capacity_missing.NAME) and self._shortages.missing(
            view.deployment, view.desired, now
        )
        if missing:
            _event(service, capacity_missing.EVENT, now)
            self._not_before[view.deployment] = now + capacity_missing.AGAIN_SECONDS
        return missing

    def _add(self, service: Record, now: float) -> str:
        definition = ecs.task_defs[service["taskDefinition"].rsplit("/", 1)[-1]]
        task = self._new(service, definition, now)
        ecs.tags[task.arn] = task_tags(service, definition)
        return task.arn

    def _new(self, service: Record, definition: Record, now: float) -> Task:
        task = new_task(
            service,
            definition,
            address=self._free_address(),
            number=self._numbers,
            root=self._root / "tasks",
            now=now,
        )
        self._tasks[task.arn] = task
        ecs.tasks[task.arn] = task.record
        return task

    def run(
        self, data: Record, cluster: Record, definition: Record
    ) -> tuple[list[Task], list[dict[str, str]]]:
        """Start the tasks of a request of RunTask, which can be run; call it with the lock held.

        Gives them, and a failure for each that cannot be placed: while capacity is missing, for one
        of several, as RunTask is answered (github.com/gchq/sleeper/issues/904).
        """
        now = self._clock()
        wanted = 1 if data.get("count") is None else int(data["count"])
        named = f"{definition['taskDefinitionArn']} {data.get('startedBy')}"
        short = self._strictness.on(capacity_missing.NAME) and self._shortages.missing(
            named, wanted, now
        )
        made = standalone.run(data, cluster, definition, now)
        service_revisions.begin(made, made["deployments"][0])
        self._runs[made["_uid"]] = made
        changed = standalone.overridden(definition, made["_overrides"])
        definition_tags = ecs.tags.get(definition["taskDefinitionArn"], ())
        tasks = []
        for _ in range(wanted - 1 if short else wanted):
            task = self._new(made, changed, now)
            ecs.tags[task.arn] = standalone.tags(data, cluster, definition_tags)
            tasks.append(task)
        return tasks, [{"reason": standalone.NO_CAPACITY}] if short else []

    def _free_address(self) -> str:
        """Give the next address in turn: a task's successor has another one, as on AWS."""
        used = {task.address for task in self._tasks.values() if task.status != "STOPPED"}
        while True:
            address = self._instance.config.task_address(self._numbers % _ADDRESSES)
            self._numbers += 1
            if address not in used:
                return address

    def _conclude(self, service: Record, now: float) -> None:
        """Complete the deployment and report the steady state once nothing is left to do."""
        view = self._view(service, now)
        primary = service["deployments"][0]
        steady = scheduling.settled(view) and all(
            task.live or task.status == "STOPPED" for task in self._of(service)
        )
        if steady and primary["rolloutState"] == "IN_PROGRESS":
            _roll(primary, "COMPLETED", f"ECS deployment {primary['id']} completed.", now)
            primary["failedTasks"] = 0
            if view.desired:
                _event(service, f"(deployment {primary['id']}) deployment completed.", now)
        if steady and not service.get("_steady") and view.desired:
            _event(service, "has reached a steady state.", now)
        service["_steady"] = steady
        if service["status"] == "DRAINING" and steady:
            service["status"] = "INACTIVE"

    def _describe(self, service: Record, now: float) -> None:
        """Make the counts of the service and its deployments those of its tasks."""
        tasks = [task for task in self._of(service) if task.live]
        for deployment in service["deployments"]:
            own = [task for task in tasks if task.deployment == deployment["id"]]
            deployment["runningCount"] = sum(task.status == "RUNNING" for task in own)
            deployment["pendingCount"] = sum(task.status in STARTING for task in own)
        service["runningCount"] = sum(one["runningCount"] for one in service["deployments"])
        service["pendingCount"] = sum(one["pendingCount"] for one in service["deployments"])
        alive = {task.deployment for task in self._of(service) if task.status != "STOPPED"}
        service["deployments"] = [
            deployment
            for deployment in service["deployments"]
            if deployment["status"] == "PRIMARY" or deployment["id"] in alive
        ]
        service["currentServiceRevisions"] = service_revisions.current(service)
        ecs.recount_cluster(service["clusterArn"].rsplit("/", 1)[-1])

    def _forget(self, now: float) -> None:
        for arn, task in list(self._tasks.items()):
            if task.status == "STOPPED" and now - task.changed_at > _KEPT_STOPPED:
                del self._tasks[arn]
                ecs.tasks.pop(arn, None)
                ecs.tags.pop(arn, None)
        shown = {task.service for task in self._tasks.values()}
        self._runs = {uid: run for uid, run in self._runs.items() if uid in shown}

    # --- for other components -------------------------------------------------------------------

    def find(self, arn: str) -> Task | None:
        """Give a task by its ARN; call it with the lock held."""
        return self._tasks.get(arn)

    def _endpoints(self) -> list[service_connect.Endpoint]:
        return [
            service_connect.Endpoint(
                name=name,
                namespace=service["_service_connect"].get("namespace", ""),
                created=created,
                addresses=tuple(
                    task.address
                    for task in self._of(service)
                    if task.live and name in service_connect.names(task.connect)
                ),
            )
            for service in _services()
            for name, created in service.get("_endpoints", {}).items()
        ]

    def _publish(self) -> None:
        """Publish what runs: a file for users and tests, and each task's Service Connect names."""
        tasks = [
            {
                "taskArn": task.arn,
                "service": "" if task.standalone else task.record["group"].partition(":")[2],
                "status": task.status,
                "address": task.address,
                "nodeId": task.node_id,
                "pids": {
                    container.name: container.process.pid
                    for container in task.containers
                    if container.process and container.ended() is None
                },
                "log": str(task.directory),
            }
            for task in self._tasks.values()
            if task.status != "STOPPED"
        ]
        endpoints = self._endpoints()
        if (tasks, endpoints) == self._published:
            return
        replace_json(self._instance.config.tasks_file, tasks)
        for task in self._tasks.values():
            if task.live and task.directory.is_dir():
                replace_json(
                    task.directory / "service-connect.json",
                    service_connect.seen(task.connect, task.deployed, endpoints),
                )
        self._published = (tasks, endpoints)


def _services() -> Iterator[Record]:
    for record in list(ecs.services.values()):
        if record["status"] != "INACTIVE":
            record.setdefault("_uid", uuid.uuid4().hex)
            yield record


def _dependencies_met(task: Task, container: Container) -> bool:
    others = {one.name: one for one in task.containers}
    return all(
        _condition_met(others[entry["containerName"]], entry["condition"])
        for entry in container.definition.get("dependsOn") or []
    )


def _condition_met(container: Container, condition: str) -> bool:
    match condition:
        case "START":
            return container.started
        case "COMPLETE":
            return bool(container.record["lastStatus"] == "STOPPED")
        case "SUCCESS":
            return container.ended() == 0
        case _:
            return container.health.status == "HEALTHY"


def _must_succeed(task: Task, container: Container) -> bool:
    return any(
        entry["containerName"] == container.name and entry["condition"] == "SUCCESS"
        for other in task.containers
        for entry in other.definition.get("dependsOn") or []
    )


def _breaker(service: Record) -> Record:
    configuration = service.get("deploymentConfiguration") or {}
    return dict(configuration.get("deploymentCircuitBreaker") or {})


def _roll(deployment: Record, state: str, reason: str, now: float) -> None:
    deployment |= {"rolloutState": state, "rolloutStateReason": reason, "updatedAt": now}


def _event(service: Record, message: str, now: float) -> None:
    """Add a service event in AWS's wording, the newest first."""
    service["events"].insert(
        0,
        {
            "id": str(uuid.uuid4()),
            "createdAt": now,
            "message": f"(service {service['serviceName']}) {message}",
        },
    )
    del service["events"][_KEPT_EVENTS:]


def _counted(verb: str, noun: str, arns: Any) -> str:
    listed = " ".join(f"(task {arn.rsplit('/', 1)[-1]})" for arn in arns)
    return f"{verb} {len(arns)} {noun}: {listed}."


def _say(container: Container, line: str) -> None:
    container.log.parent.mkdir(parents=True, exist_ok=True)
    with container.log.open("a") as log:
        log.write(f"[local] {line}\n")
