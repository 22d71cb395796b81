"""Drive a cluster with Camunda's own Python SDK; print what it saw as one JSON document.

Runs under camunda-orchestration-sdk 9 (8.9) and 10 (8.10), each in an environment of its own:
`python sdk_client.py http://127.0.0.1:8080 admin secret lab.bpmn [instances]`. The process has one
job of type `work`, then awaits the message `go` with the correlation key `=key`. Exits with 1 where
a call fails or an answer does not fit the SDK's models.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

# Not in the project's environment; the two versions clash by their import name.
import camunda_orchestration_sdk as sdk  # type: ignore[import-not-found,unused-ignore]
from camunda_orchestration_sdk import errors, models  # type: ignore[import-not-found,unused-ignore]

if TYPE_CHECKING:
    from collections.abc import Callable

_SEARCHES = (
    "search_process_instances",
    "search_process_definitions",
    "search_jobs",
    "search_incidents",
    "search_variables",
)


def main() -> None:
    """Deploy, start, work, publish, search."""
    address, user, password, resource = sys.argv[1:5]
    count = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    client = sdk.CamundaClient(
        configuration={
            "CAMUNDA_REST_ADDRESS": f"{address}/v2",
            "CAMUNDA_AUTH_STRATEGY": "BASIC",
            "CAMUNDA_BASIC_AUTH_USERNAME": user,
            "CAMUNDA_BASIC_AUTH_PASSWORD": password,
        }
    )
    seen: dict[str, Any] = {"topology": client.get_topology().to_dict()}
    seen["user"] = client.get_authentication().to_dict()["username"]
    seen["licence"] = client.get_license().to_dict()
    seen["deployed"] = client.deploy_resources_from_files([resource]).to_dict()
    process = seen["deployed"]["deployments"][0]["processDefinition"]["processDefinitionId"]
    run = f"sdk-{time.time_ns()}"
    seen["created"] = [_create(client, process, f"{run}-{one}") for one in range(count)]
    seen["completed"] = _work(client, count)
    seen["messages"] = [
        client.publish_message(
            data=models.MessagePublicationRequest(
                name="go", correlation_key=f"{run}-{one}", time_to_live=60_000
            )
        ).to_dict()["messageKey"]
        for one in range(count)
    ]
    keys = {one["processInstanceKey"] for one in seen["created"]}
    seen["instances"] = _until(
        lambda: [
            one
            for one in _items(client.search_process_instances())
            if one["processInstanceKey"] in keys and one["state"] == "COMPLETED"
        ],
        count,
    )
    seen["found"] = {name: len(_items(getattr(client, name)())) for name in _SEARCHES}
    extra = _create(client, process, f"{run}-extra")["processInstanceKey"]
    client.cancel_process_instance(process_instance_key=extra, data=None)
    try:
        client.cancel_process_instance(process_instance_key=extra, data=None)
    except Exception as error:  # noqa: BLE001
        seen["refused"] = type(error).__name__
    print(json.dumps(seen, default=str))  # noqa: T201


def _create(client: Any, process: str, key: str) -> dict[str, Any]:
    """Create an instance; a deployment is answered before all partitions have the process."""
    give_up = time.monotonic() + 30
    while True:
        try:
            return _create_once(client, process, key)
        except errors.ApiError as error:
            if error.status_code != 404 or time.monotonic() > give_up:
                raise
            time.sleep(0.5)


def _create_once(client: Any, process: str, key: str) -> dict[str, Any]:
    request = models.ProcessCreationById.from_dict(
        {"processDefinitionId": process, "variables": {"key": key}}
    )
    return dict(client.create_process_instance(data=request).to_dict())


def _work(client: Any, count: int) -> list[str]:
    done: list[str] = []
    give_up = time.monotonic() + 30
    while len(done) < count and time.monotonic() < give_up:
        request = models.JobActivationRequest(
            type_="work", timeout=30_000, max_jobs_to_activate=count, request_timeout=2_000
        )
        for job in client.activate_jobs(data=request).jobs:
            client.complete_job(job_key=job.job_key, data=models.JobCompletionRequest())
            done.append(str(job.job_key))
    return done


def _items(result: Any) -> list[dict[str, Any]]:
    return list(result.to_dict()["items"])


def _until(look: Callable[[], list[dict[str, Any]]], count: int) -> list[dict[str, Any]]:
    """Secondary storage is behind; look for up to 30 s."""
    give_up = time.monotonic() + 30
    found = look()
    while len(found) < count and time.monotonic() < give_up:
        time.sleep(0.5)
        found = look()
    return found


if __name__ == "__main__":
    main()
