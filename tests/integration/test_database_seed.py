"""Seeding the IAM user: the same cases on the in-memory fake and on a real PostgreSQL.

The real one is the embedded AWS with its database: a stack makes the Aurora cluster and its admin
secret, tokens are signed with the credentials of an assumed role.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, cast

import boto3
import psycopg
import pytest
from lifecycle.adapters.postgres import database as adapter
from lifecycle.adapters.postgres.database import PostgresDatabase
from lifecycle.camunda.credentials import Credentials
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.errors import (
    DatabaseAuthenticationFailed,
    DatabaseNotReady,
    DatabaseRefused,
    DatabaseTlsFailed,
    DatabaseUnreachable,
    IamLoginRefused,
    LifecycleError,
    MissingRdsIam,
)
from lifecycle.provisioning.ports import Database, DatabaseTokens
from lifecycle.provisioning.seed import Proof, RoleFacts, SeedTarget, Step, plan_seed
from lifecycle.provisioning.seed_database import DatabaseSeeder

from local import instance
from local.authority import Authority
from local.aws.strict import iam_login_settles
from local.component import Instance
from local.config import REGION, LocalConfig
from tests.fakes.database import FakeDatabase, FakeDatabaseTokens
from tests.support.blocks import block
from tests.support.world import World as ControlPlane
from tests.support.world import operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

BLOCK = block("seed")
TEMPLATE = {
    "Resources": {
        "Secret": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {
                "GenerateSecretString": {
                    "SecretStringTemplate": '{"username": "camunda_admin"}',
                    "GenerateStringKey": "password",
                }
            },
        },
        "Database": {
            "Type": "AWS::RDS::DBCluster",
            "Properties": {
                "Port": 5432,
                "Engine": "aurora-postgresql",
                "DatabaseName": "camunda",
                "MasterUsername": "camunda_admin",
                "MasterUserPassword": {
                    "Fn::Sub": "{{resolve:secretsmanager:${Secret}:SecretString:password}}"
                },
                "EnableIAMDatabaseAuthentication": True,
            },
        },
        "Instance": {
            "Type": "AWS::RDS::DBInstance",
            "Properties": {
                "Engine": "aurora-postgresql",
                "DBInstanceClass": "db.r6g.large",
                "DBClusterIdentifier": {"Ref": "Database"},
            },
        },
    },
    "Outputs": {
        "DatabaseEndpoint": {"Value": {"Fn::GetAtt": ["Database", "Endpoint.Address"]}},
        "DatabasePort": {"Value": {"Fn::GetAtt": ["Database", "Endpoint.Port"]}},
        "DatabaseName": {"Value": "camunda"},
        "DatabaseUser": {"Value": "camunda"},
        "DatabaseAdminSecretArn": {"Value": {"Ref": "Secret"}},
    },
}


class World(Protocol):
    """A database of either kind, and what a test may do to it behind the seed's back."""

    @property
    def target(self) -> SeedTarget: ...
    @property
    def admin(self) -> Credentials: ...
    @property
    def database(self) -> Database: ...
    @property
    def tokens(self) -> DatabaseTokens: ...

    def make_role(self, attributes: str) -> None: ...
    def undo(self, step: Step) -> None: ...
    def without_rds_iam(self) -> Any: ...
    def stopped(self) -> Any: ...
    def untrusted(self) -> Any: ...
    def owned_by_another(self) -> Any: ...


