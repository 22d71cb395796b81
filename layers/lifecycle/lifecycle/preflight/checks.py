"""Checks before any change: what the account, its region and its network offer against the need.

What cannot be read is a warning. A failed check is something that would make the change fail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster import front_door, ways_in
from lifecycle.cluster.authentication import OIDC, is_one_way, way_in
from lifecycle.cluster.broker_memory import WORKSPACE
from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.freeze import frozen_because
from lifecycle.cluster.names import (
    ALIKE_RULE,
    CONTROL_STACK_RULE,
    alike,
    control_stack_problem,
)
from lifecycle.cluster.stack import Stack, present_parameters
from lifecycle.cluster.stack_decisions import StackAction, decide_on
from lifecycle.errors import LifecycleError, PreflightFailed
from lifecycle.preflight import backup_gate
from lifecycle.preflight.database_change import Step, engine_step
from lifecycle.preflight.hosted_zone import NAME as NAME_OF_ZONE
from lifecycle.preflight.hosted_zone import check_zone
from lifecycle.preflight.key_policy import NEEDED
from lifecycle.preflight.service_roles import check_service_roles
from lifecycle.preflight.sources import NAME as NAME_OF_SOURCES
from lifecycle.preflight.sources import check_sources
from lifecycle.preflight.way_back import (
    ACCEPT,
    COMPLETED,
    REPORTS_READINESS,
    lacking,
    lacking_backup,
)
from lifecycle.services.autoscaling import acting, check_brokers
from lifecycle.services.definition import BROKERS, CONNECTORS
from lifecycle.services.images import (
    COLLECTOR,
    IMAGES,
    Version,
    Versions,
    is_pre_release,
    shown,
    versions,
)
from lifecycle.services.named_secrets import (
    NamedSecret,
    SecretSeen,
    check_secrets,
    named_secrets,
)
from lifecycle.services.settings import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from lifecycle.cluster.freeze import Freeze
    from lifecycle.cluster.management_access import ManagementAccess
    from lifecycle.preflight.hosted_zone import HostedZone
    from lifecycle.preflight.key_policy import KeyPolicy
    from lifecycle.preflight.service_roles import ServiceRoles
    from lifecycle.preflight.sources import Sources
    from lifecycle.preflight.way_back import Backup, Snapshot
    from lifecycle.services.autoscaling import ScalableTarget

# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
_BALANCER_ADDRESSES: Final = 8
# What tasks and the functions need where no route leads out; docs/network.md lists who needs which.
NEEDED_ENDPOINTS: Final = (
    *("dynamodb", "ecr.api", "ecr.dkr", "logs", "s3", "secretsmanager"),
    "states",
)
# What the collector of a broker's metrics needs beside that.
# https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-and-interface-VPC.html
_OF_COLLECTORS: Final = ("aps-workspaces",)
_PUBLIC: Final = "public.ecr.aws"
# Ids of what a route of a private subnet can lead out through. Tasks and functions have no public
# address, so an internet gateway takes nothing of theirs; a peering does not pass on what is for
# the internet, an egress-only gateway is for IPv6, a carrier gateway needs an address of its own.
# https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Internet_Gateway.html
# https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html
_LEADS_OUT: Final = ("nat-", "tgw-", "vgw-", "eni-", "i-", "lgw-", "vpce-", "arn:")
# Zones in which Fargate runs, by id, where that is not every zone of a region. A zone's name stands
# for another zone in each account.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/AWS_Fargate-Regions.html
FARGATE_ZONES: Final[Mapping[str, frozenset[str]]] = {
    "ap-northeast-1": frozenset({"apne1-az1", "apne1-az2", "apne1-az4"}),
    "cn-north-1": frozenset({"cnn1-az1", "cnn1-az2"}),
    "us-west-1": frozenset({"usw1-az1", "usw1-az3"}),
}
_CONNECTORS_TASK: Final = ("ConnectorsImage", "ConnectorsCpu", "ConnectorsMemory")
_ZONES: Final = 3
_MANAGEMENT: Final = "ManagementListener"
RETIREMENT: Final = "fargateTaskRetirementWaitPeriod"
_DNS_LABEL: Final = 63


# Why tasks do not use an interface endpoint, unless a private hosted zone leads to it.
NO_PRIVATE_DNS: Final = "private DNS is off"


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota of the account and what is used of it; None for what could not be read."""

    limit: float | None
    used: float | None


