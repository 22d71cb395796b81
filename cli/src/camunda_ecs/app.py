"""The commands of ``camunda-ecs``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml
from rich.text import Text

from camunda_ecs import __version__, access, bundle, cost, follow, forward, show
from camunda_ecs.api import segment
from camunda_ecs.ends import Code, Stop, usage
from camunda_ecs.options import command
from camunda_ecs.session import (
    Session,
    only_given,
    operation_id,
    operation_path,
)

_PAGE: Final = 100  # the most operations that the API returns at once
EXIT_CODES: Final = (
    "Exit codes: 0 done or healthy, 1 refused or failed, 2 wrong usage (nothing was sent), "
    "3 degraded, 4 down, 5 unknown, 130 interrupted."
)
# Camunda 8.9 and later serve each web application below the load balancer's root.
# https://docs.camunda.io/docs/8.9/apis-tools/migration-manuals/saas-orchestration-architecture/
WEB: Final = ("operate", "tasklist", "admin")

app = typer.Typer(
    name="camunda-ecs",
    help="Provision, scale, restart, watch and remove Camunda 8 clusters on Amazon ECS, through "
    "the REST API of their control plane.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    # A traceback with local variables could show credentials.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Service(StrEnum):
    """Services that can be restarted."""

    BROKERS = "brokers"
    CONNECTORS = "connectors"


class Secret(StrEnum):
    """Passwords that can be rotated."""

    ADMIN = "admin"
    CONNECTORS = "connectors"
    DATABASE = "database"


class Forward(StrEnum):
    """What a local port is forwarded to."""

    WEB = "web"
    GRPC = "grpc"


class Architecture(StrEnum):
    """Processors of all tasks."""

    X86_64 = "X86_64"
    ARM64 = "ARM64"


class OnStartFailure(StrEnum):
    """What becomes of brokers that do not start."""

    STOP = "stop"
    KEEP = "keep"


Identifier = Annotated[
    str, typer.Argument(metavar="OPERATION", help="Id of the operation.", show_default=False)
]
Brokers = Annotated[
    int | None, typer.Option("--brokers", help="Number of brokers.", show_default=False)
]
Partitions = Annotated[
    int | None,
    typer.Option(
        "--partitions", help="Number of partitions; never fewer than now.", show_default=False
    ),
]
Approves = Annotated[
    str | None,
    typer.Option(
        "--approves",
        help="Id of the plan or dry run of this change that another principal made.",
        show_default=False,
    ),
]
AcceptNoBackup = Annotated[
    bool,
    typer.Option("--accept-no-backup", help="Move or replace brokers without a recent backup."),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Only check the request, for a review by another principal."),
]
PlanOnly = Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")]
PlanOfRestore = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only show the plan. With --to or --backup another principal may review it.",
    ),
]
ListOnly = Annotated[
    bool, typer.Option("--dry-run", help="Only list what would be deleted and what is kept.")
]
Confirm = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        help="The cluster's name, in place of typing it on the terminal.",
        show_default=False,
    ),
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"camunda-ecs {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the release."),
    ] = False,
) -> None:
    """Provision, scale, restart, watch and remove Camunda 8 clusters on Amazon ECS."""


# ------------------------------------------------------------------------------------- reading


@command(app, "clusters")
def clusters(session: Session) -> None:
    """List the clusters of the control plane."""
    found: list[Any] = []
    for page in _pages(session, "/clusters", {}):
        found += page["clusters"]
    lines = [show.clusters(found)] if found else [Text("There is no cluster.")]
    session.emit({"clusters": found}, lines)


@command(app, "show", cluster=True)
def show_cluster(session: Session) -> None:
    """Show a cluster: brokers, topology, pending change, last operation."""
    found = session.read(session.path).document
    reached = _here(session, found.get("access"))
    shown = access.lines(reached) if reached is not None else ()
    session.emit(found, [*show.cluster(found), *shown])


@command(app, "health", cluster=True)
def health(
    session: Session,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run a check now, which takes up to 25 seconds.")
    ] = False,
) -> IntEnum:
    """Show the last health check, worst finding first, or run one now.

    The exit code is the verdict: 0 healthy, 3 degraded, 4 down, 5 no verdict (yet).
    """
    path = f"{session.path}/health"
    answer = session.answered("GET", path, query={"fresh": "true"} if fresh else None)
    if answer.status == 404 and (answer.document or {}).get("error") == "HealthUnavailable":
        raise Stop(*show.problem(answer, "GET", path), code=Code.UNKNOWN)
    if answer.status == 429 or answer.status >= 500:
        raise Stop(*show.problem(answer, "GET", path), code=Code.UNKNOWN)
    report = session.checked(answer, "GET", path).document
    session.emit(report, show.health(report))
    return show.VERDICTS.get(report["verdict"], Code.UNKNOWN)


@command(app, "backups", cluster=True)
def backups(session: Session) -> None:
    """List the backups of a cluster, and the time to which it can be restored."""
    found = session.read(f"{session.path}/backups").document
    session.emit(found, show.backups(found))


@command(app, "operations", cluster=True)
def operations(
    session: Session,
    verb: Annotated[
        str | None,
        typer.Option("--verb", help="Only this kind, such as scale.", show_default=False),
    ] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", help="Only this status, such as FAILED.", show_default=False),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1000, help="The most that is listed.")
    ] = 50,
) -> None:
    """List operations, newest first: of one cluster, or of all."""
    wanted = only_given(
        cluster=session.cluster if session.named_cluster else None,
        verb=verb,
        status=status,
        limit=min(limit, _PAGE),
    )
    found: list[Any] = []
    for page in _pages(session, "/operations", wanted):
        found += page["operations"]
        if len(found) >= limit:
            break
    found = found[:limit]
    lines = [show.operations(found)] if found else [Text("There is no such operation.")]
    session.emit({"operations": found}, lines)


@command(app, "kept", cluster=True)
def kept(session: Session) -> None:
    """List what clusters have left that were torn down, or what a new one can be made of.

    With a cluster's name, its backups are read, and what a new cluster can be made of them.
    """
    if not session.named_cluster:
        found = session.read("/kept").document
        tables = [show.left(one) for one in found["kept"]]
        session.emit(found, tables or [Text("Nothing is left.")])
        return
    found = session.read(f"/kept/{segment(session.cluster)}").document
    session.emit(found, [show.left(found), *show.way_back(found)])


@command(app, "follow")
def follow_operation(session: Session, operation: Identifier) -> IntEnum:
    """Follow an operation to its end. Ctrl-C ends the following, not the operation."""
    path = operation_path(operation)
    found = follow.operation(session.read(path), "GET", path)
    return follow.run(session, found)


@command(app, "report")
def report(
    session: Session,
    operation: Identifier,
    page: Annotated[
        bool,
        typer.Option(
            "--open", help="Open its page in the browser; without a terminal, show its link."
        ),
    ] = False,
) -> IntEnum | None:
    """Show an operation: who started it, its steps, its checks or its error.

    The exit code is 1 if it failed.
    """
    path = operation_path(operation)
    found = follow.operation(session.read(path), "GET", path)
    if page:
        links = session.read(f"{path}/report").document
        url = str(links["pageUrl"] or links["reportUrl"])
        if not session.is_data and session.world.on_terminal():
            session.world.browse(url)
            session.emit(links, [Text(f"Opened; the link ends at {links['expiresAt']}.")])
        else:
            session.emit(links, [Text(url)])
    else:
        session.emit(
            found,
            [
                *show.operation(found),
                *show.restore_plan(found),
                *show.former_plan(found),
                *show.rehearsal(found),
                *show.deleted(found),
                *access.of_result(found),
            ],
        )
    return Code.FAILED if found["status"] in {"FAILED", "TIMED_OUT", "ABORTED"} else None


@command(app, "open", cluster=True)
def open_web(
    session: Session,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open Operate in the browser.")
    ] = True,
    to: Annotated[
        Forward | None,
        typer.Option(
            "--forward",
            help="Forward a local port to the web applications or to gRPC by Systems Manager, "
            "until Ctrl-C. Needs the AWS CLI, its Session Manager plugin, and a cluster with "
            "EnableExecuteCommand=true.",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=1, max=65535, help="Local port of --forward.", show_default=False
        ),
    ] = None,
) -> IntEnum | None:
    """Show URLs, who logs in and the ways to the cluster, and open Operate."""
    if port is not None and to is None:
        raise usage(f"--port: given {port}; allowed: together with --forward")
    found = session.read(session.path).document
    reached = _here(session, found.get("access"))
    if "access" not in found:
        raise Stop(
            "The API is of an earlier release, which does not return how a cluster is reached.",
            "  next step: deploy the control stack of this release, or use that release's command.",
        )
    if reached is None:
        raise Stop(
            f"Cluster {session.cluster} has no URL: its stack is {found['status']}.",
            "  next step: provision it to its end, then open it again. The tool that made "
            "an adopted cluster has its URL.",
        )
    if to is not None:
        session.show_target(session.cluster)
        one = forward.find(reached, to)
        return forward.run(session, one, port, browser=browser and session.world.on_terminal())
    urls = {name: reached["urls"][name] for name in WEB}
    session.emit(
        {**urls, "internal": reached["scheme"] == "internal", "access": reached},
        access.lines(reached),
    )
    if browser and not session.is_data and session.world.on_terminal():
        session.world.browse(urls["operate"])
    return None


def _here(session: Session, reached: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the access with the addresses of this machine, for the instance of ``make up``."""
    local = session.target.local
    if reached is None or local is None or local.get("clusterName") != session.cluster:
        return reached
    urls, grpc = reached["urls"], reached["grpc"]
    if local.get("alb"):
        base = str(local["alb"]).rstrip("/")
        there = urls["operate"].removesuffix("/operate")
        urls = {name: base + url.removeprefix(there) for name, url in urls.items()}
    if local.get("grpc") and grpc:
        grpc = {**grpc, "endpoint": local["grpc"]}
    return {**reached, "urls": urls, "grpc": grpc}