class FakeWorld:
    def __init__(self) -> None:
        self.target = SeedTarget("db.test", 5432, "camunda", "camunda", "arn:secret")
        self.admin = Credentials("camunda_admin", "right")
        self.database = FakeDatabase(self.target, self.admin)
        self.tokens = FakeDatabaseTokens()

    def make_role(self, attributes: str) -> None:
        elevated = tuple(word for word in attributes.split() if not word.startswith("NO"))
        self.database.roles[self.target.user] = RoleFacts(
            rds_iam_exists=True,
            exists=True,
            can_login="NOLOGIN" not in attributes,
            elevated=elevated,
        )

    def undo(self, step: Step) -> None:
        roles = self.database.roles
        role = roles[self.target.user]
        roles[self.target.user] = {
            Step.ALLOW_LOGIN: replace(role, can_login=False),
            Step.GRANT_RDS_IAM: replace(role, in_rds_iam=False),
            Step.GRANT_DATABASE: replace(role, database_granted=False),
            Step.GRANT_SCHEMA: replace(role, schema_granted=False),
        }[step]

    @contextmanager
    def without_rds_iam(self) -> Iterator[None]:
        self.database.rds_iam_exists = False
        yield
        self.database.rds_iam_exists = True

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.database.running = False
        yield
        self.database.running = True

    @contextmanager
    def untrusted(self) -> Iterator[None]:
        self.database.certificate_trusted = False
        yield
        self.database.certificate_trusted = True

    @contextmanager
    def owned_by_another(self) -> Iterator[None]:
        self.database.admin_may_grant = False
        yield
        self.database.admin_may_grant = True


@dataclass(frozen=True)
class Aurora:
    """The embedded AWS with one Aurora cluster."""

    instance: Instance
    outputs: dict[str, str]
    cluster: dict[str, Any]
    session: boto3.session.Session
    """With the credentials of a role that may connect as any user of this cluster."""

    def superuser(self, database: str = "camunda") -> psycopg.Connection:
        scratch = self.instance.config.database_ca.with_name(self.cluster["DbClusterResourceId"])
        return psycopg.connect(
            host=str(scratch.readlink()), hostaddr="", user="rdsadmin", dbname=database,
            sslmode="disable", autocommit=True,
        )  # fmt: skip

    def role(self, *, resource_id: str | None = None, user: str = "*") -> boto3.session.Session:
        """Assume a new role that may connect as `user` of the cluster `resource_id`."""
        iam, name = self.instance.client("iam"), f"seed-{uuid.uuid4().hex[:8]}"
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]
        resource = resource_id or self.cluster["DbClusterResourceId"]
        allow = {
            "Effect": "Allow",
            "Action": "rds-db:connect",
            "Resource": f"arn:aws:rds-db:{REGION}:000000000000:dbuser:{resource}/{user}",
        }
        iam.put_role_policy(
            RoleName=name,
            PolicyName="connect",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
        )
        keys = self.instance.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")
        return boto3.session.Session(
            aws_access_key_id=keys["Credentials"]["AccessKeyId"],
            aws_secret_access_key=keys["Credentials"]["SecretAccessKey"],
            aws_session_token=keys["Credentials"]["SessionToken"],
            region_name=REGION,
        )

    def tokens(self, session: boto3.session.Session | None = None) -> DatabaseTokens:
        """Tokens signed with the credentials of `session`, else of a role that may connect."""
        return SessionTokens((session or self.session).client("rds"))


@dataclass(frozen=True)
class SessionTokens:
    rds: Any

    def sign(self, endpoint: str, port: int, user: str) -> Credentials:
        token = self.rds.generate_db_auth_token(DBHostname=endpoint, Port=port, DBUsername=user)
        return Credentials(user, token)