@dataclass(frozen=True, slots=True)
class Subnet:
    """A private subnet. ``way_out`` is where its default route leads, empty when there is none."""

    subnet_id: str
    zone: str
    free: int
    way_out: str
    zone_id: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """The VPC. ``endpoints`` are service names without ``com.amazonaws.<region>.``.

    Those that the private subnets use; ``unused_endpoints`` exist, with the reason why they do not.
    """

    dns_support: bool
    dns_hostnames: bool
    subnets: tuple[Subnet, ...]
    endpoints: frozenset[str] = frozenset()
    unused_endpoints: Mapping[str, str] = field(default_factory=dict)
    vpc: str = ""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The artifact bucket."""

    private: bool
    versioned: bool


@dataclass(frozen=True, slots=True)
class Engine:
    """What a living Aurora cluster runs: its version, and those that RDS upgrades it to."""

    version: str
    targets: frozenset[str]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of ACM: its status, empty when there is none, its names and its end (UTC)."""

    status: str
    names: tuple[str, ...] = ()
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key of KMS: its state, empty when there is none, its usage and what it is made of."""

    state: str
    usage: str = ""
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """Tasks that ECS wants of both services now."""

    brokers: int
    connectors: int


WAY_BACK: Final = "way back"
FRESH_BACKUP: Final = "fresh backup"
_TAKEN: Final = "what is missing is taken before the first change"


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found. None where it could not be read; ``unread`` then has the reason, by field.

    ``live`` and ``engine`` are None for a cluster that is created, too. ``retirement_days`` is how
    long Fargate waits before it retires tasks, ``autoscaled`` are the scalable targets that are
    services of a living cluster. ``secrets`` are by ARN. ``control_stacks`` are the names of all
    control stacks of account and region. ``snapshot`` is read only before a step to another minor
    version, ``backup`` then and for a plan of a cluster whose brokers run, ``now`` is when.
    """

    account: str | None = None
    region: str = ""
    vcpu: Quota | None = None
    application_balancers: Quota | None = None
    network_balancers: Quota | None = None
    database_clusters: Quota | None = None
    database_instances: Quota | None = None
    engine_offered: bool | None = None
    class_offered: bool | None = None
    network: Network | None = None
    bucket: Bucket | None = None
    ecs_cluster_exists: bool | None = None
    live: Live | None = None
    engine: Engine | None = None
    retirement_days: int | None = None
    autoscaled: tuple[ScalableTarget, ...] | None = None
    secrets: Mapping[str, SecretSeen] | None = None
    https_certificate: Certificate | None = None
    hosted_zone: HostedZone | None = None
    sources: Sources | None = None
    kms_key: Key | None = None
    kms_key_policy: KeyPolicy | None = None
    service_roles: ServiceRoles | None = None
    control_stacks: tuple[str, ...] | None = None
    backup: Backup | None = None
    snapshot: Snapshot | None = None
    now: datetime | None = None
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Need:
    """What the change needs on top of what there is. ``creates``: nothing of the cluster runs yet.

    ``broker_vcpu`` and ``connectors_vcpu`` are for one task. Brokers are replaced one at a time
    after one has stopped, connectors by starting new tasks first, if anything of theirs changes.
    ``images`` are those of brokers and connectors; ``present_images`` those of a living cluster in
    the same order, else empty. ``versions`` and ``present_versions`` are theirs. ``database`` is
    the identifier of the living Aurora cluster and ``present_engine_version`` its stack's value
    of it, both empty when there is none. ``names`` are the domain names that the cluster will have,
    ``recorded`` those whose records its stack holds in ``hosted_zone`` already, perhaps half made.
    """

    stack: str
    creates: bool
    brokers: int
    broker_vcpu: float
    connectors: int
    connectors_vcpu: float
    tasks: int
    database_instances: int
    database: str
    engine_version: str
    present_engine_version: str
    instance_class: str
    images: tuple[str, ...]
    present_images: tuple[str, ...]
    versions: Versions
    present_versions: Versions
    docker_hub: bool
    secrets: tuple[NamedSecret, ...] = ()
    certificate_arn: str = ""
    names: tuple[str, ...] = ()
    kms_key_arn: str = ""
    present_certificate_arn: str = ""
    present_names: tuple[str, ...] = ()
    present_kms_key_arn: str = ""
    hosted_zone: str = ""
    recorded: tuple[str, ...] = ()
    requests_certificate: bool = False
    validates: bool = False
    """Whether ACM has yet to issue the certificate that is requested."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    present_parameters: Mapping[str, str] = field(default_factory=dict)
    collector: str = ""
    """Image of the collector beside each broker; empty without one."""
    login: str = ""
    """``oidc`` or ``basic``."""
    one_way: bool = False
    """Whether the cluster goes from passwords to an identity provider."""

    @property
    def names_sources(self) -> bool:
        """Whether clients come from prefix lists or security groups."""
        lists = ways_in.prefix_lists(self.parameters)
        return bool(lists or ways_in.security_groups(self.parameters))

    @property
    def crosses_minor(self) -> bool:
        """Whether brokers that exist are to be of another minor version."""
        before, after = self.present_versions.brokers, self.versions.brokers
        return before is not None and after is not None and before[:2] != after[:2]

    @classmethod
    def of(
        cls,
        stack: str,
        found: Stack | None,
        parameters: Mapping[str, str],
        settings: Mapping[str, Any] = NOTHING,
    ) -> Need:
        """Take the need from the full set of parameters that the cluster will have.

        ``settings`` are those of the request.
        """
        brokers, connectors = int(parameters["Brokers"]), int(parameters["Connectors"])
        creates = found is None or not found.outputs
        present = {} if creates else present_parameters(found)

        def more(name: str) -> int:
            before = 0 if creates else int(present.get(name, parameters[name]))
            return max(0, int(parameters[name]) - before)

        moves = creates or any(
            parameters[name] != present.get(name, parameters[name]) for name in _CONNECTORS_TASK
        )
        return cls(
            stack=stack,
            creates=creates,
            brokers=brokers,
            broker_vcpu=more("BrokerCpu") / 1024,
            connectors=connectors,
            connectors_vcpu=int(parameters["ConnectorsCpu"]) / 1024 if moves else 0,
            # Connectors are replaced by starting new tasks first.
            tasks=brokers + 2 * connectors,
            database_instances=more("DatabaseInstances"),
            database="" if creates or found is None else found.outputs.get("DatabaseClusterId", ""),
            engine_version=parameters["DatabaseEngineVersion"],
            present_engine_version=present.get("DatabaseEngineVersion", ""),
            instance_class=parameters["DatabaseInstanceClass"],
            images=tuple(parameters[name] for name in IMAGES),
            present_images=tuple(present[name] for name in IMAGES if name in present),
            versions=versions(parameters),
            present_versions=versions(present),
            docker_hub=not parameters["ImageRegistryPrefix"],
            secrets=named_secrets(parameters, settings),
            certificate_arn=parameters["CertificateArn"],
            names=front_door.names(parameters),
            kms_key_arn=parameters["KmsKeyArn"],
            collector=parameters[COLLECTOR] if parameters[WORKSPACE] else "",
            login=way_in(parameters),
            one_way=is_one_way(present, parameters),
            present_certificate_arn=present.get("CertificateArn", ""),
            present_names=front_door.names(present),
            present_kms_key_arn=present.get("KmsKeyArn", ""),
            hosted_zone=parameters[front_door.ZONE],
            recorded=_recorded(present_parameters(found), parameters),
            requests_certificate=front_door.requests_certificate(parameters),
            validates=front_door.requests_anew(present, parameters),
            parameters=parameters,
            present_parameters=present,
        )


def _recorded(present: Mapping[str, str], parameters: Mapping[str, str]) -> tuple[str, ...]:
    """Names in the zone of which a stack, complete or not, has created the records."""
    same = present.get(front_door.ZONE) == parameters[front_door.ZONE]
    return front_door.names(present) if same and front_door.has_records(present) else ()


def check_all(
    need: Need,
    facts: Facts,
    *,
    stack: Stack | None,
    control_stack: str,
    cluster: str,
    certificate: str,
    planning: bool,
    reviewed: bool,
    freeze: Freeze | None = None,
    accept_no_way_back: bool = False,
) -> list[Check]:
    """Every check. ``certificate`` is empty when the RDS authorities cover the region.

    ``planning`` makes a warning of what only keeps a plan from being applied now; ``reviewed``
    when a plan is applied, or made, so that a person sees what it interrupts;
    ``accept_no_way_back`` makes one of a way back that is missing.
    """
    checks = [
        _identity(facts),
        _certificate(facts.region, certificate),
        _stack_state(stack, control_stack, cluster, planning=planning),
        _frozen(stack, freeze, planning=planning),
        _names(need, control_stack),
        _images(need),
        _upgrade(need),
    ]
    if need.crosses_minor:
        checks.append(_way_back(need, facts, planning=planning, accepted=accept_no_way_back))
        if (need.present_versions.brokers or ()) >= REPORTS_READINESS:
            checks.append(_readiness(facts, planning=planning))
    elif planning and (facts.backup is not None or "backup" in facts.unread):
        checks.append(_fresh_backup(need, facts))
    if need.broker_vcpu or need.connectors_vcpu:
        checks.append(_vcpu(need, facts))
    if need.database_instances:
        checks.append(
            _quota("database instances", "database_instances", need.database_instances, facts)
        )
    if not need.creates:
        checks += _autoscaling(facts)
    if need.creates:
        checks += [
            _quota(
                "Application Load Balancers",
                "application_balancers",
                1,
                facts,
            ),
            _quota("Network Load Balancers", "network_balancers", 1, facts),
            _quota("Aurora clusters", "database_clusters", 1, facts),
            _ecs_cluster(need, facts, stack),
            _control_stacks(facts, control_stack),
            _service_roles(facts),
        ]
    checks += [
        _offered(
            "database engine",
            facts,
            "engine_offered",
            f"Aurora PostgreSQL {need.engine_version}",
            "Choose a DatabaseEngineVersion that RDS lists for this region.",
        ),
        _offered(
            "database instance class",
            facts,
            "class_offered",
            f"{need.instance_class} with Aurora PostgreSQL {need.engine_version}",
            "Choose a DatabaseInstanceClass that RDS offers in this region for this version.",
        ),
        *([_engine_step(need, facts, reviewed=reviewed)] if need.database else []),
        *([_login(need, reviewed=reviewed)] if need.login == OIDC else []),
        *_network(need, facts),
        _bucket(facts),
        _retirement(facts),
    ]
    if need.certificate_arn:
        checks.append(_https_certificate(need, facts))
    if need.hosted_zone:
        checks.append(_hosted_zone(need, facts))
    if need.names_sources:
        checks.append(_sources(need, facts))
    if need.kms_key_arn:
        checks += [_kms_key(need, facts), _kms_key_policy(need, facts)]
    if need.secrets:
        checks.append(
            check_secrets(
                need.secrets,
                facts.secrets,
                unread=facts.unread.get("secrets", "no answer"),
                account=facts.account,
                region=facts.region,
                control_stack=control_stack,
                cluster=cluster,
            )
        )
    return checks


def opens_management(parameters: Mapping[str, str], present: Mapping[str, str]) -> bool:
    """Whether the change gives the stack a listener on the management port that it has not yet."""
    wanted, now = parameters.get(_MANAGEMENT, ""), present.get(_MANAGEMENT, "")
    return wanted == "true" and now != "true"


def check_management(access: ManagementAccess | None, *, unread: str, planning: bool) -> Check:
    """A listener that was opened for a limited time has the port that the stack's needs.

    A load balancer has one listener for each port; ``access`` is None where there is none. A plan
    may be applied after the end, so that ``planning`` makes a warning of it.
    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html
    """
    name, taken = "management port", Result.WARN if planning else Result.FAIL
    if unread:
        return Check(
            name,
            taken,
            f"not known: {unread.rstrip('.')}",
            "Start again when Elastic Load Balancing can be read.",
        )
    if access is None or access.listener is None:
        return Check(name, Result.PASS, "no listener has the port that the stack's is to have")
    if access.listener.until is None:
        return Check(
            name,
            taken,
            f"a listener that is not the stack's has port 9600 ({access.listener.arn})",
            "Delete that listener, then start again.",
        )
    return Check(
        name,
        taken,
        f"opened for a limited time, until {access.listener.until}: a second listener cannot have "
        "port 9600",
        "Close it before (camunda-ecs close-management), or wait for its end.",
    )


def check_partitions(parameters: Mapping[str, str], unread: str) -> Check:
    """New tasks get the number of partitions; ``unread`` is the reason why it is unknown."""
    return Check(
        "live partitions",
        Result.WARN,
        f"not known: {unread.rstrip('.')}; tasks get {parameters['Partitions']}, the stack's value",
        "If partitions were added since the last provisioning, provision again once the brokers "
        "respond: until then RocksDB's memory share is calculated with too few partitions.",
    )


def refuse_failed(checks: Sequence[Check]) -> None:
    """Raise ``PreflightFailed`` naming every failed check, if there is one."""
    failed = [check for check in checks if check.result is Result.FAIL]
    if failed:
        listed = "; ".join(f"{c.name}: {c.seen} ({c.remedy})" for c in failed)
        raise PreflightFailed(f"{len(failed)} of {len(checks)} checks failed: {listed}")


def _unread(name: str, facts: Facts, topic: str) -> Check:
    why = facts.unread.get(topic, "no answer")
    return Check(
        name,
        Result.WARN,
        f"could not be read: {why}",
        "Check manually, or grant PreflightCluster's role read access.",
    )


def _identity(facts: Facts) -> Check:
    if facts.account is None:
        return _unread("identity and region", facts, "account")
    return Check("identity and region", Result.PASS, f"account {facts.account}, {facts.region}")


def _certificate(region: str, problem: str) -> Check:
    if problem:
        return Check(
            "database certificate",
            Result.FAIL,
            problem,
            "Refresh the bundle as described in layers/lifecycle/lifecycle/certificates/README.md.",
        )
    return Check("database certificate", Result.PASS, f"the RDS authority of {region} is known")


def _stack_state(stack: Stack | None, control_stack: str, cluster: str, *, planning: bool) -> Check:
    name = "cluster stack"
    try:
        decision = decide_on(stack, control_stack, cluster)
    except LifecycleError as error:
        return Check(name, Result.FAIL, error.message, error.next_step)
    if decision.action is not StackAction.WAIT:
        return Check(name, Result.PASS, decision.reason)
    if planning:
        return Check(
            name,
            Result.FAIL,
            f"{decision.reason} A plan created now would be stale immediately.",
            "Wait until CloudFormation has finished, then plan.",
        )
    return Check(name, Result.WARN, decision.reason, "The operation waits for it.")


def _frozen(stack: Stack | None, freeze: Freeze | None, *, planning: bool) -> Check:
    """A freeze in the table is a warning: the operation's first step has read it with the lock."""
    reason = frozen_because(stack.tags, freeze) if stack is not None else None
    if reason is None:
        return Check("freeze", Result.PASS, "the cluster is not frozen")
    return Check(
        "freeze",
        Result.WARN if planning or freeze is not None else Result.FAIL,
        f"the cluster is frozen: {reason}",
        "A plan can be applied only after the freeze is lifted."
        if planning
        else "Once the reason no longer applies, lift the freeze, or remove the tag camunda:frozen "
        "from the stack.",
    )


