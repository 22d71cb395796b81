"""What the seed decides, says and never says; the server itself is in tests/integration."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from datetime import UTC, datetime

import boto3
import psycopg
import pytest
from lifecycle.adapters.postgres.database import statement, translate
from lifecycle.adapters.postgres.rds_tokens import RdsTokens
from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.errors import (
    DatabaseAuthenticationFailed,
    DatabaseConcurrentModification,
    DatabaseNotReady,
    DatabaseRefused,
    DatabaseTlsFailed,
    DatabaseUnreachable,
    IamLoginRefused,
    InvalidRequest,
    LockLost,
    MissingRdsIam,
)
from lifecycle.provisioning.seed import Proof, RoleFacts, SeedReport, SeedTarget, Step, plan_seed
from lifecycle.provisioning.seed_database import DatabaseSeeder

from tests.fakes.database import FakeDatabase, FakeDatabaseTokens
from tests.support.world import World, operation

pytestmark = pytest.mark.unit

OUTPUTS = ClusterOutputs(
    {
        "ClusterName": "demo",
        "DatabaseEndpoint": "demo.cluster-abc.eu-central-1.rds.amazonaws.com",
        "DatabasePort": "5432",
        "DatabaseName": "camunda",
        "DatabaseUser": "brokers",
        "DatabaseAdminSecretArn": "arn:secret",
    }
)
TARGET = SeedTarget.from_outputs(OUTPUTS)
COMPLETE = RoleFacts(
    rds_iam_exists=True,
    exists=True,
    can_login=True,
    in_rds_iam=True,
    database_granted=True,
    schema_granted=True,
)


# The contract's outputs


def test_the_target_is_read_from_the_outputs_of_the_stack() -> None:
    assert (
        SeedTarget(
            "demo.cluster-abc.eu-central-1.rds.amazonaws.com",
            5432,
            "camunda",
            "brokers",
            "arn:secret",
        )
        == TARGET
    )


def test_every_wrong_output_is_named_at_once() -> None:
    wrong = {"DatabaseEndpoint": None, "DatabasePort": "70000", "DatabaseUser": "pg_brokers"}
    with pytest.raises(InvalidRequest) as refusal:
        SeedTarget.from_outputs(wrong | {"DatabaseName": "d" * 64})
    for part in ("DatabaseEndpoint is missing", "'70000'", "'pg_brokers'", "63 bytes", "SecretArn"):
        assert part in refusal.value.message


@pytest.mark.parametrize("port", ["0", "-1", "65536", "54 32", "٥٤٣٢", "5432.0"])
def test_a_port_is_a_number_in_range(port: str) -> None:
    with pytest.raises(InvalidRequest, match="DatabasePort"):
        SeedTarget.from_outputs({**OUTPUTS, "DatabasePort": port})


# The decision


def plan(facts: RoleFacts) -> tuple[Step, ...]:
    return plan_seed("brokers", "admin", facts)


def test_a_missing_role_is_created_with_everything() -> None:
    assert plan(RoleFacts(rds_iam_exists=True)) == (
        Step.CREATE_ROLE,
        Step.GRANT_RDS_IAM,
        Step.GRANT_DATABASE,
        Step.GRANT_SCHEMA,
    )


@pytest.mark.parametrize(
    ("lacking", "step"),
    [
        (replace(COMPLETE, can_login=False), Step.ALLOW_LOGIN),
        (replace(COMPLETE, in_rds_iam=False), Step.GRANT_RDS_IAM),
        (replace(COMPLETE, database_granted=False), Step.GRANT_DATABASE),
        (replace(COMPLETE, schema_granted=False), Step.GRANT_SCHEMA),
    ],
)
def test_only_what_lacks_is_done(lacking: RoleFacts, step: Step) -> None:
    assert plan(COMPLETE) == ()
    assert plan(lacking) == (step,)


def test_a_role_with_other_rights_is_refused_even_when_complete() -> None:
    with pytest.raises(DatabaseRefused, match="CREATEROLE"):
        plan(replace(COMPLETE, elevated=("CREATEROLE",)))


def test_the_admin_is_never_made_the_iam_user() -> None:
    with pytest.raises(DatabaseRefused, match="admin"):
        plan_seed("admin", "admin", COMPLETE)


def test_without_rds_iam_there_is_nothing_to_grant() -> None:
    with pytest.raises(MissingRdsIam, match="EnableIAMDatabaseAuthentication"):
        plan(RoleFacts(rds_iam_exists=False))


# The operation

ADMIN = Credentials("admin", "secret")


class Secret:
    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        assert (secret_arn, cluster) == ("arn:secret", "demo")
        return ADMIN


def seeder(world: World, database: FakeDatabase) -> DatabaseSeeder:
    return DatabaseSeeder(
        database=lambda _: database,
        users=Secret(),
        tokens=FakeDatabaseTokens(),
        journal=world.journal,
    )


@pytest.mark.parametrize(("races", "ends_well"), [(1, True), (4, True), (5, False)])
def test_changes_by_others_are_looked_at_again_but_not_for_ever(
    races: int, ends_well: bool
) -> None:
    database = FakeDatabase(TARGET, ADMIN, races=races)
    seed = seeder(World(), database).seed
    if ends_well:
        assert seed(operation(), OUTPUTS)["role"] == "created"
    else:
        with pytest.raises(DatabaseNotReady, match="5 attempts"):
            seed(operation(), OUTPUTS)
        assert database.roles == {}


def test_it_says_where_it_is_and_keeps_the_lock() -> None:
    world = World()
    seeder(world, FakeDatabase(TARGET, ADMIN)).seed(operation(), OUTPUTS)
    assert world.table.locks["control-demo"].owner == operation().execution_arn
    record = world.table.records["provision", "demo.provision.1"]
    assert (record["step"], record["detail"]) == (
        "Database user is seeded",
        f"brokers in {TARGET.endpoint}",
    )


def test_without_the_lock_nothing_is_touched() -> None:
    world, database = World(), FakeDatabase(TARGET, ADMIN)
    world.journal.begin(operation(2))
    with pytest.raises(LockLost, match=r"demo\.provision\.2"):
        seeder(world, database).seed(operation(1), OUTPUTS)
    assert database.roles == {}


def test_the_report_is_plain_data() -> None:
    report = SeedReport(TARGET, (Step.GRANT_SCHEMA,), Proof("brokers", "17.5")).as_dict()
    assert json.loads(json.dumps(report)) == report
    assert report["role"] == "already there"
    assert report["changes"] == ["usage and create on schema public granted"]


# SQL


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (Step.CREATE_ROLE, 'CREATE ROLE "a""b" WITH LOGIN'),
        (Step.ALLOW_LOGIN, 'ALTER ROLE "a""b" WITH LOGIN'),
        (Step.GRANT_RDS_IAM, 'GRANT rds_iam TO "a""b"'),
        (Step.GRANT_DATABASE, 'GRANT ALL PRIVILEGES ON DATABASE "My; DB" TO "a""b"'),
        (Step.GRANT_SCHEMA, 'GRANT USAGE, CREATE ON SCHEMA public TO "a""b"'),
    ],
)
def test_identifiers_are_quoted(step: Step, text: str) -> None:
    assert statement(step, user='a"b', database="My; DB").as_string() == text


# psycopg's errors

LOGIN = Credentials("brokers", "p4ss'word")
SERVER = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Connection refused", DatabaseNotReady),
        ("failed to resolve host 'x': [Errno -2] Name or service not known", DatabaseNotReady),
        ("FATAL:  the database system is starting up", DatabaseNotReady),
        ("FATAL:  the database system is shutting down", DatabaseNotReady),
        ("FATAL:  the database system is in recovery mode", DatabaseNotReady),
        ("FATAL:  sorry, too many clients already", DatabaseNotReady),
        ("FATAL:  remaining connection slots are reserved for roles", DatabaseNotReady),
        ("server closed the connection unexpectedly", DatabaseNotReady),
        ("SSL connection has been closed unexpectedly", DatabaseNotReady),
        ("SSL SYSCALL error: EOF detected", DatabaseNotReady),
        ("SSL error: unexpected eof while reading", DatabaseNotReady),
        ("timeout expired", DatabaseUnreachable),
        ("connection timeout expired", DatabaseUnreachable),
        ("No route to host", DatabaseUnreachable),
        ("SSL error: certificate verify failed", DatabaseTlsFailed),
        ('server certificate for "a" does not match host name "b"', DatabaseTlsFailed),
        ('root certificate file "/opt/x.pem" does not exist', DatabaseTlsFailed),
        ("server does not support SSL, but SSL was required", DatabaseTlsFailed),
        ("SSL error: tlsv1 alert unknown ca", DatabaseTlsFailed),
        ('FATAL:  password authentication failed for user "a"', DatabaseAuthenticationFailed),
        ('FATAL:  PAM authentication failed for user "a"', IamLoginRefused),
        ("FATAL:  canceling authentication due to timeout", DatabaseNotReady),
        ('FATAL:  database "x" is not currently accepting connections', DatabaseNotReady),
        ("FATAL:  terminating connection due to administrator command", DatabaseNotReady),
        ("FATAL:  something that no list has", DatabaseNotReady),
        ('FATAL:  permission denied for database "x"', DatabaseRefused),
        ('FATAL:  cannot connect to invalid database "x"', DatabaseRefused),
        ('FATAL:  unrecognized configuration parameter "x"', DatabaseRefused),
        ("FATAL:  pg_hba.conf rejects connection for host", DatabaseAuthenticationFailed),
        ('FATAL:  role "a" is not permitted to log in', DatabaseAuthenticationFailed),
        ("fe_sendauth: no password supplied", DatabaseAuthenticationFailed),
        ('FATAL:  database "x" does not exist', DatabaseRefused),
        ("something new", DatabaseNotReady),
    ],
)
def test_a_failed_connection_is_told_by_its_text(text: str, expected: type[Exception]) -> None:
    error = translate(psycopg.OperationalError(SERVER + text), TARGET, LOGIN, connected=False)
    assert type(error) is expected
    assert text.rsplit(":", maxsplit=1)[-1].rsplit("  ", maxsplit=1)[-1] in str(error)


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ('FATAL:  PAM authentication failed for user "a"', "rds-db:connect"),
        ('FATAL:  password authentication failed for user "a"', "admin secret"),
    ],
)
def test_a_refused_token_and_a_refused_password_have_different_remedies(
    text: str, step: str
) -> None:
    error = translate(psycopg.OperationalError(SERVER + text), TARGET, LOGIN, connected=False)
    assert step in error.next_step


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("42501", DatabaseRefused),
        ("3F000", DatabaseRefused),
        ("42710", DatabaseConcurrentModification),
        ("23505", DatabaseConcurrentModification),
        ("40P01", DatabaseConcurrentModification),
        ("55P03", DatabaseNotReady),
        ("57P01", DatabaseNotReady),
        ("57P03", DatabaseNotReady),
        ("08006", DatabaseNotReady),
        ("25006", DatabaseNotReady),
        ("53100", DatabaseNotReady),
        ("XX000", DatabaseNotReady),
        ("28000", DatabaseRefused),
    ],
)
def test_a_refused_statement_is_told_by_its_code(state: str, expected: type[Exception]) -> None:
    error = psycopg.errors.lookup(state)("no")
    assert type(translate(error, TARGET, LOGIN, connected=True)) is expected


def test_an_internal_error_is_a_race_only_if_it_says_so() -> None:
    for text, expected in (
        ("tuple concurrently updated", DatabaseConcurrentModification),
        ("cache lookup failed for relation 1", DatabaseNotReady),
    ):
        error = psycopg.errors.InternalError_(text)
        assert type(translate(error, TARGET, LOGIN, connected=True)) is expected


TOKEN = (
    "demo:5432/?Action=connect&DBUser=brokers&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=ASIAEXAMPLE%2F20261123%2Feu-central-1%2Frds-db%2Faws4_request"
    "&X-Amz-Date=20261123T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
    "&X-Amz-Security-Token=IQoJb3JpZ2luSECRET&X-Amz-Signature=5ec2e7"
)


@pytest.mark.parametrize(
    ("password", "said", "kept"),
    [
        ("p4ss'word", 'invalid connection option "p4ss\'word"', ["p4ss'word"]),
        ("p4ss'word", "options {'password': \"p4ss'word\"}", ["p4ss'word"]),
        ("p4ss\\word", f"options {['p4ss\\word']!r}", ["p4ss\\word", "p4ss\\\\word"]),
        (TOKEN, f"bad conninfo: password={TOKEN}", [TOKEN, "5ec2e7", "SECRET", "ASIAEXAMPLE"]),
        (TOKEN, "…&X-Amz-Signature=5ec2e7 is truncated", ["5ec2e7"]),
        (TOKEN, "X-Amz-Security-Token=IQoJb3JpZ2luSECRET", ["SECRET"]),
    ],
)
@pytest.mark.parametrize("connected", [True, False])
def test_no_secret_passes_through_an_error(
    password: str, said: str, kept: list[str], connected: bool
) -> None:
    login = Credentials("brokers", password)
    error = translate(psycopg.OperationalError(said), TARGET, login, connected=connected)
    told = "".join(traceback.format_exception(error)) + repr(error.args) + repr(error)
    assert [secret for secret in kept if secret in told] == []
    assert "***" in told


# Tokens


def test_a_token_is_for_the_endpoint_port_and_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lifecycle.adapters.postgres.rds_tokens.client",
        lambda service: boto3.client(
            service,
            aws_access_key_id="AKIA",
            aws_secret_access_key="hidden",
            region_name="eu-west-1",
        ),
    )
    login = RdsTokens().sign("demo.rds.amazonaws.com", 5432, "brokers")
    assert login.username == "brokers"
    assert login.password.startswith("demo.rds.amazonaws.com:5432/?Action=connect&DBUser=brokers&")
    assert f"%2F{datetime.now(UTC):%Y%m%d}%2Feu-west-1%2Frds-db%2F" in login.password
    assert login.password not in repr(login)
