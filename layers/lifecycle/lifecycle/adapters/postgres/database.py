"""PostgreSQL through psycopg 3, on Lambda from the layer `postgres`.

libpq reads ``PGSSLROOTCERT`` (required: the trusted authorities) and, where the endpoint's name
does not resolve, ``PGHOSTADDR`` from the environment. Verification does not depend on the
environment: ``verify-full`` is part of every connection.
"""

from __future__ import annotations

import re
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import sql

from lifecycle.errors import (
    DatabaseAuthenticationFailed,
    DatabaseConcurrentModification,
    DatabaseNotReady,
    DatabaseRefused,
    DatabaseTlsFailed,
    DatabaseUnreachable,
    IamLoginRefused,
    LifecycleError,
)
from lifecycle.provisioning.seed import Proof, RoleFacts, SeedTarget, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lifecycle.camunda.credentials import Credentials

_CONNECT_TIMEOUT_SECONDS = 10
# What the brokers need, as the seed grants it.
_PRIVILEGES: Final = """
SELECT has_database_privilege(current_database(), 'CONNECT'),
    has_schema_privilege('public', 'USAGE'), has_schema_privilege('public', 'CREATE')
"""
_LOCK_TIMEOUT = "10s"
# Advisory locks are per database; the number only has to be the same in every seed.
_SEED_LOCK: Final = 8_026_500

_STATEMENTS: Final[Mapping[Step, str]] = {
    Step.CREATE_ROLE: "CREATE ROLE {user} WITH LOGIN",
    Step.ALLOW_LOGIN: "ALTER ROLE {user} WITH LOGIN",
    Step.GRANT_RDS_IAM: "GRANT rds_iam TO {user}",
    Step.GRANT_DATABASE: "GRANT ALL PRIVILEGES ON DATABASE {database} TO {user}",
    Step.GRANT_SCHEMA: "GRANT USAGE, CREATE ON SCHEMA public TO {user}",
}

_READ_ROLE: Final = """
SELECT
    EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam'),
    r.oid IS NOT NULL,
    coalesce(r.rolcanlogin, false),
    EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
            WHERE m.member = r.oid AND g.rolname = 'rds_iam'),
    (SELECT array_agg(DISTINCT a.privilege_type)
        FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        WHERE d.datname = current_database() AND a.grantee = r.oid),
    (SELECT array_agg(DISTINCT a.privilege_type)
        FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
        WHERE n.nspname = 'public' AND a.grantee = r.oid),
    array_remove(ARRAY[
        CASE WHEN r.rolsuper THEN 'SUPERUSER' END,
        CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
        CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
        CASE WHEN r.rolreplication THEN 'REPLICATION' END,
        CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
        (SELECT 'membership in rds_superuser' FROM pg_auth_members m
            JOIN pg_roles g ON g.oid = m.roleid
            WHERE m.member = r.oid AND g.rolname = 'rds_superuser' LIMIT 1)
    ], NULL)
FROM (SELECT) one LEFT JOIN pg_roles r ON r.rolname = %s
"""


def statement(step: Step, *, user: str, database: str) -> sql.Composed:
    """Return the SQL of a step, with every identifier quoted."""
    return sql.SQL(_STATEMENTS[step]).format(
        user=sql.Identifier(user), database=sql.Identifier(database)
    )


