"""The secondary storage: a PostgreSQL database, entered as the IAM user with a token.

Login, schema lock and exporter position as Camunda's RDBMS storage has them; the tables are this
broker's own and hold what is searched, beside the whole value as JSON. Callers use threads.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
import psycopg
from botocore.exceptions import BotoCoreError
from botocore.model import ServiceId
from botocore.signers import RequestSigner
from psycopg import sql
from psycopg.types.json import Jsonb

from local.broker.gateway_port import StorageUnavailable
from local.broker.settings import seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

type Json = dict[str, Any]

_PREFIX = "CAMUNDA_DATA_SECONDARYSTORAGE_RDBMS_"
_CONNECT_SECONDS = 5
# After so long without an answer from the network a connection is lost.
_SILENT_MS = 10_000
_TOKEN_SECONDS = 900
_LOCK_POLL_SECONDS = 0.5
_EXPORTER = "rdbms"
# Type of a record -> table and the fields that are searched, each a column of text.
_TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "PROCESS": ("process_definition", ("processDefinitionId", "processDefinitionVersion")),
    "PROCESS_INSTANCE": (
        "process_instance",
        ("processDefinitionId", "processDefinitionKey", "state"),
    ),
    "JOB": ("job", ("type", "state", "processInstanceKey", "elementId")),
    "INCIDENT": ("incident", ("state", "processInstanceKey", "errorType")),
    "VARIABLE": ("variable", ("name", "processInstanceKey")),
    "MESSAGE": ("message", ("name", "correlationKey")),
}
# What is searched -> type of its records, and the name of its own key.
_SEARCHED = {
    "process-definitions": ("PROCESS", "processDefinitionKey"),
    "process-instances": ("PROCESS_INSTANCE", "processInstanceKey"),
    "jobs": ("JOB", "jobKey"),
    "incidents": ("INCIDENT", "incidentKey"),
    "variables": ("VARIABLE", "variableKey"),
}
# Fields with a moment, which are compared as such (AdvancedDateTimeFilter of `filters.yaml`).
_MOMENTS = frozenset({"startDate", "endDate", "creationTime", "endTime", "lastUpdateTime"})
_COMPARED = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_MOST = 10_000
# `camunda.data.secondary-storage.rdbms.query.max-total-hits`, by default.
_MOST_COUNTED = 10_000
_POSITION = (
    "SELECT last_exported_position FROM exporter_position WHERE partition_id = %s AND exporter = %s"
)
_LOCKED_POSITION = f"{_POSITION} FOR UPDATE"


class SecondaryStorage:
    """The database that the environment of a broker names.

    ``resolve`` gives the addresses of a host name; the certificate is verified for the name.
    """

    def __init__(
        self, environment: Mapping[str, str], resolve: Callable[[str], Sequence[str]]
    ) -> None:
        url = urlsplit(environment.get(f"{_PREFIX}URL", "").removeprefix("jdbc:aws-wrapper:"))
        options = {key: values[-1] for key, values in parse_qs(url.query).items()}
        self._host, self._port = url.hostname or "", url.port or 5432
        self._database = url.path.strip("/")
        self._user = environment.get(f"{_PREFIX}USERNAME", "")
        self._mode = options.get("sslmode", "prefer")
        self._authority = options.get("sslrootcert", "")
        self._create = environment.get(f"{_PREFIX}AUTODDL", "true") == "true"
        self._lock_wait = seconds(environment.get(f"{_PREFIX}DDLLOCKWAITTIMEOUT", "PT15M"))
        self._resolve = resolve
        self._connection: psycopg.Connection[Any] | None = None
        self._turn = threading.Lock()
        self._name = f"{socket.gethostname()} ({os.getpid()})"

    def prepare(self) -> None:
        """Make the schema, under a lock as Liquibase takes it. Raises StorageUnavailable."""
        if not self._create:
            return
        with self._turn:
            self._guarded(self._make_schema)

    def write(self, partition: int, records: Iterable[Json]) -> None:
        """Write records and the position in one transaction; what is there already is skipped.

        Raises StorageUnavailable; then nothing of it is written.
        """
        with self._turn:
            self._guarded(lambda connection: _write(connection, partition, records))

    def position(self, partition: int) -> int:
        """Give the position up to which a partition is exported. Raises StorageUnavailable."""
        with self._turn:
            found: int = self._guarded(lambda connection: _position(connection, partition))
        return found

    def search(self, what: str, query: Json) -> Json:
        """Search: `{"items", "total", "more", "end"}`, the items in Camunda's field names.

        `more`: the total is a lower bound. `end` is the place after the last item: where
        `page.from` goes on. Raises StorageUnavailable, and ValueError for what is not
        performed, naming it.
        """
        with self._turn:
            found: Json = self._guarded(lambda connection: _search(connection, what, query))
        return found

    def session(self, session: str) -> Json | None:
        """Give the content of a browser's session. Raises StorageUnavailable."""
        with self._turn:
            found: Json | None = self._guarded(lambda connection: _session(connection, session))
        return found

    def keep_session(self, session: str, content: Json, expires: float) -> None:
        """Write a session; those that have expired go. Raises StorageUnavailable."""
        with self._turn:
            self._guarded(lambda connection: _keep_session(connection, session, content, expires))

    def drop_session(self, session: str) -> None:
        """Forget a session. Raises StorageUnavailable."""
        statement = "DELETE FROM web_session WHERE session_id = %s"
        with self._turn:
            self._guarded(lambda connection: connection.execute(statement, (session,)))

    def _guarded(self, action: Callable[[psycopg.Connection[Any]], Any]) -> Any:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
            return action(self._connection)
        except (psycopg.Error, BotoCoreError) as error:
            if isinstance(error, psycopg.OperationalError) and self._connection is not None:
                self._connection.close()
                self._connection = None
            # The words of a failed login name user and host, never the token.
            raise StorageUnavailable(str(error).strip()) from error

    def _connect(self) -> psycopg.Connection[Any]:
        if not self._host:
            raise StorageUnavailable(f"{_PREFIX}URL names no database")
        address = next(iter(self._resolve(self._host)), self._host)
        return psycopg.connect(
            host=self._host,
            hostaddr=address if address != self._host else None,
            port=self._port,
            dbname=self._database,
            user=self._user,
            password=self._token(),
            sslmode=self._mode,
            sslrootcert=self._authority or None,
            connect_timeout=_CONNECT_SECONDS,
            tcp_user_timeout=_SILENT_MS,
            autocommit=True,
        )

    def _token(self) -> str:
        """Sign the token that RDS takes as password for 15 minutes.

        As `generate_db_auth_token` does, without RDS's service model, which is 14 MiB in memory.
        """
        session: Any = botocore.session.get_session()
        region = os.environ.get("AWS_REGION") or session.get_config_variable("region")
        signer: Any = RequestSigner(
            ServiceId("RDS"),
            region,
            "rds-db",
            "v4",
            session.get_credentials(),
            session.get_component("event_emitter"),
        )
        request = {
            "url_path": "/",
            "query_string": "",
            "headers": {},
            "body": {"Action": "connect", "DBUser": self._user},
            "method": "GET",
            "url": f"https://{self._host}:{self._port}/",
            "context": {},
        }
        signed: str = signer.generate_presigned_url(
            request, "connect", region_name=region, expires_in=_TOKEN_SECONDS
        )
        return signed.removeprefix("https://")

    def _make_schema(self, connection: psycopg.Connection[Any]) -> None:
        """Create what is missing; a broker that dies meanwhile leaves the lock behind."""
        if _is_whole(connection):
            return
        self._take_lock(connection)
        try:
            _create_tables(connection)
        finally:
            if not connection.closed:
                connection.execute(
                    "UPDATE databasechangeloglock SET locked = false, lockgranted = NULL,"
                    " lockedby = NULL WHERE lockedby = %s",
                    (self._name,),
                )

    def _take_lock(self, connection: psycopg.Connection[Any]) -> None:
        """Take the lock, also one that is older than the patience: its holder is dead."""
        with connection.transaction():
            # CREATE TABLE IF NOT EXISTS alone fails for one of two that do it at once.
            connection.execute("SELECT pg_advisory_xact_lock(1)")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS databasechangeloglock"
                " (id int PRIMARY KEY, locked boolean, lockgranted timestamptz, lockedby text)"
            )
            connection.execute(
                "INSERT INTO databasechangeloglock VALUES (1, false, NULL, NULL)"
                " ON CONFLICT DO NOTHING"
            )
        give_up = time.monotonic() + self._lock_wait + 1
        while not connection.execute(
            "UPDATE databasechangeloglock SET locked = true, lockgranted = now(), lockedby = %s"
            " WHERE NOT locked OR lockgranted < now() - %s * interval '1 second'",
            (self._name, self._lock_wait),
        ).rowcount:
            if time.monotonic() > give_up:
                raise StorageUnavailable("the schema's lock is held by another broker")
            print("Waiting for changelog lock....", flush=True)
            time.sleep(_LOCK_POLL_SECONDS)


