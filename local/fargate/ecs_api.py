"""The part of the ECS API that the emulator lacks or only pretends: services whose tasks are real.

Installed over the emulator's own functions, which its CloudFormation calls as well. Messages are
AWS's where they are known.
"""

from __future__ import annotations

import functools
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from local.aws.emulator import ec2, ecs, provisioners, responses, stacks
from local.aws.strict import served_target_groups, service_connect
from local.config import ACCOUNT_ID, REGION
from local.fargate import cloud_map, service_revisions, standalone
from local.proxy.targets import groups_in_use

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.fargate.supervisor import Supervisor
    from local.fargate.task import Record

Response = tuple[int, Any, bytes]
Parameters = dict[str, Any]

_MOST_PROTECTED_AT_ONCE = 10
_MOST_REVISIONS_AT_ONCE = 20
_PROTECTION_MINUTES = 120
_LONGEST_PROTECTION_MINUTES = 2880
_DELETION_SECONDS = 180.0

# The reference states for each parameter of UpdateService whether it starts a new deployment:
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateService.html
DEPLOYING = frozenset(
    {
        "loadBalancers",
        "networkConfiguration",
        "platformVersion",
        "serviceConnectConfiguration",
        "serviceRegistries",
        "volumeConfigurations",
        "vpcLatticeConfigurations",
    }
)
"""A change starts a new deployment, as does another task definition."""
IN_PLACE = frozenset(
    {
        "availabilityZoneRebalancing",
        "capacityProviderStrategy",
        "enableECSManagedTags",
        "enableExecuteCommand",
        "healthCheckGracePeriodSeconds",
        "placementConstraints",
        "placementStrategy",
        "propagateTags",
    }
)
"""A change counts for the tasks that are started later; those that run stay as they are."""
# What an update leaves out of the structure goes back to this.
_CONFIGURATION = {
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
}


def install(supervisor: Supervisor) -> None:
    """Let the emulator's ECS work through `supervisor`."""
    api = _EcsApi(supervisor)
    operations: dict[str, Callable[[Parameters], Response]] = {
        "CreateService": api.create_service,
        "UpdateService": api.update_service,
        "DeleteService": api.delete_service,
        "StopTask": api.stop_task,
        "RunTask": api.run_task,
        "ListTasks": api.list_tasks,
        "DeleteCluster": api.delete_cluster,
        "UpdateTaskProtection": api.update_task_protection,
        "GetTaskProtection": api.get_task_protection,
        "DescribeServiceRevisions": api.describe_service_revisions,
    }
    ecs.ACTION_MAP.update(operations)
    ecs.create_service = api.create_service
    ecs.update_service = api.update_service
    ecs.delete_service = api.delete_service
    ecs.delete_cluster = api.delete_cluster
    ecs.stop_task = api.stop_task
    ecs.run_task = api.run_task
    # Tasks are the supervisor's alone; it looks again as soon as a service changes.
    ecs.reconcile_service_tasks = lambda *_: supervisor.wake()
    ecs.dispatch_action = _under(supervisor.lock, ecs.dispatch_action)
    ecs.dispatch_path = _under(supervisor.lock, ecs.dispatch_path)
    _let_stack_deletion_wait(supervisor)


