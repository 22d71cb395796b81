"""What operations need from outside, as small Protocols. Adapters implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from lifecycle.camunda.credentials import Credentials
    from lifecycle.camunda.topology import (
        ClusterConfiguration,
        PlannedChange,
        Readiness,
        Topology,
    )
    from lifecycle.cluster.checks import PathSeen, TargetHealth
    from lifecycle.cluster.stack import ChangeSet, Stack, StackEvent, StackResource
    from lifecycle.health.facts import BackupsSeen, PartitionSeen
    from lifecycle.health.verdict import Record as HealthRecord
    from lifecycle.operation.events import Event
    from lifecycle.operation.model import Lock, Operation
    from lifecycle.operation.record import Execution, Record
    from lifecycle.operation.scaling_note import ScalingNote
    from lifecycle.preflight.checks import Facts, Need
    from lifecycle.provisioning.seed import Proof, RoleFacts, Step
    from lifecycle.scaling.adoption import ServiceDesign
    from lifecycle.services.autoscaling import ScalableTarget
    from lifecycle.services.brokers import BrokerService
    from lifecycle.services.image_digests import Digest, PrivateImage, Running
    from lifecycle.services.startup import Service
    from lifecycle.services.stops import StoppedTask
    from lifecycle.teardown.discovery import NamedService


class Clock(Protocol):
    """The time of day."""

    def now(self) -> datetime:
        """Present time, aware, in UTC."""
        ...


class Locks(Protocol):
    """One lock per cluster. An owner is the ARN of an execution."""

    def take(self, lock: Lock, *, instead_of: Lock | None = None) -> Lock | None:
        """Take or extend a lock by one conditional write. Times are epoch seconds.

        Succeeds when nobody or the same owner holds it; with ``instead_of``, when exactly that
        lock (of an owner that ended) is still there. Returns None on success, else the lock that is
        in the way.
        """
        ...

    def held(self, cluster: str) -> Lock | None:
        """The lock of a cluster, whoever holds it; None when nobody does."""
        ...

    def shorten(self, lock: Lock, expires_at: int) -> None:
        """Let a lock expire earlier, if it is still the one that was read; else nothing."""
        ...

    def release(self, cluster: str, owner: str) -> bool:
        """Give the lock back if ``owner`` holds it; tells whether it did."""
        ...


class Executions(Protocol):
    """State machine executions."""

    def is_running(self, execution_arn: str) -> bool:
        """Tell whether an execution runs; one that does not exist does not run."""
        ...

    def has_ended(self, execution_arn: str) -> bool:
        """Tell whether an execution is known to have ended; one that is not seen yet has not."""
        ...


class Machines(Protocol):
    """State machines, for whoever starts them and asks how they fare."""

    def start(self, machine_arn: str, name: str, text: str) -> bool:
        """Start an execution with a JSON text as its input.

        False when an execution of that name exists already and this call started none; the same
        name and input while the first runs counts as started. Raises ``MachineNotDeployed`` and
        ``AwsRefused`` when certainly nothing was started, ``StartUncertain`` when nobody knows.
        """
        ...

    def describe(self, execution_arn: str) -> Execution | None:
        """Describe an execution; None when there is none, or no longer after 90 days."""
        ...


class Records(Protocol):
    """Records of operations, for whoever starts them and reports on them."""

    def claim(
        self, operation: Operation, *, caller: str, request_hash: str, now: datetime
    ) -> Record | None:
        """Write a record with caller and request, unless there is one; then return that one."""
        ...

    def withdraw(self, operation: Operation, request_hash: str) -> None:
        """Remove the record of an operation that was never started, if it is of that request."""
        ...

    def find(self, operation_id: str, machine: str) -> Record | None:
        """Read the record of a machine's operation; None when it never began."""
        ...

    def of_cluster(self, cluster: str, limit: int) -> Sequence[Record]:
        """Records of a cluster, newest first; they may lag by a moment."""
        ...