def _names(need: Need, control_stack: str) -> Check:
    problem = control_stack_problem(control_stack)
    if problem:
        return Check(
            "names",
            Result.FAIL,
            problem,
            f"Deploy the control stack under a name of {CONTROL_STACK_RULE}.",
        )
    length = len(need.stack)
    # <stack>.service.local is the narrowest: the ECS cluster, which is called like the stack, may
    # have 255 characters, the stack 128. CloudFormation makes the names of target groups and load
    # balancers (32), roles (64) and buckets (63) itself and cuts ours to fit.
    if length > _DNS_LABEL:
        return Check(
            "names",
            Result.FAIL,
            f"{need.stack} has {length} characters; a DNS label allows {_DNS_LABEL}",
            "Choose a shorter cluster name, or deploy the control stack under a shorter name.",
        )
    return Check("names", Result.PASS, f"{need.stack} has {length} of {_DNS_LABEL} characters")


def _control_stacks(facts: Facts, control_stack: str) -> Check:
    name = "control stacks"
    if facts.control_stacks is None:
        return _unread(name, facts, "control_stacks")
    others = alike(control_stack, facts.control_stacks)
    if others:
        return Check(
            name,
            Result.FAIL,
            f"{control_stack} and {', '.join(others)} begin alike, so that policies of one match"
            " buckets and logs of the other",
            f"Deploy one of them under another name, {ALIKE_RULE}.",
        )
    return Check(name, Result.PASS, f"no other control stack's name is like {control_stack}")


