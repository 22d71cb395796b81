"""Camunda's SDKs and pyzeebe work through the load balancers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import requests
from pyzeebe import ZeebeClient, ZeebeWorker
from pyzeebe.errors import ProcessDefinitionNotFoundError

from tests.support import sdk
from tests.support.cloud import eventually
from tests.support.grpc_login import channel
from tests.support.memory_gateway import JOB_AND_MESSAGE
from tests.support.site import LATER, Site

if TYPE_CHECKING:
    from pathlib import Path

    from local.component import Instance

INSTANCES = 3


@pytest.fixture
def resource(tmp_path: Path) -> Path:
    """A process with one job of type `work` that then awaits the message `go`."""
    made = tmp_path / "lab.bpmn"
    made.write_text(JOB_AND_MESSAGE)
    return made


def works(minor: str, site: Site, resource: Path) -> None:
    user, password = site.user
    assert eventually(lambda: _shown(site) == {0, 1, 2}, 60)
    seen = sdk.use(minor, site.address, user, password, resource)
    assert seen["user"] == user
    assert {one["nodeId"] for one in seen["topology"]["brokers"]} == {0, 1, 2}
    assert seen["topology"]["gatewayVersion"].startswith(f"{minor}.")
    assert len(seen["completed"]) == len(seen["messages"]) == INSTANCES
    created = {one["processInstanceKey"] for one in seen["created"]}
    assert {one["processInstanceKey"] for one in seen["instances"]} == created
    assert seen["refused"], "an instance that is cancelled cannot be cancelled again"


def test_the_sdk_of_8_9(instance: Instance, resource: Path) -> None:
    works("8.9", Site(instance, "demo"), resource)


@pytest.mark.long
def test_the_sdk_of_8_10(instance: Instance, resource: Path) -> None:
    site = Site(instance, "later")
    site.provision(LATER, Brokers=3, Partitions=3, ReplicationFactor=3, Connectors=1)
    try:
        works("8.10", site, resource)
    finally:
        site.run("teardown", {"clusterName": "later", "confirm": "later"})


def test_pyzeebe(instance: Instance, resource: Path) -> None:
    site = Site(instance, "demo")
    assert eventually(lambda: _shown(site) == {0, 1, 2}, 60)

    async def use() -> None:
        async with channel(site.grpc, *site.user) as connected:
            client, worker = ZeebeClient(connected), ZeebeWorker(connected, name="tests")
            done: asyncio.Queue[str] = asyncio.Queue()

            @worker.task(task_type="work", timeout_ms=10_000)  # type: ignore[arg-type]
            async def work(key: str) -> dict[str, Any]:
                await done.put(key)
                return {}

            topology = await client.topology()
            assert {one.node_id for one in topology.brokers} == {0, 1, 2}
            await client.deploy_resource(resource)
            working = asyncio.create_task(worker.work())
            keys = [f"pyzeebe-{one}" for one in range(INSTANCES)]
            for key in keys:
                await _start(client, key)
            assert {await asyncio.wait_for(done.get(), 15) for _ in keys} == set(keys)
            for key in keys:
                await client.publish_message("go", key, time_to_live_in_milliseconds=60_000)
            await worker.stop()
            await working

    asyncio.run(use())


def _shown(site: Site) -> set[int]:
    """Give the brokers of the topology: one that has left is in it until the others miss it."""
    answer = requests.get(f"{site.address}/v2/topology", auth=site.user, timeout=10)
    return {one["nodeId"] for one in answer.json()["brokers"]}


async def _start(client: ZeebeClient, key: str) -> None:
    """Start an instance; a deployment is answered before all partitions have the process."""
    for _ in range(60):
        with suppress(ProcessDefinitionNotFoundError):
            await client.run_process("lab", variables={"key": key})
            return
        await asyncio.sleep(0.5)
    raise AssertionError("its partition has no process after 30 s")