class PostgresWorld:
    def __init__(self, aurora: Aurora, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self.aurora = aurora
        self.target = SeedTarget.from_outputs(
            aurora.outputs | {"DatabaseUser": f"camunda_{uuid.uuid4().hex[:8]}"}
        )
        self.tokens = aurora.tokens()
        secret = aurora.instance.client("secretsmanager").get_secret_value(
            SecretId=self.target.admin_secret_arn
        )
        self.admin = Credentials(**json.loads(secret["SecretString"]))
        self._environment = monkeypatch
        self._directory = directory

    @property
    def database(self) -> Database:
        return PostgresDatabase(self.target)

    def execute(self, *statements: str) -> None:
        with self.aurora.superuser() as connection:
            for statement in statements:
                connection.execute(statement)

    def make_role(self, attributes: str) -> None:
        self.execute(f"CREATE ROLE {self.target.user} {attributes}")
        self.execute(f"GRANT {self.target.user} TO camunda_admin WITH ADMIN OPTION")

    def undo(self, step: Step) -> None:
        user = self.target.user
        self.execute(
            {
                Step.ALLOW_LOGIN: f"ALTER ROLE {user} NOLOGIN",
                Step.GRANT_RDS_IAM: f"REVOKE rds_iam FROM {user} GRANTED BY camunda_admin",
                Step.GRANT_DATABASE: f"REVOKE CREATE ON DATABASE camunda FROM {user}",
                Step.GRANT_SCHEMA: f"REVOKE CREATE ON SCHEMA public FROM {user}",
            }[step]
        )

    @contextmanager
    def without_rds_iam(self) -> Iterator[None]:
        self.execute("ALTER ROLE rds_iam RENAME TO rds_iam_away")
        yield
        self.execute("ALTER ROLE rds_iam_away RENAME TO rds_iam")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        rds = self.aurora.instance.client("rds")
        identifier = self.aurora.cluster["DBClusterIdentifier"]
        rds.stop_db_cluster(DBClusterIdentifier=identifier)
        eventually(lambda: not self._answers())
        yield
        rds.start_db_cluster(DBClusterIdentifier=identifier)
        eventually(self._answers)

    def _answers(self) -> bool:
        try:
            self.aurora.superuser().close()
        except psycopg.OperationalError:
            return False
        return True

    @contextmanager
    def untrusted(self) -> Iterator[None]:
        other = self._directory / "other.pem"
        other.write_bytes(Authority().pem)
        with self._environment.context() as environment:
            environment.setenv("PGSSLROOTCERT", str(other))
            yield

    @contextmanager
    def owned_by_another(self) -> Iterator[None]:
        self.execute("ALTER DATABASE camunda OWNER TO rdsadmin")
        yield
        self.execute("ALTER DATABASE camunda OWNER TO camunda_admin")


def eventually(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def aurora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aurora]:
    here = Instance.of(LocalConfig(tmp_path_factory.mktemp("instance"), BLOCK))
    host = instance.start(here, components=["postgres"])
    try:
        cloudformation = here.client("cloudformation")
        cloudformation.create_stack(StackName="seed", TemplateBody=json.dumps(TEMPLATE))
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="seed", WaiterConfig={"Delay": 1}
        )
        stack = cloudformation.describe_stacks(StackName="seed")["Stacks"][0]
        outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stack["Outputs"]}
        eventually(lambda: bool(here.names.lookup(outputs["DatabaseEndpoint"])))
        (cluster,) = here.client("rds").describe_db_clusters()["DBClusters"]
        found = Aurora(here, outputs, cluster, boto3.session.Session())
        yield replace(found, session=found.role())
    finally:
        host.stop(grace=30)
        assert here.processes.survivors() == []


@pytest.fixture
def postgres(aurora: Aurora, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PostgresWorld:
    # As the Lambda worker gets it.
    monkeypatch.setenv("PGHOSTADDR", aurora.instance.config.database_address)
    monkeypatch.setenv("PGSSLROOTCERT", str(aurora.instance.config.database_ca))
    return PostgresWorld(aurora, monkeypatch, tmp_path)


@pytest.fixture(params=["fake", "postgres"])
def world(request: pytest.FixtureRequest) -> World:
    return FakeWorld() if request.param == "fake" else request.getfixturevalue("postgres")


@dataclass(frozen=True)
class Secret:
    """The `Users` port with one user."""

    content: Credentials

    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        del secret_arn, cluster
        return self.content


class Settled:
    """A database whose IAM logins are repeated while they may still settle."""

    def __init__(self, database: Any) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def prove(self, login: Credentials) -> Proof:
        until = time.monotonic() + 3 * iam_login_settles.SETTLING_SECONDS
        while True:
            try:
                return cast("Proof", self._database.prove(login))
            except IamLoginRefused:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)


