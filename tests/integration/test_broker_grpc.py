from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pyzeebe import ZeebeClient, ZeebeWorker
from pyzeebe.errors import ProcessInstanceNotFoundError, ProcessInvalidError
from pyzeebe.proto import gateway_pb2 as messages
from pyzeebe.proto import gateway_pb2_grpc as stubs

from local.broker import grpc_gateway
from local.broker.users import Users
from tests.support.grpc_login import channel as logged_in
from tests.support.memory_gateway import JOB_AND_MESSAGE, JOB_ONLY, USERS, MemoryGateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.integration

HOST = "127.0.0.1"


@asynccontextmanager
async def served(*, user: bool = True) -> AsyncIterator[tuple[MemoryGateway, grpc.aio.Channel]]:
    gateway = MemoryGateway()
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    server = await grpc_gateway.serve(gateway, Users(USERS, gateway), HOST, port)
    address = f"{HOST}:{port}"
    made = logged_in(address, "admin", "secret") if user else grpc.aio.insecure_channel(address)
    async with made as channel:
        yield gateway, channel
    await server.stop(0)


def run(test: Callable[[MemoryGateway, grpc.aio.Channel], Awaitable[None]]) -> None:
    async def within() -> None:
        async with served() as (gateway, channel):
            await test(gateway, channel)

    asyncio.run(within())


def test_pyzeebe_deploys_starts_works_and_publishes(tmp_path: Path) -> None:
    resource = tmp_path / "lab.bpmn"
    resource.write_text(JOB_AND_MESSAGE)

    async def test(gateway: MemoryGateway, channel: grpc.aio.Channel) -> None:
        client, worker = ZeebeClient(channel), ZeebeWorker(channel, name="w")
        done: asyncio.Queue[str] = asyncio.Queue()

        @worker.task(task_type="work", timeout_ms=10_000)  # type: ignore[arg-type]
        async def work(key: str) -> dict[str, Any]:
            await done.put(key)
            return {"worked": True}

        topology = await client.topology()
        assert topology.gateway_version == "8.9.16"
        deployed = await client.deploy_resource(resource)
        assert [getattr(one, "bpmn_process_id", "") for one in deployed.deployments] == ["lab"]
        working = asyncio.create_task(worker.work())
        created = await client.run_process("lab", variables={"key": "k"})
        assert await asyncio.wait_for(done.get(), 10) == "k"
        await client.publish_message("go", "k", time_to_live_in_milliseconds=60_000)
        for _ in range(50):
            if not any(one.data["instances"] for one in gateway.engines.values()):
                break
            await asyncio.sleep(0.05)
        with pytest.raises(ProcessInstanceNotFoundError):
            await client.cancel_process_instance(created.process_instance_key)
        await worker.stop()
        await working

    run(test)


def test_pyzeebe_awaits_a_result_and_learns_of_a_bad_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.bpmn", tmp_path / "bad.bpmn"
    good.write_text(JOB_ONLY)
    bad.write_text(JOB_ONLY.replace("serviceTask", "userTask"))

    async def test(_: MemoryGateway, channel: grpc.aio.Channel) -> None:
        client, gateway = ZeebeClient(channel), stubs.GatewayStub(channel)
        with pytest.raises(ProcessInvalidError):
            await client.deploy_resource(bad)
        await client.deploy_resource(good)
        waiting = asyncio.create_task(client.run_process_with_result("work", {"a": 1}))
        request = messages.ActivateJobsRequest(
            type="work", timeout=10_000, maxJobsToActivate=1, requestTimeout=5_000
        )
        found = [job async for answer in gateway.ActivateJobs(request) for job in answer.jobs]
        finished = messages.CompleteJobRequest(jobKey=found[0].key, variables='{"b": 2}')
        await gateway.CompleteJob(finished)
        assert (await waiting).variables == {"a": 1, "b": 2}

    run(test)


def test_refusals_have_grpc_codes_and_words() -> None:
    async def test(_: MemoryGateway, channel: grpc.aio.Channel) -> None:
        gateway = stubs.GatewayStub(channel)
        for call, code in (
            (gateway.CompleteJob(messages.CompleteJobRequest(jobKey=1 << 51)), "NOT_FOUND"),
            (
                gateway.FailJob(messages.FailJobRequest(jobKey=1 << 51, variables="[]")),
                "INVALID_ARGUMENT",
            ),
            (gateway.BroadcastSignal(messages.BroadcastSignalRequest()), "UNIMPLEMENTED"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code().name == code
            assert refused.value.details()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async for _one in gateway.StreamActivatedJobs(messages.StreamActivatedJobsRequest()):
                pass
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED

    run(test)


def test_a_partition_without_a_leader_is_unavailable() -> None:
    async def test(gateway: MemoryGateway, channel: grpc.aio.Channel) -> None:
        gateway.down = {1, 2, 3}
        request = messages.CreateProcessInstanceRequest(bpmnProcessId="work")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stubs.GatewayStub(channel).CreateProcessInstance(request)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE

    run(test)


def test_strangers_may_ask_for_the_health_only() -> None:
    async def test() -> None:
        async with served(user=False) as (_, channel):
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(health_pb2.HealthCheckRequest())
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            gateway = stubs.GatewayStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await gateway.Topology(messages.TopologyRequest())
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
            request = messages.ActivateJobsRequest(type="work", maxJobsToActivate=1, timeout=1)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                async for _one in gateway.ActivateJobs(request):
                    pass
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(test())
