"""Amazon Managed Service for Prometheus, as far as a collector needs it: remote write.

The emulator lacks the service. A request is authorised on the workspace as any other; what it
contains is kept in a file for tests. Its body is JSON here (`local/collector`), on AWS protobuf.
Source: https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-APIReference-RemoteWrite.html
"""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import app
from local.config import ACCOUNT_ID, REGION
from local.names import replace_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PATH: Final = re.compile(r"/workspaces/(ws-[0-9a-f-]{36})/api/v1/remote_write")
_SCOPE: Final = re.compile(rf"Credential=[^/]+/[0-9]{{8}}/{REGION}/aps/aws4_request")


class Workspaces:
    """What was written last, by workspace and pod."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._written: dict[str, dict[str, Any]] = {}

    def write(self, workspace: str, series: list[dict[str, Any]]) -> None:
        """Keep the series of a request in place of those that its pods sent before."""
        pods: dict[str, list[dict[str, Any]]] = {}
        for one in series:
            pods.setdefault(one["labels"].get("pod", ""), []).append(one)
        with self._lock:
            self._written.setdefault(workspace, {}).update(pods)
            replace_json(self._file, self._written)


def install(file: Path) -> None:
    """Answer remote writes; `file` gets what they contain."""
    workspaces = Workspaces(file)
    own = app.dispatch_service_request

    async def dispatch(  # noqa: PLR0917
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query: Any,
        request_id: str,
    ) -> Any:
        found = _PATH.fullmatch(path)
        if method != "POST" or found is None:
            return await own(method, path, headers, body, query, request_id)
        if _SCOPE.search(headers.get("authorization", "")) is None:
            # The authenticator compares the scope with the service that the request came to.
            return _answer(403, "Credential should be scoped to a valid region and service: 'aps'.")
        arn = f"arn:aws:aps:{REGION}:{ACCOUNT_ID}:workspace/{found[1]}"
        denied = app.enforce_data_plane(
            "aps", "aps:RemoteWrite", headers, query, request_id, resource_arn=arn
        )
        if denied:
            return denied
        workspaces.write(found[1], json.loads(body))
        return 200, {}, b""

    app.dispatch_service_request = dispatch


def _answer(status: int, message: str) -> tuple[int, dict[str, str], bytes]:
    body = json.dumps({"message": message}).encode()
    return status, {"Content-Type": "application/json"}, body
