"""One real PostgreSQL server with the roles that RDS has, reachable by a private socket only."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from local.postgres.archive import COMMAND, Archive, copy_tree
from local.postgres.distribution import copied

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from local.processes import Process, Processes

SUPERUSER = "rdsadmin"
PORT = 5432
_START_SECONDS = 30.0
_RECOVERY_SECONDS = 300.0
# Small, because a segment is archived whole however little is in it.
_SEGMENT_MEGABYTES = 4

# Durability is of no use to a database that ends with its instance.
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "60",
    "track_commit_timestamp": "on",
    "shared_buffers": "32MB",
    "log_line_prefix": "%m %u@%d ",
    "archive_mode": "on",
    "archive_command": COMMAND,
}
# PostgreSQL's words where all WAL ends before the target: nothing was committed after it.
_ENDED_EARLIER = b"recovery ended before configured recovery target was reached"


class DatabaseStartFailed(Exception):
    """PostgreSQL did not start; the message names its log."""


@dataclass(frozen=True)
class Account:
    """What kind of login the server keeps for a user; see `Server.account`."""

    superuser: bool
    in_rds_iam: bool
    member_seconds: float | None = None
    """Since it was made a member of ``rds_iam`` itself; None where that cannot be known."""


class Server:
    """PostgreSQL of one Aurora cluster; data and socket are in a scratch directory."""

    def __init__(self, name: str, *, distribution: Path, processes: Processes, log: Path) -> None:
        """Take the unpacked `distribution` (with `bin/postgres`) and where to log."""
        self._name = name
        self._processes = processes
        self._log = log
        self._user = _unprivileged_user()
        # Not below the instance's root: a socket's path may have 107 bytes at most, and a server
        # that runs as another user may not be able to enter it.
        self.scratch = Path(tempfile.mkdtemp(prefix="camunda-pg-", dir="/tmp"))
        self._data = self.scratch / "data"
        self._archive = Archive(self.scratch / "archive")
        self._distribution = self._enterable(distribution)
        if self._user:
            os.chown(self.scratch, *self._user)
        self._process: Process | None = None

    @property
    def socket(self) -> Path:
        """Unix socket; only this user (and, as root, the server's) can reach it."""
        return self.scratch / f".s.PGSQL.{PORT}"

    @property
    def running(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.poll() is None

    def create(self, *, admin: str, password: str, database: str) -> None:
        """Make the data directory, start, and make roles and database as RDS does.

        The admin is what RDS's master user is: owner of the database, no superuser, CREATEROLE,
        CREATEDB, member of ``rds_superuser`` and able to grant ``rds_iam``. Raises
        ``DatabaseStartFailed``.
        """
        self._run_initdb()
        quoted = f'"{admin.replace(chr(34), chr(34) * 2)}"'
        # The front authenticates peers: a member of rds_iam that it lets pass has shown a
        # token. The admin comes first, because the right to grant rds_iam is a membership too.
        (self._data / "pg_hba.conf").write_text(
            f"local all {SUPERUSER} trust\n"
            f"local all {quoted} scram-sha-256\n"
            "local all +rds_iam trust\n"
            "local all all scram-sha-256\n"
        )
        self._archive.begin(self._data, self._user)
        self.start()
        with self.connect() as connection:
            for statement in (
                sql.SQL("CREATE ROLE rds_iam NOLOGIN"),
                sql.SQL("CREATE ROLE rds_superuser NOLOGIN"),
                sql.SQL("GRANT pg_monitor, pg_signal_backend TO rds_superuser"),
                sql.SQL("CREATE ROLE {admin} LOGIN CREATEROLE CREATEDB PASSWORD {password}"),
                sql.SQL("GRANT rds_superuser TO {admin}"),
                sql.SQL("GRANT rds_iam TO {admin} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE"),
                sql.SQL("CREATE DATABASE {database} OWNER {admin}"),
            ):
                connection.execute(
                    statement.format(
                        admin=sql.Identifier(admin),
                        password=sql.Literal(password),
                        database=sql.Identifier(database),
                    )
                )

    def capture(self, target: Path) -> Archive:
        """Give an archive in `target` of everything that has been committed; the server goes on.

        Raises ConnectionError if it runs and does not answer.
        """
        if self.running:
            try:
                with self.connect() as connection:
                    connection.execute("SET synchronous_commit TO on")
                    # A commit of its own: recovery to an instant needs one that is later.
                    connection.execute("SELECT pg_current_xact_id()")
                    connection.execute("SELECT pg_switch_wal()")
            except psycopg.OperationalError as error:
                raise ConnectionError(f"{self._name} does not answer") from error
        return self._archive.capture(target, self._data, self._user)

    def restore(self, source: Archive, until: datetime) -> None:
        """Make the data directory what `source` was at `until`, and start.

        Everything that was committed at that instant or before is there, nothing after it, and the
        roles have the passwords of that time. Raises ``DatabaseStartFailed``.
        """
        target = {
            "recovery_target_time": until.isoformat(),
            "recovery_target_action": "promote",
        }
        size = self._log.stat().st_size if self._log.exists() else 0
        try:
            self._recover(source, target)
        except DatabaseStartFailed:
            if _ENDED_EARLIER not in self._log.read_bytes()[size:]:
                raise
            self._recover(source, {})
        self.stop()
        # From here on it has WAL of its own, and can be brought to no earlier instant.
        self._archive.begin(self._data, self._user)
        self.start()

    def _recover(self, source: Archive, target: Mapping[str, str]) -> None:
        self.stop()
        shutil.rmtree(self._data, ignore_errors=True)
        copy_tree(source.base, self._data)
        (self._data / "recovery.signal").touch()
        self._launch(
            {
                **_SETTINGS,
                **target,
                "restore_command": source.restore_command,
                "archive_mode": "off",
                # No connection is accepted before it has reached the target.
                "hot_standby": "off",
            },
            _RECOVERY_SECONDS,
        )

    def set_password(self, user: str, password: str) -> None:
        """Give a user another password, as RDS does for the master user."""
        with self.connect() as connection:
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
            connection.execute(statement.format(sql.Identifier(user), sql.Literal(password)))

    def start(self) -> None:
        """Start and wait until connections are taken. Raises ``DatabaseStartFailed``."""
        if not self.running:
            self._launch(_SETTINGS, _START_SECONDS)

    def _launch(self, settings: Mapping[str, str], seconds: float) -> None:
        command = [str(self._distribution / "bin" / "postgres"), "-D", str(self._data)]
        for name, value in {**settings, "unix_socket_directories": str(self.scratch)}.items():
            command += ["-c", f"{name}={value}"]
        process = self._processes.spawn(
            self._name,
            command,
            environment=_ENVIRONMENT,
            log=self._log,
            directory=self.scratch,
            user=self._user,
        )
        self._process = process
        deadline = time.monotonic() + seconds
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise DatabaseStartFailed(f"{self._name} did not start; see {self._log}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop at once, rolling back what is under way; data stays for `start`."""
        if self._process is None:
            return
        if self._process.poll() is None:
            # PostgreSQL's SIGTERM waits for every client to leave; SIGINT is its fast shutdown.
            os.kill(self._process.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
        self._process.stop()
        self._process = None

    def abandon(self) -> None:
        """Begin to end the server at once, without a checkpoint: `remove` follows."""
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGQUIT)

    def remove(self) -> None:
        """Stop and delete everything."""
        if self._process is not None:
            self.abandon()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
            self._process.stop()
            self._process = None
        shutil.rmtree(self.scratch, ignore_errors=True)

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Connect as the superuser, who on RDS is AWS itself."""
        return psycopg.connect(
            host=str(self.scratch),
            hostaddr="",  # not PGHOSTADDR, which may be set for clients of the front
            port=PORT,
            user=SUPERUSER,
            dbname=database,
            sslmode="disable",
            connect_timeout=5,
            autocommit=True,
        )

    def account(self, user: str) -> Account | None:
        """Look a user up; None if there is none. Raises ConnectionError without a response."""
        try:
            with self.connect() as connection:
                row = connection.execute(
                    "SELECT u.rolsuper, coalesce(pg_has_role(u.oid, i.oid, 'MEMBER'), false),"
                    " (SELECT max(extract(epoch FROM now() - pg_xact_commit_timestamp(m.xmin)))"
                    " FROM pg_auth_members m WHERE m.member = u.oid AND m.roleid = i.oid)"
                    " FROM pg_roles u LEFT JOIN pg_roles i ON i.rolname = 'rds_iam'"
                    " WHERE u.rolname = %s",
                    [user],
                ).fetchone()
        except psycopg.OperationalError as error:
            raise ConnectionError(f"{self._name} does not answer") from error
        if row is None:
            return None
        superuser, in_rds_iam, seconds = row
        return Account(superuser, in_rds_iam, None if seconds is None else float(seconds))

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _run_initdb(self) -> None:
        uid, gid = self._user or (None, None)
        result = subprocess.run(
            [
                str(self._distribution / "bin" / "initdb"),
                f"--pgdata={self._data}",
                f"--username={SUPERUSER}",
                "--auth=reject",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                f"--wal-segsize={_SEGMENT_MEGABYTES}",
            ],
            env=_ENVIRONMENT,
            cwd=self.scratch,
            user=uid,
            group=gid,
            extra_groups=[] if self._user else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise DatabaseStartFailed(f"initdb failed: {result.stderr.strip()}")

    def _enterable(self, distribution: Path) -> Path:
        """Give a distribution that the server's user can run: this one, or a copy."""
        executable = (distribution / "bin" / "postgres").resolve()
        if self._user is None or all(
            path.stat().st_mode & stat.S_IXOTH for path in (executable, *executable.parents)
        ):
            return distribution
        return copied(distribution, self.scratch / "distribution")


_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _unprivileged_user() -> tuple[int, int] | None:
    """PostgreSQL refuses to run as root; other users run it directly (None)."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
