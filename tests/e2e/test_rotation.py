"""Passwords are rotated while clients work: the former ones are refused, and nothing is lost."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import requests

from local.connectors.decisions import JOB_TYPE
from tests.support.cloud import FREE_AGAIN, eventually
from tests.support.ledger import Claims, judge, search
from tests.support.memory_gateway import JOB_ONLY
from tests.support.site import Site
from tests.support.traffic import PROCESS_ID, Traffic

if TYPE_CHECKING:
    from pathlib import Path

    from local.component import Instance

OUTPUTS = {
    "admin": "AdminUserSecretArn",
    "database": "DatabaseAdminSecretArn",
    "connectors": "ConnectorsUserSecretArn",
}
APP = {"username": "app", "password": "the-password-of-an-application"}
REST_JOB = JOB_ONLY.replace('type="work"', f'type="{JOB_TYPE}"').replace('"work"', '"rest-job"')


class Rotated(Site):
    """The cluster `demo`, with its secrets and who accepts them."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(instance, "demo")
        self.found = self.outputs(self.stack)

    def versions(self, secret: str) -> dict[str, str]:
        """Version of each stage of a secret."""
        found = self.client("secretsmanager").describe_secret(SecretId=self.found[OUTPUTS[secret]])
        return {
            stage: version
            for version, stages in found["VersionIdsToStages"].items()
            for stage in stages
        }

    def value(self, secret: str, stage: str = "AWSCURRENT") -> dict[str, str]:
        answer = self.client("secretsmanager").get_secret_value(
            SecretId=self.found[OUTPUTS[secret]], VersionStage=stage
        )
        return dict(json.loads(answer["SecretString"]))

    def values(self) -> dict[str, dict[str, str]]:
        return {secret: self.value(secret) for secret in OUTPUTS}

    def accepts(self, secret: str, login: dict[str, str]) -> bool:
        if secret != "database":
            return self.status("GET", "authentication/me", login) == 200
        refused = ""
        try:
            with psycopg.connect(
                host=self.found["DatabaseEndpoint"],
                hostaddr=self.instance.config.database_address,
                dbname=self.found["DatabaseName"],
                user=login["username"],
                password=login["password"],
                sslmode="verify-full",
                sslrootcert=str(self.instance.config.database_ca),
            ):
                pass
        except psycopg.OperationalError as error:
            refused = str(error)
        assert not refused or "password authentication failed" in refused
        return not refused

    def status(self, method: str, path: str, login: dict[str, str], **more: Any) -> int:
        answer = requests.request(
            method,
            f"{self.address}/v2/{path}",
            auth=(login["username"], login["password"]),
            timeout=10,
            **more,
        )
        return answer.status_code

    def application(self) -> None:
        """Give an application a user of its own, as it should have one."""
        admin = self.value("admin")
        self.status("POST", "users", admin, json=APP)
        self.status("PUT", f"roles/admin/users/{APP['username']}", admin)
        assert eventually(lambda: self.accepts("admin", APP), 20)

    def work(self, directory: Path) -> Traffic:
        login = {"user": APP["username"], "password": APP["password"]}
        log = directory / f"{uuid.uuid4().hex[:6]}.jsonl"
        return Traffic(log, [self.address], **login, workers=6)

    def lost(self, client: Traffic) -> Any:
        """Compare what the client was told with what is there."""
        client.stop()
        claims = Claims.read(client.log)
        time.sleep(2)
        stored = search(self.address, APP["username"], APP["password"], PROCESS_ID)
        return judge(claims, self.data, stored, alive=set(self.brokers()))

    def connectors_said(self) -> list[str]:
        events = self.client("logs").get_paginator("filter_log_events")
        pages = events.paginate(logGroupName=self.found["ConnectorsLogGroup"])
        return [event["message"] for page in pages for event in page["events"]]

    def rest_jobs(self, number: int) -> list[str]:
        """Create instances whose one job is the connectors'; gives their keys."""
        made = []
        for _ in range(number):
            answer = requests.post(
                f"{self.address}/v2/process-instances",
                json={"processDefinitionId": "rest-job"},
                auth=(APP["username"], APP["password"]),
                timeout=10,
            )
            assert answer.status_code == 200, answer.text
            made.append(answer.json()["processInstanceKey"])
        return made

    def completed(self, keys: list[str]) -> bool:
        query: Any = {
            "filter": {"processInstanceKey": {"$in": keys}, "state": "COMPLETED"},
            "page": {"limit": 1000},
        }
        answer = requests.post(
            f"{self.address}/v2/process-instances/search",
            json=query,
            auth=(APP["username"], APP["password"]),
            timeout=10,
        )
        return len(answer.json()["items"]) == len(keys)

    def entered(self, execution: str) -> list[str]:
        events = self.client("stepfunctions").get_execution_history(
            executionArn=execution, maxResults=1000
        )["events"]
        return [one.get("stateEnteredEventDetails", {}).get("name", "") for one in events]

    def nowhere(self, passwords: set[str]) -> list[str]:
        """Where one of these passwords is written down: histories, reports, logs."""
        found = []
        forms = {
            form
            for one in passwords
            for form in (one, base64.b64encode(one.encode()).decode().rstrip("="))
        }
        states = self.client("stepfunctions")
        for machine in states.list_state_machines()["stateMachines"]:
            for one in states.list_executions(stateMachineArn=machine["stateMachineArn"])[
                "executions"
            ]:
                pages = states.get_paginator("get_execution_history").paginate(
                    executionArn=one["executionArn"]
                )
                text = json.dumps([page["events"] for page in pages], default=str)
                found += [one["name"]] if any(form in text for form in forms) else []
        for path in self.instance.config.logs.rglob("*"):
            if path.is_file():
                text = path.read_text(errors="replace")
                found += [str(path)] if any(form in text for form in forms) else []
        return found


