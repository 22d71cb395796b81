"""Camunda's management API (port 9600) and topology (REST, port 8080), called inside the VPC.

Any broker answers for the cluster, so a call is made to each address of the discovery name until
one answers: with MULTIVALUE answers some addresses belong to tasks that are starting or gone. The
management API has no authentication; REST takes the credentials of a Camunda user, or a token. A
login that one broker rejects may be accepted by the next: while brokers are replaced to log users
in by another method, both kinds run. It is refused when no broker accepts it.

What an HTTP status means follows Camunda's ``ClusterEndpoint`` (8.6 to 8.10): 400 and 404 are
permanent, 409 is another change under way, 502 and 504 mean that the coordinator (broker 0)
was not reached, which for a write leaves open what happened. 501 is definite: that
broker does not support the request, and it did nothing (RFC 9110, 15.6.2).
"""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from lifecycle.adapters.camunda import http_client
from lifecycle.camunda.backups import BackupsSeen, read_backup_list, read_ranges
from lifecycle.camunda.credentials import is_inside, may_travel
from lifecycle.camunda.meters import NAMES
from lifecycle.camunda.partitions import (
    BackupStatus,
    PartitionStatus,
    read_backup_id,
    read_backup_state,
    read_newest_backup,
    read_partitions,
    read_settled_backup,
    read_state_of_backup,
)
from lifecycle.camunda.topology import (
    ClusterConfiguration,
    PlannedChange,
    Readiness,
    ReadinessState,
    Topology,
    read_configuration,
    read_planned_change,
    read_topology,
)
from lifecycle.camunda.upgrade import read_upgrade
from lifecycle.errors import (
    ChangeInProgress,
    CredentialsRefused,
    CredentialsWithheld,
    InvalidResponse,
    ManagementOutcomeUnknown,
    ManagementRefused,
    ManagementUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from lifecycle.camunda.credentials import Login

MANAGEMENT_PORT = 9600
REST_PORT = 8080
_CLUSTER = "/actuator/cluster"
_BACKUPS = "/actuator/backupRuntime"
_METERS = "/actuator/prometheus?includedNames=" + ",".join(
    dict.fromkeys([*NAMES, *(name.removesuffix("_total") for name in NAMES)])
)
_ACCEPT = {"Accept": "application/json"}
_CONTENT = {"Content-Type": "application/json"}
_LONGEST_MESSAGE = 300


class HttpManagement:
    """The management API of one cluster, found by its discovery name.

    ``networks`` are the CIDRs in which credentials may travel in clear (those of the VPC).
    ``budget_seconds`` bounds one call over all addresses: no further address is tried after it.
    """

    def __init__(
        self,
        discovery_name: str,
        *,
        networks: Sequence[str] = (),
        timeouts: http_client.Timeouts | None = None,
        budget_seconds: float = 40.0,
        resolve: Callable[[str, int], tuple[str, ...]] = http_client.resolve,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = discovery_name
        self._networks = tuple(networks)
        self._timeouts = timeouts or http_client.Timeouts()
        self._budget = budget_seconds
        self._resolve = resolve
        self._monotonic = monotonic

    def addresses(self) -> tuple[str, ...]:
        """Return the current addresses of the discovery name. Raises ``ManagementUnavailable``."""
        try:
            return self._resolve(self._name, MANAGEMENT_PORT)
        except http_client.NothingSent as error:
            raise ManagementUnavailable(f"{error}.") from error

    def configuration(self) -> ClusterConfiguration:
        """Read the cluster configuration (``GET /actuator/cluster``).

        Raises ``ManagementUnavailable``, ``ManagementRefused`` or ``InvalidResponse``.
        """
        answer = self._read(MANAGEMENT_PORT, http_client.Request("GET", _CLUSTER, headers=_ACCEPT))
        return read_configuration(read_json(answer))

    def topology(self, login: Login | None = None) -> Topology:
        """Read what the gateways see (``GET /v2/topology``).

        Raises as ``configuration`` does, and ``CredentialsWithheld`` for an address outside the
        VPC.
        """
        request = http_client.Request("GET", "/v2/topology", headers=_ACCEPT)
        return read_topology(read_json(self._read(REST_PORT, request, login)))

    def topology_of(self, address: str, login: Login | None = None) -> Topology:
        """Read what the gateway at one address sees. Raises as ``topology`` does."""
        request = http_client.Request("GET", "/v2/topology", headers=_ACCEPT)
        return read_topology(read_json(self._ask_one(address, REST_PORT, request, login)))

    def readiness(self, address: str) -> Readiness:
        """Return whether one broker is ready; never raises for a broker that is not there.

        Readiness does not go back once it was reached: it does not show the cluster's health.
        """
        request = http_client.Request("GET", "/actuator/health/readiness", headers=_ACCEPT)
        try:
            answer = self._exchange(address, MANAGEMENT_PORT, request)
        except (http_client.NothingSent, http_client.NoAnswer) as error:
            return Readiness(address, ReadinessState.UNREACHABLE, str(error))
        if answer.status == HTTPStatus.OK:
            return Readiness(address, ReadinessState.READY, "")
        return Readiness(address, ReadinessState.NOT_READY, f"HTTP {answer.status}")

    def partitions(self, address: str) -> tuple[PartitionStatus, ...]:
        """Return what one broker reports of its own partitions (``GET /actuator/partitions``).

        Raises ``ManagementUnavailable``, ``ManagementRefused`` or ``InvalidResponse``.
        """
        request = http_client.Request("GET", "/actuator/partitions", headers=_ACCEPT)
        return read_partitions(read_json(self._ask_one(address, MANAGEMENT_PORT, request)))

    def meters(self, address: str) -> str:
        """Return ``meters.NAMES`` of one broker in Prometheus' text format, at most 1 MiB.

        Spring returns only the names in ``includedNames``; of a counter it compares the name
        without ``_total`` (prometheus/client_java: ``MultiCollector.collect``). A version that
        ignores them returns everything, which is several hundred kilobytes with many partitions.
        https://docs.spring.io/spring-boot/api/rest/actuator/prometheus.html

        Raises ``ManagementUnavailable``, ``ManagementRefused`` or ``InvalidResponse``.
        """
        request = http_client.Request("GET", _METERS, headers={"Accept": "text/plain"})
        body = self._ask_one(address, MANAGEMENT_PORT, request).body
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise InvalidResponse("The metrics are not UTF-8.") from error

    def upgrade_readiness(self, address: str) -> tuple[str, ...]:
        """Read ``GET /actuator/upgradeReadiness`` of one broker: what is not done.

        Absent (404, below 8.10) is not ready.

        Raises ``ManagementUnavailable``, ``ManagementRefused`` or ``InvalidResponse``.
        """
        request = http_client.Request("GET", "/actuator/upgradeReadiness", headers=_ACCEPT)
        absent = (HTTPStatus.NOT_FOUND,)
        answer = self._ask_one(address, MANAGEMENT_PORT, request, accept=absent)
        return ("not reported",) if answer.status in absent else read_upgrade(read_json(answer))

    def backups(self) -> BackupStatus:
        """Read each partition's latest backup and its ranges of backups.

        They are those of ``GET /actuator/backupRuntime/state``, from 8.9 on.

        Raises ``ManagementUnavailable``, ``ManagementRefused`` or ``InvalidResponse``.
        """
        request = http_client.Request("GET", "/actuator/backupRuntime/state", headers=_ACCEPT)
        absent, disabled = HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST
        answer = self._read(MANAGEMENT_PORT, request, accept=(absent, disabled))
        if answer.status == absent:
            return BackupStatus(supported=False, enabled=False, latest={})
        if answer.status == disabled:
            return BackupStatus(supported=True, enabled=False, latest={})
        state = read_json(answer)
        return BackupStatus(
            supported=True,
            enabled=True,
            latest=read_backup_state(state),
            newest=read_newest_backup(state),
            settled=read_settled_backup(state),
            ranges=read_ranges(state),
        )

    def plan_brokers(self, count: int) -> PlannedChange:
        """Return what scaling to the brokers ``0 … count-1`` would do; changes nothing.

        A plan does not show whether those brokers run. Raises ``ManagementRefused``,
        ``ChangeInProgress``, ``ManagementUnavailable`` or ``InvalidResponse``.
        """
        return self._plan({"brokers": {"count": count}})

    def plan_partitions(self, count: int) -> PlannedChange:
        """Return what adding partitions up to ``count`` would do; changes nothing.

        Raises as ``plan_brokers`` does; fewer than there are is a ``ManagementRefused``.
        """
        return self._plan({"partitions": {"count": count}})

    def _plan(self, body: Mapping[str, object]) -> PlannedChange:
        answer = self._read(MANAGEMENT_PORT, _patch(body, dry_run=True))
        return read_planned_change(read_json(answer))

    def scale_brokers(self, count: int) -> PlannedChange:
        """Start scaling to the brokers ``0 … count-1``.

        Another address is tried only as long as nothing was sent. Raises ``ManagementRefused`` or
        ``ChangeInProgress`` when nothing was changed, ``ManagementUnavailable`` when no broker
        could be reached, and ``ManagementOutcomeUnknown`` when the configuration has to be read to
        know.
        """
        request = _patch({"brokers": {"count": count}}, dry_run=False)
        return self._write(request, f"Scaling to {count} brokers", read_planned_change)

    def scale_partitions(self, count: int) -> PlannedChange:
        """Start adding partitions up to ``count``; the brokers stay. Raises as ``scale_brokers``.

        Source: https://docs.camunda.io/docs/apis-tools/management-api/specifications/cluster/
        """
        request = _patch({"partitions": {"count": count}}, dry_run=False)
        return self._write(request, f"Scaling to {count} partitions", read_planned_change)

    def list_backups(self) -> BackupsSeen:
        """Read the backups (``GET /actuator/backupRuntime``) and their ranges (``…/state``).

        ``partitions`` and ``adding`` are not in these answers. A version without ``…/state`` has no
        ranges. Raises ``ManagementUnavailable``, ``ManagementRefused`` or ``InvalidResponse``.
        """
        absent, disabled = HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST
        request = http_client.Request("GET", _BACKUPS, headers=_ACCEPT)
        answer = self._read(MANAGEMENT_PORT, request, accept=(absent, disabled))
        if answer.status in {absent, disabled}:
            return BackupsSeen(enabled=False)
        backups = read_backup_list(read_json(answer))
        request = http_client.Request("GET", f"{_BACKUPS}/state", headers=_ACCEPT)
        answer = self._read(MANAGEMENT_PORT, request, accept=(absent, disabled))
        known = answer.status not in {absent, disabled}
        ranges = read_ranges(read_json(answer)) if known else ()
        return BackupsSeen(enabled=True, backups=backups, ranges=ranges)

    def back_up(self, backup: int | None = None) -> int:
        """Start a backup of the primary storage (``POST /actuator/backupRuntime``); gives its id.

        Without an id in the request, as continuous backups demand, or with ``backup``. Raises
        ``ManagementRefused`` (not configured), ``ChangeInProgress`` (partitions are being added),
        ``ManagementUnavailable`` and ``ManagementOutcomeUnknown``. Source:
        https://docs.camunda.io/docs/self-managed/operational-guides/backup-restore/rdbms/rdbms-backup/
        """
        body = json.dumps({} if backup is None else {"backupId": backup}).encode()
        request = http_client.Request("POST", _BACKUPS, body, {**_ACCEPT, **_CONTENT})
        if backup is None:
            return self._write(request, "The backup", read_backup_id)
        return self._write(request, "The backup", lambda _: backup)

    def backup_state(self, backup: int) -> str:
        """Read the state of one backup (``GET /actuator/backupRuntime/{id}``).

        Raises ``ManagementUnavailable``, ``ManagementRefused`` or ``InvalidResponse``.
        """
        request = http_client.Request("GET", f"{_BACKUPS}/{backup}", headers=_ACCEPT)
        answer = self._read(MANAGEMENT_PORT, request, accept=(HTTPStatus.NOT_FOUND,))
        if answer.status == HTTPStatus.NOT_FOUND:
            return "DOES_NOT_EXIST"
        return read_state_of_backup(read_json(answer))

    def delete_backup(self, backup: int) -> None:
        """Delete a backup (``DELETE /actuator/backupRuntime/{id}``); one that is gone stays so.

        Raises ``ManagementUnavailable``, ``ManagementRefused`` and ``ManagementOutcomeUnknown``.
        """
        request = http_client.Request("DELETE", f"{_BACKUPS}/{backup}", headers=_ACCEPT)
        self._send_once(request, f"Deleting backup {backup}", accept=(HTTPStatus.NOT_FOUND,))

    def _write[T](self, request: http_client.Request, what: str, read: Callable[[object], T]) -> T:
        """Send a request at most once and read its answer."""
        answer = self._send_once(request, what)
        try:
            return read(read_json(answer))
        except InvalidResponse as error:
            raise ManagementOutcomeUnknown(
                f"{what} was answered with HTTP {answer.status}, but not readably: {error.message}"
            ) from error

    def _send_once(
        self, request: http_client.Request, what: str, *, accept: Collection[int] = ()
    ) -> http_client.Answer:
        """Send a request at most once: another address only as long as nothing was sent."""
        tried: list[str] = []
        for address in self._each_address(tried):
            try:
                answer = self._exchange(address, MANAGEMENT_PORT, request)
            except http_client.NothingSent as error:
                tried.append(str(error))
                continue
            except http_client.NoAnswer as error:
                raise ManagementOutcomeUnknown(f"{what}: {error}.") from error
            if _is_passing(answer.status):
                raise ManagementOutcomeUnknown(f"{what}: {_said(address, answer)}.")
            if answer.status not in accept:
                _refuse(address, answer)
            return answer
        raise self._unavailable(tried)

    def _read(
        self,
        port: int,
        request: http_client.Request,
        login: Login | None = None,
        *,
        accept: Collection[int] = (),
    ) -> http_client.Answer:
        """Try one address after the other until one answers definitely.

        Raises for what is not a success, but for the statuses that the caller can ``accept``.
        """
        tried: list[str] = []
        rejected: tuple[str, http_client.Answer] | None = None
        for address in self._each_address(tried):
            try:
                answer = self._exchange(address, port, request, login)
            except (http_client.NothingSent, http_client.NoAnswer) as error:
                tried.append(str(error))
                continue
            if _is_passing(answer.status):
                tried.append(_said(address, answer))
                continue
            if answer.status == HTTPStatus.UNAUTHORIZED and answer.status not in accept:
                rejected = address, answer
                tried.append(_said(address, answer))
                continue
            if answer.status not in accept:
                _refuse(address, answer)
            return answer
        if rejected is not None:
            _refuse(*rejected)
        raise self._unavailable(tried)

    def _ask_one(
        self,
        address: str,
        port: int,
        request: http_client.Request,
        login: Login | None = None,
        *,
        accept: Collection[int] = (),
    ) -> http_client.Answer:
        try:
            answer = self._exchange(address, port, request, login)
        except (http_client.NothingSent, http_client.NoAnswer) as error:
            raise ManagementUnavailable(f"{error}.") from error
        if _is_passing(answer.status):
            raise ManagementUnavailable(f"{_said(address, answer)}.")
        if answer.status not in accept:
            _refuse(address, answer)
        return answer

    def _each_address(self, tried: list[str]) -> Iterator[str]:
        give_up = self._monotonic() + self._budget
        for address in self.addresses():
            if tried and self._monotonic() >= give_up:
                tried.append(f"{address} was not tried: {self._budget:g} s were over")
                return
            yield address

    def _exchange(
        self,
        address: str,
        port: int,
        request: http_client.Request,
        login: Login | None = None,
    ) -> http_client.Answer:
        endpoint = http_client.Endpoint(address, port, self._name)
        if login is None:
            if self._networks and not is_inside(address, self._networks):
                # What a broker lists as another one's host may be anything.
                raise http_client.NothingSent(f"{address[:80]} is not an address inside the VPC")
            return http_client.exchange(endpoint, request, self._timeouts)
        if not may_travel("http", address, self._networks):
            raise CredentialsWithheld(
                f"{self._name} resolves to {address[:80]}, which is outside the VPC; the "
                "credentials of the Camunda user were not sent there in clear."
            )
        return http_client.authorized(endpoint, request, self._timeouts, login.authorizations())

    def _unavailable(self, tried: Sequence[str]) -> ManagementUnavailable:
        reasons = "; ".join(tried) or "the name has no address"
        return ManagementUnavailable(f"No broker of {self._name} could answer: {reasons}.")


def shortened(text: str) -> str:
    """Return Camunda's message without the 2 KB in which a 409 prints the whole configuration."""
    text = " ".join(text.split()).rstrip(".") or "no reason given"
    if len(text) <= _LONGEST_MESSAGE:
        return text
    # Both ends matter: what was refused, and "... is in progress".
    return f"{text[:200]} … {text[-60:]}"


def _patch(body: Mapping[str, object], *, dry_run: bool) -> http_client.Request:
    return http_client.Request(
        "PATCH",
        f"{_CLUSTER}?dryRun=true" if dry_run else _CLUSTER,
        json.dumps(body).encode(),
        {**_ACCEPT, **_CONTENT},
    )


def read_json(answer: http_client.Answer) -> object:
    """Read the body of an answer. Raises ``InvalidResponse`` for what is no JSON."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise InvalidResponse(f"The answer (HTTP {answer.status}) is not JSON.") from error


def _is_passing(status: int) -> bool:
    """Return whether a status shows trouble of one broker: any above 500 but "not implemented"."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED


def _refuse(address: str, answer: http_client.Answer) -> None:
    """Raise for a definite answer (below 500, or 501) that is not a success."""
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise CredentialsRefused(f"{_said(address, answer)}.")
    if answer.status == HTTPStatus.CONFLICT:
        raise ChangeInProgress(f"{_said(address, answer)}.")
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise ManagementRefused(f"{_said(address, answer)}.")
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise InvalidResponse(f"{_said(address, answer)}; no such answer is documented.")


def _said(address: str, answer: http_client.Answer) -> str:
    return f"{address} answered HTTP {answer.status}: {_message(answer)}"


def _message(answer: http_client.Answer) -> str:
    text = answer.body.decode(errors="replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        detail = document.get("message") or document.get("detail") or document.get("error")
        text = detail if isinstance(detail, str) else text
    return shortened(text)
