"""The REST API on the fakes, asked as API Gateway asks the function."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from lifecycle.api.app import Api
from lifecycle.api.clusters import ClusterReader
from lifecycle.api.freezing import Freezer
from lifecycle.api.validate import StartValidation
from lifecycle.backup.read import BackupReader
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.slots import Limiter
from lifecycle.cluster.stack import Stack
from lifecycle.health.read import HealthReader
from lifecycle.kept.read_kept import KeptReader
from lifecycle.kept.ways_back import WaysBack
from lifecycle.observability import of_aws
from lifecycle.operation.arns import MachineArns
from lifecycle.operation.cancel import OperationCanceller
from lifecycle.operation.read import OperationReader
from lifecycle.operation.record import Execution
from lifecycle.operation.report_links import ReportLinker
from lifecycle.operation.resume import OperationResumer
from lifecycle.operation.start import OperationStarter
from lifecycle.operation.steps import STEPS
from lifecycle.plans.approve import ProvisionApproval
from lifecycle.plans.read import PlanReader
from lifecycle.restore.listed import ListedRestores
from lifecycle.wiring.common import reviewed

from tests.fakes.health_table import FakeHealth
from tests.fakes.rds import FakeDatabaseBackups, FakeSizes
from tests.fakes.restored_databases import FakeRestoredDatabases
from tests.fakes.slots import FakeSlots
from tests.fakes.stepfunctions import FakeChecks
from tests.support.beginning import approver
from tests.support.declared import in_clear
from tests.support.world import CONTROL, OUTPUTS, REGISTRIES, World
from tools.generate_openapi import document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ARNS = MachineArns("aws", "eu-central-1", "123456789012", CONTROL)
DOCUMENT = document()
CALLER = "arn:aws:iam::123456789012:user/ada"


@dataclass
class ApiWorld:
    """A world with an API in front of it."""

    world: World = field(default_factory=World)
    # Stands between the use case and a fake; a test may interrupt there.
    between: Callable[[Any], Any] = lambda fake: fake
    keys: Any = field(default_factory=lambda: (f"generated-{n}" for n in itertools.count(1)))

    # What API Gateway says of callers, if not their ARN alone.
    identity: dict[str, Any] | None = None

    checks: FakeChecks = field(default_factory=FakeChecks)
    restored: FakeRestoredDatabases = field(default_factory=FakeRestoredDatabases)
    sizes: FakeSizes = field(default_factory=FakeSizes)
    slots: FakeSlots = field(default_factory=FakeSlots)
    reads: FakeSlots = field(default_factory=FakeSlots)
    calls: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.health = FakeHealth(self.world.table.locks, freezes=self.world.table.freezes)
        for verb in ("plan", *STEPS):
            self.world.executions.machines.add(ARNS.machine(verb))
        self.world.probe.answers["overview"] = {
            "members": None,
            "pendingChange": None,
            "topology": None,
            "problems": [],
        }
        self.world.probe.answers["backups"] = {"seen": None, "problem": "no broker answers"}

    @property
    def databases(self) -> FakeDatabaseBackups:
        return FakeDatabaseBackups(now=self.world.clock.now)

    @property
    def operations(self) -> OperationReader:
        return OperationReader(machines=self.world.executions, records=self.world.table, arns=ARNS)

    @property
    def starter(self) -> OperationStarter:
        return OperationStarter(
            machines=self.between(self.world.executions),
            records=self.between(self.world.table),
            journal=replace(self.world.journal, locks=self.between(self.world.table)),
            arns=ARNS,
            validators=StartValidation(
                stacks=self.world.stacks,
                control_stack=CONTROL,
                declarations=in_clear(),
                probe=self.world.probe,
                registries=REGISTRIES,
            ).by_verb(),
            approve=self.approve,
            new_key=lambda: str(next(self.keys)),
        )

    def approve(self, verb: str, request: Mapping[str, Any], caller: str) -> None:
        """Refuse as the function does."""
        review = reviewed(verb, {"cluster": request["clusterName"], **request})
        if review is not None:
            approver(self.world).refuse_request(verb, review, caller)

    def approve_again(self, verb: str, request: Mapping[str, Any], caller: str) -> None:
        """Refuse to let go on as the function does."""
        self.approve(verb, request, caller)
        if verb == "provision":
            ProvisionApproval(self.world.stacks, approver(self.world), CONTROL).refuse_request(
                request, caller
            )

    def limiter(self, slots: FakeSlots) -> Limiter:
        """Two calls at once."""
        return Limiter(
            slots=slots,
            clock=self.world.clock,
            new_token=lambda: f"call-{next(self.calls)}",
            most=2,
        )

    @property
    def api(self) -> Api:
        return Api(
            starter=self.starter,
            operations=self.operations,
            backups=BackupReader(
                stacks=self.world.stacks,
                probe=self.world.probe,
                limiter=self.limiter(self.reads),
                databases=self.databases,
                sizes=self.sizes,
                former=self.world.former,
                restores=ListedRestores(self.restored),
                region="eu-central-1",
                control_stack=CONTROL,
                translate=lambda _: None,
            ),
            clusters=ClusterReader(
                stacks=self.world.stacks,
                services=self.world.services,
                probe=self.world.probe,
                limiter=self.limiter(self.reads),
                operations=self.operations,
                freezes=self.world.table,
                health=self.health,
                clock=self.world.clock,
                region="eu-central-1",
                control_stack=CONTROL,
                translate=of_aws,
            ),
            freezer=Freezer(
                stacks=self.world.stacks,
                freezes=self.world.table,
                locks=self.world.table,
                clock=self.world.clock,
                control_stack=CONTROL,
            ),
            health=HealthReader(
                records=self.health,
                checks=self.checks,
                limiter=self.limiter(self.slots),
                arns=ARNS,
                clock=self.world.clock,
                seconds=30,
            ),
            canceller=OperationCanceller(
                operations=self.operations,
                machines=self.world.executions,
                records=self.between(self.world.table),
                clock=self.world.clock,
            ),
            resumer=OperationResumer(
                operations=self.operations,
                machines=self.between(self.world.executions),
                records=self.world.table,
                journal=self.world.journal,
                stacks=self.world.stacks,
                control_stack=CONTROL,
                approve=self.approve_again,
            ),
            plans=PlanReader(operations=self.operations, artifacts=self.world.artifacts),
            reports=ReportLinker(
                operations=self.operations,
                artifacts=self.world.artifacts,
                clock=self.world.clock,
            ),
            kept=KeptReader(
                ways=WaysBack(
                    things=self.world.kept,
                    buckets=self.world.backup_buckets,
                    translate=of_aws,
                    control_stack=CONTROL,
                ),
                stacks=self.world.stacks,
                control_stack=CONTROL,
            ),
            translate=of_aws,
            control_stack=CONTROL,
        )

    def ask(
        self,
        method: str,
        resource: str,
        body: Any = None,
        *,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
        raw_body: str | None = None,
        caller: str = CALLER,
        headers: Mapping[str, str] | None = None,
        at: str | None = None,
        **path: str,
    ) -> Answer:
        """Send one request; ``resource`` is the route, ``path`` what stands for its variables.

        ``at`` is the path of the URL, by default that behind the stage.
        """
        event = {
            "httpMethod": method,
            "resource": resource,
            "pathParameters": path or None,
            "queryStringParameters": query,
            "headers": ({"idempotency-key": key} if key is not None else {}) | dict(headers or {}),
            "body": raw_body if raw_body is not None else json.dumps(body) if body else None,
            "isBase64Encoded": False,
            "requestContext": {
                "requestId": "r-1",
                "identity": self.identity or {"userArn": caller},
                "path": at or "/v1" + resource.format(**path),
            },
        }
        answer = self.api.answer(event)
        told = Answer(
            answer["statusCode"],
            {name.lower(): value for name, value in answer["headers"].items()},
            json.loads(answer["body"]) if "json" in answer["headers"]["Content-Type"] else {},
            answer["body"],
        )
        as_documented(method, resource, told)
        return told

    def provision(self, body: Any = None, *, key: str | None = None) -> Answer:
        return self.ask("PUT", "/clusters/{name}", body or {"parameters": {}}, key=key, name="demo")

    def execution(self, operation_id: str) -> Execution:
        verb = operation_id.split(".")[1]
        return self.world.executions.executions[ARNS.execution(verb, operation_id)]

    def finish(self, operation_id: str, status: str = "SUCCEEDED", **told: str) -> None:
        """End an execution as its machine would: the lock is freed."""
        arn = self.execution(operation_id).arn
        if status == "SUCCEEDED":
            told.setdefault("output", json.dumps(returned(operation_id)))
        self.world.executions.finish(arn, status, **told)
        self.world.table.release(f"{CONTROL}-{operation_id.partition('.')[0]}", arn)


def living(api: ApiWorld, name: str = "demo", tags: Mapping[str, str] | None = None) -> None:
    """Let a cluster's stack be there."""
    api.world.stacks.stacks[f"{CONTROL}-{name}"] = Stack(
        f"{CONTROL}-{name}",
        f"arn:stack/{name}",
        "CREATE_COMPLETE",
        outputs=ClusterOutputs(
            {
                **OUTPUTS,
                "ClusterName": name,
                "EcsClusterName": f"{CONTROL}-{name}",
                "RestUrl": "http://rest",
            }
        ),
        tags={"camunda:control-plane": CONTROL, "camunda:cluster": name, **(tags or {})},
    )