def _images(need: Need) -> Check:
    pre = [image for image in need.images if is_pre_release(image)]
    if pre or need.versions.brokers is None:
        return Check(
            "images",
            Result.FAIL,
            f"not a release: {', '.join(pre or need.images[:1])}",
            "Specify released versions, with CamundaVersion for a custom tag; a pre-release "
            "cannot be upgraded.",
        )
    seen = f"{', '.join(need.images)}; Camunda {shown(need.versions.brokers)}"
    return Check("images", Result.PASS, seen)


def _upgrade(need: Need) -> Check:
    """Camunda migrates forwards only, and one minor version at a time.

    Source: Camunda's documentation of rolling updates.
    """
    name = "version step"
    before, after = need.present_versions, need.versions
    steps = [
        (was, becomes, *step)
        for was, becomes, step in zip(
            need.present_images,
            need.images,
            ((before.brokers, after.brokers), (before.connectors, after.connectors)),
            strict=False,
        )
        if was != becomes or step[0] != step[1]
    ]
    wrong = [
        f"{was} to {becomes} {why}"
        for was, becomes, old, new in steps
        if (why := _wrong_step(old, new))
    ]
    if wrong:
        return Check(
            name,
            Result.FAIL,
            "; ".join(wrong),
            "Update to the newest patch of the next minor version first; to go back, restore a "
            "backup into a new cluster.",
        )
    seen = ", ".join(f"{was} to {becomes}" for was, becomes, *_ in steps)
    return Check(name, Result.PASS, seen or "the images stay as they are")