class _EcsApi:
    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._own_create_service = ecs.create_service
        self._own_list_tasks = ecs.ACTION_MAP["ListTasks"]
        self._own_delete_cluster = ecs.delete_cluster
        self._requests: dict[str, tuple[Parameters, list[str]]] = {}
        """Request and tasks of each client token."""

    def create_service(self, data: Parameters) -> Response:
        with self._supervisor.lock:
            definition, problem = _task_definition(data.get("taskDefinition", ""))
            if definition is None:
                return problem
            unserved = _unserved(data)
            if unserved:
                return _refusal(*unserved)
            data = {**data, "taskDefinition": definition}
            response: Response = self._own_create_service(data)
            if response[0] >= 400:
                return response
            described = json.loads(response[2])["service"]
            service = ecs.services["/".join(described["serviceArn"].split("/")[-2:])]
            service["_uid"] = uuid.uuid4().hex
            # Described only on request (`include`), from where TagResource keeps them.
            service.pop("tags", None)
            service["platformVersion"] = data.get("platformVersion", "LATEST")
            service["availabilityZoneRebalancing"] = data.get(
                "availabilityZoneRebalancing", "ENABLED"
            )
            service["deploymentConfiguration"] = _CONFIGURATION | (
                data.get("deploymentConfiguration") or {}
            )
            for field in ("enableECSManagedTags", "enableExecuteCommand"):
                service[field] = bool(data.get(field))
            service["propagateTags"] = data.get("propagateTags", "NONE")
            service["_service_connect"] = data.get("serviceConnectConfiguration")
            service["deployments"] = [_deployment(service)]
            self._supervisor.wake()
            return _described(service)

    def update_service(self, data: Parameters) -> Response:
        with self._supervisor.lock:
            service, problem = _service(data)
            if service is None:
                return problem
            if service["status"] != "ACTIVE":
                return _refusal("ServiceNotActiveException", "Service was not ACTIVE.")
            definition = service["taskDefinition"]
            if data.get("taskDefinition"):
                found, problem = _task_definition(data["taskDefinition"])
                if found is None:
                    return problem
                definition = found
            unserved = _unserved(data)
            if unserved:
                return _refusal(*unserved)
            self._apply(service, data, definition)
            self._supervisor.wake()
            return _described(service)

    def _apply(self, service: Record, data: Parameters, definition: str) -> None:
        deploy = bool(data.get("forceNewDeployment")) or definition != service["taskDefinition"]
        service["taskDefinition"] = definition
        if data.get("desiredCount") is not None:
            service["desiredCount"] = int(data["desiredCount"])
        if data.get("deploymentConfiguration") is not None:
            service["deploymentConfiguration"] = _CONFIGURATION | data["deploymentConfiguration"]
        given = {field: value for field, value in data.items() if value is not None}
        for field in given.keys() & IN_PLACE:
            service[field] = given[field]
        for field in given.keys() & DEPLOYING:
            # Not a member of Service: only deployments show it.
            stored = "_service_connect" if field == "serviceConnectConfiguration" else field
            if given[field] != service.get(stored):
                service[stored] = given[field]
                deploy = True
        primary = service["deployments"][0]
        if deploy:
            primary["status"] = "ACTIVE"
            service["deployments"].insert(0, _deployment(service))
        elif primary["rolloutState"] != "FAILED":
            primary["desiredCount"] = service["desiredCount"]
            primary["updatedAt"] = time.time()

    def delete_service(self, data: Parameters) -> Response:
        with self._supervisor.lock:
            service, problem = _service(data)
            if service is None:
                return problem
            if service["status"] == "INACTIVE":
                return _refusal("ServiceNotFoundException", "Service not found.")
            if service["desiredCount"] > 0 and not data.get("force"):
                return _refusal(
                    "InvalidParameterException",
                    "The service cannot be stopped while it is scaled above 0.",
                )
            if service["status"] == "ACTIVE":
                service["status"] = "DRAINING"
                service["desiredCount"] = service["deployments"][0]["desiredCount"] = 0
            self._supervisor.wake()
            return _described(service)

    def describe_service_revisions(self, data: Parameters) -> Response:
        arns = data.get("serviceRevisionArns") or []
        if not 1 <= len(arns) <= _MOST_REVISIONS_AT_ONCE:
            return _refusal("InvalidParameterException", "Specify 1 to 20 service revisions.")
        with self._supervisor.lock:
            return _answer(service_revisions.describe(ecs.services.values(), arns))

    def stop_task(self, data: Parameters) -> Response:
        with self._supervisor.lock:
            cluster = ecs.resolve_cluster_name(data.get("cluster", "default"))
            record = ecs.resolve_task(data.get("task", ""), cluster)
            task = self._supervisor.find(record["taskArn"]) if record else None
            if task is None:
                return _refusal("InvalidParameterException", "The referenced task was not found.")
            reason = data.get("reason") or "Task stopped by user"
            self._supervisor.stop_task(task, "UserInitiated", reason, time.time())
            self._supervisor.wake()
            return _answer({"task": ecs.sanitize(task.record)})

    def run_task(self, data: Parameters) -> Response:
        with self._supervisor.lock:
            name = ecs.resolve_cluster_name(data.get("cluster", "default"))
            cluster = ecs.clusters.get(name)
            if cluster is None:
                return _refusal("ClusterNotFoundException", "Cluster not found.")
            found, problem = _task_definition(data.get("taskDefinition", ""))
            if found is None:
                return problem
            definition = ecs.task_defs[found.rsplit("/", 1)[-1]]
            refused = standalone.refusal(
                data, cluster, definition, subnets=ec2.subnets, groups=ec2.security_groups
            )
            if refused:
                return _refusal(*refused)
            token = data.get("clientToken")
            if token in self._requests:
                return self._again(*self._requests[token], data)
            tasks, failures = self._supervisor.run(data, cluster, definition)
            if token and tasks:
                self._requests[token] = (data, [task.arn for task in tasks])
            self._supervisor.wake()
            return _answer({"tasks": [_shown(task.record) for task in tasks], "failures": failures})

    def _again(self, first: Parameters, arns: list[str], data: Parameters) -> Response:
        """Answer a request whose client token was there: the same tasks, or a conflict.

        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html
        """
        if data != first:
            return _refusal(
                "ConflictException",
                "The provided clientToken is already in use with a different RunTask request:"
                f" {', '.join(arns)}.",
            )
        tasks = [ecs.tasks[arn] for arn in arns if arn in ecs.tasks]
        return _answer({"tasks": [_shown(one) for one in tasks], "failures": []})

    def list_tasks(self, data: Parameters) -> Response:
        """List tasks; `startedBy` must be the only filter that is used.

        https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html
        """
        others = [
            name
            for name in (
                "containerInstance",
                "daemonName",
                "desiredStatus",
                "family",
                "launchType",
                "serviceName",
            )
            if data.get(name)
        ]
        if data.get("startedBy") and others:
            return _refusal(
                "InvalidParameterException",
                f"startedBy must be the only filter; {', '.join(others)} cannot be used with it.",
            )
        response: Response = self._own_list_tasks(data)
        return response

    def delete_cluster(self, data: Parameters) -> Response:
        """Delete a cluster in which no task is left, as the API reference has it."""
        with self._supervisor.lock:
            named = ecs.clusters.get(ecs.resolve_cluster_name(data.get("cluster", "default")), {})
            if any(
                one["clusterArn"] == named.get("clusterArn") and one["lastStatus"] != "STOPPED"
                for one in ecs.tasks.values()
            ):
                return _refusal(
                    "ClusterContainsTasksException",
                    "The Cluster cannot be deleted while Tasks are active.",
                )
            response: Response = self._own_delete_cluster(data)
            return response

    def update_task_protection(self, data: Parameters) -> Response:
        wanted = data.get("tasks") or []
        minutes = data.get("expiresInMinutes") or _PROTECTION_MINUTES
        if not 1 <= len(wanted) <= _MOST_PROTECTED_AT_ONCE:
            return _refusal(
                "InvalidParameterException",
                f"Tasks must be between 1 and {_MOST_PROTECTED_AT_ONCE} entries.",
            )
        if not 1 <= minutes <= _LONGEST_PROTECTION_MINUTES:
            return _refusal(
                "InvalidParameterException",
                f"expiresInMinutes must be between 1 and {_LONGEST_PROTECTION_MINUTES}.",
            )
        until = time.time() + minutes * 60 if data.get("protectionEnabled") else 0.0
        with self._supervisor.lock:
            protected, failures = [], []
            for reference in wanted:
                record, failure = self._protectable(data, reference)
                if record is None:
                    failures.append(failure)
                elif until and self._blocked(record):
                    failures.append(
                        {
                            "arn": record["taskArn"],
                            "reason": "DEPLOYMENT_BLOCKED",
                            "detail": "More tasks are protected than the service's desired count.",
                        }
                    )
                else:
                    record["_protected_until"] = until
                    protected.append(_protection(record))
            self._supervisor.wake()
        return _answer({"protectedTasks": protected, "failures": failures})

    def get_task_protection(self, data: Parameters) -> Response:
        with self._supervisor.lock:
            cluster = ecs.resolve_cluster_name(data.get("cluster", "default"))
            arn = f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:cluster/{cluster}"
            wanted = data.get("tasks") or [
                record["taskArn"]
                for record in ecs.tasks.values()
                if record["clusterArn"] == arn and record["desiredStatus"] == "RUNNING"
            ]
            found = [self._protectable(data, reference) for reference in wanted]
        return _answer(
            {
                "protectedTasks": [_protection(record) for record, _ in found if record],
                "failures": [failure for record, failure in found if record is None],
            }
        )

    def _protectable(
        self, data: Parameters, reference: str
    ) -> tuple[Record | None, dict[str, str]]:
        cluster = ecs.resolve_cluster_name(data.get("cluster", "default"))
        record = ecs.resolve_task(reference, cluster)
        if record is None or record["lastStatus"] == "STOPPED":
            arn = (
                reference
                if reference.startswith("arn:")
                else f"arn:aws:ecs:{REGION}:{ACCOUNT_ID}:task/{cluster}/{reference}"
            )
            return None, {"arn": arn, "reason": "MISSING"}
        task = self._supervisor.find(record["taskArn"])
        if task is None or task.standalone:
            return None, {"arn": record["taskArn"], "reason": "TASK_NOT_VALID"}
        return record, {}

    def _blocked(self, record: Record) -> bool:
        """Whether protecting one more task would protect more than the service wants."""
        cluster = record["clusterArn"].rsplit("/", 1)[-1]
        service = ecs.services[f"{cluster}/{record['group'].partition(':')[2]}"]
        now = time.time()
        protected = {
            other["taskArn"]
            for other in ecs.tasks.values()
            if other["clusterArn"] == record["clusterArn"]
            and other["group"] == record["group"]
            and other["desiredStatus"] == "RUNNING"
            and other.get("_protected_until", 0) > now
        }
        return len(protected | {record["taskArn"]}) > int(service["desiredCount"])