def run(world: World, **changes: Any) -> dict[str, Any]:
    """Seed, with the patience that the state machine has with a new user's login."""
    database = Settled(changes.pop("database", world.database))
    return seed_once(world, database=database, **changes)


def seed_once(world: World, **changes: Any) -> dict[str, Any]:
    """Seed; `changes` replace the target, or what the seed gets from outside."""
    parts: dict[str, Any] = {
        "target": world.target,
        "admin": world.admin,
        "database": world.database,
        "tokens": world.tokens,
    } | changes
    target: SeedTarget = parts["target"]
    seeder = DatabaseSeeder(
        database=lambda _: parts["database"],
        users=Secret(parts["admin"]),
        tokens=parts["tokens"],
        journal=ControlPlane().journal,
    )
    outputs = {
        "ClusterName": "demo",
        "DatabaseEndpoint": target.endpoint,
        "DatabasePort": str(target.port),
        "DatabaseName": target.database,
        "DatabaseUser": target.user,
        "DatabaseAdminSecretArn": target.admin_secret_arn,
    }
    return seeder.seed(operation(), ClusterOutputs(outputs))


def facts(world: World) -> RoleFacts:
    with world.database.administration(world.admin) as roles:
        return roles.read(world.target.user)


def is_complete(world: World) -> bool:
    return plan_seed(world.target.user, world.admin.username, facts(world)) == ()


ALL_GRANTS = (Step.GRANT_RDS_IAM, Step.GRANT_DATABASE, Step.GRANT_SCHEMA)


# The fake and the real server


def test_the_first_seed_creates_and_the_second_changes_nothing(world: World) -> None:
    assert not facts(world).exists
    first, second = run(world), run(world)
    assert first["changes"] == [Step.CREATE_ROLE, *ALL_GRANTS]
    assert first["role"] == "created"
    assert second["changes"] == []
    assert second["role"] == "already there"
    assert second["proof"]["loggedInAs"] == world.target.user
    assert is_complete(world)


def test_a_schema_is_made_when_all_is_there_and_its_lock_is_free(postgres: PostgresWorld) -> None:
    """As the first broker of a new cluster makes it, table by table under Liquibase's lock."""
    run(postgres)
    user = postgres.target.user

    def made() -> bool:
        target = postgres.target
        login = postgres.tokens.sign(target.endpoint, target.port, target.user)
        return postgres.database.schema_made(login)

    try:
        assert not made()
        postgres.execute(
            "CREATE TABLE public.databasechangeloglock (id int PRIMARY KEY, locked boolean)",
            f"ALTER TABLE public.databasechangeloglock OWNER TO {user}",
            "INSERT INTO public.databasechangeloglock VALUES (1, true)",
        )
        assert not made(), "held, and half-made"
        postgres.execute(
            "CREATE TABLE public.exporter_position (partition_id int)",
            f"ALTER TABLE public.exporter_position OWNER TO {user}",
        )
        assert not made(), "still held"
        postgres.execute("UPDATE public.databasechangeloglock SET locked = false")
        assert made()
    finally:
        postgres.execute(
            "DROP TABLE IF EXISTS public.databasechangeloglock, public.exporter_position"
        )


