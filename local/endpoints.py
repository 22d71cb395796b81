"""Keeps `endpoints.json` current: the addresses of the running instance.

A component of the host, so that it follows brokers as they start and stop.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from local import identity, zone
from local.config import (
    ACCOUNT_ID,
    CONTROL_STACK,
    REGION,
)
from local.names import replace_json

if TYPE_CHECKING:
    from local.component import Component, Instance
    from local.names import Names

logger = logging.getLogger(__name__)

REST_PORT = 8080
MANAGEMENT_PORT = 9600
_POLL_SECONDS = 1.0
_PORTS = {"http": 80, "https": 443}


class Endpoints:
    """The component; see `local.component.Component`."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._written: dict[str, Any] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="endpoints", daemon=True)

    def start(self) -> None:
        """Write the file for the first time and follow."""
        self._write()
        self._thread.start()

    def stop(self) -> None:
        """Stop following and remove the file, which is no longer valid."""
        self._stopping.set()
        self._thread.join()
        self._instance.config.endpoints_file.unlink(missing_ok=True)

    def _follow(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                self._write()
            except (BotoCoreError, ClientError):
                logger.warning("endpoints.json not renewed", exc_info=True)

    def _write(self) -> None:
        content = describe(self._instance)
        if content != self._written:
            replace_json(self._instance.config.endpoints_file, content)
            self._written = content


def component(instance: Instance) -> Component:
    """Give the component of `instance`."""
    return Endpoints(instance)


def describe(instance: Instance) -> dict[str, Any]:
    """Current content of `endpoints.json`; null for what does not exist yet."""
    config = instance.config
    outputs = cluster_outputs(instance)
    api = _api(instance)
    secure = outputs.get("RestUrl", "").startswith("https:")
    return {
        "aws": config.aws_endpoint,
        "region": REGION,
        "accountId": ACCOUNT_ID,
        "accessKeyId": config.keys.access_key_id,
        "secretAccessKey": config.keys.secret_access_key,
        "clusterName": outputs.get("ClusterName"),
        "api": api,
        "console": config.console_url if api else None,
        "identityProvider": identity.describe(instance),
        "alb": _reachable_url(instance, outputs.get("RestUrl")),
        "grpc": _reachable_address(instance, outputs.get("GrpcEndpoint"), secure=secure),
        "hosts": hosts(instance.names, outputs),
        "hostedZoneId": zone.find(instance) or None,
        "authority": str(config.authority_file),
        "stateMachines": _state_machines(instance),
        "brokers": _brokers(instance, outputs),
    }


def cluster_outputs(instance: Instance) -> dict[str, str]:
    """Outputs of the cluster stack, which are its contract; empty while there is none."""
    stacks = instance.client("cloudformation").describe_stacks()["Stacks"]
    for stack in stacks:
        outputs = {
            entry["OutputKey"]: str(entry["OutputValue"]) for entry in stack.get("Outputs", [])
        }
        if "ContractVersion" in outputs:
            return outputs
    return {}


def _state_machines(instance: Instance) -> dict[str, str]:
    prefix = f"{CONTROL_STACK}-"
    machines = instance.client("stepfunctions").list_state_machines()["stateMachines"]
    return {
        machine["name"].removeprefix(prefix): machine["stateMachineArn"]
        for machine in machines
        if machine["name"].startswith(prefix)
    }


def _api(instance: Instance) -> str | None:
    """The control plane's REST API as the emulator serves it."""
    gateway = instance.client("apigateway")
    for api in gateway.get_rest_apis()["items"]:
        for stage in gateway.get_stages(restApiId=api["id"])["item"]:
            path = f"restapis/{api['id']}/{stage['stageName']}/_user_request_"
            return f"{instance.config.aws_endpoint}/{path}"
    return None


def _reachable_url(instance: Instance, url: str | None) -> str | None:
    if not url:
        return None
    parts = urlsplit(url)
    port, name = parts.port or _PORTS[parts.scheme], parts.hostname or ""
    found = instance.names.resolve(name, port)
    if not found:
        return None
    address, actual = found[0]
    # A certificate is verified for the name; `hosts` has its address.
    host = name if parts.scheme == "https" else address
    netloc = host if actual == _PORTS[parts.scheme] else f"{host}:{actual}"
    return parts._replace(netloc=netloc).geturl()


def _reachable_address(instance: Instance, endpoint: str | None, *, secure: bool) -> str | None:
    if not endpoint:
        return None
    host, _, port = endpoint.rpartition(":")
    found = instance.names.resolve(host, int(port))
    if not found:
        return None
    address, actual = found[0]
    return f"{host if secure else address}:{actual}"


def hosts(names: Names, outputs: dict[str, str]) -> dict[str, str]:
    """Address of each name that clients of a cluster with a certificate have to find.

    The identity provider is one of them if it is this machine's.
    """
    front = urlsplit(outputs.get("RestUrl", ""))
    if front.scheme != "https":
        return {}
    grpc = outputs.get("GrpcEndpoint", "").rpartition(":")[0]
    issuer = urlsplit(outputs.get("OidcIssuer", "")).hostname
    found = {name: names.lookup(name) for name in (front.hostname, grpc, issuer) if name}
    return {name: addresses[0] for name, addresses in found.items() if addresses}


def _brokers(instance: Instance, outputs: dict[str, str]) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = []
    with contextlib.suppress(FileNotFoundError):
        tasks = json.loads(instance.config.tasks_file.read_text())
    brokers = [
        {
            "nodeId": task["nodeId"],
            "taskArn": task["taskArn"],
            "management": f"http://{task['address']}:{MANAGEMENT_PORT}",
            "rest": f"http://{task['address']}:{REST_PORT}",
        }
        for task in tasks
        if task["service"] == outputs.get("OrchestrationServiceName")
        and f":task/{outputs['EcsClusterName']}/" in task["taskArn"]
        and task["status"] == "RUNNING"
    ]
    return sorted(brokers, key=lambda broker: (broker["nodeId"] is None, broker["nodeId"]))
