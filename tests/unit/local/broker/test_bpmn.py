from __future__ import annotations

import pytest

from local.broker import bpmn
from tests.support.memory_gateway import CATCH, JOB_AND_MESSAGE, PROCESS

pytestmark = pytest.mark.unit


def test_a_linear_process_is_read_in_the_order_of_its_flows() -> None:
    (process,) = bpmn.parse(JOB_AND_MESSAGE.encode())
    assert (process["id"], process["name"], process["startMessage"]) == ("lab", "Lab", None)
    assert process["steps"] == [
        {"id": "t", "kind": "job", "type": "work", "retries": 2, "headers": {"a": "b"}},
        {"id": "c", "kind": "message", "message": "go", "correlation": "key"},
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('<bpmn:exclusiveGateway id="g"/>', "exclusiveGateway 'g' is not supported"),
        ('<bpmn:userTask id="u"/>', "userTask 'u' is not supported"),
        ('<bpmn:boundaryEvent id="b" attachedToRef="t"/>', "boundaryEvent 'b'"),
        ('<bpmn:endEvent id="other"/>', "endEvent 'other' (another path)"),
        ('<bpmn:sequenceFlow id="f9" sourceRef="s" targetRef="e"/>', "(a branch or a condition)"),
        ('<bpmn:receiveTask id="i"><bpmn:x/></bpmn:receiveTask>', "receiveTask 'i' (another path)"),
    ],
)
def test_everything_else_is_refused_by_its_name(more: str, words: str) -> None:
    text = PROCESS.format(id="lab", catch=CATCH + more, after="c")
    with pytest.raises(bpmn.InvalidProcess, match="linear processes only") as refused:
        bpmn.parse(text.encode())
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('retries="2"', 'retries="=x"', "plain type and number of retries"),
        ('"=key"', '"=a + b"', "not of the form"),
        ('<bpmn:messageEventDefinition messageRef="m"/>', "", "needs a message"),
        ("<zeebe:taskHeaders>", "<zeebe:ioMapping/><zeebe:taskHeaders>", "ioMapping"),
        ("<bpmn:definitions", "<!DOCTYPE x><bpmn:definitions", "document type"),
        ("</bpmn:process>", "", "parsing"),
        ('isExecutable="true"', "", "at least one executable process"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(old: str, new: str, words: str) -> None:
    with pytest.raises(bpmn.InvalidProcess, match=words):
        bpmn.parse(JOB_AND_MESSAGE.replace(old, new).encode())