def test_seeds_at_the_same_time_do_not_collide(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        reports = list(pool.map(lambda _: run(world), range(8)))
    assert [report["role"] for report in reports].count("created") == 1
    assert is_complete(world)


@pytest.mark.parametrize("step", [Step.ALLOW_LOGIN, *ALL_GRANTS])
def test_what_was_taken_away_is_given_back(world: World, step: Step) -> None:
    run(world)
    world.undo(step)
    assert run(world)["changes"] == [step]
    assert is_complete(world)


def test_a_bare_role_made_by_hand_is_completed(world: World) -> None:
    world.make_role("NOLOGIN")
    assert run(world)["changes"] == [Step.ALLOW_LOGIN, *ALL_GRANTS]


def test_a_privileged_role_is_refused_and_left_as_it_is(world: World) -> None:
    world.make_role("SUPERUSER CREATEDB")
    before = facts(world)
    with pytest.raises(DatabaseRefused, match="SUPERUSER, CREATEDB"):
        run(world)
    assert facts(world) == before


def test_the_admin_itself_is_refused(world: World) -> None:
    with pytest.raises(DatabaseRefused, match="is the database's admin"):
        run(world, target=replace(world.target, user=world.admin.username))


def test_a_wrong_admin_password_is_told_apart(world: World) -> None:
    with pytest.raises(DatabaseAuthenticationFailed, match=world.admin.username):
        run(world, admin=Credentials(world.admin.username, "wrong"))


def test_a_server_without_rds_iam_is_told_apart_and_unchanged(world: World) -> None:
    with world.without_rds_iam():
        with pytest.raises(MissingRdsIam, match="nothing was changed"):
            run(world)
        assert not facts(world).exists
    assert run(world)["role"] == "created"


def test_a_stopped_server_is_not_ready_and_seeded_once_it_is_back(world: World) -> None:
    with world.stopped(), pytest.raises(DatabaseNotReady):
        run(world)
    assert run(world)["role"] == "created"


def test_a_server_that_cannot_be_verified_gets_no_password(world: World) -> None:
    with world.untrusted(), pytest.raises(DatabaseTlsFailed, match="certificate verify failed"):
        run(world)


def test_an_admin_who_may_not_grant_is_not_a_success(world: World) -> None:
    with world.owned_by_another():
        with pytest.raises(DatabaseRefused):
            run(world)
        assert not facts(world).exists


def test_a_nasty_user_name_is_only_a_name(world: World) -> None:
    user = 'x"; DROP ROLE camunda_admin; --'
    target = replace(world.target, user=user)
    assert run(world, target=target)["proof"]["loggedInAs"] == user
    assert run(world)["role"] == "created"


# The real server alone


def test_a_role_made_at_the_same_moment_by_somebody_else_is_taken_up(
    postgres: PostgresWorld,
) -> None:
    with postgres.aurora.superuser() as other, ThreadPoolExecutor(1) as pool:
        with other.transaction():
            other.execute(f"CREATE ROLE {postgres.target.user} LOGIN")
            other.execute(f"GRANT {postgres.target.user} TO camunda_admin WITH ADMIN OPTION")
            running = pool.submit(run, postgres)
            eventually(lambda: _waits_for_lock(postgres))
        assert running.result(timeout=20)["changes"] == list(ALL_GRANTS)


def _waits_for_lock(postgres: PostgresWorld) -> bool:
    with postgres.aurora.superuser() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE usename = 'camunda_admin' AND wait_event_type = 'Lock'"
        ).fetchone()
    return row is not None and row[0] > 0


def test_a_server_that_goes_away_in_the_middle_leaves_nothing_half_done(
    postgres: PostgresWorld,
) -> None:
    def seed_interrupted() -> None:
        with postgres.database.administration(postgres.admin) as roles:
            roles.apply(Step.CREATE_ROLE, postgres.target.user)
            postgres.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'camunda_admin'"
            )
            roles.apply(Step.GRANT_RDS_IAM, postgres.target.user)

    with pytest.raises(DatabaseNotReady, match="rolled back"):
        seed_interrupted()
    assert not facts(postgres).exists
    assert run(postgres)["role"] == "created"


