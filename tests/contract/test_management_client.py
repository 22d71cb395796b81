"""The client against servers that fail in every way: what is repeated, and what is never."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from lifecycle.adapters.camunda import http_client
from lifecycle.adapters.camunda.management import MANAGEMENT_PORT, REST_PORT, HttpManagement
from lifecycle.camunda.credentials import Credentials, Either, Token
from lifecycle.camunda.topology import ReadinessState
from lifecycle.errors import (
    ChangeInProgress,
    CredentialsRefused,
    CredentialsWithheld,
    InvalidResponse,
    LifecycleError,
    ManagementOutcomeUnknown,
    ManagementRefused,
    ManagementUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.contract

FAST = http_client.Timeouts(connect=0.5, read=0.3)
EMPTY = {"changeId": 1, "plannedChanges": [], "currentTopology": [], "expectedTopology": []}
_BLOCK = f"127.{60 + os.getpid() % 80}.255"
_numbers = itertools.count(1)


class Server:
    """A TCP server at an address of its own that keeps what it was sent."""

    def __init__(self, reply: bytes | None, *, port: int = MANAGEMENT_PORT) -> None:
        self.address = unused()
        self.received: list[bytes] = []
        self._reply = reply
        self._silence = threading.Event()
        self._socket = socket.create_server((self.address, port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.received.append(_whole_request(connection))
                if self._reply is None:
                    self._silence.wait(5)
                else:
                    # A client that has given up has no connection any more.
                    with suppress(OSError):
                        connection.sendall(self._reply)

    def close(self) -> None:
        self._silence.set()
        # Wakes the thread that accepts; closing alone does not.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _whole_request(connection: socket.socket) -> bytes:
    """Headers and body, which may come in two pieces."""
    request = b""
    while True:
        head, found, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        if found and len(body) >= int(length[1] if length else 0):
            return request
        piece = connection.recv(65536)
        if not piece:
            return request
        request += piece


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def start(reply: bytes | None, *, port: int = MANAGEMENT_PORT) -> Server:
            server = Server(reply, port=port)
            stack.callback(server.close)
            return server

        yield start


def unused() -> str:
    """A loopback address where nobody listens."""
    return f"{_BLOCK}.{next(_numbers)}"


def http(status: int, document: object) -> bytes:
    body = document if isinstance(document, str) else json.dumps(document)
    length = len(body.encode())
    return f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}".encode()


def client(*addresses: str, **options: object) -> HttpManagement:
    return HttpManagement(
        "brokers.test",
        resolve=lambda *_: addresses,
        timeouts=FAST,
        **options,  # type: ignore[arg-type]
    )


def test_a_read_goes_on_to_the_next_address(serve: Callable[..., Server]) -> None:
    servers = [
        serve(b""),
        serve(http(502, {"message": "no coordinator"})),
        serve(None),
        serve(http(200, {"version": 1, "brokers": []})),
    ]

    configuration = client(unused(), *(server.address for server in servers)).configuration()

    assert configuration.version == 1
    assert [len(server.received) for server in servers] == [1, 1, 1, 1]


def test_when_no_address_answers_each_reason_is_told(serve: Callable[..., Server]) -> None:
    coordinatorless, nobody = serve(http(502, {"message": "no coordinator"})), unused()

    with pytest.raises(ManagementUnavailable) as failed:
        client(nobody, coordinatorless.address).configuration()

    assert f"{nobody}:9600: Connection refused" in failed.value.message
    assert f"{coordinatorless.address} answered HTTP 502: no coordinator" in failed.value.message


def test_a_name_without_addresses_is_unavailable() -> None:
    with pytest.raises(ManagementUnavailable, match="has no address"):
        client().configuration()
    with pytest.raises(ManagementUnavailable, match="does not resolve"):
        HttpManagement("brokers.invalid").scale_brokers(4)


def test_no_further_address_is_tried_when_the_time_is_over(serve: Callable[..., Server]) -> None:
    late = serve(http(200, {"version": 1, "brokers": []}))
    times = iter([0.0, 41.0])

    with pytest.raises(ManagementUnavailable, match="was not tried"):
        client(unused(), late.address, monotonic=lambda: next(times)).configuration()

    assert late.received == []


def test_a_write_is_repeated_while_nothing_was_sent(serve: Callable[..., Server]) -> None:
    server = serve(http(202, EMPTY))

    plan = client(unused(), unused(), server.address).scale_brokers(4)

    assert plan.is_noop
    (request,) = server.received
    assert request.startswith(b"PATCH /actuator/cluster HTTP/1.1\r\n")
    assert request.endswith(b'{"brokers": {"count": 4}}')


def test_partitions_are_asked_for_without_brokers(serve: Callable[..., Server]) -> None:
    server = serve(http(202, EMPTY))

    assert client(server.address).plan_partitions(6).is_noop
    assert client(server.address).scale_partitions(6).is_noop

    plan, change = server.received
    assert plan.startswith(b"PATCH /actuator/cluster?dryRun=true HTTP/1.1\r\n")
    assert change.startswith(b"PATCH /actuator/cluster HTTP/1.1\r\n")
    assert plan.endswith(b'{"partitions": {"count": 6}}')
    assert change.endswith(b'{"partitions": {"count": 6}}')


def test_a_backup_is_asked_for_without_an_id(serve: Callable[..., Server]) -> None:
    server = serve(http(202, {"message": "scheduled", "backupId": 1764349200000}))

    assert client(unused(), server.address).back_up() == 1764349200000

    (request,) = server.received
    assert request.startswith(b"POST /actuator/backupRuntime HTTP/1.1\r\n")
    assert request.endswith(b"{}")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"message": "not configured"}, ManagementRefused),
        (409, {"message": "scaling is in progress"}, ChangeInProgress),
        (502, {"message": "incomplete topology"}, ManagementOutcomeUnknown),
        (202, {"message": "scheduled"}, ManagementOutcomeUnknown),
    ],
)
def test_a_backup_that_is_not_taken(
    serve: Callable[..., Server], status: int, body: object, error: type[Exception]
) -> None:
    server = serve(http(status, body))
    with pytest.raises(error):
        client(server.address).back_up()
    assert len(server.received) == 1


def test_the_state_of_a_backup(serve: Callable[..., Server]) -> None:
    server = serve(http(200, {"backupId": 7, "state": "IN_PROGRESS", "details": []}))
    assert client(server.address).backup_state(7) == "IN_PROGRESS"
    assert server.received[0].startswith(b"GET /actuator/backupRuntime/7 HTTP/1.1\r\n")
    nobody = serve(http(404, {"message": "Backup with id 8 does not exist"}))
    assert client(nobody.address).backup_state(8) == "DOES_NOT_EXIST"


def test_the_newest_backup_counts_from_its_checkpoint_on(serve: Callable[..., Server]) -> None:
    complete = {"checkpointId": 5, "checkpointType": "SCHEDULED_BACKUP", "partitionId": 1}
    begun = {"checkpointId": 6, "checkpointType": "MANUAL_BACKUP", "partitionId": 1}
    marker = {"checkpointId": 9, "checkpointType": "MARKER", "partitionId": 1}
    state = {
        "checkpointStates": [begun, {**marker, "partitionId": 2}],
        "backupStates": [{**complete, "checkpointTimestamp": "2026-11-28T12:00:00Z"}],
        "ranges": [],
    }
    seen = client(serve(http(200, state)).address).backups()
    assert (seen.newest, set(seen.latest)) == (6, {1})
    assert seen.settled == 0, "partition 2 has ended none"
    state["backupStates"].append({**complete, "checkpointId": 6, "partitionId": 2})
    assert client(serve(http(200, state)).address).backups().settled == 5
    none = {"checkpointStates": [marker], "backupStates": [], "ranges": []}
    assert client(serve(http(200, none)).address).backups().newest == 0


def test_the_ranges_of_backups_are_read_from_the_same_answer(
    serve: Callable[..., Server],
) -> None:
    begun = {"checkpointId": 5, "checkpointType": "SCHEDULED_BACKUP", "firstLogPosition": 1}
    first, last = (
        {**begun, "checkpointTimestamp": f"2026-11-28T1{hour}:00:00.123Z"} for hour in (0, 2)
    )
    state = {
        "checkpointStates": [],
        "backupStates": [],
        "ranges": [{"partitionId": 2, "start": first, "end": last}],
    }
    (found,) = client(serve(http(200, state)).address).backups().ranges or ()
    assert (found.partition, str(found.start)[:13], str(found.end)[:13]) == (
        *(2, "2026-11-28 10"),
        "2026-11-28 12",
    )
    assert client(serve(http(404, {})).address).backups().ranges is None


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(None, id="no answer"),
        pytest.param(b"", id="connection closed"),
        pytest.param(b"HTTP/1.1 202 X\r\nContent-Length: 99\r\n\r\n{", id="answer cut off"),
        pytest.param(b"nonsense\r\n\r\n", id="not HTTP"),
        pytest.param(http(500, {"message": "broken"}), id="500"),
        pytest.param(http(502, {"message": "no coordinator"}), id="502"),
        pytest.param(http(504, {"message": "timed out in PT10S"}), id="504"),
        pytest.param(http(202, "accepted"), id="accepted unreadably"),
    ],
)
def test_a_write_without_a_definite_answer_is_sent_once(
    serve: Callable[..., Server], reply: bytes | None
) -> None:
    first, second = serve(reply), serve(http(202, EMPTY))

    with pytest.raises(ManagementOutcomeUnknown):
        client(first.address, second.address).scale_brokers(4)

    assert len(first.received) == 1
    assert second.received == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, ManagementRefused), (404, ManagementRefused), (409, ChangeInProgress)],
)
def test_a_definite_refusal_is_not_asked_again(
    serve: Callable[..., Server], status: int, error: type[Exception]
) -> None:
    first, second = serve(http(status, {"message": "because"})), serve(http(202, EMPTY))

    for call in (
        client(first.address, second.address).scale_brokers,
        client(first.address, second.address).plan_brokers,
    ):
        with pytest.raises(error, match=f"{status}: because"):
            call(4)

    assert second.received == []


def test_redirects_are_not_followed(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.1 301 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")

    with pytest.raises(InvalidResponse, match="301"):
        client(server.address).configuration()
    with pytest.raises(InvalidResponse, match="301"):
        client(server.address).scale_brokers(4)


@pytest.mark.parametrize("body", ["<html>", "[" * 100_000, "[]", '{"version": 1}'])
def test_what_is_not_a_configuration_is_unreadable(serve: Callable[..., Server], body: str) -> None:
    with pytest.raises(InvalidResponse):
        client(serve(http(200, body)).address).configuration()


def test_an_endless_answer_is_given_up(serve: Callable[..., Server]) -> None:
    server = serve(http(200, "1" * (9 * 1024 * 1024)))

    with pytest.raises(ManagementUnavailable, match="more than"):
        client(server.address).configuration()


def test_a_silent_broker_costs_no_more_than_the_time_out(serve: Callable[..., Server]) -> None:
    began = time.monotonic()

    with pytest.raises(ManagementUnavailable, match=r"did not answer within 0\.3 s"):
        client(serve(None).address).configuration()

    assert time.monotonic() - began < 3


def test_readiness_never_raises(serve: Callable[..., Server]) -> None:
    answers = {
        serve(http(200, {"status": "UP"})).address: ReadinessState.READY,
        serve(http(503, {"status": "OUT_OF_SERVICE"})).address: ReadinessState.NOT_READY,
        serve(None).address: ReadinessState.UNREACHABLE,
        unused(): ReadinessState.UNREACHABLE,
    }

    assert {address: client().readiness(address).state for address in answers} == answers


def test_credentials_go_to_the_rest_api_only(serve: Callable[..., Server]) -> None:
    rest = serve(http(200, {"brokers": []}), port=REST_PORT)

    client(rest.address).topology(Credentials("demo", "pä:ss"))

    (request,) = rest.received
    assert b"Authorization: Basic ZGVtbzpww6Q6c3M=\r\n" in request


def test_credentials_do_not_leave_the_vpc_in_clear() -> None:
    outside = client("192.0.2.1", networks=("10.0.0.0/16",))

    with pytest.raises(CredentialsWithheld) as withheld:
        outside.topology(Credentials("demo", "very-secret"))

    assert "very-secret" not in str(withheld.value)


def test_wrong_credentials_are_a_refusal(serve: Callable[..., Server]) -> None:
    rest = serve(http(401, {"title": "Unauthorized", "detail": "Bad credentials"}), port=REST_PORT)

    with pytest.raises(ManagementRefused, match="401: Bad credentials") as refused:
        client(rest.address).topology(Credentials("demo", "very-secret"))

    assert "very-secret" not in str(refused.value)


ELSEWHERE = http(401, {"title": "Unauthorized"})
SEEN = http(200, {"brokers": []})


def sent(server: Server) -> list[bytes]:
    """The kinds of logins that a server was sent, in their order."""
    return [kind for one in server.received for kind in re.findall(rb"Authorization: (\w+)", one)]


def test_a_login_that_one_broker_rejects_is_tried_at_the_next(serve: Callable[..., Server]) -> None:
    """While brokers are replaced, those of before answer 401 to a token."""
    servers = [serve(ELSEWHERE, port=REST_PORT), serve(SEEN, port=REST_PORT)]
    api = client(*(one.address for one in servers))
    assert api.topology(Token("a.b.c")).brokers == ()
    assert [sent(one) for one in servers] == [[b"Bearer"], [b"Bearer"]]
    with pytest.raises(CredentialsRefused, match="401"):
        api.topology_of(servers[0].address, Token("a.b.c"))


def test_it_is_refused_if_no_broker_accepts_it_whatever_else_happened(
    serve: Callable[..., Server],
) -> None:
    rejecting = serve(ELSEWHERE, port=REST_PORT)
    broken = serve(http(503, {}), port=REST_PORT)
    with pytest.raises(CredentialsRefused, match=f"{rejecting.address} answered HTTP 401"):
        client(rejecting.address, broken.address, unused()).topology(Token("a.b.c"))


def test_a_login_without_a_right_is_refused_at_once(serve: Callable[..., Server]) -> None:
    servers = [serve(http(403, {}), port=REST_PORT), serve(SEEN, port=REST_PORT)]
    with pytest.raises(CredentialsRefused, match="403"):
        client(*(one.address for one in servers)).topology(Token("a.b.c"))
    assert [len(one.received) for one in servers] == [1, 0]


@pytest.mark.parametrize("status", [403, 404, 503])
def test_the_second_login_is_sent_only_after_a_401(
    serve: Callable[..., Server], status: int
) -> None:
    either = Either(Token("a.b.c"), lambda: Credentials("admin", "password"))
    before = serve(ELSEWHERE, port=REST_PORT)
    with pytest.raises(CredentialsRefused):
        client().topology_of(before.address, either)
    assert sent(before) == [b"Bearer", b"Basic"]
    other = serve(http(status, {}), port=REST_PORT)
    with pytest.raises(LifecycleError):
        client().topology_of(other.address, either)
    assert sent(other) == [b"Bearer"]
    accepting = serve(SEEN, port=REST_PORT)
    client().topology_of(accepting.address, either)
    assert sent(accepting) == [b"Bearer"]


def test_a_token_does_not_leave_the_vpc_in_clear() -> None:
    outside = client("192.0.2.1", networks=("10.0.0.0/16",))
    with pytest.raises(CredentialsWithheld) as withheld:
        outside.topology(Token("very-secret"))
    assert "very-secret" not in str(withheld.value)


@pytest.mark.parametrize("host", ["192.0.2.9", "169.254.169.254", "metadata.example", "x" * 9000])
def test_what_a_broker_lists_as_a_host_is_queried_only_inside_the_vpc(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "exchange", lambda *_: pytest.fail("it was queried"))
    api = HttpManagement("brokers.local", networks=("10.0.0.0/16",))
    assert api.readiness(host).state is ReadinessState.UNREACHABLE
    with pytest.raises(ManagementUnavailable, match="is not an address inside the VPC") as refused:
        api.partitions(host)
    assert len(refused.value.message) < 400
    with pytest.raises(CredentialsWithheld):
        api.topology_of(host, Credentials("admin", "password"))


def test_metrics_are_asked_for_by_both_names_of_a_counter(serve: Callable[..., Server]) -> None:
    server = serve(http(200, "x 1"))
    assert client(server.address).meters(server.address) == "x 1"
    line = server.received[0].split(b"\r\n")[0].decode()
    names = line.split("=")[1].split()[0].split(",")
    assert {"zeebe_dropped_request_count", "zeebe_dropped_request_count_total"} <= {*names}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (http(200, "#" * (1024 * 1024 + 1)), ManagementUnavailable),
        (http(404, "{}"), ManagementRefused),
        (http(500, "{}"), ManagementUnavailable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe", InvalidResponse),
    ],
)
def test_metrics_that_cannot_be_used(
    serve: Callable[..., Server], reply: bytes, error: type[Exception]
) -> None:
    server = serve(reply)
    with pytest.raises(error):
        client(server.address).meters(server.address)