class Operations(Protocol):
    """The record of each operation."""

    def begin(self, operation: Operation, *, now: datetime) -> None:
        """Write the operation's item; writing it again changes nothing."""
        ...

    def progress(self, operation: Operation, *, step: str, detail: str, now: datetime) -> None:
        """Say where the operation is and what it waits for; it has no result while it goes on."""
        ...

    def find(self, operation_id: str, machine: str) -> Record | None:
        """Read the record of a machine's operation; None when it never began."""
        ...

    def timeline(self, operation: Operation) -> Sequence[Mapping[str, str]]:
        """Steps so far with the time each began, oldest first."""
        ...

    def note_scaling(self, cluster: str, note: ScalingNote) -> None:
        """Leave what a scaling does, for health checks; the last one replaces that before."""
        ...

    def scaling(self, cluster: str) -> ScalingNote | None:
        """What the last scaling of the cluster left; None when there was none."""
        ...

    def end(self, operation: Operation, *, result: str, report_key: str, now: datetime) -> None:
        """Note the result and where the report lies."""
        ...


class Events(Protocol):
    """An event bus."""

    def send(self, event: Event) -> None:
        """Send an event. Never raises: what goes wrong is logged."""
        ...


class Stacks(Protocol):
    """CloudFormation, for one cluster's stack."""

    def describe(self, name: str) -> Stack | None:
        """Describe a stack; None when there is none of that name."""
        ...

    def create_change_set(
        self,
        *,
        stack: str,
        name: str,
        create: bool,
        template_url: str | None,
        parameters: Mapping[str, str],
        tags: Mapping[str, str],
        description: str,
    ) -> str:
        """Ask for a change set and return its ARN.

        ``template_url`` None keeps the stack's template. The same name again returns the change
        set that is there.
        """
        ...

    def change_set(self, name: str, stack: str) -> ChangeSet:
        """Describe a change set of a stack, by its name or its ARN; ``GONE`` if there is none."""
        ...

    def change_sets_of(self, stack: str) -> Sequence[str]:
        """ARNs of the change sets that a stack has."""
        ...

    def delete_change_set(self, arn: str) -> None:
        """Remove a change set that is not wanted; one that is gone is no error."""
        ...

    def execute_change_set(self, arn: str, token: str, *, keep: bool) -> None:
        """Execute; a failure keeps what worked, or is rolled back.

        ``token`` marks the events that follow.
        """
        ...

    def roll_back(self, name: str, token: str) -> None:
        """Begin to roll a failed update back; one that is rolled back already is no error.

        A stack that was never complete is deleted.
        """
        ...

    def protect(self, name: str, policy: str) -> None:
        """Turn termination protection on and set the stack policy (JSON)."""
        ...

    def set_policy(self, name: str, policy: str) -> None:
        """Set the stack policy (JSON)."""
        ...

    def events(self, name: str, token: str) -> Sequence[StackEvent]:
        """Events that carry the token, oldest first."""
        ...

    def contents(self, name: str) -> Sequence[StackResource]:
        """Resources that a stack holds; those that it deleted are not among them."""
        ...

    def template(self, name: str) -> str:
        """Text of the stack's template, as it was uploaded."""
        ...

    def unprotect(self, name: str) -> None:
        """Turn termination protection off."""
        ...

    def delete(self, name: str, token: str) -> None:
        """Delete a stack with the role it was made with. ``token`` marks the events that follow.

        Raises ``StackNotDeleted`` when CloudFormation refuses to begin.
        """
        ...


class Namespaces(Protocol):
    """Namespaces of Cloud Map, as far as their removal goes."""

    def services(self, namespace: str) -> Sequence[NamedService]:
        """Services in a namespace, by its id; none in one that is gone."""
        ...

    def delete_service(self, identifier: str) -> bool:
        """Delete a service without instances; one that is gone is no error.

        False while Cloud Map finds instances in it: nothing was deleted.
        """
        ...


