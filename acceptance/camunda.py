"""A user of Camunda's REST API, version 2 (8.9), with basic authentication.

https://docs.camunda.io/docs/apis-tools/orchestration-cluster-api-rest/orchestration-cluster-api-rest-overview/
"""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from acceptance.run import NotPossible

PROCESS: Final = Path(__file__).with_name("process.bpmn")
JOB_TYPE: Final = "acceptance-work"
# What a broker answers that has no such route; on an account nothing may answer so.
_ABSENT: Final = frozenset({404, 405, 501})
# Sent again. Back-pressure, and a load balancer without a target: certainly not carried out.
_REFUSED: Final = frozenset({429, 503})
# A gateway that just lost its broker: perhaps carried out.
_PASSING: Final = _REFUSED | {500, 502, 504}
_TRIES: Final = 10


class CamundaRefused(Exception):
    """Camunda's response is not as documented; the message is the response."""


@dataclass(frozen=True)
class Camunda:
    """A cluster at ``url``. ``forgiving``: a route that is absent makes a step not possible."""

    url: str
    user: str
    password: str
    forgiving: bool

    def topology(self) -> dict[str, Any]:
        """Give brokers, partitions and version."""
        found: dict[str, Any] = self._ask("GET", "/v2/topology")
        return found

    def deploy(self, file: Path) -> str:
        """Deploy a process; gives the key of its definition."""
        boundary = uuid.uuid4().hex
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="resources"; '
            f'filename="{file.name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        )
        body = head.encode() + file.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        answer = self._ask("POST", "/v2/deployments", body, kind)
        return str(answer["deployments"][0]["processDefinition"]["processDefinitionKey"])

    def create(self, definition: str, number: int) -> str:
        """Create an instance; gives its key. Not repeated when its answer was lost.

        A partition that does not have the process answers 404: a deployment is answered before all
        have it.
        """
        body = {"processDefinitionKey": definition, "variables": {"number": number}}
        again = _REFUSED | {404}
        answer = self._ask(
            "POST", "/v2/process-instances", body, again=again, absent=_ABSENT - again
        )
        return str(answer["processInstanceKey"])

    def jobs(self, most: int) -> list[dict[str, Any]]:
        """Activate up to so many jobs of the process, for a minute."""
        body = {
            "type": JOB_TYPE,
            "worker": "acceptance",
            "timeout": 60_000,
            "maxJobsToActivate": most,
            "requestTimeout": 5_000,
        }
        found: list[dict[str, Any]] = self._ask("POST", "/v2/jobs/activation", body)["jobs"]
        return found

    def complete(self, job: str) -> None:
        """Complete a job; where a broker can activate one, 404 means that no such job exists."""
        path = f"/v2/jobs/{job}/completion"
        self._ask("POST", path, {"variables": {"done": True}}, absent=frozenset())

    def states(self, definition: str) -> dict[str, str]:
        """Give the state of every instance by its key, as secondary storage has it (later)."""
        body = {"filter": {"processDefinitionKey": definition}, "page": {"limit": 100}}
        items = self._ask("POST", "/v2/process-instances/search", body)["items"]
        return {str(item["processInstanceKey"]): str(item["state"]) for item in items}

    def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        kind: str = "application/json",
        *,
        again: frozenset[int] = _PASSING,
        absent: frozenset[int] = _ABSENT,
    ) -> Any:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}", "Content-Type": kind}
        request = urllib.request.Request(  # noqa: S310
            self.url.rstrip("/") + path,
            data=data,
            headers={**headers, "Accept": "application/json"},
            method=method,
        )
        for left in reversed(range(_TRIES)):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                said = error.read()[:300].decode(errors="replace")
                if self.forgiving and error.code in absent:
                    raise NotPossible(
                        f"these brokers have no {method} {path} ({error.code})"
                    ) from None
                if error.code not in again or not left:
                    words = f"{method} {path}: {error.code} {said}"
                    raise CamundaRefused(words) from None
            time.sleep(1)
        raise AssertionError("unreachable")