def returned(operation_id: str) -> dict[str, Any]:
    """The head of what a machine returns."""
    cluster, verb, _ = operation_id.split(".")
    head = {"operationId": operation_id, "cluster": cluster, "result": "SUCCEEDED"}
    if verb == "plan":
        return {**head, "plan": {"status": "READY", "kind": "update"}}
    return {**head, "machine": verb}


def as_documented(method: str, resource: str, answer: Answer) -> None:
    """Hold an answer to the OpenAPI document."""
    responses = DOCUMENT["paths"][resource][method.lower()]["responses"]
    described = responses.get(str(answer.status)) or responses["default"]
    content_type = answer.headers["content-type"].partition(";")[0]
    content = described["content"][content_type]
    if "json" not in content_type:
        return
    schema = shut({**content["schema"], "components": DOCUMENT["components"]})
    Draft202012Validator(schema).validate(answer.document)


def shut(schema: Any) -> Any:
    """Close every object, so that a field that the document lacks is found.

    To clients responses stay open: a later release may have more fields.
    """
    if isinstance(schema, list):
        return [shut(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: shut(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        found.setdefault("additionalProperties", False)
    return found


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case) and document of an answer."""

    status: int
    headers: Mapping[str, str]
    document: dict[str, Any]
    text: str = ""