@command(app, "support-bundle", cluster=True)
def support_bundle(
    session: Session,
    out: Annotated[
        Path | None, typer.Option("--out", help="The zip to write.", show_default=False)
    ] = None,
) -> None:
    """Write a zip of cluster, health, operations, plans and versions, without secrets."""
    at = bundle.now()
    path = bundle.destination(out, session.cluster, at)
    found = bundle.collect(session)
    bundle.write(session, found, path, at)
    for name, reason in found.missing.items():
        session.note(f"Not in the bundle: {name}: {reason}", style="yellow")
    session.emit(
        {"file": str(path), "files": sorted(found.files)},
        [Text(f"{path}: {len(found.files)} files. Read them before you pass them on.")],
    )


# ------------------------------------------------------------------------------------- planning


@command(app, "plan", cluster=True, starts=True, keyed=True)
def plan(
    session: Session,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Input of provisioning, JSON or YAML, as in events/; - reads stdin.",
            show_default=False,
        ),
    ] = None,
    brokers: Brokers = None,
    partitions: Partitions = None,
    teardown: Annotated[bool, typer.Option("--teardown", help="Plan the removal.")] = False,
) -> IntEnum:
    """Plan a change and show it; changes nothing.

    Give one of: a file, --brokers, --partitions, --teardown. `camunda-ecs apply` applies the plan.
    """
    given = {
        "FILE": file,
        "--brokers": brokers,
        "--partitions": partitions,
        "--teardown": teardown or None,
    }
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise usage(f"plan: given {_listed(named)}; allowed: one of {', '.join(given)}")
    if file is not None:
        read = _read(session, file)
        kinds = {"provision", "scale", "teardown"} & read.keys()
        body = dict(read) if kinds else {"provision": dict(read)}
    elif teardown:
        body = {"teardown": {}}
    else:
        body = {"scale": only_given(count=brokers, partitions=partitions)}
    session.show_target(session.cluster)
    begun = follow.start(session, "plan", "POST", f"{session.path}/plans", body)
    if not session.wait:
        return follow.run(session, begun)
    session.note(begun["operationId"], style="bold")
    ended = follow.until_end(session, begun)
    if ended["status"] != "SUCCEEDED":
        session.emit(ended, show.end(ended))
        return follow.code_of(session, ended)
    plan_id = ended["operationId"]
    try:
        _show_plan(session, plan_id, document=session.is_data)
    except Stop as stop:
        made = f"The plan is made. Show it: {session.command('report', plan_id, '--open')}"
        raise Stop(*stop.lines, made, code=Code.UNKNOWN) from stop
    session.note(f"Apply it: {session.command('apply', plan_id)}")
    return Code.DONE


