"""Makes real databases follow the Aurora clusters in the emulator.

A cluster that a stack creates gets a server with its admin, password and database name, under its
endpoint's name as soon as it has an instance; `aws rds stop-db-cluster` and `start-db-cluster` stop
and start the server; a deleted cluster takes its server with it. Snapshots hold what had been
committed when they were requested, and outlive their cluster. A restored cluster has a server of
its own with the data and the users of that time.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.authority import Authority
from local.aws import databases
from local.aws.strict import Strictness, iam_login_settles
from local.aws.strict.database_instances import has_instances
from local.aws.strict.database_port import is_let_in
from local.postgres.distribution import distribution
from local.postgres.front import Backend, Front
from local.postgres.server import DatabaseStartFailed, Server
from local.postgres.tokens import IamDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.aws.databases import Snapshot, Source
    from local.component import Instance
    from local.postgres.archive import Archive

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_PORT = 5432
# States in which Aurora answers; any other takes the server down or leaves it down.
_SERVING = frozenset({"creating", "available", "modifying", "backing-up"})


@dataclass(frozen=True)
class Cluster:
    """What the emulator knows of an Aurora cluster."""

    identifier: str
    resource_id: str
    status: str
    endpoint: str
    reader_endpoint: str
    port: int
    database: str
    admin: str
    password: str
    iam_enabled: bool
    let_in: bool = True
    """Whether its security groups allow any access to its port."""
    has_instances: bool = True
    """Whether anything answers at its endpoints."""
    password_changes: int = 0
    """How often RDS was requested to set the password."""
    source: Source | None = None
    """What its data is restored from; None for a new or a finished cluster."""

    @classmethod
    def of(cls, record: dict[str, Any]) -> Cluster:
        """Read the emulator's record, the only place that holds the password as deployed."""
        return cls(
            identifier=record["DBClusterIdentifier"],
            resource_id=record["DbClusterResourceId"],
            status=record["Status"],
            endpoint=record["Endpoint"].lower(),
            reader_endpoint=record["ReaderEndpoint"].lower(),
            port=int(record["Port"]),
            database=record["DatabaseName"] or "postgres",
            admin=record["MasterUsername"],
            password=record["_MasterUserPassword"],
            iam_enabled=bool(record["IAMDatabaseAuthenticationEnabled"]),
            let_in=is_let_in(record),
            has_instances=has_instances(record),
            password_changes=record.get("_PasswordChanges", 0),
            source=record.get("_Source"),
        )


@dataclass
class _Database:
    """A cluster and its server."""

    cluster: Cluster
    server: Server
    password: tuple[str, int]
    """Of its admin as it was set last, and how many changes that includes."""
    published: bool = False
    """Whether its endpoints have addresses: from its first instance to its last."""
    restored_at: float | None = None
    """Monotonic seconds; None for one that began empty."""
    awaits_instances: bool = False
    """Whether it runs and accepts no connection: a new one, until its first instance."""