class Databases(Protocol):
    """Aurora clusters, as far as their removal goes."""

    def protect(self, identifier: str, *, on: bool) -> None:
        """Turn deletion protection on or off; an Aurora cluster that is gone is no error."""
        ...

    def snapshots(self, identifier: str) -> Sequence[str]:
        """Names of the manual snapshots of an Aurora cluster, gone or not, oldest first."""
        ...


class Storage(Protocol):
    """What holds data, whatever service it is of."""

    def size(self, resource: StackResource) -> int | None:
        """Bytes that a resource holds; None when that cannot be known."""
        ...

    def empty_bucket(self, name: str) -> bool:
        """Delete objects and versions for a while; True when nothing was left.

        A bucket that does not exist is empty.
        """
        ...


class Health(Protocol):
    """The last verdict on each cluster's health."""

    def forget(self, cluster: str) -> None:
        """Remove what is known of a cluster that is gone."""
        ...


class ClusterStacks(Protocol):
    """The stacks of all clusters of one control plane."""

    def of_control_plane(self, control_stack: str) -> Sequence[Stack]:
        """Every cluster's stack, by name."""
        ...

    def describe(self, name: str) -> Stack | None:
        """Describe a stack; None when there is none of that name."""
        ...


class Artifacts(Protocol):
    """The artifact bucket."""

    def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store an object."""
        ...

    def get(self, key: str) -> bytes | None:
        """Read an object; None when there is none of that key."""
        ...

    def url(self, key: str) -> str:
        """Address of an object as CloudFormation takes it for a template."""
        ...


class Account(Protocol):
    """The account with its region and network, read only."""

    def facts(self, need: Need) -> Facts:
        """Read what a change needs; what cannot be read is None in the answer, with the reason."""
        ...


class Schedules(Protocol):
    """One-time schedules that end by themselves."""

    def has(self, name: str) -> bool:
        """Whether there is a schedule of that name, or was one that is kept."""
        ...

    def once(
        self, name: str, *, at: datetime, payload: Mapping[str, str], keep: bool = False
    ) -> None:
        """Call the function behind this port once; the same name again changes nothing."""
        ...


class Prices(Protocol):
    """What AWS asks for what a cluster is made of, now."""

    def of(
        self, region: str, *, architecture: str, instance_classes: Collection[str]
    ) -> Mapping[str, Any]:
        """On-demand prices in USD, shaped like a region of ``cluster/prices.json``.

        What is not known for certain is left out; never raises.
        """
        ...


class Registry(Protocol):
    """Private repositories of this account in this region."""

    def digest(self, image: PrivateImage) -> Digest:
        """Digest of an image; of one that is not there or may not be read, the reason."""
        ...


class Services(Protocol):
    """ECS services of one ECS cluster."""

    def describe(self, ecs_cluster: str, names: Sequence[str]) -> Sequence[Service]:
        """Describe services, in the order asked for; what is not there is ``MISSING``."""
        ...

    def running_images(self, service: Service) -> Sequence[Running]:
        """Images that a service runs; of one that ECS does not tell, the reason."""
        ...

    def create(self, definition: Mapping[str, Any]) -> None:
        """Create a service; one that is there already is left as it is.

        Raises ``ServiceDraining`` while one of that name is being deleted.
        """
        ...

    def update(
        self, ecs_cluster: str, name: str, properties: Mapping[str, Any], *, redeploy: bool = False
    ) -> None:
        """Set these properties in one call; with ``redeploy`` begin a deployment in any case."""
        ...

    def tag(self, ecs_cluster: str, name: str, tags: Mapping[str, str]) -> None:
        """Give a service exactly these tags, beside those that AWS sets itself."""
        ...

    def delete(self, ecs_cluster: str, name: str) -> None:
        """Delete a service that runs no task; never by force."""
        ...

    def set_count(self, ecs_cluster: str, name: str, count: int) -> None:
        """Set the desired count without a new deployment."""
        ...

    def stopped_tasks(self, ecs_cluster: str, name: str, since: str) -> Sequence[StoppedTask]:
        """Tasks of a service that stopped after ``since`` (ISO 8601, UTC). ECS keeps them ~1 h."""
        ...

    def last_log_lines(self, log_group: str, task_id: str, limit: int) -> Sequence[str]:
        """Last lines that a task logged; empty when there are none or they cannot be read."""
        ...


class BrokerTasks(Protocol):
    """The ECS service of one cluster's brokers, task by task."""

    def observe(self, ecs_cluster: str, service: str, *, since: str = "") -> BrokerService:
        """Service and tasks with addresses and protection.

        With ``since`` (ISO 8601, UTC) also why tasks failed to start from then on. Raises
        ``ServiceMissing``.
        """
        ...

    def set_count(self, ecs_cluster: str, service: str, count: int) -> None:
        """Set the count and the deployment configuration that fits it, without a deployment."""
        ...

    def protect(self, ecs_cluster: str, task_ids: Sequence[str], *, minutes: int) -> None:
        """Protect tasks from scale-in, for so long from now.

        Raises ``ScalingNotSettled`` naming the tasks that ECS did not protect.
        """
        ...

    def unprotect(self, ecs_cluster: str, task_ids: Sequence[str]) -> None:
        """Take protection away; a task that is gone needs none."""
        ...

    def stop(self, ecs_cluster: str, task_id: str, reason: str) -> None:
        """Stop one task, which ECS replaces; ``reason`` stays with the stopped task."""
        ...