class PostgresDatabase:
    """The `Database` port for the database of one cluster."""

    def __init__(
        self, target: SeedTarget, *, connect_timeout: int = _CONNECT_TIMEOUT_SECONDS
    ) -> None:
        self._target = target
        self._connect_timeout = connect_timeout

    @contextmanager
    def administration(self, login: Credentials) -> Iterator[_Roles]:
        """Hold the seeds' common lock and a transaction, committed when the block ends well."""
        with self._connection(login) as connection, connection.transaction():
            connection.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_TIMEOUT])
            connection.execute("SELECT set_config('statement_timeout', '20s', true)")
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_SEED_LOCK])
            yield _Roles(connection, self._target.database)

    def prove(self, login: Credentials) -> Proof:
        """Log in, create a table in schema ``public`` and drop it; leaves nothing behind."""
        table = sql.Identifier("public", f"lifecycle_seed_{uuid.uuid4().hex}")
        with self._connection(login) as connection:
            with connection.transaction():
                connection.execute(sql.SQL("CREATE TABLE {} (checked boolean)").format(table))
                connection.execute(sql.SQL("DROP TABLE {}").format(table))
            row = connection.execute(
                "SELECT session_user, current_setting('server_version')"
            ).fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        return Proof(logged_in_as=row[0], server_version=row[1])

    def check(self, login: Credentials) -> tuple[str, ...]:
        """Log in and name the privileges that are missing; changes nothing."""
        names = ("CONNECT on the database", "USAGE on public", "CREATE on public")
        with self._connection(login) as connection:
            row = connection.execute(_PRIVILEGES).fetchone()
        assert row is not None  # noqa: S101 - a SELECT without FROM has one row
        return tuple(name for name, held in zip(names, row, strict=True) if not held)

    def accepts(self, login: Credentials) -> bool:
        """Log in as an administrator; False only for a password that the server refuses."""
        try:
            with self._connection(login):
                return True
        except DatabaseAuthenticationFailed as error:
            # 28P01 has this text and no other; without a connection libpq gives no SQLSTATE.
            # https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/libpq/auth.c
            if "password authentication failed" not in error.message:
                raise
            return False

    def set_password(self, login: Credentials, password: str) -> None:
        """Change the password of the user that logs in.

        With ``ALTER ROLE``, as AWS's own rotation functions do, for master users as well
        (aws-samples/aws-secrets-manager-rotation-lambdas, SecretsManagerRDSPostgreSQLRotation*).
        The server gets the SCRAM verifier and not the password, which its log would hold with
        ``log_statement`` at ``ddl``: https://www.postgresql.org/docs/current/sql-alterrole.html
        """
        with self._connection(login) as connection:
            verifier = connection.pgconn.encrypt_password(
                password.encode(), login.username.encode(), b"scram-sha-256"
            )
            connection.execute(
                sql.SQL("ALTER ROLE {user} WITH PASSWORD {verifier}").format(
                    user=sql.Identifier(login.username), verifier=sql.Literal(verifier.decode())
                )
            )

    def schema_made(self, login: Credentials) -> bool:
        """Log in and return whether Camunda's schema is complete and its lock free.

        Liquibase holds ``databasechangeloglock`` while it makes the schema, in several
        transactions; what exporters write to is among it. Source: camunda/camunda,
        db/rdbms-schema, and Liquibase's documentation of its tracking tables.
        """
        with self._connection(login) as connection:
            there = connection.execute(
                "SELECT to_regclass('public.databasechangeloglock') IS NOT NULL"
                " AND to_regclass('public.exporter_position') IS NOT NULL"
            ).fetchone()
            if there is None or not there[0]:
                return False
            free = connection.execute(
                "SELECT count(*) > 0 AND NOT bool_or(locked) FROM public.databasechangeloglock"
            ).fetchone()
        return free is not None and bool(free[0])

    @contextmanager
    def _connection(self, login: Credentials) -> Iterator[psycopg.Connection]:
        connected = False
        try:
            with psycopg.connect(
                host=self._target.endpoint,
                port=self._target.port,
                dbname=self._target.database,
                user=login.username,
                password=login.password,
                sslmode="verify-full",
                connect_timeout=self._connect_timeout,
                application_name="camunda-ecs-lifecycle",
                autocommit=True,
            ) as connection:
                connected = True
                yield connection
        except psycopg.Error as error:
            # `from None`: psycopg's error may carry the connection's parameters.
            raise translate(error, self._target, login, connected=connected) from None


class _Roles:
    def __init__(self, connection: psycopg.Connection, database: str) -> None:
        self._connection = connection
        self._database = database

    def read(self, user: str) -> RoleFacts:
        """Read the catalogs' entries of a user, whether it exists or not."""
        row = self._connection.execute(_READ_ROLE, [user]).fetchone()
        assert row is not None  # noqa: S101 - the outer join always gives one row
        rds_iam_exists, exists, can_login, in_rds_iam, on_database, on_schema, elevated = row
        return RoleFacts(
            rds_iam_exists=rds_iam_exists,
            exists=exists,
            can_login=can_login,
            in_rds_iam=in_rds_iam,
            database_granted={"CREATE", "CONNECT", "TEMPORARY"} <= set(on_database or ()),
            schema_granted={"USAGE", "CREATE"} <= set(on_schema or ()),
            elevated=tuple(elevated),
        )

    def apply(self, step: Step, user: str) -> None:
        """Take one step."""
        self._connection.execute(statement(step, user=user, database=self._database))