def _is_whole(connection: psycopg.Connection[Any]) -> bool:
    # One of the first schema, and the one that came later.
    found = connection.execute(
        "SELECT to_regclass('exporter_position') IS NOT NULL"
        " AND to_regclass('web_session') IS NOT NULL"
    ).fetchone()
    return found is not None and bool(found[0])


def _create_tables(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        for table, columns in _TABLES.values():
            names = sql.SQL("").join(
                sql.SQL(", {} text").format(sql.Identifier(one)) for one in columns
            )
            connection.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} (key text PRIMARY KEY, partition_id int,"
                    " position bigint, at bigint, value jsonb{})"
                ).format(sql.Identifier(table), names)
            )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS exporter_position (partition_id int, exporter text,"
            " last_exported_position bigint, PRIMARY KEY (partition_id, exporter))"
        )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS web_session (session_id text PRIMARY KEY,"
            " expires double precision, attributes jsonb)"
        )


def _write(connection: psycopg.Connection[Any], partition: int, records: Iterable[Json]) -> None:
    with connection.transaction():
        connection.execute(
            "INSERT INTO exporter_position VALUES (%s, %s, 0) ON CONFLICT DO NOTHING",
            (partition, _EXPORTER),
        )
        # Locked, so that an old and a new leader take turns.
        done = _position(connection, partition, lock=True)
        fresh = [one for one in records if one["position"] > done]
        if fresh:
            with connection.pipeline():
                _insert(connection, partition, fresh)
            connection.execute(
                "UPDATE exporter_position SET last_exported_position = %s"
                " WHERE partition_id = %s AND exporter = %s",
                (fresh[-1]["position"], partition, _EXPORTER),
            )