class ServiceDesigns(Protocol):
    """How ECS services were made."""

    def read(self, ecs_cluster: str, service: str) -> ServiceDesign:
        """Read how a service was made. Raises ``ServiceMissing``."""
        ...


class ScalableTargets(Protocol):
    """What may change the counts of ECS services besides the machines."""

    def of_services(self, ecs_cluster: str, services: Sequence[str]) -> Sequence[ScalableTarget]:
        """Targets of Application Auto Scaling that are these services. Raises AWS's errors."""
        ...


class FargateQuota(Protocol):
    """Fargate On-Demand vCPUs of this account and region."""

    def vcpus(self) -> tuple[float | None, float | None]:
        """Limit and present use; None for what cannot be read."""
        ...


class TargetGroups(Protocol):
    """Health of load-balancer targets."""

    def health(self, arn: str) -> Sequence[TargetHealth]:
        """Targets of a group and what the load balancer says of each."""
        ...


class Probe(Protocol):
    """The function inside the VPC, asked from outside it."""

    def ask(self, question: str, cluster: Mapping[str, str]) -> Mapping[str, Any]:
        """Ask about a cluster, given its stack's outputs. See ``api/probe.py``."""
        ...


class DatabaseRoles(Protocol):
    """Roles and grants of one database, inside one transaction of its admin."""

    def read(self, user: str) -> RoleFacts:
        """Read what the catalogs say of a user, whether it exists or not."""
        ...

    def apply(self, step: Step, user: str) -> None:
        """Take one step. Raises ``DatabaseChangedMeanwhile``, ``DatabaseRefused``."""
        ...


class Database(Protocol):
    """One PostgreSQL database, spoken to over verified TLS only.

    All methods raise ``DatabaseNotReady``, ``DatabaseUnreachable``, ``DatabaseTlsFailed`` and
    ``DatabaseAuthenticationFailed``, ``DatabaseRefused`` for what repeating will not change.
    """

    def administration(self, login: Credentials) -> AbstractContextManager[DatabaseRoles]:
        """Hold the seeds' common lock and a transaction, committed when the block ends well."""
        ...

    def prove(self, login: Credentials) -> Proof:
        """Log in, create a table in schema ``public`` and drop it."""
        ...

    def check(self, login: Credentials) -> Sequence[str]:
        """Log in and name the privileges that are missing; changes nothing."""
        ...

    def schema_made(self, login: Credentials) -> bool:
        """Log in and tell whether Camunda's schema is complete and its lock free."""
        ...