@command(app, "apply", cluster=True, confirmed=True, starts=True, keyed=True)
def apply(
    session: Session,
    plan_id: Annotated[
        str,
        typer.Argument(
            metavar="PLAN", help="Id of the operation that made the plan.", show_default=False
        ),
    ],
    *,
    on_start_failure: Annotated[
        OnStartFailure | None,
        typer.Option(
            "--on-start-failure",
            help="If brokers do not start: stop them (default), or keep them for inspection.",
            show_default=False,
        ),
    ] = None,
    accept_no_way_back: Annotated[
        bool,
        typer.Option(
            "--accept-no-way-back",
            help="Upgrade to another minor version without a recent backup and snapshot.",
        ),
    ] = False,
    accept_no_backup: AcceptNoBackup = False,
    confirm: Confirm = None,
) -> IntEnum:
    """Apply a reviewed plan: exactly that, or the differences since then are listed.

    The plan of a removal is confirmed with the cluster's name, typed again.
    """
    path = f"/plans/{segment(operation_id(plan_id))}"
    document = session.read(path).document
    cluster = str(document["cluster"])
    if session.named_cluster not in {None, cluster}:
        raise usage(
            f"--cluster: given {session.named_cluster}; allowed: {cluster}, the cluster of the plan"
        )
    session.named_cluster = cluster
    if document["status"] != "READY":
        raise Stop(
            f"The plan is {document['status']}: {document.get('refusal') or 'it changes nothing'}. "
            "Nothing was started."
        )
    extra = only_given(
        onStartFailure=on_start_failure.value if on_start_failure else None,
        acceptNoWayBack=accept_no_way_back or None,
    )
    verb, method, to, body = _applied(session, document["apply"], plan_id)
    if extra and verb != "provision":
        raise usage(
            f"--on-start-failure, --accept-no-way-back: given for a plan to {verb}; allowed: for a "
            "plan of provisioning"
        )
    if accept_no_backup and verb not in {"provision", "scale"}:
        raise usage(
            f"--accept-no-backup: given for a plan to {verb}; allowed: for a plan of provisioning "
            "or scaling"
        )
    extra = {**extra, **only_given(acceptNoBackup=accept_no_backup or None)}
    _show_plan(session, plan_id, document=False)
    if verb == "teardown":
        session.confirm_name(f"Remove cluster {cluster}, as planned by {plan_id}", confirm)
    else:
        session.confirm(f"Apply plan {plan_id} to cluster {cluster}")
    return follow.run(session, follow.start(session, verb, method, to, {**body, **extra}))