def test_the_admin_changes_its_own_password(postgres: PostgresWorld) -> None:
    former = postgres.admin
    database = PostgresDatabase(postgres.target)
    following = replace(former, password="another-password-of-the-admin")
    assert (database.accepts(former), database.accepts(following)) == (True, False)
    database.set_password(former, following.password)
    try:
        assert (database.accepts(former), database.accepts(following)) == (False, True)
        with pytest.raises(DatabaseAuthenticationFailed):
            database.set_password(former, "not by the former one")
        assert database.accepts(following)
    finally:
        database.set_password(following, former.password)
    assert database.accepts(former)


def test_the_server_never_sees_a_password_in_a_statement(postgres: PostgresWorld) -> None:
    """Its log holds statements, where `log_statement` is `ddl`."""
    sent: list[str] = []
    real = psycopg.Connection.execute

    def noted(self: Any, query: Any, *rest: Any, **more: Any) -> Any:
        sent.append(query if isinstance(query, str) else query.as_string(self))
        return real(self, query, *rest, **more)

    database = PostgresDatabase(postgres.target)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", noted)
        database.set_password(postgres.admin, postgres.admin.password)
    (statement,) = [one for one in sent if "ALTER ROLE" in one]
    assert "SCRAM-SHA-256$" in statement
    assert postgres.admin.password not in statement
    assert database.accepts(postgres.admin)


def test_a_server_that_cannot_be_asked_is_no_refusal(postgres: PostgresWorld) -> None:
    with postgres.stopped(), pytest.raises(DatabaseNotReady):
        PostgresDatabase(postgres.target).accepts(postgres.admin)
    with postgres.untrusted(), pytest.raises(DatabaseTlsFailed):
        PostgresDatabase(postgres.target).accepts(postgres.admin)


def test_the_proof_leaves_no_table(postgres: PostgresWorld) -> None:
    run(postgres)
    with postgres.aurora.superuser() as connection:
        rows = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    assert rows == []


def test_a_certificate_for_another_name_is_refused(postgres: PostgresWorld, aurora: Aurora) -> None:
    other = replace(postgres.target, endpoint="db.example.com")
    with pytest.raises(DatabaseTlsFailed, match="does not match host name"):
        run(postgres, target=other, database=PostgresDatabase(other))


