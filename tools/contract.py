"""`make contract`: repeat the recorded requests on a running Camunda and print the differences.

URL is that of the management port, REST that of the REST API (`http://host:9600`,
`http://host:8080`); CAMUNDA_USER and CAMUNDA_PASSWORD of the environment are sent by basic
authentication. Only requests that change nothing are made: reads, dry runs, what is refused. With
CHANGES=yes the cluster is also scaled out by one broker and back, after a question that YES=1
answers; a broker process has to wait for that node id. What is expected of a plan is computed from
the configuration that the cluster shows. Exit code: 0 all as expected, 1 something differs, 2
nothing could be compared.
"""

from __future__ import annotations

import base64
import os
import sys
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from local.broker.configuration import Configuration, Ended, Member, Refusal, Replica
from local.broker.management import management_app
from tests.contract.differences import DIFFERS
from tests.contract.recorded import Call, Json, calls, exchange, raw, short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.broker.broker import Broker
    from local.broker.configuration import Dialect

_CLUSTER = "/actuator/cluster"
_HEALTH = range(3, 8)
# Endpoints whose answers are a matter of version and installation: links, info, older paths.
_NOT_COMPARED = (2, 8, 9, 10)
# Rejected by their form on any cluster: cancelling `abc`, partitions, an unknown resource.
_REFUSED = (68, 73, 74)
_CHANGE_SECONDS = 900


class NoAnswer(Exception):
    """The cluster returned nothing to compare with."""


class Target:
    """A running Camunda."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.urls = {9600: environment.get("URL", ""), 8080: environment.get("REST", "")}
        missing = [name for name in ("URL", "REST") if not environment.get(name)]
        if missing:
            raise NoAnswer(f"{' and '.join(missing)} are needed; see tools/contract.py")
        self._headers: dict[str, str] = {}
        if environment.get("CAMUNDA_PASSWORD"):
            user = f"{environment.get('CAMUNDA_USER', '')}:{environment['CAMUNDA_PASSWORD']}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"

    def answer(self, call: Call) -> Json:
        """Make a call; give its answer in the short form."""
        return exchange(self.urls[call.port], call, self._headers)

    def read(self, port: int, path: str) -> Any:
        """Read JSON. Raises NoAnswer."""
        try:
            status, body = raw(
                self.urls[port], Call(0, "", "GET", path, 0, port, {}), self._headers
            )
        except OSError as error:
            raise NoAnswer(f"{self.urls[port]}{path}: {error}") from error
        if status != 200:
            raise NoAnswer(f"{self.urls[port]}{path}: {status} {body}")
        return body

    def change(self, count: int) -> tuple[int, Any]:
        """Set the number of brokers."""
        body = {"brokers": {"count": count}}
        call = Call(0, "", "PATCH", _CLUSTER, 0, 9600, {}, body, "application/json")
        return raw(self.urls[9600], call, self._headers)


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Compare, print, and give the exit code."""
    try:
        target = Target(environment)
        model = expected_model(target)
        different = compare(target, model)
        if not different and environment.get("CHANGES") == "yes":
            different = scaled(target, model, environment)
    except (NoAnswer, OSError) as error:
        print(f"Nothing compared: {error}")
        return 2
    for line in different:
        print(line)
    print(f"{len(different)} differences" if different else "All as recorded and computed.")
    return 1 if different else 0


def expected_model(target: Target) -> Configuration:
    """Give a configuration like the cluster's. Raises NoAnswer if it has none or changes now."""
    topology = target.read(8080, "/v2/topology")
    minor = ".".join(topology["gatewayVersion"].split("-")[0].split(".")[:2])
    if minor not in ("8.9", "8.10"):
        raise NoAnswer(f"this is {topology['gatewayVersion']}; 8.9 and 8.10 are known")
    shown = target.read(9600, _CLUSTER)
    if shown.get("pendingChange"):
        raise NoAnswer("a cluster change is in progress")
    last = shown.get("lastChange")
    return Configuration(
        topology["clusterSize"],
        topology["partitionsCount"],
        topology["replicationFactor"],
        dialect=cast("Dialect", minor),
        version=shown["version"],
        members={
            int(one["id"]): Member(
                one["state"],
                one["version"],
                None,
                {
                    int(held["id"]): Replica(held["state"], held["priority"])
                    for held in one["partitions"]
                },
            )
            for one in shown["brokers"]
        },
        last=Ended(last["id"], last["status"], 0, 0) if last else None,
    )


def compare(target: Target, model: Configuration) -> list[str]:
    """Make all calls that change nothing; give a line for each answer that differs."""
    different = []
    known = calls()
    with served(model) as url:
        for number in range(1, 82):
            call = known[number]
            asks = call.method == "GET" or "dryRun=true" in call.path or number in _REFUSED
            if not asks or call.port != 9600 or number in _NOT_COMPARED:
                continue
            answer = target.answer(call)
            if number in _HEALTH:
                expected = DIFFERS[number].answer(call) if number in DIFFERS else call.answer
            else:
                expected = exchange(url, call, {})
            if answer != expected:
                different.append(told(call, expected, answer))
    return different


def scaled(target: Target, model: Configuration, environment: Mapping[str, str]) -> list[str]:
    """Scale out by one broker and back; give a line for what is not as computed."""
    size = len(model.members)
    print(
        f"{target.urls[9600]} will be scaled from {size} to {size + 1} brokers and back: "
        f"partitions move twice. A task has to wait for node id {size}. Nothing is cancelled."
    )
    if environment.get("YES") != "1" and input("Type yes to continue: ") != "yes":
        return ["not scaled: not confirmed"]
    for count in (size + 1, size):
        call = Call(0, f"scale to {count}", "PATCH", _CLUSTER, 0, 9600, {})
        status, body = target.change(count)
        answer = short(status, body)
        planned = model.patch({"brokers": {"count": count}}, now=time.time())
        while (step := model.next_step()) is not None:
            model.begin(step, 0)
            model.complete(step, 0)
        if answer != (expected := short(202, planned)):
            return [told(call, expected, answer)]
        give_up = time.monotonic() + _CHANGE_SECONDS
        while "pendingChange" in (shown := target.read(9600, _CLUSTER)):
            if time.monotonic() > give_up:
                return [f"the change to {count} brokers has not ended: {shown['pendingChange']}"]
            time.sleep(1)
        if (answer := short(200, shown)) != (expected := short(200, model.describe())):
            return [told(call, expected, answer)]
        print(f"  {count} brokers: as computed")
    return []


def told(call: Call, expected: Json, answer: Json) -> str:
    """Give the fields of an answer that differ, in lines."""
    body = "" if call.body is None else f" {call.body}"
    lines = [f"{call.method} {call.path}{body}"]
    for name in sorted(set(expected) | set(answer)):
        if expected.get(name) != answer.get(name):
            lines.append(f"    {name}: expected {expected.get(name)}, answered {answer.get(name)}")
    return "\n".join(lines)


@contextmanager
def served(model: Configuration) -> Iterator[str]:
    """Serve the local broker's management API over a configuration; gives its URL."""

    async def coordinate(name: str, arguments: Json) -> Any:
        if name == "describe":
            return model.describe()
        if name == "changes":
            return model.changes()
        if not arguments.get("dry_run"):
            raise Refusal(500, f"{name} is no dry run")
        return getattr(model, name)(now=time.time(), **arguments)

    settings = SimpleNamespace(dialect=model.dialect, environment={})
    broker = SimpleNamespace(settings=settings, configuration=model, coordinate=coordinate)
    app = management_app(cast("Broker", broker))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