def _applied(
    session: Session, given: Mapping[str, Any], plan_id: str
) -> tuple[str, str, str, dict[str, Any]]:
    """Return verb, method, path and body of the request that applies a plan."""
    if "changeSet" in given:
        return "provision", "PUT", session.path, {"changeSet": given["changeSet"]}
    if "count" in given:
        body = {"count": given["count"], "approves": plan_id}
        return "scale", "PUT", f"{session.path}/brokers", body
    if "partitions" in given:
        body = {"partitions": given["partitions"], "approves": plan_id}
        return "scale", "PUT", f"{session.path}/partitions", body
    if "confirm" in given:
        return (
            "teardown",
            "DELETE",
            session.path,
            {"confirm": session.cluster, "approves": plan_id},
        )
    raise Stop(f"The plan {plan_id} has nothing that this command can apply.")


def _show_plan(session: Session, plan_id: str, *, document: bool) -> None:
    """Write a plan: as data when that is wanted, else its text."""
    path = f"/plans/{segment(plan_id)}"
    if document:
        session.emit(session.read(path).document, [])
        return
    text = session.read(path, accept="text/plain").text
    session.tell(*(Text(show.plain(line)) for line in text.splitlines()))


@command(app, "cost", target=False)
def cost_of(
    session: Session,
    *,
    brokers: Annotated[int, typer.Option("--brokers", help="Number of brokers.")] = 3,
    broker_cpu: Annotated[
        int, typer.Option("--broker-cpu", help="CPU units of a broker, 1024 for each vCPU.")
    ] = 4096,
    broker_memory: Annotated[
        int, typer.Option("--broker-memory", help="Memory of a broker in MiB.")
    ] = 8192,
    connectors: Annotated[int, typer.Option("--connectors", help="Connectors tasks.")] = 1,
    connectors_cpu: Annotated[
        int, typer.Option("--connectors-cpu", help="CPU units of a connectors task.")
    ] = 2048,
    connectors_memory: Annotated[
        int, typer.Option("--connectors-memory", help="Memory of a connectors task in MiB.")
    ] = 4096,
    architecture: Annotated[
        Architecture, typer.Option("--architecture", help="Processors of all tasks.")
    ] = Architecture.X86_64,
    database_class: Annotated[
        str, typer.Option("--database-class", help="Class of the Aurora instances.")
    ] = "db.t3.medium",
    database_instances: Annotated[
        int, typer.Option("--database-instances", help="Aurora instances: a writer and readers.")
    ] = 1,
    public: Annotated[
        bool, typer.Option("--public", help="Load balancers are internet-facing.")
    ] = False,
    own_key: Annotated[
        bool, typer.Option("--own-key", help="KmsKeyArn names a key of yours: none is created.")
    ] = False,
    detailed_metrics: Annotated[
        bool,
        typer.Option(
            "--detailed-metrics/--no-detailed-metrics", help="Metrics that DetailedMetrics adds."
        ),
    ] = True,
    nat_gateways: Annotated[
        int,
        typer.Option(
            "--nat-gateways", help="NAT gateways of the control plane; 0 in a VPC of your own."
        ),
    ] = 3,
    backup_gb: Annotated[
        int,
        typer.Option("--backup-gb", min=0, help="GB in the bucket of the brokers' backups."),
    ] = 0,
    snapshot_gb: Annotated[
        int,
        typer.Option("--snapshot-gb", min=0, help="GB of Aurora's backups beyond its free share."),
    ] = 0,
    region: Annotated[
        str, typer.Option("--region", envvar="AWS_REGION", help="AWS region of the prices.")
    ] = "eu-central-1",
) -> IntEnum:
    """Show what a control plane and a cluster cost per month before usage; nothing is sent.

    Needs neither account nor network: the prices are a dated list. The exit code is 5 if it lacks
    one; then there is no total.
    """
    given = {
        "Brokers": brokers,
        "BrokerCpu": broker_cpu,
        "BrokerMemory": broker_memory,
        "Connectors": connectors,
        "ConnectorsCpu": connectors_cpu,
        "ConnectorsMemory": connectors_memory,
        "CpuArchitecture": architecture.value,
        "DatabaseInstanceClass": database_class,
        "DatabaseInstances": database_instances,
        "LoadBalancerScheme": "internet-facing" if public else "internal",
        "DetailedMetrics": str(detailed_metrics).lower(),
        "NatGateways": nat_gateways,
    }
    full = cost.parameters({name: str(value) for name, value in given.items()})
    found = cost.estimate(
        full, region, own_key=own_key, backup_gb=backup_gb, snapshot_gb=snapshot_gb
    )
    session.emit(found, show.cost(found))
    if region not in cost.regions():
        session.note(f"--region: given {region}; prices are known of {_listed(cost.regions())}")
    return Code.UNKNOWN if found["total"] is None else Code.DONE


