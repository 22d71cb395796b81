"""up, demo, down, status and env: the Makefile targets of these names."""

from __future__ import annotations

import base64
import contextlib
import json
import shlex
import signal
import threading
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lifecycle.camunda.topology import read_topology, topology_table
from rich.table import Table
from rich.text import Text

from local import checks, deploy, endpoints, identity, instance, progress, zone
from local.aws.lambda_runtime import ensure_runtime
from local.config import (
    CONTROL_STACK,
    REGION,
    REPOSITORY,
)
from local.https import Unreachable, call
from local.messages import CHAT_URL
from local.work import Work

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.component import Instance
    from local.console import Screen
    from local.processes import ProcessRecord

BUILD = REPOSITORY / ".aws-sam" / "build"
_REST_SECONDS = 10.0
_WORK_SECONDS = 3.0


class LeftBehindError(Exception):
    """Processes are still running after the stop."""


class InstancesLostError(Exception):
    """Acknowledged instances are missing."""


@dataclass(frozen=True)
class Commands:
    """The commands on one instance; `keep` leaves it running in any case."""

    instance: Instance
    screen: Screen
    request: Path
    keep: bool = False

    def up(self) -> None:
        """Start, deploy, provision, and leave it running.

        If an instance is already running: deploy what changed and provision again. A failed
        provisioning leaves it running for inspection; an earlier failure does not.
        """
        already = instance.running(self.instance) is not None
        if not already:
            self._check()
        try:
            self._install()
            if not already:
                self._launch(detached=True)
            self._deploy()
        except BaseException:
            if not already:
                self._stop_unless_kept()
            raise
        try:
            result = self._provision()
        except KeyboardInterrupt:
            if not already:
                self._stop_unless_kept()
            raise
        except progress.ExecutionFailedError:
            self._say_running()
            raise
        self._show(result)
        self._say_running()

    def demo(self) -> None:
        """Do as `up` does, show the result, tear the cluster down and stop everything again.

        After a failure everything is stopped as well; kept, the cluster stays.
        """
        if instance.running(self.instance):
            raise instance.InstanceError(
                f"an instance already runs in {self.instance.config.root}: `make down` first"
            )
        self._check()
        try:
            self._install()
            # As a child it cannot outlive this process, however this process ends.
            self._launch(detached=self.keep)
            self._deploy()
            self._show(self._provision())
            self._work()
            if not self.keep:
                self._tear_down()
        finally:
            self._stop_unless_kept()
        self.screen.say()
        self.screen.say(self.screen.times())

    def down(self) -> None:
        """Stop what runs, including leftovers of a killed run."""
        with uninterrupted(), self.screen.phase("Stopping") as phase:
            stopped = instance.stop(self.instance)
            self.screen.detail(phase, ", ".join(record.name for record in stopped))
            self._verify_nothing_left()
        self.screen.say("Nothing is left running." if stopped else "Nothing was running.")

    def status(self) -> None:
        """Show what runs. Raises InstanceError if nothing does."""
        host = self._running()
        found = endpoints.describe(self.instance)
        self.screen.say(f"Running (pid {host.pid}) in {self.instance.config.root}")
        shown = ("console", "aws", "alb", "grpc", "hostedZoneId", "authority")
        provider = found["identityProvider"]
        more = {"identity": provider["issuer"], "users": provider["usersAndClients"]}
        self.screen.say(_pairs("Endpoints", {key: found[key] for key in shown} | more))
        if found["hosts"]:
            self.screen.say(_pairs("Names, for /etc/hosts", found["hosts"]))
        self._show_topology()

    def env(self) -> None:
        """Print what points a shell at the instance, for `eval`.

        Credentials of an account would be used beside it: they are unset. Raises InstanceError if
        none runs.
        """
        self._running()
        found = endpoints.describe(self.instance)
        values = {
            **self.instance.config.client_environment(),
            "CAMUNDA_ECS_API_URL": found["api"],
        }
        print("unset AWS_PROFILE AWS_SESSION_TOKEN")
        for name, value in values.items():
            if value:
                print(f"export {name}={shlex.quote(value)}")

    # --- steps ---------------------------------------------------------------------------------

    def _check(self) -> None:
        # An earlier run may have been killed: what it left would be in the way.
        instance.stop(self.instance)
        checks.check(self.instance.config)

    def _install(self) -> None:
        with self.screen.phase("Lambda runtime"):
            ensure_runtime(self.instance.config)

    def _launch(self, *, detached: bool) -> None:
        with self.screen.phase("Embedded AWS"):
            instance.start(self.instance, detached=detached)

    def _deploy(self) -> None:
        with self.screen.phase("sam build"):
            built = deploy.build(self.instance, REPOSITORY / "template.yaml", BUILD)
        with self.screen.phase("sam deploy") as phase, self._stack_progress(phase):
            identity.ensure_secrets(self.instance)
            parameters = self._recipients() | {"HostedZoneIds": zone.ensure(self.instance)}
            deploy.deploy(self.instance, built, CONTROL_STACK, parameters)

    def _recipients(self) -> dict[str, str]:
        """Parameters of mail and chat; the secret of the webhook is made if it is missing."""
        api, name = self.instance.client("secretsmanager"), "chat-webhook"
        tags = {"camunda:control-plane": CONTROL_STACK, "camunda:purpose": "chat"}
        with contextlib.suppress(api.exceptions.ResourceExistsException):
            api.create_secret(
                Name=name,
                SecretString=CHAT_URL,
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )
        arn = api.describe_secret(SecretId=name)["ARN"]
        return {"NotificationEmail": "operators@example.com", "ChatWebhookSecretArn": arn}

    @contextlib.contextmanager
    def _stack_progress(self, phase: Any) -> Iterator[None]:
        """Show CloudFormation's progress from the stack's resources."""
        over = threading.Event()

        def watch() -> None:
            client = self.instance.client("cloudformation")
            while not over.wait(1):
                with contextlib.suppress(Exception):
                    pages = client.get_paginator("list_stack_resources")
                    done = [
                        resource
                        for page in pages.paginate(StackName=CONTROL_STACK)
                        for resource in page["StackResourceSummaries"]
                        if resource["ResourceStatus"].endswith("_COMPLETE")
                    ]
                    self.screen.detail(phase, f"{len(done)} resources complete")

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _provision(self) -> dict[str, Any]:
        request = json.loads(self.request.read_text())
        return self._run("provision", request, f"Provisioning from {_relative(self.request)}")

    def _work(self) -> None:
        """Add a broker while a client creates instances, and show that none of them is lost."""
        outputs = endpoints.cluster_outputs(self.instance)
        found = endpoints.describe(self.instance)
        request = {
            "clusterName": json.loads(self.request.read_text())["clusterName"],
            "count": len(found["brokers"]) + 1,
        }
        header = self._authorization(outputs)
        work = Work(self.instance, found["alb"], lambda: header)
        self.screen.say()
        with self.screen.phase("A client starts instances"):
            work.start()
            work.during("before", _WORK_SECONDS)
        try:
            work.during("during the scale-out")
            self._run("scale", request, f"Scaling out to {request['count']} brokers")
            with self.screen.phase("The client continues"):
                work.during("after", _WORK_SECONDS)
        finally:
            work.stop()
        with self.screen.phase("Searching every acknowledged instance"):
            lost = work.missing()
        self._show_topology()
        self.screen.say(_work(work))
        if lost:
            raise InstancesLostError(f"{len(lost)} acknowledged instances are not found: {lost}")
        self.screen.say(f"{len(work.acknowledged)} instances acknowledged, none lost.")

    def _tear_down(self) -> None:
        cluster = json.loads(self.request.read_text())["clusterName"]
        self.screen.say()
        request = {"clusterName": cluster, "confirm": cluster}
        result = self._run("teardown", request, "Tearing down (KEEP=1 skips this)")
        self.screen.say(_leftovers(result))

    def _run(self, machine: str, request: dict[str, Any], words: str) -> dict[str, Any]:
        """Run one machine and show its progress; gives its output."""
        states = self.instance.client("stepfunctions")
        name = f"{request['clusterName']}.{machine}.{datetime.now(UTC):%Y%m%dT%H%M%S}"
        arns = states.list_state_machines()["stateMachines"]
        arn = next(
            entry["stateMachineArn"]
            for entry in arns
            if entry["name"] == f"{CONTROL_STACK}-{machine}"
        )
        self.screen.say(f"{words}, execution {name}")
        started = states.start_execution(stateMachineArn=arn, name=name, input=json.dumps(request))
        return progress.follow(
            self.instance, self.screen, started["executionArn"], self._table_name()
        )

    def _table_name(self) -> str:
        stacks = self.instance.client("cloudformation").describe_stacks(StackName=CONTROL_STACK)
        outputs = stacks["Stacks"][0]["Outputs"]
        return str(next(o["OutputValue"] for o in outputs if o["OutputKey"] == "TableName"))

    # --- what is shown -------------------------------------------------------------------------

    def _show(self, result: dict[str, Any]) -> None:
        found = endpoints.describe(self.instance)
        self.screen.say()
        self.screen.say(_pairs("Outputs of the cluster stack", result["outputs"]))
        self._show_topology()
        self.screen.say(_checks(result["verification"]))
        here = {"console": found["console"]}
        here |= {"REST": found["alb"], "gRPC": found["grpc"], "AWS": found["aws"]}
        here |= {f"broker {one['nodeId']}": one["management"] for one in found["brokers"]}
        self.screen.say(_pairs("On this machine", here))

    def _running(self) -> ProcessRecord:
        found = instance.running(self.instance)
        if found is None:
            raise instance.InstanceError("no instance runs: `make up` starts one")
        return found

    def _show_topology(self) -> None:
        topology = self._topology()
        if topology is not None:
            self.screen.say(topology)

    def _topology(self) -> Table | None:
        """Brokers by partitions, read from the first broker that responds."""
        outputs = endpoints.cluster_outputs(self.instance)
        for broker in endpoints.describe(self.instance)["brokers"]:
            request = urllib.request.Request(f"{broker['rest']}/v2/topology")  # noqa: S310
            try:
                request.add_header("Authorization", self._authorization(outputs))
                with urllib.request.urlopen(request, timeout=_REST_SECONDS) as answer:  # noqa: S310
                    return _topology(topology_table(read_topology(json.load(answer))))
            except OSError:
                continue
        return None

    def _authorization(self, outputs: dict[str, str]) -> str:
        """Log in as the administrator, or with an identity provider as the health client.

        Raises OSError if the provider gives no token.
        """
        if outputs.get("Authentication") != "oidc":
            pair = ":".join(self._user(outputs)).encode()
            return f"Basic {base64.b64encode(pair).decode()}"
        form = {
            "grant_type": "client_credentials",
            "client_id": outputs["OidcHealthClientId"],
            "client_secret": str(self._secret(outputs["OidcHealthSecretArn"])["clientSecret"]),
        }
        config, names = self.instance.config, self.instance.names
        try:
            answer = call(
                "POST",
                outputs["OidcTokenUrl"],
                resolve=names.reach,
                form=form,
                trust=config.trust_file,
            )
        except Unreachable as error:
            raise OSError(str(error)) from error
        if answer.status != 200:
            raise OSError(f"{outputs['OidcTokenUrl']} answers {answer.status}")
        return f"Bearer {answer.document()['access_token']}"

    def _user(self, outputs: dict[str, str]) -> tuple[str, str]:
        user = self._secret(outputs["AdminUserSecretArn"])
        return str(user["username"]), str(user["password"])

    def _secret(self, arn: str) -> dict[str, Any]:
        secret = self.instance.client("secretsmanager").get_secret_value(SecretId=arn)
        found: dict[str, Any] = json.loads(secret["SecretString"])
        return found

    def _say_running(self) -> None:
        config = self.instance.config
        self.screen.say()
        self.screen.say(
            f"Left running. Endpoints and credentials: {_relative(config.endpoints_file)}"
        )
        exports = " ".join(
            f"{key}={value}"
            for key, value in config.client_environment().items()
            if key == "AWS_ENDPOINT_URL" or key.endswith("REGION") or "KEY" in key
        )
        self.screen.say(f"Console, in a browser of this machine: {config.console_url}")
        self.screen.say(f"Mail and chat: {self.instance.config.messages}")
        self.screen.say(
            f"Identity provider: {identity.ISSUER}, users and clients in"
            f" {_relative(config.identity_file)}; for a browser, {config.identity_address}"
            f" {identity.HOST} in /etc/hosts, and trust {_relative(config.authority_file)}"
        )
        self.screen.say(f"To use the aws CLI or boto3: export {exports}")
        if api := endpoints.describe(self.instance)["api"]:
            signed = f"--aws-sigv4 aws:amz:{REGION}:execute-api"
            keys = f"--user {config.keys.access_key_id}:{config.keys.secret_access_key}"
            self.screen.say(f"To call the REST API with curl: curl {signed} {keys} {api}/clusters")
        outputs = endpoints.cluster_outputs(self.instance)
        secret = outputs.get("AdminUserSecretArn")
        if secret and outputs.get("Authentication") != "oidc":
            read = f"aws secretsmanager get-secret-value --secret-id {secret}"
            self.screen.say(f"User and password of Camunda's REST and gRPC API: {read}")
        self.screen.say("`make status` shows it, `make down` stops it.")

    # --- the end -------------------------------------------------------------------------------

    def _stop_unless_kept(self) -> None:
        if self.keep:
            self._say_running()
            return
        with uninterrupted(), self.screen.phase("Stopping everything"):
            instance.stop(self.instance)
            self._verify_nothing_left()
        self.screen.say("No process left behind.")

    def _verify_nothing_left(self) -> None:
        deadline = time.monotonic() + 5
        while found := instance.leftovers(self.instance):
            if time.monotonic() > deadline:
                raise LeftBehindError(f"still running: {', '.join(found)}")
            time.sleep(0.1)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore a second Ctrl-C, so that it leaves no processes behind."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _pairs(title: str, pairs: dict[str, Any]) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", show_header=False, box=None
    )
    for key, value in pairs.items():
        table.add_row(key, Text(str(value if value is not None else "-"), overflow="fold"))
    return table