# libpq gives no SQLSTATE for a failed connection, only text; the server's part of it is English on
# RDS. The first pattern that occurs decides.
_LOST = re.compile(
    r"unexpected eof|EOF detected|closed the connection unexpectedly|closed unexpectedly"
    r"|connection reset",
    re.IGNORECASE,
)
_TLS = re.compile(
    r"certificate|SSL error|does not support SSL|does not match host name|sslmode", re.IGNORECASE
)
_AUTHENTICATION = re.compile(
    r"authentication failed|no password supplied|pg_hba\.conf|role .+ does not exist"
    r"|is not permitted to log in",
    re.IGNORECASE,
)
_TIMEOUT = re.compile(
    r"timeout expired|timed out|no route to host|network is unreachable", re.IGNORECASE
)
# Of what else PostgreSQL answers before there is a connection, what no repetition changes.
# https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/init/postinit.c
_PERMANENT = re.compile(
    r"database .+ does not exist|cannot connect to invalid database"
    r"|permission denied for database|unrecognized configuration parameter",
    re.IGNORECASE,
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_RACES: Final = frozenset(
    {
        "42710",  # duplicate_object: CREATE ROLE of a role made a moment ago
        "23505",  # unique_violation: the same, when both are under way
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "42704",  # undefined_object: the role was dropped after we read it
    }
)
# Classes of codes that no repetition changes. All others pass, or may: connections, resources,
# locks, operator intervention, a failover (25006, read_only_sql_transaction), internal errors.
_PERMANENT_CLASSES: Final = frozenset(
    {
        "0A",  # feature_not_supported
        "0L",  # invalid_grantor
        "0P",  # invalid_role_specification
        "22",  # data_exception
        "23",  # integrity_constraint_violation
        "28",  # invalid_authorization_specification
        "2B",  # dependent_privilege_descriptors_still_exist
        "3D",  # invalid_catalog_name
        "3F",  # invalid_schema_name
        "42",  # syntax_error_or_access_rule_violation
    }
)


def translate(
    error: psycopg.Error, target: SeedTarget, login: Credentials, *, connected: bool
) -> LifecycleError:
    """Translate psycopg's error into ours; the text never holds the password or token."""
    place = f"{target.endpoint}:{target.port}"
    text = _scrub(str(error), login)
    if not connected and error.sqlstate is None:
        return _connection_failure(text, place, login)
    state = error.sqlstate
    # Two GRANTs on one object: PostgreSQL has no better code for it than internal_error.
    if state in _RACES or (state == "XX000" and "tuple concurrently" in text):
        return DatabaseConcurrentModification(
            f"Roles or grants changed in {place} at the same time: {text}",
            next_step="Try again; what was under way was rolled back.",
        )
    if state is not None and state[:2] in _PERMANENT_CLASSES:
        return DatabaseRefused(
            f"The database {place} refused a statement of {login.username!r} ({state}): {text}",
            next_step="Correct the cause that PostgreSQL names, then run the same input again.",
        )
    return DatabaseNotReady(
        f"The database {place} ended the connection or could not go on: {text}",
        next_step="Try again; what was under way was rolled back.",
    )


def _connection_failure(text: str, place: str, login: Credentials) -> LifecycleError:
    if _LOST.search(text):
        return DatabaseNotReady(
            f"The database {place} dropped the connection while it was made: {text}",
            next_step="Try again; it may be starting, stopping or failing over.",
        )
    if _TLS.search(text):
        return DatabaseTlsFailed(
            f"The TLS identity of the database {place} could not be verified, no password was "
            f"sent: {text}",
            next_step=(
                "Check that PGSSLROOTCERT names the RDS certificate bundle, that the bundle covers "
                "this region, and that the endpoint is the RDS name and not another DNS name."
            ),
        )
    # RDS checks tokens through PAM, passwords itself.
    if "PAM authentication" in text:
        return IamLoginRefused(
            f"The database {place} refused the token of {login.username!r}: {text}",
            next_step=(
                "Allow the function's role rds-db:connect on the cluster's resource id and this "
                "user, and check that IAM authentication is enabled on the cluster."
            ),
        )
    if _AUTHENTICATION.search(text):
        return DatabaseAuthenticationFailed(
            f"The database {place} refused the login of {login.username!r}: {text}",
            next_step="Compare the admin secret with the Aurora cluster's master password.",
        )
    if _TIMEOUT.search(text):
        return DatabaseUnreachable(
            f"No answer from the database {place}: {text}",
            next_step=(
                "Check that the function's subnets route to the database's and that the database's "
                "security group admits the function's on this port."
            ),
        )
    if _PERMANENT.search(text):
        return DatabaseRefused(
            f"The database {place} refused the connection of {login.username!r}: {text}",
            next_step="Correct the cause that PostgreSQL names, then run the same input again.",
        )
    return DatabaseNotReady(
        f"The database {place} does not take connections yet: {text}",
        next_step="Try again; a database that was just created needs minutes.",
    )


_TOKEN_SECRETS = re.compile(r"X-Amz-(?:Signature|Security-Token|Credential)=([^&]+)")


def _scrub(text: str, login: Credentials) -> str:
    flat = " ".join(text.split())
    # libpq may repeat a password as it is or quoted; of a token, a part is enough to be kept.
    secrets = {login.password, repr(login.password)[1:-1], *_TOKEN_SECRETS.findall(login.password)}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        flat = flat.replace(secret, "***")
    return flat