# ------------------------------------------------------------------------------------- changing


@command(app, "provision", cluster=True, confirmed=True, starts=True, keyed=True)
def provision(
    session: Session,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Input of provisioning, JSON or YAML, as in events/; - reads stdin.",
            show_default=False,
        ),
    ],
) -> IntEnum:
    """Create or change a cluster, without a plan to review."""
    body = _read(session, file)
    session.confirm(f"Provision cluster {session.cluster} with {file}, without a reviewed plan")
    return follow.run(session, follow.start(session, "provision", "PUT", session.path, body))


@command(app, "scale", cluster=True, confirmed=True, starts=True, keyed=True)
def scale(
    session: Session,
    brokers: Brokers = None,
    partitions: Partitions = None,
    approves: Approves = None,
    accept_no_backup: AcceptNoBackup = False,
) -> IntEnum:
    """Scale the brokers to a number, or add partitions up to a number.

    Give one of --brokers and --partitions. Partitions cannot be removed again.
    """
    if (brokers is None) == (partitions is None):
        given = "none" if brokers is None else "both"
        raise usage(f"scale: given {given}; allowed: one of --brokers, --partitions")
    goal = only_given(count=brokers, partitions=partitions)
    if brokers is not None:
        path, what = "brokers", f"{brokers} brokers"
    else:
        path = "partitions"
        what = f"{partitions} partitions, which cannot be undone"
    session.confirm(f"Scale cluster {session.cluster} to {what}")
    body = {
        **goal,
        **only_given(approves=approves, acceptNoBackup=accept_no_backup or None),
    }
    begun = follow.start(session, "scale", "PUT", f"{session.path}/{path}", body)
    return follow.run(session, begun)


