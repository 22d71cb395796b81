"""A running cluster in memory of which backups are taken: brokers, their backups, snapshots."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lifecycle.adapters.aws.lambda_probe import asked
from lifecycle.backup.change import BackupChanger
from lifecycle.backup.delete import BackupDeleter
from lifecycle.backup.former import FormerDataDeleter, FormerDataPlanner
from lifecycle.backup.probe import BackupProber
from lifecycle.backup.take import BackupTaker
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.errors import ProbeFailed

from tests.fakes.former_data import FakeFormerData
from tests.fakes.rds import FakeDatabaseBackups, FakeSizes
from tests.fakes.storage import FakeStorage
from tests.support.beginning import begin_operation
from tests.support.definitions import Function, load_handler
from tests.support.rolling import VERIFIED, RollingWorld
from tests.support.scaling import SETTINGS
from tests.support.world import CONTROL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.operation.model import Operation

OUTPUTS = {"DatabaseClusterId": "database-1", "ContinuousBackup": "true"}


@dataclass
class DirectBackups:
    """Both functions inside the VPC, without a network between: JSON goes in and out.

    ``down`` is why neither answers.
    """

    world: BackupWorld
    down: str = ""

    def query(
        self, question: str, cluster: Mapping[str, str], **arguments: object
    ) -> Mapping[str, Any]:
        if self.down:
            raise ProbeFailed(self.down)
        given: dict[str, Any] = json.loads(json.dumps(arguments))
        known = ClusterOutputs(cluster)
        changer = BackupChanger(
            management=lambda _: self.world.management, journal=self.world.journal
        )
        prober = BackupProber(management=lambda _: self.world.management)
        if question == "backups":
            seen: Mapping[str, Any] = json.loads(json.dumps(prober.query(known, **given)))
            return seen
        change = load_handler("change_backups", backup_changer=lambda: changer)
        event = json.loads(json.dumps(asked(question, cluster, given)))
        answer: Mapping[str, Any] = json.loads(json.dumps(change(event)))
        return answer


class BackupWorld(RollingWorld):
    """A cluster with a database of its own."""

    def __init__(self, brokers: int = 3, **outputs: str) -> None:
        super().__init__(brokers)
        self.declare(**{**OUTPUTS, **outputs})
        stack = self.stacks.stack
        assert stack is not None
        self.stacks.stack = replace(stack, outputs=self.outputs)
        self.databases = FakeDatabaseBackups(
            now=self.clock.now,
            created=datetime.fromisoformat(stack.created_at) + timedelta(minutes=5),
        )
        self.former = FakeFormerData()
        self.storage = FakeStorage()
        self.sizes = FakeSizes()
        self.verification: dict[str, Any] = dict(VERIFIED)
        self.inside = DirectBackups(self)
        self.brokers.starts = self.clock.now() - timedelta(seconds=self.brokers.now)

    @property
    def backup_taker(self) -> BackupTaker:
        return BackupTaker(
            probe=self.inside,
            databases=self.databases,
            changes=self.inside,
            journal=self.journal,
            control_stack=CONTROL,
        )

    @property
    def backup_deleter(self) -> BackupDeleter:
        return BackupDeleter(
            probe=self.inside,
            databases=self.databases,
            changes=self.inside,
            journal=self.journal,
            control_stack=CONTROL,
        )

    @property
    def former_planner(self) -> FormerDataPlanner:
        return FormerDataPlanner(
            former=self.former,
            databases=self.databases,
            sizes=self.sizes,
            records=self.table,
            control_stack=CONTROL,
        )

    @property
    def former_deleter(self) -> FormerDataDeleter:
        return FormerDataDeleter(former=self.former, storage=self.storage, journal=self.journal)

    def take(
        self, operation: Operation, *, looks: int = 500, forget: bool = False, **request: object
    ) -> dict[str, Any]:
        """Look and wait as the state machine does; with ``forget`` every look is made twice."""
        memory: Mapping[str, Any] = {}
        for _ in range(looks):
            if forget:
                # The function did it, and its answer was lost.
                self.backup_taker.take(operation, self.outputs, request=request, memory=memory)
            answer = self.backup_taker.take(operation, self.outputs, request=request, memory=memory)
            memory = json.loads(json.dumps(answer["memory"]))
            if answer["status"] != "WAITING":
                return answer
            self.pass_seconds(answer["wait"])
        raise AssertionError(answer)


def backup_functions(world: BackupWorld) -> dict[str, Function]:
    """The functions of the backup machine on a world."""
    return {
        "ValidateBackup": load_handler(
            "validate_backup",
            settings=lambda: SETTINGS,
            stacks=lambda: world.stacks,
            former_data_planner=lambda: world.former_planner,
        ),
        "BeginOperation": begin_operation(world),
        "ReadCluster": lambda _: dict(world.outputs),
        "TakeBackup": load_handler("take_backup", backup_taker=lambda: world.backup_taker),
        "DeleteBackups": load_handler(
            "delete_backups", backup_deleter=lambda: world.backup_deleter
        ),
        "VerifyCluster": lambda _: dict(world.verification),
        "DeleteFormerData": load_handler(
            "delete_former_data", former_data_deleter=lambda: world.former_deleter
        ),
        "FinishOperation": load_handler("finish_operation", finisher=lambda: world.finisher),
    }