def _shown(record: Record) -> Parameters:
    """Give a task with its tags, as RunTask shows it."""
    shown: Parameters = ecs.sanitize(record)
    return shown | {"tags": list(ecs.tags.get(record["taskArn"], ()))}


def _answer(content: Parameters) -> Response:
    response: Response = responses.json_response(content)
    return response


def _refusal(code: str, message: str) -> Response:
    response: Response = responses.error_response_json(code, message, 400)
    return response


def _protection(record: Record) -> dict[str, Any]:
    until = record.get("_protected_until", 0)
    enabled = until > time.time()
    shown: dict[str, Any] = {"taskArn": record["taskArn"], "protectionEnabled": enabled}
    return shown | ({"expirationDate": until} if enabled else {})


def _task_definition(reference: str) -> tuple[str | None, Response]:
    """ARN of a task definition; a family without a revision is its latest ACTIVE one."""
    key = reference.rsplit("/", 1)[-1]
    revisions = [
        one
        for name, one in ecs.task_defs.items()
        if name == key or (one["family"] == key and one["status"] == "ACTIVE")
    ]
    if not revisions:
        return None, _refusal("ClientException", "TaskDefinition not found.")
    found = max(revisions, key=lambda one: one["revision"])
    if found["status"] != "ACTIVE":
        return None, _refusal("ClientException", "TaskDefinition is inactive")
    return str(found["taskDefinitionArn"]), _answer({})