@command(app, "restart", cluster=True, confirmed=True, starts=True, keyed=True)
def restart(
    session: Session,
    service: Annotated[Service, typer.Argument(help="What is restarted.", show_default=False)],
    *,
    broker: Annotated[
        int | None, typer.Option("--broker", help="Only the broker of this id.", show_default=False)
    ] = None,
    dry_run: DryRun = False,
    approves: Approves = None,
    accept_no_backup: AcceptNoBackup = False,
) -> IntEnum:
    """Restart the brokers one at a time, one of them, or the connectors."""
    if broker is not None and service is not Service.BROKERS:
        raise usage(f"--broker: given {broker} for {service.value}; allowed: for brokers only")
    if accept_no_backup and service is not Service.BROKERS:
        raise usage(f"--accept-no-backup: given for {service.value}; allowed: for brokers only")
    what = service.value if broker is None else f"broker {broker}"
    reviewed = _reviewed(
        session, f"Restart the {what} of cluster {session.cluster}", dry_run, approves
    )
    waived = only_given(acceptNoBackup=accept_no_backup or None)
    body = {"service": service.value, **only_given(broker=broker), **waived, **reviewed}
    begun = follow.start(session, "restart", "POST", f"{session.path}/restart", body)
    return follow.run(session, begun)


@command(app, "rotate", cluster=True, confirmed=True, starts=True, keyed=True)
def rotate(
    session: Session,
    secret: Annotated[
        list[Secret] | None,
        typer.Option("--secret", help="Only this password; may be repeated.", show_default=False),
    ] = None,
    dry_run: DryRun = False,
    approves: Approves = None,
) -> IntEnum:
    """Give Camunda's administrator, the connectors and the database new passwords."""
    names = sorted({one.value for one in secret or ()})
    what = ", ".join(names) or "all"
    purpose = f"Rotate the passwords of cluster {session.cluster}: {what}"
    reviewed = _reviewed(session, purpose, dry_run, approves)
    body = {**({"secrets": names} if names else {}), **reviewed}
    begun = follow.start(session, "rotate", "POST", f"{session.path}/rotation", body)
    return follow.run(session, begun)