class DatabaseTokens(Protocol):
    """IAM tokens that stand for a database user's password."""

    def sign(self, endpoint: str, port: int, user: str) -> Credentials:
        """Sign a token; RDS takes it for 15 minutes, at login only."""
        ...


class ManagementApi(Protocol):
    """Camunda's management API and topology of one cluster, asked from inside the VPC.

    Every call raises ``ManagementUnavailable`` when no broker could answer.
    """

    def addresses(self) -> tuple[str, ...]:
        """Addresses that the cluster's discovery name has now."""
        ...

    def configuration(self) -> ClusterConfiguration:
        """Who belongs to the cluster and which change is under way; says nothing of liveness."""
        ...

    def topology(self, credentials: Credentials | None = None) -> Topology:
        """What the gateways see. Raises ``ManagementRefused`` when credentials are not right."""
        ...

    def topology_of(self, address: str, credentials: Credentials | None = None) -> Topology:
        """What the gateway at an address sees. Raises as ``topology`` does."""
        ...

    def readiness(self, address: str) -> Readiness:
        """Whether the broker at an address is ready; does not raise when it is not there."""
        ...

    def partitions(self, address: str) -> tuple[PartitionSeen, ...]:
        """What the broker at an address tells of its own partitions."""
        ...

    def upgrade_readiness(self, address: str) -> tuple[str, ...]:
        """What one broker has not ended for the next minor version, or that it does not report."""
        ...

    def backups(self) -> BackupsSeen:
        """Each partition's latest backup."""
        ...

    def plan_brokers(self, count: int) -> PlannedChange:
        """What scaling to the brokers ``0 … count-1`` would do; changes nothing.

        Raises ``ManagementRefused`` or ``ChangeInProgress``.
        """
        ...

    def scale_brokers(self, count: int) -> PlannedChange:
        """Start scaling to the brokers ``0 … count-1``.

        Raises ``ManagementRefused`` or ``ChangeInProgress`` when nothing was changed, and
        ``ManagementAmbiguous`` when the configuration has to be read to know what happened.
        """
        ...

    def plan_partitions(self, count: int) -> PlannedChange:
        """What adding partitions up to ``count`` would do; changes nothing. Raises as above."""
        ...

    def scale_partitions(self, count: int) -> PlannedChange:
        """Start adding partitions up to ``count``. Raises as ``scale_brokers`` does."""
        ...

    def back_up(self) -> int:
        """Start a backup of the primary storage; gives its id.

        Raises ``ManagementRefused``, ``ChangeInProgress`` or ``ManagementAmbiguous``.
        """
        ...

    def backup_state(self, backup: int) -> str:
        """State of one backup in Camunda's words; ``DOES_NOT_EXIST`` where it knows none."""
        ...


class Users(Protocol):
    """Users of Camunda and the database's admin, each in a secret."""

    def credentials(self, secret_arn: str) -> Credentials:
        """Read a user's name and password. Raises ``SecretUnreadable``."""
        ...


class Paths(Protocol):
    """Paths through the load balancers, asked as a user would; raises what ended the asking."""

    def http(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        networks: Sequence[str] = (),
    ) -> PathSeen:
        """``GET``: whether the answer is 200, and what was seen, in words."""
        ...

    def page(self, url: str) -> PathSeen:
        """``GET`` as a browser: whether the answer is 200 and HTML, and what was seen."""
        ...

    def grpc(self, host: str, port: int, *, tls: bool, name: str = "") -> PathSeen:
        """Whether a gRPC server answers, with a certificate of ``name`` (default: the host)."""
        ...