def test_no_root_certificate_is_no_reason_to_go_on_without(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("PGSSLMODE", "disable")
    with pytest.raises(DatabaseTlsFailed, match=r"missing\.pem"):
        run(postgres)


def test_the_front_takes_nobody_without_tls(postgres: PostgresWorld) -> None:
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(
            host=postgres.target.endpoint, dbname="camunda", user=postgres.admin.username,
            password=postgres.admin.password, sslmode="disable",
        )  # fmt: skip


def test_the_superuser_is_out_of_reach(postgres: PostgresWorld) -> None:
    with pytest.raises(DatabaseAuthenticationFailed, match=r"pg_hba\.conf rejects"):
        postgres.database.prove(Credentials("rdsadmin", "any"))


class Signed(DatabaseTokens):
    """Tokens signed for something else, or altered afterwards."""

    def __init__(
        self, inner: DatabaseTokens, change: Callable[[str], str] = str, **sign_for: Any
    ) -> None:
        self._inner, self._change, self._sign_for = inner, change, sign_for

    def sign(self, endpoint: str, port: int, user: str) -> Credentials:
        arguments: dict[str, Any] = {"endpoint": endpoint, "port": port, "user": user}
        arguments |= self._sign_for
        return Credentials(user, self._change(self._inner.sign(**arguments).password))


def _in_the_past(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    then = datetime.now(UTC) - timedelta(minutes=minutes)
    # The signer in Python, as in Lambda, and the native one that a development machine may have.
    for module in ("botocore.auth", "botocore.crt.auth"):
        monkeypatch.setattr(f"{module}.get_current_datetime", lambda **_: then)


REFUSED_TOKENS: dict[str, Callable[[Aurora, str], DatabaseTokens]] = {
    "forged": lambda aurora, _: Signed(
        aurora.tokens(), lambda token: token[:-1] + ("0" if token[-1] != "0" else "1")
    ),
    "of another user": lambda aurora, _: Signed(aurora.tokens(), user="somebody"),
    "for another endpoint": lambda aurora, _: Signed(aurora.tokens(), endpoint="db.example.com"),
    "not a token": lambda aurora, _: Signed(aurora.tokens(), lambda _: "a password"),
    "of a role without the right": lambda aurora, _: aurora.tokens(aurora.role(user="somebody")),
    "of a role for another cluster": lambda aurora, user: aurora.tokens(
        aurora.role(resource_id="cluster-OTHER", user=user)
    ),
    "of unknown keys": lambda aurora, _: aurora.tokens(
        boto3.session.Session("AKIAUNKNOWN", "unknown", region_name=REGION)
    ),
}


@pytest.mark.parametrize("why", REFUSED_TOKENS)
def test_a_token_is_refused(postgres: PostgresWorld, aurora: Aurora, why: str) -> None:
    run(postgres)
    tokens = REFUSED_TOKENS[why](aurora, postgres.target.user)
    with pytest.raises(DatabaseAuthenticationFailed, match="PAM authentication failed"):
        seed_once(postgres, tokens=tokens)


@pytest.mark.parametrize(("minutes", "taken"), [(14, True), (16, False)])
def test_a_token_lives_for_fifteen_minutes(
    postgres: PostgresWorld, aurora: Aurora, minutes: int, taken: bool, monkeypatch: Any
) -> None:
    run(postgres)
    with monkeypatch.context() as past:
        _in_the_past(past, minutes)
        login = aurora.tokens().sign(postgres.target.endpoint, 5432, postgres.target.user)
    if taken:
        assert postgres.database.prove(login).logged_in_as == postgres.target.user
    else:
        with pytest.raises(DatabaseAuthenticationFailed, match="PAM authentication failed"):
            postgres.database.prove(login)


def test_an_iam_user_is_let_in_a_while_after_it_was_made(
    postgres: PostgresWorld, aurora: Aurora
) -> None:
    with postgres.database.administration(postgres.admin) as roles:
        for step in (Step.CREATE_ROLE, *ALL_GRANTS):
            roles.apply(step, postgres.target.user)
    login = postgres.tokens.sign(postgres.target.endpoint, 5432, postgres.target.user)
    with pytest.raises(DatabaseAuthenticationFailed, match="PAM authentication failed"):
        postgres.database.prove(login)
    with aurora.superuser() as server:
        granted = server.execute(
            "SELECT pg_xact_commit_timestamp(xmin) FROM pg_auth_members"
            " WHERE member = %s::regrole AND roleid = 'rds_iam'::regrole",
            [postgres.target.user],
        ).fetchone()
    assert granted is not None

    def let_in() -> bool:
        try:
            return postgres.database.prove(login).logged_in_as == postgres.target.user
        except DatabaseAuthenticationFailed:
            return False

    eventually(let_in)
    waited = (datetime.now(UTC) - granted[0]).total_seconds()
    assert waited >= iam_login_settles.SETTLING_SECONDS


def test_a_login_that_is_refused_at_first_is_repeated(postgres: PostgresWorld) -> None:
    """By the seed itself, or by the state machine, which repeats what is not ready."""

    def seeded() -> bool:
        try:
            return bool(seed_once(postgres)["proof"])
        except IamLoginRefused:
            return False

    eventually(seeded)


def test_a_role_that_may_connect_as_exactly_this_user_is_let_in(
    postgres: PostgresWorld, aurora: Aurora
) -> None:
    run(postgres, tokens=aurora.tokens(aurora.role(user=postgres.target.user)))


def test_no_secret_is_in_what_a_failure_says(postgres: PostgresWorld, aurora: Aurora) -> None:
    run(postgres)
    token = aurora.tokens().sign("db.example.com", 5432, postgres.target.user).password
    password = f"{uuid.uuid4()}"
    for login in (
        Credentials(postgres.target.user, token),
        Credentials(postgres.admin.username, password),
    ):
        with pytest.raises(LifecycleError) as failure:
            postgres.database.prove(login)
        told = "".join(traceback.format_exception(failure.value)) + repr(failure.value.args)
        assert login.password not in told
        assert token.rpartition("=")[2] not in told


def test_nobody_listening_is_not_ready_and_silence_is_unreachable(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_CONNECT_TIMEOUT_SECONDS", 2)
    with socket.create_server((f"{BLOCK}.0.9", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("PGHOSTADDR", f"{BLOCK}.0.9")
        quiet = replace(postgres.target, port=port)
        with pytest.raises(DatabaseUnreachable, match="security group"):
            run(postgres, database=PostgresDatabase(quiet))
    with pytest.raises(DatabaseNotReady, match="refused"):
        run(postgres, database=PostgresDatabase(quiet))


def test_a_name_that_does_not_resolve_is_not_ready(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGHOSTADDR")
    nowhere = replace(postgres.target, endpoint="db.invalid")
    with pytest.raises(DatabaseNotReady, match=r"resolve host 'db\.invalid'"):
        run(postgres, database=PostgresDatabase(nowhere))


def test_a_database_that_is_not_there_is_refused(postgres: PostgresWorld) -> None:
    other = replace(postgres.target, database="nothing")
    with pytest.raises(DatabaseRefused, match='database "nothing" does not exist'):
        run(postgres, database=PostgresDatabase(other))


def test_a_seed_that_waits_for_another_in_vain_is_not_ready(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, held = threading.Event(), threading.Event()

    def hold() -> None:
        with postgres.database.administration(postgres.admin):
            held.set()
            release.wait(20)

    monkeypatch.setattr(adapter, "_LOCK_TIMEOUT", "100ms")
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        held.wait(10)
        try:
            with pytest.raises(DatabaseNotReady, match="lock timeout"):
                run(postgres)
        finally:
            release.set()
        holding.result()


def test_a_second_cluster_has_its_own_server_and_goes_with_its_deletion(
    postgres: PostgresWorld, aurora: Aurora
) -> None:
    rds, names = aurora.instance.client("rds"), aurora.instance.names
    second = rds.create_db_cluster(
        DBClusterIdentifier="second",
        Engine="aurora-postgresql",
        DatabaseName="camunda",
        MasterUsername="second_admin",
        MasterUserPassword="second password",
        EnableIAMDatabaseAuthentication=True,
    )["DBCluster"]
    rds.create_db_instance(
        DBInstanceIdentifier="second-1",
        DBClusterIdentifier="second",
        Engine="aurora-postgresql",
        DBInstanceClass="db.r6g.large",
    )
    eventually(lambda: bool(names.lookup(second["Endpoint"])))
    target = replace(postgres.target, endpoint=second["Endpoint"])
    session = aurora.role(resource_id=second["DbClusterResourceId"])
    database = PostgresDatabase(target)
    with database.administration(Credentials("second_admin", "second password")) as roles:
        assert not roles.read(postgres.target.user).exists
        for step in (Step.CREATE_ROLE, *ALL_GRANTS):
            roles.apply(step, postgres.target.user)
    login = aurora.tokens(session).sign(target.endpoint, target.port, target.user)
    assert Settled(database).prove(login).logged_in_as == target.user
    with pytest.raises(DatabaseAuthenticationFailed):
        database.prove(Credentials("camunda_admin", postgres.admin.password))

    rds.delete_db_instance(DBInstanceIdentifier="second-1", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="second", SkipFinalSnapshot=True)
    eventually(lambda: not names.lookup(second["Endpoint"]))
    eventually(
        lambda: "postgres-second" not in [p.name for p in aurora.instance.processes.survivors()]
    )