def _unserved(data: Parameters) -> tuple[str, str] | None:
    return served_target_groups.refusal(data.get("loadBalancers") or (), groups_in_use())


def _service(data: Parameters) -> tuple[Record | None, Response]:
    cluster = ecs.resolve_cluster_name(data.get("cluster", "default"))
    if cluster not in ecs.clusters:
        return None, _refusal("ClusterNotFoundException", "Cluster not found.")
    name = str(data.get("service", "")).rsplit("/", 1)[-1]
    service = ecs.services.get(f"{cluster}/{name}")
    if service is None:
        return None, _refusal("ServiceNotFoundException", "Service not found.")
    return service, _answer({})


def _deployment(service: Record) -> Record:
    number = str(uuid.uuid4().int)[:19]
    now = time.time()
    deployment = {
        "id": f"ecs-svc/{number}",
        "status": "PRIMARY",
        "taskDefinition": service["taskDefinition"],
        "desiredCount": service["desiredCount"],
        "runningCount": 0,
        "pendingCount": 0,
        "failedTasks": 0,
        "launchType": service.get("launchType") or "FARGATE",
        "platformVersion": "1.4.0",
        "platformFamily": "Linux",
        "networkConfiguration": service.get("networkConfiguration") or {},
        "createdAt": now,
        "updatedAt": now,
        "rolloutState": "IN_PROGRESS",
        "rolloutStateReason": f"ECS deployment ecs-svc/{number} in progress.",
    }
    connect = service.get("_service_connect") or {}
    service_revisions.begin(service, deployment)
    # Endpoints that were there keep their age.
    known = service.get("_endpoints", {})
    service["_endpoints"] = {name: known.get(name, now) for name in service_connect.names(connect)}
    if not connect:
        return deployment
    return deployment | {
        "serviceConnectConfiguration": connect,
        "serviceConnectResources": [
            {"discoveryName": name, "discoveryArn": arn}
            for name, arn in cloud_map.name_endpoints(connect).items()
        ],
    }