def _way_back(need: Need, facts: Facts, *, planning: bool, accepted: bool) -> Check:
    """A restore is the only way back over a minor version: see ``preflight/way_back.py``.

    What is missing is taken before the change. Where the brokers do not answer, that cannot be.
    """
    name = WAY_BACK
    before, after = shown(need.present_versions.brokers), shown(need.versions.brokers)
    step = f"no way back from {after} to {before} but a restore"
    old = backup_gate.max_age(need.present_parameters)
    lacks = lacking(facts.backup, facts.snapshot, facts.now, facts.unread, old)
    if not lacks:
        return Check(name, Result.PASS, f"{step}; a backup and a snapshot exist")
    seen = f"{step}, and {'; '.join(lacks)}"
    if accepted:
        return Check(name, Result.WARN, f"{seen}; accepted by {ACCEPT}", "None, if intended.")
    if facts.backup is not None:
        return Check(name, Result.PASS, f"{seen}; {_TAKEN}")
    return Check(
        name,
        Result.WARN if planning else Result.FAIL,
        seen,
        "Start the brokers or make them reachable, so that a backup can be taken, or start with "
        f'"{ACCEPT}": true',
    )


def _fresh_backup(need: Need, facts: Facts) -> Check:
    """What a plan shows of the backup that replacing brokers needs (``backup_gate.py``)."""
    lacks = lacking_backup(
        facts.backup, facts.now, facts.unread, backup_gate.max_age(need.present_parameters)
    )
    if not lacks and facts.backup is not None and facts.backup.at is not None:
        when = facts.backup.at.isoformat(timespec="minutes")
        return Check(FRESH_BACKUP, Result.PASS, f"{COMPLETED}, from {when}")
    if facts.backup is not None:
        return Check(FRESH_BACKUP, Result.PASS, f"{lacks}; {_TAKEN}")
    return Check(
        FRESH_BACKUP,
        Result.WARN,
        lacks,
        "If the plan replaces brokers, make them reachable, so that a backup can be taken, or "
        f'apply it with "{backup_gate.ACCEPT}": true',
    )


def _readiness(facts: Facts, *, planning: bool) -> Check:
    """Whether every broker has ended the step before; no waiver of a backup covers this."""
    name = "upgrade readiness"
    if facts.backup is None:
        seen = f"could not be read: {facts.unread.get('backup', 'no answer')}"
    elif facts.backup.unready:
        seen = "; ".join(facts.backup.unready[:3])
    else:
        return Check(
            name, Result.PASS, ("every broker has completed the migration to the current version")
        )
    return Check(
        name,
        Result.WARN if planning else Result.FAIL,
        seen,
        "Start again once every broker has completed the migrations of the current version; the "
        "broker log shows the progress.",
    )


def _wrong_step(before: Version | None, after: Version | None) -> str:
    if before is None or after is None:
        return "is a step between versions, one of which is unknown"
    if after < before:
        return "is a downgrade"
    if after[0] != before[0] or after[1] > before[1] + 1:
        return "skips a minor version"
    return ""


def _vcpu(need: Need, facts: Facts) -> Check:
    name = "Fargate vCPU"
    if not need.creates and facts.live is None:
        return _unread(name, facts, "live")
    counts = facts.live or Live(need.brokers, need.connectors)
    brokers = counts.brokers * need.broker_vcpu
    connectors = counts.connectors * need.connectors_vcpu
    more = "" if need.creates else "more "
    return _quota(
        name,
        "vcpu",
        brokers + connectors,
        facts,
        detail=f" {more}(brokers {brokers:g}, connectors {connectors:g})",
    )


def _quota(name: str, topic: str, needed: float, facts: Facts, *, detail: str = "") -> Check:
    quota: Quota | None = getattr(facts, topic)
    if quota is None or quota.limit is None:
        return _unread(name, facts, topic)
    remedy = (
        f"Raise the quota to {needed + (quota.used or 0):g} or more in Service Quotas (hours to "
        "days), or request less."
    )
    if quota.used is None:
        seen = (
            f"{needed:g} needed{detail}, the quota is {quota.limit:g}; its usage could not be read"
        )
        if needed > quota.limit:
            return Check(name, Result.FAIL, seen, remedy)
        return Check(name, Result.WARN, seen, "Check the current usage in Service Quotas.")
    seen = f"{needed:g} needed{detail}, {quota.used:g} of {quota.limit:g} used"
    if quota.used + needed > quota.limit:
        return Check(name, Result.FAIL, seen, remedy)
    return Check(name, Result.PASS, seen)


