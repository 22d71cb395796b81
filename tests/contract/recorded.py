"""Recorded calls and answers in a short form, the same for a recording and for a live answer.

Left out is what no two clusters share: hosts, times, keys, exporters, the Java text of objects.
"""

from __future__ import annotations

import http.client
import json
import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

type Json = dict[str, Any]

_RECORDINGS = Path(__file__).parent / "recordings"
CALLS = _RECORDINGS / "calls.json"
LAB = (
    b'--lab\r\nContent-Disposition: form-data; name="resources"; filename="lab.bpmn"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
    + (_RECORDINGS / "lab.bpmn").read_bytes()
    + b"\r\n--lab--\r\n"
)
_ADDRESS = re.compile(r"(?:\d+\.){3}\d+(?::\d+)?")
# From here on a message is Java's text of an object.
_TEXT_OF_OBJECTS = (", members=", " Known members", " Partitions: [", "(resolved:", "{channel=")
_SET = re.compile(r"'\[([\d, ]+)\]'")
_REST = (
    "title",
    "status",
    "detail",
    "instance",
    "processDefinitionId",
    "processDefinitionVersion",
    "resourceName",
    "tenantId",
    "variables",
    "validLicense",
    "licenseType",
)


@dataclass(frozen=True)
class Call:
    """A call of the recordings; `answer` is the short form. A poll is a sequence of GETs."""

    number: int
    name: str
    method: str
    path: str
    broker: int
    port: int
    answer: Json
    body: Any = None
    kind: str = ""
    poll: bool = False


def calls() -> dict[int, Call]:
    """Give all recorded calls by number."""
    return {one["number"]: Call(**one) for one in json.loads(CALLS.read_text())}


def short(status: int, body: Any, location: str = "") -> Json:
    """Shorten an answer; status 0 stands for a refused connection."""
    answer: Json = {"status": status}
    if location:
        answer["location"] = location
    if not isinstance(body, dict):
        return answer | ({"text": body} if body and status else {})
    if "partitionsCount" in body:
        return answer | _topology(body)
    if "_links" in body:
        return answer | {"links": sorted(body["_links"])}
    if "build" in body:
        return answer | {"version": body["build"]["version"]}
    if "timestamp" in body:
        return answer | {"error": body["error"], "path": body["path"]}
    if "message" in body:
        return answer | {"message": message(body["message"])}
    if "plannedChanges" in body:
        return answer | {
            "changeId": body["changeId"],
            "planned": steps(body["plannedChanges"]),
            "current": members(body["currentTopology"]),
            "expected": members(body["expectedTopology"]),
        }
    if "brokers" in body:
        return answer | configuration(body)
    if "components" in body or body.get("status") in ("UP", "DOWN", "OUT_OF_SERVICE"):
        answer["health"] = body["status"]
        parts = body.get("components", {})
        answer["components"] = {name: one["status"] for name, one in sorted(parts.items())}
        return answer | ({"groups": sorted(body["groups"])} if "groups" in body else {})
    return answer | _rest(body)


def polled(samples: list[Json]) -> Json:
    """Shorten a sequence of configurations: all steps in their order, and how it ended."""
    pending = [one["pendingChange"] for one in samples if "pendingChange" in one]
    planned = [*pending[0]["completed"], *pending[0]["pending"]] if pending else []
    return {"steps": steps(planned), "end": configuration(samples[-1])}


def configuration(body: Json) -> Json:
    """Shorten the body of `GET /actuator/cluster`."""
    found: Json = {"version": body["version"], "members": members(body["brokers"])}
    if "lastChange" in body:
        found["last"] = f"{body['lastChange']['id']} {body['lastChange']['status']}"
    if "pendingChange" in body:
        pending = body["pendingChange"]
        found["pending"] = {
            "id": pending["id"],
            "completed": steps(pending["completed"]),
            "pending": steps(pending["pending"]),
        }
    return found