def _insert(connection: psycopg.Connection[Any], partition: int, records: Iterable[Json]) -> None:
    for record in records:
        table, columns = _TABLES[record["type"]]
        value = record["value"]
        key = str(record["key"])
        names = [
            sql.Identifier(one)
            for one in ("key", "partition_id", "position", "at", "value", *columns)
        ]
        texts = [None if value.get(one) is None else str(value[one]) for one in columns]
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (key) DO UPDATE SET {}").format(
                sql.Identifier(table),
                sql.SQL(", ").join(names),
                sql.SQL(", ").join(sql.Placeholder() * len(names)),
                sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(one) for one in names[1:]),
            ),
            (key, partition, record["position"], record["timestamp"], Jsonb(value), *texts),
        )


def _session(connection: psycopg.Connection[Any], session: str) -> Json | None:
    found = connection.execute(
        "SELECT attributes FROM web_session WHERE session_id = %s", (session,)
    ).fetchone()
    return found[0] if found else None


def _keep_session(
    connection: psycopg.Connection[Any], session: str, content: Json, expires: float
) -> None:
    with connection.transaction():
        connection.execute("DELETE FROM web_session WHERE expires < %s", (time.time(),))
        connection.execute(
            "INSERT INTO web_session VALUES (%s, %s, %s) ON CONFLICT (session_id)"
            " DO UPDATE SET expires = EXCLUDED.expires, attributes = EXCLUDED.attributes",
            (session, expires, Jsonb(content)),
        )


