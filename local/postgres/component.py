"""Makes real databases follow the Aurora clusters in the emulator.

A cluster that a stack creates gets a server with its admin, password and database name, under its
endpoint's name; `aws rds stop-db-cluster` and `start-db-cluster` stop and start the server; a
deleted cluster takes its server with it.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.aws.emulator import rds, responses
from local.aws.strict import Strictness, iam_login_settles
from local.aws.strict.database_port import is_let_in
from local.config import ACCOUNT_ID, REGION
from local.postgres.authority import Authority
from local.postgres.distribution import distribution
from local.postgres.front import Backend, Front
from local.postgres.server import DatabaseStartFailed, Server
from local.postgres.tokens import IamDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.component import Instance

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
        )


class PostgresComponent:
    """The databases of one instance; see `local.component.Component`."""

    def __init__(
        self, instance: Instance, clusters: Callable[[], Sequence[Cluster]] | None = None
    ) -> None:
        self._instance = instance
        self._strictness = Strictness(instance)
        self._clusters = clusters or _clusters
        self._directory = instance.config.database_ca.parent
        self._fronts = {_PORT: Front(instance.config.database_address, _PORT)}
        self._authority = Authority()
        self._servers: dict[str, tuple[Cluster, Server]] = {}
        self._failed: set[str] = set()
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
        self._thread.start()

    def stop(self) -> None:
        """Stop following, listening and every server."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for front in self._fronts.values():
            front.stop()
        for cluster, _ in list(self._servers.values()):
            self._remove(cluster)

    def _follow(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            try:
                self._reconcile(self._clusters())
            except Exception:
                # The next round sees the clusters anew; a dead follower would see none ever.
                logger.exception("following Aurora clusters")

    def _reconcile(self, clusters: Sequence[Cluster]) -> None:
        """Reconcile the servers with `clusters`, once."""
        wanted = {cluster.resource_id: cluster for cluster in clusters}
        for resource_id, (cluster, _) in list(self._servers.items()):
            if resource_id not in wanted:
                self._remove(cluster)
        for resource_id, cluster in wanted.items():
            known = self._servers.get(resource_id)
            try:
                if known is None and resource_id not in self._failed:
                    self._create(cluster)
                elif known is not None and cluster.status not in _SERVING and known[1].running:
                    known[1].stop()
                    logger.info("stopped the database of %s", cluster.identifier)
                elif known is not None and cluster.status == "available":
                    known[1].start()
            except DatabaseStartFailed:
                self._failed.add(resource_id)
                logger.exception("no database for %s", cluster.identifier)

    def _create(self, cluster: Cluster) -> None:
        server = Server(
            f"postgres-{cluster.identifier}",
            distribution=self._distribution,
            processes=self._instance.processes,
            log=self._instance.config.logs / f"postgres-{cluster.identifier}.log",
        )
        # Found again by the next start if this process is killed.
        self._link(cluster).symlink_to(server.scratch)
        try:
            server.create(admin=cluster.admin, password=cluster.password, database=cluster.database)
        except BaseException:
            server.remove()
            self._link(cluster).unlink()
            raise
        names = (cluster.endpoint, cluster.reader_endpoint)
        iam = IamDatabase(cluster.endpoint, cluster.port, cluster.resource_id)
        backend = Backend(
            context=self._authority.server_context(names),
            socket=server.socket,
            admin=cluster.admin,
            account=server.account,
            refusal=iam.refusal if cluster.iam_enabled else _iam_disabled,
            settles=lambda seconds: (
                self._strictness.on(iam_login_settles.NAME) and iam_login_settles.settles(seconds)
            ),
        )
        self._servers[cluster.resource_id] = (cluster, server)
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
        logger.info("database of %s is up: %s", cluster.identifier, cluster.endpoint)

    def _remove(self, cluster: Cluster) -> None:
        for name in (cluster.endpoint, cluster.reader_endpoint):
            if cluster.port in self._fronts:
                self._fronts[cluster.port].withdraw(name)
            self._instance.names.remove(name)
        _, server = self._servers.pop(cluster.resource_id)
        server.remove()
        self._link(cluster).unlink(missing_ok=True)

    def _front(self, port: int) -> Front:
        """Where databases of that port are served; the deployed one from the beginning."""
        if port not in self._fronts:
            address = self._instance.config.database_address
            self._fronts[port] = Front(address, port)
            self._fronts[port].start()
            self._instance.names.unblock(address, port)
        return self._fronts[port]

    def _link(self, cluster: Cluster) -> Path:
        return self._directory / cluster.resource_id

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
    with responses.request_scope(ACCOUNT_ID, REGION):
        records = list(rds.clusters.values())
    found = []
    for record in records:
        # Half-made while CloudFormation is at it; complete by the next round.
        with contextlib.suppress(KeyError):
            found.append(Cluster.of(record))
    return found


def _iam_disabled(_user: str, _token: str) -> str:
    return "IAMDatabaseAuthenticationDisabled"
