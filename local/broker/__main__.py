"""Run one broker until SIGTERM, with the environment of its container; or restore its node."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if os.environ.get("CAMUNDA_SECURITY_AUTHENTICATION_METHOD", "basic").lower() == "basic":
    # PySyncObj imports it for passwords between its nodes, which are not used: 8 MB a process.
    # Tokens are verified with it.
    sys.modules["cryptography"] = None  # type: ignore[assignment]

from local.broker import identity, restore
from local.broker import settings as reading
from local.broker.backups import Backups
from local.broker.broker import Broker
from local.broker.memory import NotEnoughMemory, check
from local.broker.node_ids import NodeIds, s3_client
from local.broker.secondary_storage import SecondaryStorage
from local.https import direct
from local.names import Names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.broker.issuer import Issuer


def main() -> int:
    """Start the broker that the environment describes; give the exit code of the process."""
    parser = argparse.ArgumentParser(prog="python -m local.broker", description=__doc__)
    parser.add_argument("--version", required=True, help="the image's tag")
    parser.add_argument("--address", required=True, help="address of the network interface")
    parser.add_argument("--memory", type=int, default=0, help="MiB that the task has; 0: no limit")
    parser.add_argument("--names", type=Path, help="name resolution of the VPC")
    parser.add_argument(
        "--restore",
        nargs=argparse.REMAINDER,
        help="restore this node from a backup instead; what follows is for bin/restore",
    )
    given = parser.parse_args()
    names = given.names
    aliases = os.environ.get("SERVICE_CONNECT_FILE")

    def resolve(name: str) -> Sequence[str]:
        """Give the addresses of a name: Service Connect's first, then the VPC's."""
        found: list[str] = []
        if aliases:
            found = json.loads(Path(aliases).read_text()).get(name, [])
        if not found and names:
            found = json.loads(names.read_text())["hosts"].get(name.lower(), [])
        return found or [name]

    try:
        settings = reading.read(
            os.environ, version=given.version, address=given.address, memory_mib=given.memory
        )
        restoring = given.restore is not None or os.environ.get("ZEEBE_RESTORE") == "true"
        if not restoring:
            check(settings)
        s3 = s3_client()
        node_ids = NodeIds(
            s3,
            settings.lease_bucket,
            cluster_size=settings.cluster_size,
            lease_seconds=settings.lease_seconds,
            task_id=str(uuid.uuid4()),
        )
        storage = SecondaryStorage(settings.environment, resolve)
        bucket = os.environ.get("CAMUNDA_DATA_PRIMARYSTORAGE_BACKUP_S3_BUCKETNAME")
        backups = Backups(s3, bucket) if bucket else None
        if restoring:
            wanted = restore.read(given.restore or restore.of_environment(os.environ))
            progress = restore.Progress(s3, settings.lease_bucket, wanted.restore_id)
            sources = restore.Sources(backups, storage)
            stop = threading.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            return restore.run(settings, wanted, node_ids, progress, sources, stop=stop)
        issuer = _issuer(settings, names)
        return Broker(settings, node_ids, storage, backups, resolve, issuer=issuer).run()
    except restore.RestoreRefused as error:
        print(f"The restore failed: {error}", file=sys.stderr, flush=True)
        return 1
    except (reading.InvalidSetting, NotEnoughMemory, OSError) as error:
        print(f"The broker cannot start: {error}", file=sys.stderr, flush=True)
        return 1


def _issuer(settings: reading.Settings, names: Path | None) -> Issuer | None:
    """Give the issuer of the environment, which has to answer now. Raises InvalidSetting."""
    oidc = identity.read(settings.environment, settings.dialect)
    if oidc is None:
        return None
    identity.initial(settings.environment)
    from local.broker.issuer import Issuer

    return Issuer(oidc, Names(names).reach if names else direct)


if __name__ == "__main__":
    sys.exit(main())