@pytest.fixture(scope="module")
def demo(instance: Instance) -> Rotated:
    site = Rotated(instance)
    site.given(3)
    site.application()
    answer = requests.post(
        f"{site.address}/v2/deployments",
        files={"resources": ("rest.bpmn", REST_JOB)},
        auth=(APP["username"], APP["password"]),
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    return site


def test_all_are_rotated_while_clients_work(demo: Rotated, tmp_path: Path) -> None:
    before = demo.values()
    refused = len([line for line in demo.connectors_said() if "answers 401" in line])
    with demo.work(tmp_path) as client:
        assert client.goes_on()
        keys = demo.rest_jobs(5)
        execution = demo.start({"clusterName": "demo"}, "rotate", f"demo.rotate.{uuid.uuid4().hex}")

        def over() -> bool:
            keys.extend(demo.rest_jobs(1))
            states = demo.client("stepfunctions")
            return bool(states.describe_execution(executionArn=execution)["status"] != "RUNNING")

        assert eventually(over, 240)
        ended = demo.ended(execution)
        assert ended["status"] == "SUCCEEDED", ended.get("cause")
        assert client.goes_on()
        assert eventually(lambda: demo.completed(keys), 60), "the connectors complete every job"
        assert demo.lost(client).good
    after = demo.values()
    for secret in OUTPUTS:
        assert demo.accepts(secret, after[secret]), secret
        assert not demo.accepts(secret, before[secret]), secret
        assert demo.value(secret, "AWSPREVIOUS") == before[secret]
        assert "AWSPENDING" not in demo.versions(secret)
    assert after["connectors"]["username"] == "connectors-b"
    said = [line for line in demo.connectors_said() if "answers 401" in line]
    assert len(said) == refused, "no connector was refused, not for a moment"
    done = json.loads(ended["output"])["rotations"]
    assert [one["secret"] for one in done] == ["admin", "database", "connectors"]
    every = {one["password"] for values in (before, after) for one in values.values()}
    assert demo.nowhere(every) == []


def test_brokers_that_start_again_undo_nothing(demo: Rotated) -> None:
    former = demo.value("admin", "AWSPREVIOUS")
    done = demo.run("restart", {"clusterName": "demo", "service": "brokers"})
    assert done["result"] == "SUCCEEDED", done
    assert eventually(lambda: demo.accepts("admin", demo.value("admin")), 30)
    assert not demo.accepts("admin", former)
    assert not demo.accepts("connectors", demo.value("connectors", "AWSPREVIOUS"))


@pytest.mark.parametrize("state", ["WaitForLogins", "RestartConnectors"])
def test_one_that_was_interrupted_is_continued_with_its_value(demo: Rotated, state: str) -> None:
    before = demo.value("connectors")
    request = {"clusterName": "demo", "secrets": ["connectors"]}
    execution = demo.start(request, "rotate", f"demo.rotate.{uuid.uuid4().hex}")
    assert eventually(lambda: state in demo.entered(execution), 60)
    demo.client("stepfunctions").stop_execution(executionArn=execution)
    assert demo.accepts("connectors", before), "what runs is not refused"
    assert eventually(lambda: demo.locks() == [], FREE_AGAIN)
    stages = demo.versions("connectors")
    aimed = stages.get("AWSPENDING", stages["AWSCURRENT"])
    done = demo.run("rotate", request)
    assert done["rotations"][0]["version"] == aimed == demo.versions("connectors")["AWSCURRENT"]
    assert done["rotations"][0]["continued"]
    assert demo.accepts("connectors", demo.value("connectors"))
    assert not demo.accepts("connectors", before)
    assert eventually(demo.healthy, 60)