def _ecs_cluster(need: Need, facts: Facts, stack: Stack | None) -> Check:
    name = "ECS cluster name"
    if facts.ecs_cluster_exists is None:
        return _unread(name, facts, "ecs_cluster_exists")
    begun = stack is not None and stack.status != "REVIEW_IN_PROGRESS"
    if facts.ecs_cluster_exists and not begun:
        return Check(
            name,
            Result.FAIL,
            f"an ECS cluster {need.stack} exists that this control plane did not create",
            "Choose another cluster name, or delete that ECS cluster if it is a leftover.",
        )
    return Check(name, Result.PASS, f"{need.stack} is free or managed by this control plane")


def _offered(name: str, facts: Facts, topic: str, what: str, remedy: str) -> Check:
    offered: bool | None = getattr(facts, topic)
    if offered is None:
        return _unread(name, facts, topic)
    if not offered:
        return Check(name, Result.FAIL, f"{what} is not offered in {facts.region}", remedy)
    return Check(name, Result.PASS, f"{what} is offered")


def _login(need: Need, *, reviewed: bool) -> Check:
    """A cluster never leaves ``oidc`` again, so that a person sees first who is locked out."""
    name = "login"
    if not need.one_way:
        return Check(name, Result.PASS, "through the identity provider")
    seen = "from passwords to the identity provider, without a way back"
    if reviewed:
        return Check(name, Result.PASS, seen)
    return Check(
        name,
        Result.FAIL,
        seen,
        "Create a plan, which names the administrators and what is refused meanwhile. Apply it.",
    )


def _engine_step(need: Need, facts: Facts, *, reviewed: bool) -> Check:
    """Aurora goes forwards only, to what RDS names; to a major version by a reviewed plan.

    CloudFormation requires no permission to change the major version.
    """
    name, wanted = "database version step", need.engine_version
    requested = wanted != need.present_engine_version
    runs = facts.engine.version if facts.engine else need.present_engine_version
    step = engine_step(runs, wanted) if runs else Step.NONE
    if not requested and step is not Step.NONE:
        return Check(
            name,
            Result.WARN,
            f"the stack has DatabaseEngineVersion {wanted}, the database runs {runs}",
            f"Set DatabaseEngineVersion to {runs}, so that the stack matches the database.",
        )
    if step is Step.BACK:
        return Check(
            name,
            Result.FAIL,
            f"DatabaseEngineVersion {wanted} is below the database's version, {runs}",
            f"Leave DatabaseEngineVersion at {runs}; to go back, restore a snapshot into a new "
            "Aurora cluster.",
        )
    if step is Step.MAJOR and not reviewed:
        return Check(
            name,
            Result.FAIL,
            f"DatabaseEngineVersion {runs} to {wanted} is a major version, which shuts the "
            "database down during the upgrade",
            "Create a plan, read its warnings and apply that plan.",
        )
    if facts.engine is None:
        return _unread(name, facts, "engine")
    if step is not Step.NONE and wanted not in facts.engine.targets:
        return Check(
            name,
            Result.FAIL,
            f"RDS does not upgrade Aurora PostgreSQL {runs} to DatabaseEngineVersion {wanted}",
            f"Choose one of: {_listed(facts.engine.targets) or 'none listed'}.",
        )
    seen = f"{runs} to {wanted}, {step}" if step is not Step.NONE else f"it stays {runs}"
    return Check(name, Result.PASS, seen)


def _listed(versions_: frozenset[str]) -> str:
    def numbers(version: str) -> list[int]:
        return [int(part) for part in version.split(".") if part.isdigit()]

    return ", ".join(sorted(versions_, key=numbers))


def _https_certificate(need: Need, facts: Facts) -> Check:
    """Load balancers take certificates of their own region that are issued and not over.

    It names everything that the cluster is called. A cluster that has this certificate already
    keeps it: that is a warning, unless a name is new.
    Sources: https://docs.aws.amazon.com/acm/latest/userguide/acm-regions.html,
    https://docs.aws.amazon.com/acm/latest/APIReference/API_CertificateDetail.html
    """
    name, arn = "HTTPS certificate", need.certificate_arn
    bad = Result.WARN if arn == need.present_certificate_arn else Result.FAIL
    if (region := arn.split(":")[3]) != facts.region:
        remedy = "Set CertificateArn to an ACM certificate in this region."
        return Check(name, bad, f"{arn} is in {region}, the cluster in {facts.region}", remedy)
    found = facts.https_certificate
    if found is None:
        return _unread(name, facts, "https_certificate")
    names = ", ".join(found.names)
    remedy = (
        "Complete its validation in ACM (the console shows what is pending), or specify another "
        "one."
    )
    if found.status != "ISSUED":
        return Check(name, bad, f"{arn} is {found.status or 'not there'}", remedy)
    if found.ends is None or facts.now is None:
        return _unread(name, facts, "https_certificate")
    if found.ends <= facts.now:
        return Check(name, bad, f"{arn} for {names} expired {found.ends:%Y-%m-%d}", remedy)
    unnamed = [n for n in need.names if not any(_covers(one, n) for one in found.names)]
    if unnamed:
        seen = f"{arn} is for {names}, not for {' and '.join(unnamed)}"
        if not set(unnamed) <= set(need.present_names):
            bad = Result.FAIL
        return Check(
            name,
            bad,
            seen,
            "Specify a certificate for DomainName and GrpcDomainName (with a HostedZoneId also for "
            "grpc.<DomainName>), or omit CertificateArn and set HostedZoneId.",
        )
    return Check(name, Result.PASS, f"for {names}, until {found.ends:%Y-%m-%d}")