def _checks(verification: dict[str, Any]) -> Table:
    styles = {"PASS": "green", "WARN": "yellow", "FAIL": "red"}
    title = f"Verification: {verification['result']}"
    table = Table(
        title=title, title_justify="left", title_style="bold", show_header=False, box=None
    )
    for entry in verification["checks"]:
        result = str(entry["result"])
        table.add_row(Text(result, style=styles.get(result, "")), entry["name"], entry["seen"])
    return table


def _work(work: Work) -> Table:
    partitions = sorted({one for _, _, counted in work.counts() for one in counted})
    table = Table(title="Instances started", title_justify="left", title_style="bold")
    for column in ("when", "all", *(f"partition {one}" for one in partitions)):
        table.add_column(column, justify="left" if column == "when" else "right")
    for phase, count, counted in work.counts():
        table.add_row(phase, str(count), *(str(counted[one]) for one in partitions))
    return table


def _leftovers(result: dict[str, Any]) -> Table:
    plan = result["plan"]
    least = "at least " if plan["notPriced"] else ""
    cost = f"{least}{plan['monthlyCost']} {plan['currency']} a month"
    table = Table(
        title=f"What AWS would retain ({cost}); here it is deleted with the instance",
        title_justify="left",
        title_style="bold",
        show_header=False,
        box=None,
    )
    snapshot = "AWS::RDS::DBCluster"
    for one in plan["kept"]:
        named = ", ".join(result["snapshots"]) if one["type"] == snapshot else one["id"]
        cost = one["monthlyCost"] or one["price"]
        table.add_row(one["logicalId"], one["what"], Text(named, overflow="fold"), cost)
    return table


def _topology(rows: list[dict[str, Any]]) -> Table:
    partitions = sorted({partition for row in rows for partition in row["partitions"]}, key=int)
    table = Table(title="Topology: brokers by partitions", title_justify="left", title_style="bold")
    for column in ("broker", "address", "version", *(f"partition {one}" for one in partitions)):
        table.add_column(column)
    for row in rows:
        cells = [_replica(row["partitions"].get(partition)) for partition in partitions]
        table.add_row(str(row["broker"]), str(row["host"]), str(row["version"]), *cells)
    return table


def _replica(partition: dict[str, str] | None) -> Text:
    if partition is None:
        return Text("-", style="dim")
    role, health = partition["role"].lower(), partition["health"].lower()
    style = "bold" if role == "leader" else ""
    return Text.assemble((role, style), " ", (health, "green" if health == "healthy" else "red"))


def _relative(path: Path) -> str:
    return str(path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path)