@command(app, "open-management", cluster=True, confirmed=True, starts=True, keyed=True)
def open_management(
    session: Session,
    minutes: Annotated[
        int, typer.Option("--minutes", min=5, max=480, help="How long it stays open.")
    ] = 60,
    cidr: Annotated[
        list[str] | None,
        typer.Option(
            "--cidr",
            help="Private range that is let in, instead of the VPC; may be repeated.",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRun = False,
    approves: Approves = None,
) -> IntEnum:
    """Open the management API on the internal load balancer for a limited time.

    It has no authentication and can delete all data. The same command again moves the end.
    """
    ranges = list(dict.fromkeys(cidr or ()))
    what = f"for {minutes} minutes, from {', '.join(ranges) or 'the VPC'}"
    purpose = f"Open the management API of cluster {session.cluster}, which has no authentication, "
    reviewed = _reviewed(session, purpose + what, dry_run, approves)
    body = {"minutes": minutes, **({"cidrs": ranges} if ranges else {}), **reviewed}
    path = f"{session.path}/management-access"
    return follow.run(session, follow.start(session, "manage", "PUT", path, body))


@command(app, "close-management", cluster=True, confirmed=True, starts=True, keyed=True)
def close_management(session: Session) -> IntEnum:
    """Close the management API before its end."""
    session.confirm(f"Close the management API of cluster {session.cluster}")
    path = f"{session.path}/management-access"
    return follow.run(session, follow.start(session, "manage", "DELETE", path, {}))


@command(app, "backup", cluster=True, confirmed=True, starts=True, keyed=True)
def backup(session: Session) -> IntEnum:
    """Take a backup: a snapshot of the database, then a backup of the brokers.

    No task is changed, and the cluster works on. `camunda-ecs backups` lists what there is.
    """
    session.confirm(f"Take a backup of cluster {session.cluster}")
    begun = follow.start(session, "backup", "POST", f"{session.path}/backups", {})
    return follow.run(session, begun)


@command(app, "delete-backup", cluster=True, starts=True, keyed=True)
def delete_backup(
    session: Session,
    number: Annotated[
        int,
        typer.Argument(
            metavar="BACKUP", min=1, help="Id, from `camunda-ecs backups`.", show_default=False
        ),
    ],
    confirm: Confirm = None,
) -> IntEnum:
    """Delete a backup of the brokers and its snapshot of the database.

    The cluster's name is typed again, or given with --confirm.
    """
    session.confirm_name(f"Delete backup {number} of cluster {session.cluster}", confirm)
    path = f"{session.path}/backups/{number}"
    body = {"confirm": session.cluster}
    return follow.run(session, follow.start(session, "backup", "DELETE", path, body))


@command(app, "delete-former-data", cluster=True, starts=True, keyed=True)
def delete_former_data(
    session: Session,
    accept_no_final_snapshot: Annotated[
        bool,
        typer.Option(
            "--accept-no-final-snapshot", help="Delete databases without a final snapshot."
        ),
    ] = False,
    dry_run: ListOnly = False,
    confirm: Confirm = None,
) -> IntEnum:
    """Delete what restores have replaced: databases, after a final snapshot, and leases.

    --dry-run lists it. The cluster is verified first, and the present database is not touched. The
    cluster's name is typed again, or given with --confirm.
    """
    purpose = f"Delete what restores of cluster {session.cluster} have replaced"
    waived = only_given(acceptNoFinalSnapshot=accept_no_final_snapshot or None)
    if waived:
        purpose += ", without a final snapshot"
    if dry_run:
        session.show_target(session.cluster)
        session.note(f"{purpose} (dry run)", style="bold")
        body = {"dryRun": True, **waived}
    else:
        session.confirm_name(purpose, confirm)
        body = {"confirm": session.cluster, **waived}
    path = f"{session.path}/former-data"
    return follow.run(session, follow.start(session, "backup", "DELETE", path, body))


@command(app, "restore", cluster=True, starts=True, keyed=True)
def restore(  # noqa: PLR0917 - one for each option
    session: Session,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Nothing after this moment is restored, for example 2026-11-30T08:00:00Z.",
            show_default=False,
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--backup", min=1, help="Id, from `camunda-ecs backups`.", show_default=False),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="With --backup: also where the cluster was restored to that one already. What it "
            "has done since is lost.",
        ),
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Make a new cluster of the backups of this one, which may have been torn down.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--parameters",
            help="Parameters of the new cluster: JSON or YAML, as in events/; - reads stdin.",
            show_default=False,
        ),
    ] = None,
    dry_run: PlanOfRestore = False,
    confirm: Confirm = None,
    approves: Approves = None,
) -> IntEnum:
    """Restore a cluster to a backup. Once its database is ready, nothing is served until the end.

    The former data stay.

    Without --to and --backup the newest backup is restored. --dry-run shows what would be lost,
    what stops and how long it takes. The cluster's name is typed again, or given with --confirm.
    """
    made = {} if file is None else _read(session, file)
    if file is not None and (source is None or set(made) != {"parameters"}):
        given = (
            "without --from" if source is None else f"{file} with {', '.join(made) or 'nothing'}"
        )
        allowed = 'for --from, a file with parameters and nothing else, {"parameters": {…}}'
        raise usage(f"--parameters: given {given}; allowed: {allowed}")
    if to is not None and number is not None:
        raise usage(f"--backup: given {number} beside --to; allowed: one of them")
    if again and (number is None or source is not None):
        raise usage("--again: given without --backup or with --from; allowed: with --backup")
    if approves is not None and (dry_run or (to is None and number is None)):
        raise usage(f"--approves: given {approves}; allowed: for a restore with --to or --backup")
    target = {
        **only_given(to=to, backup=number, again=again or None),
        **only_given(**{"from": source}),
        **made,
    }
    where = f"backup {number}" if number is not None else to or "the newest backup"
    purpose = f"Restore cluster {session.cluster} to {where}"
    if source is not None:
        purpose = f"Make cluster {session.cluster} of {where} of {source}"
    if dry_run:
        session.show_target(session.cluster)
        session.note(f"{purpose} (dry run)", style="bold")
        body = {"dryRun": True, **target}
    else:
        session.confirm_name(purpose, confirm)
        body = {"confirm": session.cluster, **target, **only_given(approves=approves)}
    begun = follow.start(session, "restore", "POST", f"{session.path}/restores", body)
    return follow.run(session, begun)


@command(app, "rehearse", cluster=True, confirmed=True, starts=True, keyed=True)
def rehearse(session: Session, dry_run: PlanOnly = False) -> IntEnum:
    """Restore a new backup of a cluster into a trial, compare both, and remove the trial.

    The cluster runs on. The report has the time that the restore took.
    """
    purpose = f"Rehearse a restore of cluster {session.cluster}"
    if dry_run:
        session.show_target(session.cluster)
        session.note(f"{purpose} (dry run)", style="bold")
    else:
        session.confirm(purpose)
    body = {"dryRun": True} if dry_run else {}
    begun = follow.start(session, "rehearse", "POST", f"{session.path}/rehearsals", body)
    return follow.run(session, begun)