class Processes(Protocol):
    """Processes of one cluster, through its REST API, asked from inside the VPC.

    Every call may be repeated, and raises ``ManagementUnavailable``, ``ManagementRefused``,
    ``CredentialsRefused``, ``CredentialsWithheld`` or ``UnreadableAnswer``.
    """

    def deploy(self, resource: str, content: bytes, credentials: Credentials) -> None:
        """Deploy one BPMN resource; the same bytes again change nothing."""
        ...

    def create_instance(self, process_id: str, credentials: Credentials) -> int:
        """Create an instance of a process's latest version; gives its key."""
        ...

    def found_instances(self, keys: Collection[int], credentials: Credentials) -> frozenset[int]:
        """Search instances by their keys; gives those that the secondary storage has."""
        ...


class NodeIdLeases(Protocol):
    """Leases of node ids: one object per id that a cluster has ever had at the same time."""

    def acquirable(self, bucket: str) -> int:
        """Number of node ids that a broker may take: the members; 0 before the first start."""
        ...


class Leases(Protocol):
    """Leases of the broker ids, asked from inside the VPC."""

    def read(self, bucket: str, nodes: Sequence[int]) -> Mapping[str, Any]:
        """``used`` and ``leases`` (node, task, until in milliseconds) of some node ids."""
        ...


class CloudSight(Protocol):
    """What AWS says of a cluster's parts, as JSON; see ``health/facts.py`` for the shapes."""

    def services(self, ecs_cluster: str, brokers: str, connectors: str) -> Mapping[str, Any]:
        """Both ECS services."""
        ...

    def tasks(self, ecs_cluster: str, service: str) -> Sequence[Mapping[str, Any]]:
        """Tasks that start or run, with addresses."""
        ...

    def protected(
        self, ecs_cluster: str, brokers: str, connectors: str
    ) -> Sequence[Mapping[str, Any]]:
        """Tasks of both services that are protected from scale-in, and until when."""
        ...

    def stops(self, ecs_cluster: str, brokers: str, connectors: str) -> Sequence[Mapping[str, Any]]:
        """Tasks that stopped without having been told to, within the last hour."""
        ...

    def autoscaling(
        self, ecs_cluster: str, brokers: str, connectors: str
    ) -> Sequence[Mapping[str, Any]]:
        """What may change the counts of both services by itself now."""
        ...

    def targets(self, target_group: str) -> Sequence[Mapping[str, Any]]:
        """Targets of a group and what the load balancer says of each."""
        ...

    def database(self, cluster: str) -> Mapping[str, Any]:
        """Status of an Aurora cluster."""
        ...

    def mounts(self, file_system: str) -> Sequence[Mapping[str, Any]]:
        """Mount targets of an EFS file system."""
        ...

    def secrets(self, arns: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
        """Whether secrets are there, by the names of their outputs; no value is read."""
        ...

    def certificate(self, arn: str) -> Mapping[str, Any]:
        """Status and end of a certificate."""
        ...


class HealthRecords(Protocol):
    """The last health check of each cluster."""

    def find(self, cluster: str) -> HealthRecord | None:
        """Read the last check; None when there is none."""
        ...

    def write(self, record: HealthRecord, before: HealthRecord | None) -> bool:
        """Write a check if the last one is still ``before`` and older; tells whether it did."""
        ...

    def delivered(self, cluster: str, decided_at: datetime) -> None:
        """Note that the announcement decided then was delivered; nothing for any other one."""
        ...

    def holder(self, cluster: str) -> Lock | None:
        """Who holds the cluster; None when nobody does."""
        ...

    def scaling(self, cluster: str) -> ScalingNote | None:
        """What the last scaling of the cluster left; None when that is long ago."""
        ...


class Messages(Protocol):
    """Messages to people."""

    def publish(self, subject: str, text: str) -> None:
        """Send a message; the subject has less than 100 characters of printable ASCII."""
        ...


class Metrics(Protocol):
    """Metrics with one dimension, the stack of a cluster."""

    def emit(self, cluster_stack: str, values: Mapping[str, float]) -> None:
        """Measure values of one cluster, now."""
        ...


class Checks(Protocol):
    """Executions that are waited for."""

    def run(self, machine_arn: str, text: str) -> Execution:
        """Run an EXPRESS machine with a JSON text as its input, to its end."""
        ...
