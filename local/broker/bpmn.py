"""BPMN files as the broker takes them: linear processes; everything else is rejected by name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

type Json = dict[str, Any]

_MODEL = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
_ZEEBE = "{http://camunda.org/schema/zeebe/1.0}"
_SILENT = {"documentation", "incoming", "outgoing", "textAnnotation", "association", "category"}
"""Elements without an effect on the execution."""
_JOBS = {"serviceTask", "sendTask"}
_CATCHES = {"intermediateCatchEvent", "receiveTask"}
_VARIABLE = re.compile(r"=\s*([A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)\s*")


class InvalidProcess(Exception):
    """The resource cannot be deployed: not BPMN, or more than a linear process."""


def parse(content: bytes) -> list[Json]:
    """Give the executable processes of a BPMN resource as plain JSON values.

    A process is `{"id", "name", "versionTag", "startMessage", "steps"}`: `startMessage` is the name
    of the message that starts it, or None; steps follow each other in the order of execution, each
    with `id`, `kind` (job, message) and what its kind needs. Raises InvalidProcess.
    """
    try:
        text = content.decode("utf-8-sig")
        if "<!DOCTYPE" in text.upper():
            raise InvalidProcess("a document type declaration is not accepted")
        root = ElementTree.fromstring(text)  # noqa: S314 - no entity without a declaration
    except (ValueError, ElementTree.ParseError) as error:
        raise InvalidProcess(f"SAXException while parsing input stream: {error}") from error
    if root.tag != f"{_MODEL}definitions":
        raise InvalidProcess(
            "the root element is not bpmn:definitions: the local broker deploys BPMN resources only"
        )
    messages = {one.get("id"): one for one in root.iter(f"{_MODEL}message")}
    processes = []
    for child in root:
        if child.tag == f"{_MODEL}process":
            if child.get("isExecutable") == "true":
                processes.append(_process(child, messages))
        elif child.tag.startswith(_MODEL) and _local(child) not in {
            *("message", "extensionElements"),
            *_SILENT,
        }:
            raise _unsupported(child)
    if not processes:
        raise InvalidProcess("must contain at least one executable process")
    return processes


def _process(process: Element, messages: dict[str | None, Element]) -> Json:
    nodes: dict[str, Element] = {}
    flows: dict[str, str] = {}
    for child in process:
        kind = _local(child)
        if kind == "sequenceFlow":
            source = child.get("sourceRef", "")
            if source in flows or len(child) > sum(_local(one) in _SILENT for one in child):
                raise _unsupported(child, "a branch or a condition")
            flows[source] = child.get("targetRef", "")
        elif kind in {"startEvent", "endEvent", *_JOBS, *_CATCHES}:
            nodes[child.get("id", "")] = child
        elif kind == "extensionElements":
            _extensions(process, {"versionTag", "properties"})
        elif kind not in _SILENT:
            raise _unsupported(child)
    starts = [one for one in nodes.values() if _local(one) == "startEvent"]
    if len(starts) != 1:
        raise InvalidProcess(
            f"process '{process.get('id')}' has {len(starts)} start events; "
            "the local broker runs linear processes only"
        )
    elements = [_element(starts[0], messages)]
    while elements[-1]["kind"] != "end":
        target = nodes.get(flows.get(elements[-1]["id"], ""))
        if target is None:
            raise InvalidProcess(
                f"element '{elements[-1]['id']}' has no outgoing sequence flow; every "
                "path must lead to an end event here"
            )
        if any(one["id"] == target.get("id") for one in elements):
            raise _unsupported(target, "a loop")
        elements.append(_element(target, messages))
    if len(elements) < len(nodes):
        reached = {one["id"] for one in elements}
        raise _unsupported(
            next(one for key, one in nodes.items() if key not in reached), "another path"
        )
    tag = process.find(f"{_MODEL}extensionElements/{_ZEEBE}versionTag")
    return {
        "id": process.get("id"),
        "name": process.get("name"),
        "versionTag": None if tag is None else tag.get("value"),
        "startMessage": elements[0].get("message"),
        "steps": elements[1:-1],
    }


def _element(element: Element, messages: dict[str | None, Element]) -> Json:
    kind = _local(element)
    result: Json = {"id": element.get("id")}
    definitions = []
    for child in element:
        if _local(child) == "messageEventDefinition" and kind != "endEvent":
            definitions.append(child.get("messageRef"))
        elif _local(child) not in {"extensionElements", *_SILENT}:
            raise _unsupported(child, f"part of {kind} '{element.get('id')}'")
    if kind in _JOBS:
        return result | {"kind": "job"} | _task(element)
    _extensions(element, {"properties"})
    if kind == "receiveTask":
        definitions.append(element.get("messageRef"))
    if kind == "endEvent" or (kind == "startEvent" and not definitions):
        return result | {"kind": kind.removesuffix("Event")}
    message = messages.get(definitions[0]) if definitions else None
    if message is None or not message.get("name") or message.get("name", "").startswith("="):
        raise InvalidProcess(f"{kind} '{element.get('id')}' needs a message with a plain name")
    result["message"] = message.get("name")
    if kind == "startEvent":
        return result | {"kind": "start"}
    subscription = message.find(f"{_MODEL}extensionElements/{_ZEEBE}subscription")
    key = "" if subscription is None else subscription.get("correlationKey", "")
    found = _VARIABLE.fullmatch(key)
    if not found:
        raise InvalidProcess(
            f"{kind} '{element.get('id')}': zeebe:subscription correlationKey '{key}' is "
            "not of the form '=variable', which is all that the local broker evaluates"
        )
    return result | {"kind": "message", "correlation": re.sub(r"\s", "", found[1])}


def _task(element: Element) -> Json:
    found = _extensions(element, {"taskDefinition", "taskHeaders", "properties"})
    definition = found.get("taskDefinition")
    kind, retries = ("", "") if definition is None else (
        definition.get("type", ""), definition.get("retries", "3")
    )  # fmt: skip
    if not kind or kind.startswith("=") or not retries.isdecimal():
        raise InvalidProcess(
            f"{_local(element)} '{element.get('id')}' needs a zeebe:taskDefinition with "
            "a plain type and number of retries; the local broker evaluates no expressions there"
        )
    headers = {one.get("key", ""): one.get("value", "") for one in found.get("taskHeaders", ())}
    return {"type": kind, "retries": int(retries), "headers": headers}


def _extensions(element: Element, known: set[str]) -> dict[str, Element]:
    found = {_local(one): one for one in element.findall(f"{_MODEL}extensionElements/*")}
    for kind, one in found.items():
        if one.tag.startswith(_ZEEBE) and kind not in known:
            raise _unsupported(one, f"part of '{element.get('id')}'")
    return found


def _unsupported(element: Element, what: str = "") -> InvalidProcess:
    identity = f" '{element.get('id')}'" if element.get("id") else ""
    return InvalidProcess(
        f"{_local(element)}{identity}{f' ({what})' if what else ''} is not supported: "
        "the local broker runs linear processes only"
    )


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]