def _sources(need: Need, facts: Facts) -> Check:
    if facts.sources is None or facts.network is None:
        return _unread(NAME_OF_SOURCES, facts, "sources" if facts.sources is None else "network")
    return check_sources(need.parameters, need.present_parameters, facts.sources, facts.network.vpc)


def _hosted_zone(need: Need, facts: Facts) -> Check:
    if facts.hosted_zone is None:
        return _unread(NAME_OF_ZONE, facts, "hosted_zone")
    return check_zone(
        need.hosted_zone,
        facts.hosted_zone,
        need.names,
        ours=need.recorded,
        requests=need.requests_certificate,
        validates=need.validates,
    )


def _covers(certified: str, name: str) -> bool:
    """Return whether a certificate's name is this one; ``*`` stands for the first label alone.

    RFC 6125, 6.4.3; https://docs.aws.amazon.com/acm/latest/userguide/acm-certificate-characteristics.html
    """
    certified, name = certified.lower().rstrip("."), name.lower().rstrip(".")
    if not certified.startswith("*."):
        return certified == name and "*" not in certified
    first, _, rest = name.partition(".")
    return bool(first) and rest == certified[2:] and "." in rest


def _kms_key(need: Need, facts: Facts) -> Check:
    """Data is encrypted with a symmetric key of the same region that is enabled.

    Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_KeyMetadata.html
    """
    name, arn = "KMS key", need.kms_key_arn
    bad = Result.WARN if arn == need.present_kms_key_arn else Result.FAIL
    remedy = "Set KmsKeyArn to an enabled symmetric key in this region, or leave it empty."
    if (region := arn.split(":")[3]) != facts.region:
        return Check(name, bad, f"{arn} is in {region}, the cluster in {facts.region}", remedy)
    found = facts.kms_key
    if found is None:
        return _unread(name, facts, "kms_key")
    if found.state != "Enabled":
        return Check(name, bad, f"{arn} is {found.state or 'not there'}", remedy)
    if (found.usage, found.spec) != ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"):
        return Check(name, bad, f"{arn} is for {found.usage}, {found.spec}", remedy)
    return Check(name, Result.PASS, "enabled and symmetric")


def _kms_key_policy(need: Need, facts: Facts) -> Check:
    """The key's policy lets IAM decide, or else no role of a new cluster may use the key.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
    """
    name, arn = "KMS key policy", need.kms_key_arn
    found = facts.kms_key_policy
    if found is None:
        return _unread(name, facts, "kms_key_policy")
    if found.iam_decides:
        return Check(name, Result.PASS, found.why)
    if found.iam_decides is None:
        return Check(
            name,
            Result.WARN,
            f"cannot be decided from the policy of {arn}: {found.why}",
            f"Check that it allows roles of this account {', '.join(NEEDED)} by IAM, through RDS, "
            "EFS, S3 and Secrets Manager.",
        )
    return Check(
        name,
        Result.WARN if arn == need.present_kms_key_arn else Result.FAIL,
        f"{arn}: {found.why}",
        "Allow kms:* for the account's root in its policy, as KMS's default key policy does, or "
        "leave KmsKeyArn empty.",
    )


def _service_roles(facts: Facts) -> Check:
    if facts.service_roles is None:
        return _unread("service-linked roles", facts, "service_roles")
    return check_service_roles(facts.service_roles)


def _network(need: Need, facts: Facts) -> list[Check]:
    network = facts.network
    if network is None:
        return [_unread("VPC", facts, "network")]
    checks = [_dns(network), _way_out(need, network)]
    if need.creates:
        checks += [_zones(network, facts.region), _addresses(need, network)]
    return checks


def _dns(network: Network) -> Check:
    off = [
        name
        for name, on in (
            ("DNS support", network.dns_support),
            ("DNS hostnames", network.dns_hostnames),
        )
        if not on
    ]
    if off:
        return Check(
            "VPC DNS",
            Result.FAIL,
            f"{' and '.join(off)} off",
            "Enable both: EFS and the private DNS namespace depend on them.",
        )
    return Check("VPC DNS", Result.PASS, "support and hostnames are enabled")