def _position(connection: psycopg.Connection[Any], partition: int, *, lock: bool = False) -> int:
    found = connection.execute(
        _LOCKED_POSITION if lock else _POSITION,
        (partition, _EXPORTER),
    ).fetchone()
    return int(found[0]) if found else 0


def _search(connection: psycopg.Connection[Any], what: str, query: Json) -> Json:
    kind, own = _SEARCHED[what]
    table, columns = _TABLES[kind]
    conditions: list[sql.Composable] = [sql.SQL("true")]
    values: list[Any] = []
    for name, wanted in (query.get("filter") or {}).items():
        if name.startswith("$") or isinstance(wanted, list):
            raise ValueError(f"the filter {name} is not performed")
        column: sql.Composable = sql.SQL("value ->> {}").format(sql.Literal(name))
        if name == own or name in columns:
            column = sql.Identifier("key" if name == own else name)
        operators = wanted if isinstance(wanted, dict) else {"$eq": wanted}
        for operator, operand in operators.items():
            match operator:
                case _ if operand is None:
                    # To Camunda a filter that is null is one that is not there.
                    continue
                case "$eq":
                    conditions.append(sql.SQL("{} = %s").format(column))
                    values.append(_text(operand))
                case "$neq":
                    conditions.append(sql.SQL("{} IS DISTINCT FROM %s").format(column))
                    values.append(_text(operand))
                case "$in":
                    conditions.append(sql.SQL("{} = ANY(%s)").format(column))
                    values.append([_text(one) for one in operand])
                case "$gt" | "$gte" | "$lt" | "$lte" if name in _MOMENTS:
                    compared = sql.SQL("({})::timestamptz {} %s::timestamptz")
                    conditions.append(compared.format(column, sql.SQL(_COMPARED[operator])))
                    values.append(_moment(name, operand))
                case "$exists":
                    test = "IS NOT NULL" if operand else "IS NULL"
                    conditions.append(sql.SQL("{} " + test).format(column))
                case _:
                    raise ValueError(f"the operator {operator} is not performed")
    where = sql.SQL(" AND ").join(conditions)
    page = query.get("page") or {}
    if "before" in page:
        raise ValueError("page.before is not performed")
    start = max(0, int(page.get("after") or page.get("from") or 0))
    limit = min(max(0, int(page.get("limit") or 100)), _MOST)
    total = connection.execute(
        sql.SQL("SELECT count(*) FROM (SELECT 1 FROM {} WHERE {} LIMIT {}) AS found").format(
            sql.Identifier(table), where, sql.Literal(_MOST_COUNTED + 1)
        ),
        values,
    ).fetchone()
    counted = total[0] if total else 0
    rows = connection.execute(
        sql.SQL("SELECT value FROM {} WHERE {} ORDER BY {} OFFSET %s LIMIT %s").format(
            sql.Identifier(table), where, _order(query.get("sort") or [])
        ),
        [*values, start, limit],
    ).fetchall()
    return {
        "items": [row[0] for row in rows],
        "total": min(counted, _MOST_COUNTED),
        "more": counted > _MOST_COUNTED,
        "end": start + len(rows),
    }


def _order(sort: Sequence[Json]) -> sql.Composable:
    """Give the order: keys as the numbers that they are, at last by the own key."""
    terms: list[sql.Composable] = []
    for one in sort:
        name, order = one.get("field"), str(one.get("order") or "ASC").upper()
        if not isinstance(name, str) or order not in {"ASC", "DESC"}:
            raise ValueError(f"the sort {json.dumps(one)} has no field or no order")
        shape = "length(value ->> {0}) {1}, value ->> {0} {1}"
        shape = shape if name.endswith("Key") else "value -> {0} {1}"
        terms.append(sql.SQL(shape).format(sql.Literal(name), sql.SQL(order)))
    return sql.SQL(", ").join([*terms, sql.SQL("length(key), key")])


def _moment(name: str, value: object) -> str:
    """Read a moment as the API takes it, with its offset from UTC. Raises ValueError."""
    try:
        read = datetime.fromisoformat(str(value))
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise ValueError(
            f"The provided {name} '{value}' cannot be parsed as a date according to RFC 3339, "
            "section 5.6."
        )
    return read.isoformat()


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
