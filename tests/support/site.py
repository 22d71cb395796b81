"""One cluster of a running instance, with what a client outside of it needs."""

from __future__ import annotations

import base64
import contextlib
import json
import time
import urllib.error
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from local.config import CONTROL_STACK
from tests.support.cloud import Cloud, eventually
from tests.support.ledger import Claims, Verdict, judge, search
from tests.support.traffic import PROCESS_ID, Traffic

if TYPE_CHECKING:
    from pathlib import Path

    from local.component import Instance

SERVICE = "orchestration-cluster"
EARLIER = ("8.9.16", "8.9.7")
LATER = ("8.10.0", "8.10.0")
"""Versions of brokers and connectors."""


class Site(Cloud):
    """A cluster by its name, whether it is there already or not."""

    def __init__(self, instance: Instance, cluster: str) -> None:
        super().__init__(instance)
        self.cluster = cluster
        self.stack = f"{CONTROL_STACK}-{cluster}"

    def __str__(self) -> str:
        return self.cluster

    # The cluster

    def provision(self, versions: tuple[str, str] = EARLIER, **parameters: Any) -> None:
        """Make the cluster, or move it to other versions of brokers and connectors."""
        brokers, connectors = versions
        images = {
            "OrchestrationImage": f"camunda/camunda:{brokers}",
            "ConnectorsImage": f"camunda/connectors-bundle:{connectors}",
        }
        given = {**images, "AcceptPlaintext": True, **parameters}
        self.run("provision", {"clusterName": self.cluster, "parameters": given})

    def scale(self, count: int) -> dict[str, Any]:
        """Scale the brokers; it has to succeed."""
        done = self.run("scale", {"clusterName": self.cluster, "count": count})
        assert done["result"] == "SUCCEEDED", done
        return done

    def begin(self, count: int) -> str:
        """Start scaling; gives the execution once partitions move."""
        name = f"{self.cluster}.scale.{uuid.uuid4().hex[:8]}"
        given = {"clusterName": self.cluster, "count": count}
        execution = self.start(given, "scale", name)
        history = self.client("stepfunctions").get_execution_history

        def moving() -> bool:
            events = history(executionArn=execution, maxResults=1000)["events"]
            entered = [one.get("stateEnteredEventDetails", {}).get("name") for one in events]
            return "ChangeBrokers" in entered

        assert eventually(moving, 60)
        return execution

    def brokers(self) -> dict[int, int]:
        """Process id by node id, of the brokers that run."""
        return {
            one["nodeId"]: one["pids"][SERVICE]
            for one in self.known()
            if one["service"] == SERVICE and one["nodeId"] is not None and one["pids"]
        }

    def known(self) -> list[dict[str, Any]]:
        """The tasks of this cluster that run or start, as the local Fargate shows them."""
        found = json.loads(self.instance.config.tasks_file.read_text())
        return [one for one in found if f"/{self.stack}/" in one["taskArn"]]

    def tasks(self) -> int:
        """How many tasks of the brokers' service run."""
        return self.counts(self.cluster)[SERVICE][1]

    def service(self, **changes: Any) -> None:
        """Change the brokers' service behind the back of the machines."""
        self.client("ecs").update_service(cluster=self.stack, service=SERVICE, **changes)

    def given(self, brokers: int) -> None:
        """Start a case with so many brokers, all of them there."""
        if self.counts(self.cluster)[SERVICE] != (brokers, brokers):
            self.scale(brokers)
        assert eventually(lambda: sorted(self.brokers()) == list(range(brokers)), 60)

    # What a client sees

    @property
    def address(self) -> str:
        """URL of the load balancer, by its address."""
        url = urlsplit(self.outputs(self.stack)["RestUrl"])
        ((address, port), *_) = self.instance.names.resolve(url.hostname or "", url.port or 80)
        return f"{url.scheme}://{address}:{port}"

    @property
    def grpc(self) -> str:
        """Address and port of the network load balancer."""
        name, _, port = self.outputs(self.stack)["GrpcEndpoint"].rpartition(":")
        ((address, found), *_) = self.instance.names.resolve(name, int(port))
        return f"{address}:{found}"

    @property
    def user(self) -> tuple[str, str]:
        """Name and password of the administrator, from the cluster's secret."""
        arn = self.outputs(self.stack)["AdminUserSecretArn"]
        secret = self.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        found = json.loads(secret)
        return found["username"], found["password"]

    @property
    def basic(self) -> str:
        """The same as the header `Authorization`."""
        return f"Basic {base64.b64encode(':'.join(self.user).encode()).decode()}"

    @property
    def data(self) -> Path:
        """What stands in for the cluster's EFS file system."""
        system = self.outputs(self.stack)["FileSystemId"]
        return self.instance.config.root / "fargate" / "efs" / system

    def ask(self, broker: int, method: str, path: str, body: Any = None) -> Any:
        """Ask the management API of one broker."""
        found = json.loads(self.instance.config.tasks_file.read_text())
        (address,) = [
            one["address"]
            for one in found
            if f"/{self.stack}/" in one["taskArn"]
            and one["service"] == SERVICE
            and one["nodeId"] == broker
        ]
        request = urllib.request.Request(
            f"http://{address}:9600/actuator/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def ready(self, broker: int) -> bool:
        """Whether one broker answers that it is ready."""
        try:
            return bool(self.ask(broker, "GET", "health/readiness")["status"] == "UP")
        except (urllib.error.URLError, ValueError):
            return False

    def traffic(self, directory: Path) -> Traffic:
        """A client that works through the load balancer."""
        name, password = self.user
        log = directory / f"{uuid.uuid4().hex[:6]}.jsonl"
        return Traffic(log, [self.address], user=name, password=password, workers=8)

    def verdict(self, client: Traffic) -> Verdict:
        """Let the client stop and the secondary storage follow; then compare all three."""
        client.stop()
        claims = Claims.read(client.log)
        assert claims.counts().keys() == {"create", "complete", "publish"}, claims.counts()
        exported = {item for item in claims.acknowledged if item[0] != "publish"}
        address, (name, password) = self.address, self.user
        with contextlib.suppress(urllib.error.URLError):
            eventually(lambda: exported <= set(search(address, name, password, PROCESS_ID)), 30)
        # Followers write what is committed a moment later.
        time.sleep(1)
        try:
            stored = search(address, name, password, PROCESS_ID)
        except urllib.error.URLError:
            stored = None
        return judge(claims, self.data, stored, alive=set(self.brokers()))

    def nothing_is_lost(self, client: Traffic) -> None:
        """End a case: the work went on to its end, and all of it is there."""
        assert client.goes_on()
        found = self.verdict(client)
        assert found.good, found
        assert found.counts["complete"] > 0