def _way_out(need: Need, network: Network) -> Check:
    name = "way out of the private subnets"
    closed = [subnet for subnet in network.subnets if not subnet.way_out.startswith(_LEADS_OUT)]
    if not closed:
        ways = ", ".join(sorted({subnet.way_out for subnet in network.subnets}))
        return Check(name, Result.PASS, f"by {ways}")
    useless = [f"{one.subnet_id} by {one.way_out}" for one in closed if one.way_out]
    without = [one.subnet_id for one in closed if not one.way_out]
    seen = "; ".join(
        [
            *([f"no default route in {', '.join(without)}"] if without else []),
            *(
                [f"no egress for tasks, which have no public address, in {', '.join(useless)}"]
                if useless
                else []
            ),
        ]
    )
    needed = (*NEEDED_ENDPOINTS, *(_OF_COLLECTORS if need.collector else ()))
    missing = [endpoint for endpoint in needed if endpoint not in network.endpoints]
    mirrors = "ImageRegistryPrefix, CollectorImage" if need.collector else "ImageRegistryPrefix"
    remedy = (
        "Deploy the control stack with NatGateways 1 or 3, or add the endpoints of "
        f"docs/network.md to the VPC and mirror the images ({mirrors})."
    )
    hubs = [
        *(["Docker Hub"] if need.docker_hub else []),
        *([_PUBLIC] if need.collector.startswith(f"{_PUBLIC}/") else []),
    ]
    unused = network.unused_endpoints
    by_zone = [one for one in missing if unused.get(one) == NO_PRIVATE_DNS]
    if missing and missing == by_zone and not hubs:
        return Check(
            name,
            Result.WARN,
            f"{seen}, and private DNS is disabled on the endpoints for {', '.join(by_zone)}",
            "Tasks reach them only if your own private hosted zone resolves the services' names "
            "to them: check that it does, or enable private DNS.",
        )
    if missing:
        listed = [f"{one} ({unused[one]})" if one in unused else one for one in missing]
        return Check(name, Result.FAIL, f"{seen}, and no endpoints for {', '.join(listed)}", remedy)
    if hubs:
        text = f"{seen}, so images cannot be pulled from {' and '.join(hubs)}"
        return Check(name, Result.FAIL, text, remedy)
    return Check(name, Result.PASS, "by VPC endpoints")


def _zones(network: Network, region: str) -> Check:
    """EFS takes one mount target per zone, and the brokers are spread over three.

    Source: https://docs.aws.amazon.com/efs/latest/ug/accessing-fs.html
    """
    name = "availability zones"
    zones = [subnet.zone for subnet in network.subnets]
    seen = ", ".join(f"{subnet.subnet_id} in {subnet.zone}" for subnet in network.subnets)
    if len(set(zones)) != _ZONES or len(zones) != _ZONES:
        return Check(
            name,
            Result.FAIL,
            f"three private subnets in three zones are needed; there are {seen or 'none'}",
            "Deploy the control stack with PrivateSubnetIds in three zones.",
        )
    if region in FARGATE_ZONES:
        served = FARGATE_ZONES[region]
        without = [
            f"{subnet.subnet_id} in {subnet.zone} ({subnet.zone_id or 'its id is unknown'})"
            for subnet in network.subnets
            if subnet.zone_id not in served
        ]
        if without:
            return Check(
                name,
                Result.FAIL,
                f"Fargate is available only in {', '.join(sorted(served))} of {region}; there are "
                f"{', '.join(without)}",
                "Deploy the control stack with PrivateSubnetIds in zones that Fargate supports.",
            )
    return Check(name, Result.PASS, seen)


def _addresses(need: Need, network: Network) -> Check:
    zones = max(1, len(network.subnets))
    # Per subnet: its share of the tasks, a load balancer's eight, and one each for the network
    # load balancer, EFS, Aurora and the functions.
    needed = math.ceil(need.tasks / zones) + _BALANCER_ADDRESSES + 4
    short = [f"{s.subnet_id} has {s.free}" for s in network.subnets if s.free < needed]
    if short:
        return Check(
            "free addresses",
            Result.FAIL,
            f"{needed} needed in each private subnet; {', '.join(short)}",
            "Use larger or emptier subnets.",
        )
    least = min((subnet.free for subnet in network.subnets), default=0)
    return Check("free addresses", Result.PASS, f"{needed} needed, at least {least} free")


def _autoscaling(facts: Facts) -> list[Check]:
    """The brokers' count is the machines' alone; another one of the connectors is a warning."""
    unread = facts.unread.get("autoscaled", "")
    checks = [check_brokers("no autoscaling", facts.autoscaled, BROKERS, unread=unread)]
    connectors = acting(facts.autoscaled or (), CONNECTORS)
    if connectors is not None:
        checks.append(
            Check(
                "no autoscaling of the connectors",
                Result.WARN,
                f"{connectors}; their count is reset to Connectors",
                "None, if intended.",
            )
        )
    return checks


def _retirement(facts: Facts) -> Check:
    """With a wait of 0 days, no time is left to replace brokers in turn before Fargate does.

    Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/prepare-task-retirement.html
    """
    name = "Fargate task retirement"
    days = facts.retirement_days
    if days is None:
        return _unread(name, facts, "retirement_days")
    if days == 0:
        return Check(
            name,
            Result.WARN,
            "the account waits 0 days: Fargate retires tasks, including brokers, as soon as it "
            "has given notice, at any time",
            f"As an administrator: aws ecs put-account-setting-default --name {RETIREMENT} "
            "--value 7 (or 14), which applies to the whole account in this region. After a "
            "notice, provision again within that time.",
        )
    return Check(name, Result.PASS, f"Fargate waits {days} days after its notice")


def _bucket(facts: Facts) -> Check:
    name = "artifact bucket"
    if facts.bucket is None:
        return _unread(name, facts, "bucket")
    wrong = [
        what
        for what, right in (
            ("not private", facts.bucket.private),
            ("not versioned", facts.bucket.versioned),
        )
        if not right
    ]
    if wrong:
        return Check(
            name,
            Result.FAIL,
            " and ".join(wrong),
            "Block public access and enable versioning again: the bucket holds templates and the "
            "audit trail.",
        )
    return Check(name, Result.PASS, "private and versioned")