def _described(service: Record) -> Response:
    return _answer({"service": ecs.sanitize(service)})


def _under(lock: Any, function: Callable[..., Response]) -> Callable[..., Response]:
    @functools.wraps(function)
    def locked(*arguments: Any) -> Response:
        with lock:
            return function(*arguments)

    return locked


def _let_stack_deletion_wait(supervisor: Supervisor) -> None:
    """CloudFormation waits for a service's tasks to stop before it deletes what they use."""
    handlers = provisioners.RESOURCE_HANDLERS["AWS::ECS::Service"]
    own_delete, own_rule = handlers["delete"], stacks.runs_on_worker_thread

    def delete(physical_id: str, properties: dict[str, Any]) -> None:
        own_delete(physical_id, properties)
        service = ecs.services.get("/".join(physical_id.split("/")[-2:]))
        deadline = time.monotonic() + _DELETION_SECONDS
        while service is not None and service["status"] != "INACTIVE":
            if time.monotonic() > deadline:
                raise ValueError(
                    f"Resource of type 'AWS::ECS::Service' {physical_id} "
                    "did not stabilize: tasks are still running."
                )
            supervisor.wake()
            time.sleep(0.1)

    handlers["delete"] = delete
    clusters = provisioners.RESOURCE_HANDLERS["AWS::ECS::Cluster"]
    own_cluster_delete = clusters["delete"]

    def delete_cluster(physical_id: str, properties: dict[str, Any]) -> None:
        own_cluster_delete(physical_id, properties)
        if physical_id in ecs.clusters:
            # The emulator passes the refusal over.
            raise ValueError(
                f"Resource of type 'AWS::ECS::Cluster' {physical_id} cannot be deleted: The Cluster"
                " cannot be deleted while Tasks are active."
            )

    clusters["delete"] = delete_cluster
    stacks.runs_on_worker_thread = lambda type_name: (
        type_name == "AWS::ECS::Service" or own_rule(type_name)
    )
