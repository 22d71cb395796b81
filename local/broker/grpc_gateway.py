"""The gRPC gateway on port 26500: the calls that pyzeebe makes, and grpc.health.v1.

Messages are those of pyzeebe's own stubs (`gateway.proto`, Apache License 2.0). Other calls are
UNIMPLEMENTED.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from pyzeebe.proto import gateway_pb2 as messages
from pyzeebe.proto import gateway_pb2_grpc as stubs

from local.broker import operations
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable, StorageUnavailable
from local.broker.identity import IssuerUnavailable, TokenRejected
from local.broker.operations import CommandRejected
from local.broker.users import CONNECTORS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local.broker.gateway_port import Gateway
    from local.broker.users import Users

type Json = dict[str, Any]

_TENANT = "<default>"
_CODES = {
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "INVALID_ARGUMENT": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_STATE": grpc.StatusCode.FAILED_PRECONDITION,
    "ALREADY_EXISTS": grpc.StatusCode.ALREADY_EXISTS,
}
_REFUSED = {
    "BroadcastSignal": "no process that the local broker runs waits for a signal",
    "EvaluateDecision": "the local broker has no decision engine",
    "StreamActivatedJobs": "the local broker does not push jobs; ActivateJobs is performed",
    "DeployProcess": "deprecated since 8.0; DeployResource is performed",
    "DeleteResource": "the local broker keeps what is deployed",
    "SetVariables": "variables change with jobs and messages only in the local broker",
    "ModifyProcessInstance": "the local broker runs linear processes only",
    "MigrateProcessInstance": "the local broker runs linear processes only",
}
_ROLES: dict[str, Any] = {"leader": 0, "follower": 1}
_HEALTH: dict[str, Any] = {"healthy": 0, "unhealthy": 1}


class GrpcGateway(stubs.GatewayServicer):
    """Calls of one broker."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._turn = 0

    async def Topology(self, _: Any, context: Any) -> Any:  # noqa: N802
        """Give the topology."""
        found = self._gateway.topology()
        brokers = [
            messages.BrokerInfo(
                nodeId=one["nodeId"],
                host=one["host"],
                port=one["port"],
                version=one["version"],
                partitions=[
                    messages.Partition(
                        partitionId=partition["partitionId"],
                        role=_ROLES.get(partition["role"], 2),
                        health=_HEALTH.get(partition["health"], 2),
                    )
                    for partition in one["partitions"]
                ],
            )
            for one in found["brokers"]
        ]
        return messages.TopologyResponse(
            brokers=brokers,
            clusterSize=found["clusterSize"],
            partitionsCount=found["partitionsCount"],
            replicationFactor=found["replicationFactor"],
            gatewayVersion=found["gatewayVersion"],
        )

    async def DeployResource(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Deploy BPMN files."""
        resources = [(one.name, one.content) for one in request.resources]
        deployed = await self._try(context, operations.deploy(self._gateway, resources))
        return messages.DeployResourceResponse(
            key=deployed["key"],
            tenantId=_TENANT,
            deployments=[
                messages.Deployment(
                    process=messages.ProcessMetadata(
                        bpmnProcessId=one["processDefinitionId"],
                        version=one["processDefinitionVersion"],
                        processDefinitionKey=one["processDefinitionKey"],
                        resourceName=one["resourceName"],
                        tenantId=_TENANT,
                    )
                )
                for one in deployed["processes"]
            ],
        )

    async def CreateProcessInstance(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Start an instance."""
        created = await self._create(request, context)
        return messages.CreateProcessInstanceResponse(**_instance(created))

    async def CreateProcessInstanceWithResult(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Start an instance and wait for its end."""
        seconds = (request.requestTimeout or 30_000) / 1000
        created = await self._create(request.request, context, seconds)
        wanted = request.fetchVariables
        variables = {
            name: value
            for name, value in created["variables"].items()
            if not wanted or name in wanted
        }
        return messages.CreateProcessInstanceWithResultResponse(
            **_instance(created), variables=json.dumps(variables)
        )

    async def _create(self, request: Any, context: Any, seconds: float = 0) -> Json:
        command = {
            "id": request.bpmnProcessId or None,
            "key": request.processDefinitionKey or None,
            "version": request.version,
            "variables": await _document(request, context),
        }
        created = operations.create_instance(self._gateway, command, seconds)
        return dict(await self._try(context, created))

    async def CancelProcessInstance(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Cancel an instance."""
        await self._by_key(context, "cancel_instance", request.processInstanceKey)
        return messages.CancelProcessInstanceResponse()

    async def ActivateJobs(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Activate jobs; ends without a message when none came in time."""
        self._turn += 1
        command = {
            "type": request.type,
            "max": request.maxJobsToActivate,
            "timeout": request.timeout,
            "worker": request.worker,
            "fetch": list(request.fetchVariable),
        }
        waits = request.requestTimeout
        seconds = (10_000 if waits == 0 else max(0, waits)) / 1000
        found = await self._try(
            context, operations.activate(self._gateway, command, seconds, self._turn)
        )
        if found:
            yield messages.ActivateJobsResponse(
                jobs=[
                    messages.ActivatedJob(
                        key=one["key"],
                        type=one["type"],
                        processInstanceKey=one["instance"],
                        bpmnProcessId=one["process"],
                        processDefinitionVersion=one["version"],
                        processDefinitionKey=one["definition"],
                        elementId=one["element"],
                        elementInstanceKey=one["elementKey"],
                        customHeaders=json.dumps(one["headers"]),
                        worker=one["worker"],
                        retries=one["retries"],
                        deadline=one["deadline"],
                        variables=json.dumps(one["variables"]),
                        tenantId=_TENANT,
                    )
                    for one in found
                ]
            )

    async def CompleteJob(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Complete a job."""
        variables = await _document(request, context)
        await self._by_key(context, "complete_job", request.jobKey, variables=variables)
        return messages.CompleteJobResponse()

    async def FailJob(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Fail a job."""
        await self._by_key(
            context,
            "fail_job",
            request.jobKey,
            retries=request.retries,
            backOff=request.retryBackOff,
            message=request.errorMessage,
            variables=await _document(request, context),
        )
        return messages.FailJobResponse()

    async def ThrowError(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Throw a BPMN error."""
        await self._by_key(
            context,
            "throw_error",
            request.jobKey,
            code=request.errorCode,
            message=request.errorMessage,
            variables=await _document(request, context),
        )
        return messages.ThrowErrorResponse()

    async def UpdateJobTimeout(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Give an activated job another timeout."""
        await self._by_key(context, "update_job", request.jobKey, timeout=request.timeout)
        return messages.UpdateJobTimeoutResponse()

    async def UpdateJobRetries(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Give a job other retries."""
        await self._by_key(context, "update_job", request.jobKey, retries=request.retries)
        return messages.UpdateJobRetriesResponse()

    async def ResolveIncident(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Resolve an incident."""
        await self._by_key(context, "resolve_incident", request.incidentKey)
        return messages.ResolveIncidentResponse()

    async def PublishMessage(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Publish a message."""
        command = {
            "name": request.name,
            "correlationKey": request.correlationKey,
            "ttl": request.timeToLive,
            "messageId": request.messageId or None,
            "variables": await _document(request, context),
        }
        published = await self._try(context, operations.publish(self._gateway, command))
        return messages.PublishMessageResponse(key=published["messageKey"], tenantId=_TENANT)

    async def _by_key(self, context: Any, kind: str, key: int, **fields: Any) -> None:
        await self._try(context, operations.by_key(self._gateway, kind, key, **fields))

    async def _try(self, context: Any, work: Any) -> Any:
        try:
            return await work
        except CommandRejected as error:
            await context.abort(_CODES[error.code], error.message)
        except (PartitionUnavailable, StorageUnavailable) as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        except OutcomeUnknown as error:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, str(error))


def _refusing(reason: str) -> Any:
    async def refuse(_: GrpcGateway, __: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, reason)

    return refuse


for _name, _reason in _REFUSED.items():
    setattr(GrpcGateway, _name, _refusing(_reason))


class _Authentication(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Refuses calls without credentials or roles, but for health checks; all may read the topology.

    Codes: `AuthenticationHandler` of camunda/camunda's gateway: UNAUTHENTICATED also for an issuer
    that cannot be reached.
    """

    def __init__(self, users: Users) -> None:
        self._users = users

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        if details.method.startswith("/grpc.health.v1."):
            return await continuation(details)
        header = dict(details.invocation_metadata).get("authorization", "")
        code, text = grpc.StatusCode.UNAUTHENTICATED, "Expected credentials of a user, found none"
        try:
            who = await self._users.principal_of(header)
        except TokenRejected as error:
            who, text = None, f"Expected a valid token, see cause for details: {error}"
        except IssuerUnavailable as error:
            who, text = None, f"Expected bearer token to be verified, but: {error}"
        name = details.method.rsplit("/", 1)[-1]
        if who is not None:
            if name == "Topology" or await self._users.may(who, CONNECTORS):
                return await continuation(details)
            code, text = grpc.StatusCode.PERMISSION_DENIED, f"Unauthorized to perform {name}"

        async def refuse(_: Any, context: Any) -> Any:
            await context.abort(code, text)

        handler = await continuation(details)
        if handler is not None and handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(refuse)
        return grpc.unary_unary_rpc_method_handler(refuse)


async def serve(gateway: Gateway, users: Users, address: str, port: int) -> grpc.aio.Server:
    """Start the gateway. Raises OSError when the port is in use."""
    server = grpc.aio.server(interceptors=[_Authentication(users)])
    calls = GrpcGateway(gateway)  # type: ignore[abstract]
    stubs.add_GatewayServicer_to_server(calls, server)
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    serving = health_pb2.HealthCheckResponse.SERVING
    for name in ("", "gateway_protocol.Gateway"):
        await status.set(name, serving)
    try:
        server.add_insecure_port(f"{address}:{port}")
    except RuntimeError as error:
        raise OSError(f"{address}:{port} cannot be bound") from error
    await server.start()
    return server


async def _document(request: Any, context: Any) -> Json:
    try:
        variables = json.loads(request.variables or "{}")
    except ValueError:
        variables = None
    if not isinstance(variables, dict):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The variables are no JSON object")
    return dict(variables)


def _instance(created: Json) -> Json:
    return {
        "processDefinitionKey": created["processDefinitionKey"],
        "bpmnProcessId": created["processDefinitionId"],
        "version": created["processDefinitionVersion"],
        "processInstanceKey": created["processInstanceKey"],
        "tenantId": _TENANT,
    }