def _reviewed(session: Session, what: str, dry_run: bool, approves: str | None) -> dict[str, Any]:
    """Have a change confirmed unless it is a dry run; return the fields that its review needs."""
    if dry_run and approves is not None:
        raise usage(f"--approves: given {approves} for a dry run; allowed: for the change itself")
    if dry_run:
        session.show_target(session.cluster)
        session.note(f"{what} (dry run)", style="bold")
        return {"dryRun": True}
    session.confirm(what)
    return dict(only_given(approves=approves))


@command(app, "teardown", cluster=True, starts=True, keyed=True)
def teardown(session: Session, confirm: Confirm = None, approves: Approves = None) -> IntEnum:
    """Remove a cluster. `camunda-ecs plan --teardown` shows before what goes and what stays.

    The cluster's name is typed again, or given with --confirm.
    """
    session.confirm_name(f"Remove cluster {session.cluster}", confirm)
    body = {"confirm": session.cluster, **only_given(approves=approves)}
    return follow.run(session, follow.start(session, "teardown", "DELETE", session.path, body))


@command(app, "freeze", cluster=True, confirmed=True)
def freeze(
    session: Session,
    reason: Annotated[
        str, typer.Option("--reason", help="Why, for all who are refused.", show_default=False)
    ],
) -> None:
    """Freeze a cluster: every change is rejected until the freeze is lifted."""
    session.confirm(f"Freeze cluster {session.cluster}: {reason}")
    _freeze(session, "PUT", {"reason": reason})


@command(app, "thaw", cluster=True, confirmed=True)
def thaw(session: Session) -> None:
    """Lift the freeze of a cluster."""
    session.confirm(f"Lift the freeze of cluster {session.cluster}")
    _freeze(session, "DELETE", None)


def _freeze(session: Session, method: str, body: Any) -> None:
    path = f"{session.path}/freeze"
    see = session.command("show", "--cluster", session.cluster)
    found = follow.settled(
        session,
        method,
        path,
        body,
        unknown=(f"It is not known whether that happened. See it: {see}",),
        read=lambda answer: answer.document,
        match=session.match,
    )
    rows = {"cluster": session.cluster, "frozen": show.plain(found["frozen"], "no")}
    session.emit(found, [show.fields(rows)])


@command(app, "cancel", confirmed=True)
def cancel(session: Session, operation: Identifier) -> IntEnum:
    """Stop an operation that has not changed anything yet."""
    path = f"{operation_path(operation)}/cancel"
    session.confirm(f"Cancel operation {operation}", operation=operation)
    found = _sent_once(session, path, operation)
    session.emit(found, show.operation(found))
    return Code.DONE


@command(app, "resume", confirmed=True, starts=True)
def resume(session: Session, operation: Identifier) -> IntEnum:
    """Let an operation that was aborted or timed out continue where it stopped."""
    path = f"{operation_path(operation)}/resume"
    session.confirm(f"Resume operation {operation}", operation=operation)
    return follow.run(session, _sent_once(session, path, operation))


def _sent_once(session: Session, path: str, operation: str) -> dict[str, Any]:
    """Send a request without a key, again only if it was certainly not carried out."""
    see = f"It is not known whether that happened. See it: {session.command('report', operation)}"
    return follow.changed(session, "POST", path, unknown=(see,), repeatable=False)


# ------------------------------------------------------------------------------------- helpers


def _pages(session: Session, path: str, query: Mapping[str, Any]) -> Any:
    """Give each page of a list."""
    token = None
    while True:
        page = session.read(path, query={**query, "next": token}).document
        yield page
        token = page.get("next")
        if not token:
            return


def _read(session: Session, file: Path) -> dict[str, Any]:
    """Read an input of provisioning; the cluster it names is the one of the command.

    Raises ``Stop`` (usage) for what is no mapping, or names another cluster.
    """
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise usage(f"FILE: given {file}, which cannot be read: {error}") from error
    try:
        # JSON is YAML, too.
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise usage(f"FILE: given {file}, which is neither JSON nor YAML: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise usage(f"FILE: given {file}; allowed: a mapping, as in events/provision-default.json")
    body = dict(found)
    named = body.pop("clusterName", None)
    if named is not None:
        if session.named_cluster not in {None, named}:
            raise usage(
                f"--cluster: given {session.named_cluster}; allowed: {named}, the clusterName in "
                f"{file}"
            )
        session.named_cluster = str(named)
    return body


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def main() -> None:
    """Run the command line."""
    app()