class PostgresComponent:
    """The databases of one instance; see `local.component.Component`."""

    def __init__(
        self,
        instance: Instance,
        clusters: Callable[[], Sequence[Cluster]] | None = None,
        snapshots: Callable[[], Sequence[Snapshot]] | None = None,
    ) -> None:
        self._instance = instance
        self._strictness = Strictness(instance)
        self._clusters = clusters or _clusters
        self._snapshots = snapshots or databases.snapshots
        self._directory = instance.config.database_ca.parent
        self._fronts = {_PORT: Front(instance.config.database_address, _PORT)}
        # Its own, as RDS has roots of its own, which no other client trusts.
        self._authority = Authority("Local database root CA")
        self._databases: dict[str, _Database] = {}
        self._failed: set[str] = set()
        self._kept: dict[str, Archive] = {}
        """Data of snapshots by their keys."""
        self._keeping = Path()
        self._distribution = Path()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="postgres", daemon=True)

    def start(self) -> None:
        """Write the authority's certificate, listen, and follow clusters in a thread.

        Raises OSError if the address is in use and NoPostgresError without PostgreSQL.
        """
        self._remove_leftovers()
        self._distribution = distribution()
        self._instance.config.database_ca.write_bytes(self._authority.pem)
        self._fronts[_PORT].start()
        # Its servers read what is in there, each as the user that made it.
        self._keeping = Path(tempfile.mkdtemp(prefix="camunda-pg-snapshots-", dir="/tmp"))
        self._keeping.chmod(0o711)
        (self._directory / "snapshots").symlink_to(self._keeping)
        databases.followed.set()
        self._thread.start()

    def stop(self) -> None:
        """Stop following, listening and every server."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        databases.followed.clear()
        for front in self._fronts.values():
            front.stop()
        # All at once: who stops the instance does not wait for one after the other.
        for database in self._databases.values():
            database.server.abandon()
        for resource_id in list(self._databases):
            self._remove(resource_id)
        if self._keeping != Path():
            shutil.rmtree(self._keeping, ignore_errors=True)
            (self._directory / "snapshots").unlink(missing_ok=True)

    def _follow(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                # In this order: what is deleted after its last snapshot is still in the first.
                clusters = self._clusters()
                self._reconcile(clusters, self._snapshots())
            except Exception:
                # The next round sees the clusters anew; a dead follower would see none ever.
                logger.exception("following Aurora clusters")

    def _reconcile(self, clusters: Sequence[Cluster], snapshots: Sequence[Snapshot]) -> None:
        """Reconcile the servers with `clusters`, and the kept data with `snapshots`, once."""
        wanted = {cluster.resource_id: cluster for cluster in clusters}
        # Before anything is stopped or deleted of which a snapshot was requested.
        for snapshot in snapshots:
            there = snapshot.cluster in self._databases
            comes = snapshot.cluster in wanted and snapshot.cluster not in self._failed
            if snapshot.pending and (there or not comes):
                self._capture(snapshot)
        for resource_id, cluster in wanted.items():
            try:
                if resource_id in self._databases:
                    self._change(self._databases[resource_id], cluster)
                elif resource_id not in self._failed:
                    self._create(cluster)
            except (DatabaseStartFailed, ConnectionError):
                if resource_id not in self._databases:
                    self._failed.add(resource_id)
                    databases.served(resource_id, complete=False)
                logger.exception("no database for %s", cluster.identifier)
        for resource_id in self._databases.keys() - wanted.keys():
            self._remove(resource_id)
        for key in self._kept.keys() - {snapshot.key for snapshot in snapshots}:
            self._kept.pop(key).remove()

    def _change(self, database: _Database, cluster: Cluster) -> None:
        """Stop or start its server, and serve it under its names, as `cluster` is now."""
        server = database.server
        if cluster.has_instances:
            database.awaits_instances = False
        reachable = cluster.has_instances or database.awaits_instances
        if server.running and not (reachable and cluster.status in _SERVING):
            server.stop()
            logger.info("stopped the database of %s", cluster.identifier)
        elif reachable and cluster.status == "available":
            server.start()
        wanted = (cluster.password, cluster.password_changes)
        # What could not be set yet is set once it runs.
        if server.running and wanted != database.password:
            server.set_password(cluster.admin, cluster.password)
            database.password = wanted
        database.cluster = cluster
        if cluster.has_instances and not database.published:
            self._publish(database)
        elif not cluster.has_instances and database.published:
            self._withdraw(database)

    def _create(self, cluster: Cluster) -> None:
        server = Server(
            f"postgres-{cluster.identifier}",
            distribution=self._distribution,
            processes=self._instance.processes,
            log=self._instance.config.logs / f"postgres-{cluster.identifier}.log",
        )
        # Found again by the next start if this process is killed.
        self._link(cluster.resource_id).symlink_to(server.scratch)
        try:
            if cluster.source:
                self._restore(server, cluster.source)
            else:
                server.create(
                    admin=cluster.admin, password=cluster.password, database=cluster.database
                )
        except BaseException:
            server.remove()
            self._link(cluster.resource_id).unlink()
            raise
        database = _Database(
            cluster,
            server,
            (cluster.password, cluster.password_changes),
            restored_at=time.monotonic() if cluster.source else None,
            awaits_instances=cluster.source is None,
        )
        self._databases[cluster.resource_id] = database
        databases.served(cluster.resource_id, complete=True)
        logger.info("database of %s is up: %s", cluster.identifier, cluster.endpoint)
        self._change(database, cluster)

    def _restore(self, server: Server, source: Source) -> None:
        """Raises DatabaseStartFailed."""
        if source.snapshot:
            if source.snapshot not in self._kept:
                raise DatabaseStartFailed("the snapshot that it is restored from is gone")
            server.restore(self._kept[source.snapshot], source.until)
            return
        if source.cluster not in self._databases:
            raise DatabaseStartFailed("the cluster that it is restored from is gone")
        archive = self._databases[source.cluster].server.capture(server.scratch / "source")
        server.restore(archive, source.until)
        archive.remove()

    def _capture(self, snapshot: Snapshot) -> None:
        archive = None
        if database := self._databases.get(snapshot.cluster):
            try:
                archive = database.server.capture(self._keeping / snapshot.key)
            except (ConnectionError, OSError, subprocess.CalledProcessError):
                logger.exception("no snapshot of %s", database.cluster.identifier)
        if archive:
            self._kept[snapshot.key] = archive
        databases.captured(snapshot.key, complete=archive is not None)

    def _publish(self, database: _Database) -> None:
        cluster = database.cluster
        names = (cluster.endpoint, cluster.reader_endpoint)
        iam = IamDatabase(cluster.endpoint, cluster.port, cluster.resource_id)
        backend = Backend(
            context=self._authority.server_context(names),
            socket=database.server.socket,
            admin=cluster.admin,
            account=database.server.account,
            refusal=iam.refusal if cluster.iam_enabled else _iam_disabled,
            settles=lambda seconds: (
                self._strictness.on(iam_login_settles.NAME)
                and iam_login_settles.settles(_authorised_seconds(database, seconds))
            ),
        )
        for name in names:
            if cluster.let_in:
                self._front(cluster.port).publish(name, backend)
            self._instance.names.set(name, [self._instance.config.database_address])
        if not cluster.let_in and cluster.port not in self._fronts:
            # As on AWS: connection attempts get no response at all.
            self._instance.names.block(self._instance.config.database_address, cluster.port)
            logger.warning(
                "no security group rule allows access to the port of %s", cluster.identifier
            )
        database.published = True

    def _withdraw(self, database: _Database) -> None:
        cluster = database.cluster
        for name in (cluster.endpoint, cluster.reader_endpoint):
            if cluster.port in self._fronts:
                self._fronts[cluster.port].withdraw(name)
            self._instance.names.remove(name)
        database.published = False

    def _remove(self, resource_id: str) -> None:
        database = self._databases.pop(resource_id)
        self._withdraw(database)
        database.server.remove()
        self._link(resource_id).unlink(missing_ok=True)

    def _front(self, port: int) -> Front:
        """Where databases of that port are served; the deployed one from the beginning."""
        if port not in self._fronts:
            address = self._instance.config.database_address
            self._fronts[port] = Front(address, port)
            self._instance.names.unblock(address, port)
            self._fronts[port].start()
        return self._fronts[port]

    def _link(self, resource_id: str) -> Path:
        return self._directory / resource_id

    def _remove_leftovers(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        for link in self._directory.iterdir():
            if link.is_symlink():
                shutil.rmtree(link.readlink(), ignore_errors=True)
                link.unlink()


def component(instance: Instance) -> PostgresComponent:
    """Give the component of `instance`, not started yet."""
    return PostgresComponent(instance)


def _clusters() -> list[Cluster]:
    found = []
    for record in databases.clusters():
        # Half-made while CloudFormation is at it; complete by the next round.
        with contextlib.suppress(KeyError):
            found.append(Cluster.of(record))
    return found


def _authorised_seconds(database: _Database, member_seconds: float | None) -> float | None:
    """Since when a user may have been allowed to connect: to a restored cluster not before that.

    A policy names the resource id, which no cluster had before.
    """
    if database.restored_at is None:
        return member_seconds
    there = time.monotonic() - database.restored_at
    return there if member_seconds is None else min(there, member_seconds)


def _iam_disabled(_user: str, _token: str) -> str:
    return "IAMDatabaseAuthenticationDisabled"
