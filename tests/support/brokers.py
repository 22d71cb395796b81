"""Clusters of local brokers without an AWS around them: processes, and S3 by moto."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import instance
from local.component import Instance
from local.config import REGION, LocalConfig
from local.processes import Process, Processes
from tests.support.cloud import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REPOSITORY = Path(__file__).resolve().parents[2]
CONTACT = "brokers.internal"
USER = {
    "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_USERNAME": "admin",
    "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_PASSWORD": "secret",
}
_numbers = itertools.count(1)


class Leases:
    """The embedded AWS's S3, with a bucket a cluster; `block` holds its address."""

    def __init__(self, root: Path, block: str) -> None:
        self._instance = Instance.of(LocalConfig(root, block))
        self._host = instance.start(self._instance, components=[])
        self.endpoint = self._instance.config.aws_endpoint

    def client(self) -> Any:
        return self._instance.client("s3")

    @property
    def access(self) -> dict[str, str]:
        keys = self._instance.config.keys
        return {
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            "AWS_REGION": REGION,
        }

    def bucket(self) -> str:
        name = f"cluster-{next(_numbers)}"
        location = {"LocationConstraint": REGION}
        self.client().create_bucket(Bucket=name, CreateBucketConfiguration=location)
        return name

    def close(self) -> None:
        self._host.stop(grace=40)


class Brokers:
    """Tasks of one cluster; a task is a place where a broker may run, whatever its node id is."""

    def __init__(
        self,
        directory: Path,
        block: str,
        leases: Leases,
        *,
        version: str = "8.9.16",
        size: int = 3,
        partitions: int = 3,
        replication_factor: int = 3,
        environment: dict[str, str] | None = None,
        lease: str = "PT3S",
        hosts: dict[str, list[str]] | None = None,
        authorization: Callable[[], str] = lambda: "Basic YWRtaW46c2VjcmV0",
    ) -> None:
        self._hosts = hosts or {}
        self._authorization = authorization
        self.directory = directory
        self.version = version
        self._block = block
        self._leases = leases
        self.lease_bucket = leases.bucket()
        self.backup_bucket = leases.bucket()
        self._names = directory / "names.json"
        self._children = Processes(directory / "processes.json")
        self.tasks: dict[int, Process] = {}
        self._environment = {
            **self._leases.access,
            "AWS_ENDPOINT_URL": leases.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(REPOSITORY),
            "CAMUNDA_CLUSTER_SIZE": str(size),
            "CAMUNDA_CLUSTER_PARTITIONCOUNT": str(partitions),
            "CAMUNDA_CLUSTER_REPLICATIONFACTOR": str(replication_factor),
            "CAMUNDA_CLUSTER_INITIALCONTACTPOINTS": f"{CONTACT}:26502",
            "CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE": "s3",
            "CAMUNDA_CLUSTER_NODEIDPROVIDER_S3_BUCKETNAME": self.lease_bucket,
            "CAMUNDA_CLUSTER_NODEIDPROVIDER_S3_LEASEDURATION": lease,
            "CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_S3_BUCKETNAME": self.backup_bucket,
            "CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY": str(directory / "data"),
            **(USER if "CAMUNDA_SECURITY_AUTHENTICATION_METHOD" not in (environment or {}) else {}),
            **(environment or {}),
        }
        self._write_names()

    def address(self, task: int) -> str:
        return f"{self._block}.{10 + task}"

    def start(
        self,
        task: int,
        version: str = "",
        *,
        restore: Sequence[str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Start a broker at the task's place, or with arguments for it the restore application.

        `environment` is more of it, as an override of RunTask is.
        """
        home = self.directory / f"task-{task}"
        home.mkdir(exist_ok=True)
        (home / "node-id").unlink(missing_ok=True)
        self.tasks[task] = self._children.spawn(
            f"task-{task}",
            [
                sys.executable,
                "-m",
                "local.broker",
                *("--version", version or self.version),
                *("--address", self.address(task)),
                *("--names", str(self._names)),
                *([] if restore is None else ["--restore", *restore]),
            ],
            environment=self._environment | (environment or {}),
            log=home / "broker.log",
            directory=home,
        )
        self._write_names()

    def ended(self, task: int, seconds: float = 30) -> int:
        """Wait for a process that ends by itself; gives the exit code."""
        code = self.tasks[task].wait(seconds)
        del self.tasks[task]
        return code

    def kill(self, task: int, number: int = signal.SIGKILL) -> int:
        """Send a signal to a broker and wait for its end; gives the exit code."""
        process = self.tasks.pop(task)
        if process.poll() is None:
            os.kill(process.pid, number)
        code = process.wait()
        self._write_names()
        return code

    def node_id(self, task: int) -> int | None:
        try:
            return int((self.directory / f"task-{task}" / "node-id").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def task_of(self, node_id: int) -> int:
        return next(task for task in self.tasks if self.node_id(task) == node_id)

    def log(self, task: int) -> str:
        return (self.directory / f"task-{task}" / "broker.log").read_text()

    def ask(
        self, task: int, path: str, method: str = "GET", body: Any = None, port: int = 9600
    ) -> tuple[int, Any]:
        """Status and body of a request to a broker; 0 without an answer."""
        request = urllib.request.Request(
            f"http://{self.address(task)}:{port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": self._authorization()},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                status = answer.status
        except urllib.error.HTTPError as error:
            text, status = error.read(), error.code
        except OSError as error:
            return 0, str(error)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode()

    def ready(self, *tasks: int) -> bool:
        """Whether these tasks are ready, and every partition has a leader and all its replicas."""
        if any(self.ask(task, "/actuator/health/readiness")[0] != 200 for task in tasks):
            return False
        status, found = self.ask(tasks[0], "/v2/topology", port=8080)
        if status != 200:
            return False
        roles: dict[int, list[str]] = {}
        for broker in found["brokers"]:
            for partition in broker["partitions"]:
                if partition["health"] == "healthy":
                    roles.setdefault(partition["partitionId"], []).append(partition["role"])
        return len(roles) == found["partitionsCount"] and all(
            one.count("leader") == 1 and len(one) == found["replicationFactor"]
            for one in roles.values()
        )

    def change(self, task: int, method: str, path: str, body: Any, seconds: float = 60) -> Any:
        """Send a change, and wait for its end; gives `lastChange`."""
        status, answer = self.ask(task, path, method, body)
        assert status == 202, answer
        assert eventually(lambda: self._over(task, answer["changeId"]), seconds), self.ask(
            task, "/actuator/cluster"
        )
        return self.ask(task, "/actuator/cluster")[1]["lastChange"]

    def _over(self, task: int, change: int) -> bool:
        status, found = self.ask(task, "/actuator/cluster")
        return status == 200 and found.get("lastChange", {}).get("id", -1) >= change

    def close(self) -> None:
        for task in list(self.tasks):
            self.kill(task)

    def _write_names(self) -> None:
        addresses = [self.address(task) for task in self.tasks]
        hosts = {CONTACT: addresses, **self._hosts}
        self._names.write_text(json.dumps({"hosts": hosts, "ports": {}, "blocked": []}))


@contextmanager
def brokers(directory: Path, block: str, leases: Leases, **options: Any) -> Iterator[Brokers]:
    """A cluster of three ready brokers (or `size`), at tasks 0, 1, 2."""
    cluster = Brokers(directory, block, leases, **options)
    tasks = range(options.get("size", 3))
    try:
        for task in tasks:
            cluster.start(task)
        assert eventually(lambda: cluster.ready(*tasks), 40), [cluster.log(task) for task in tasks]
        yield cluster
    finally:
        cluster.close()