def members(brokers: list[Json]) -> list[str]:
    """Give a line a member: id, state, version, then partition:priority and what is not ACTIVE."""
    lines = []
    for broker in sorted(brokers, key=lambda one: int(one["id"])):
        held = [
            f"{one['id']}:{one['priority']}" + ("" if one["state"] == "ACTIVE" else one["state"])
            for one in sorted(broker["partitions"], key=lambda one: int(one["id"]))
        ]
        lines.append(" ".join([f"{broker['id']} {broker['state']} v{broker['version']}", *held]))
    return lines


def steps(planned: list[Json]) -> list[str]:
    """Give a line a step. Steps of one kind and partition are sorted: theirs is a hash's order."""
    alike = groupby(planned, key=lambda one: (one["operation"], one.get("partitionId")))
    return [line for _, group in alike for line in sorted(map(operation, group))]


def operation(step: Json) -> str:
    """Give a line for a step."""
    parts = [step["operation"]]
    for key, word in (("brokerId", "at"), ("partitionId", "partition"), ("priority", "priority")):
        if key in step:
            parts.append(f"{word} {step[key]}")
    if step.get("brokers"):
        parts.append(f"brokers {sorted(step['brokers'])}")
    return " ".join(parts)


def message(text: str) -> str:
    """Shorten a message to what is not an address or the text of an object."""
    for mark in _TEXT_OF_OBJECTS:
        text = text.partition(mark)[0]
    text = _SET.sub(lambda found: f"'{sorted(map(int, found[1].split(',')))}'", text)
    return _ADDRESS.sub("<address>", text)


def _topology(body: Json) -> Json:
    shown = {}
    led: list[int] = []
    for broker in sorted(body["brokers"], key=lambda one: int(one["nodeId"])):
        partitions = sorted(broker["partitions"], key=lambda one: int(one["partitionId"]))
        shown[str(broker["nodeId"])] = " ".join(
            f"{one['partitionId']}:{one['health']}" for one in partitions
        )
        led += [one["partitionId"] for one in partitions if one["role"] == "leader"]
    sizes = {name: body[name] for name in ("clusterSize", "partitionsCount", "replicationFactor")}
    return {"brokers": shown, "led": sorted(led), **sizes}


def _rest(body: Json) -> Json:
    found = {name: body[name] for name in _REST if name in body}
    for one in body.get("deployments") or []:
        found["deployed"] = {
            name: one["processDefinition"][name]
            for name in _REST
            if name in one["processDefinition"]
        }
    found["keys"] = sorted(name for name in body if name.endswith("Key") and body[name] is not None)
    found["code"] = found.pop("status", None)
    return {name: value for name, value in found.items() if value not in (None, [])}


def exchange(base: str, call: Call, headers: dict[str, str]) -> Json:
    """Make a call below a URL and give its answer in the short form."""
    try:
        answer, text = _request(base, call, headers)
    except ConnectionRefusedError:
        return {"status": 0}
    return short(answer.status, parsed(text), answer.getheader("Location") or "")


def raw(base: str, call: Call, headers: dict[str, str]) -> tuple[int, Any]:
    """Make a call below a URL; give status and body. Raises OSError without an answer."""
    answer, text = _request(base, call, headers)
    return answer.status, parsed(text)


def _request(
    base: str, call: Call, headers: dict[str, str]
) -> tuple[http.client.HTTPResponse, str]:
    body = sent_body(call)
    url = urlsplit(base)
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    connection = kind(url.netloc, timeout=30)
    given = {"Accept": "application/json", **headers}
    if call.kind:
        given["Content-Type"] = f"{call.kind}; boundary=lab" if body == LAB else call.kind
    try:
        connection.request(call.method, url.path.rstrip("/") + call.path, body, given)
        answer = connection.getresponse()
        return answer, answer.read().decode()
    finally:
        connection.close()


def sent_body(call: Call) -> bytes | None:
    """Give the bytes of a call's body."""
    if call.body == "lab.bpmn":
        return LAB
    if call.body is None:
        return None
    return (call.body if isinstance(call.body, str) else json.dumps(call.body)).encode()


def parsed(text: str) -> Any:
    """Give JSON where it is JSON, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
