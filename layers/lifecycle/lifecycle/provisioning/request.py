"""What a provision request may contain. One validation for API, console and schedule.

Every wrong field is reported at once: which field, what was given, what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lifecycle.cluster import backups, front_door, maintenance_window, ways_in
from lifecycle.cluster import tags as tag_rules
from lifecycle.cluster.authentication import way_in
from lifecycle.cluster.broker_memory import WORKSPACE, least_memory, of_task, too_little
from lifecycle.cluster.names import (
    CLUSTER_NAME_RULE,
    NEW_CLUSTER_RULE,
    is_cluster_name,
    is_new_cluster_name,
)
from lifecycle.cluster.parameters import cluster_environment
from lifecycle.cluster.trial import FIXED, is_trial, trial_parameters
from lifecycle.cluster.trial import PARAMETER as TRIAL
from lifecycle.cluster.validation import (
    MOST_BROKERS,
    MOST_PARTITIONS,
    MOST_PROBLEMS,
    Problem,
    _suggestion,
    _unknown_fields,
    invalid,
    read_number,
)
from lifecycle.preflight import backup_gate
from lifecycle.preflight.way_back import ACCEPT
from lifecycle.provisioning import identity_provider
from lifecycle.services import images
from lifecycle.services import settings as service_settings
from lifecycle.services.registries import Registries, registry_problems
from lifecycle.services.settings import NOTHING, Settings
from lifecycle.verification.process_instances import OPTION

Declarations = Mapping[str, Mapping[str, object]]

ON_START_FAILURE: Final = ("stop", "keep")
PROVISION_FIELDS: Final = (
    "clusterName",
    "parameters",
    "tags",
    "settings",
    "changeSet",
    "onStartFailure",
    ACCEPT,
    backup_gate.ACCEPT,
    OPTION,
)
# A request has one of these: a body that was lost on the way must not make a cluster of defaults.
_ASKED: Final = ("parameters", "tags", "settings", "changeSet")
_PLANNED: Final = ("provision", "scale", "teardown")
PLAN_FIELDS: Final = ("clusterName", *_PLANNED)
PLANNED_PROVISION_FIELDS: Final = ("parameters", "tags", "settings", "replace")
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ExecuteChangeSet.html
CHANGE_SET: Final = re.compile(
    r"[a-zA-Z][-a-zA-Z0-9]{0,127}"
    r"|arn:aws[a-z-]*:cloudformation:[-a-z0-9]{1,40}:[0-9]{12}"
    r":changeSet/[a-zA-Z][-a-zA-Z0-9]{0,127}/[-a-zA-Z0-9]{1,64}"
)
_TOO_LARGE: Final = 10**18
_LOGICAL_ID: Final = re.compile(r"[A-Za-z0-9]{1,255}")
BOOTSTRAP_PARAMETERS: Final = ("Brokers", "Partitions", "ReplicationFactor")

# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-cpu-memory-error.html
# CPU units -> allowed memory in MiB.
FARGATE_MEMORY: Final[Mapping[int, range | tuple[int, ...]]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}


@dataclass(frozen=True, slots=True)
class ProvisionRequest:
    """A provision request after validation.

    ``parameters`` holds only what the request named, as CloudFormation takes it (strings), and
    what follows from it for a trial or an identity provider;
    everything else keeps the template's default, or on a living stack its present value.
    ``tags`` are those to set, or with None to remove; what is not named stays. ``settings`` are a
    merge patch of the cluster's (``services/settings.py``).
    ``change_set`` is the reviewed plan's, by name or ARN; empty to plan and apply in one go.
    ``accept_no_way_back``: a step to another minor version goes on without a fresh backup.
    ``accept_no_backup``: any other replacement of brokers does. ``backup`` is what the machine
    requests of ``TakeBackup`` before it.
    ``with_instances``: the verification creates a process instance on each partition.
    """

    cluster: str
    parameters: Mapping[str, str]
    on_start_failure: str
    change_set: str = ""
    accept_no_way_back: bool = False
    with_instances: bool = True
    tags: Mapping[str, str | None] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    accept_no_backup: bool = False
    backup: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """A request for a plan of provisioning, of scaling or of a teardown, after validation.

    ``replace`` are logical ids of what holds data and may be replaced or removed by this plan.
    ``count`` is the number of brokers to scale to, ``partitions`` that of partitions; both are 0
    for a plan of provisioning.
    """

    cluster: str
    parameters: Mapping[str, str]
    replace: tuple[str, ...]
    count: int = 0
    partitions: int = 0
    teardown: bool = False
    tags: Mapping[str, str | None] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScaleGoal:
    """What to scale to: a number of brokers, or one of partitions; the other is 0."""

    count: int = 0
    partitions: int = 0


def read_provision_request(
    raw: object,
    declarations: Declarations,
    present: Mapping[str, str] | None = None,
    present_tags: Mapping[str, str] | None = None,
    present_settings: Settings = NOTHING,
    *,
    registries: Registries | None = None,
    zones: Sequence[str] | None = None,
    unfinished: bool = False,
) -> ProvisionRequest:
    """Validate the input of the provision machine.

    ``declarations`` are the cluster template's parameters (``cluster/cluster_parameters.json``);
    ``present``, ``present_tags`` and ``present_settings`` hold the parameter values, the tags and
    the settings of the cluster's stack when there is one already. ``registries`` None allows
    images of every registry, ``zones`` None every hosted zone. ``unfinished``: that stack never was
    complete.
    Raises ``InvalidRequest`` that lists every problem.
    """
    if not isinstance(raw, Mapping):
        raise invalid([Problem("(input)", raw, "a JSON object with clusterName and parameters")])
    problems = _unknown_fields(raw, PROVISION_FIELDS)
    cluster = raw.get("clusterName")
    problems += _wrong_name(cluster, creates=not present)
    on_failure = raw.get("onStartFailure", "stop")
    if on_failure not in ON_START_FAILURE:
        problems.append(Problem("onStartFailure", on_failure, " or ".join(ON_START_FAILURE)))
    accept = raw.get(ACCEPT, False)
    if not isinstance(accept, bool):
        problems.append(Problem(ACCEPT, accept, "true or false"))
    accepted, wrong = backup_gate.read_waiver(raw)
    problems += wrong
    with_instances = raw.get(OPTION, True)
    if not isinstance(with_instances, bool):
        problems.append(Problem(OPTION, with_instances, "true or false"))
    if not any(name in raw for name in _ASKED):
        allowed = f"a JSON object, {{}} for defaults and present values; or {', '.join(_ASKED[1:])}"
        problems.append(Problem("parameters", None, allowed))
    change_set = raw.get("changeSet", "")
    if "changeSet" in raw:
        if not isinstance(change_set, str) or CHANGE_SET.fullmatch(change_set) is None:
            problems.append(Problem("changeSet", change_set, "name or ARN of a plan's change set"))
        problems += [
            Problem(name, raw[name], "nothing in addition to changeSet: the plan contains them")
            for name in ("parameters", "tags", "settings")
            if name in raw
        ]
        parameters: dict[str, str] = {}
        tags: dict[str, str | None] = {}
        settings: Mapping[str, Any] = {}
    else:
        parameters, wrong = _read_all_parameters(
            raw.get("parameters", {}),
            "parameters",
            declarations,
            present or {},
            registries,
            zones=zones,
            unfinished=unfinished,
        )
        tags, wrong_tags = _read_tags(raw.get("tags", {}), "tags", present_tags or {})
        login = way_in({**(present or {}), **parameters})
        settings, wrong_settings = _read_settings(
            raw.get("settings", {}), "settings", present_settings, login
        )
        problems += wrong + wrong_tags + wrong_settings
    if problems:
        raise invalid(problems)
    return ProvisionRequest(
        cluster=str(cluster),
        parameters=parameters,
        on_start_failure=str(on_failure),
        change_set=str(change_set),
        accept_no_way_back=accept is True,
        with_instances=with_instances is not False,
        tags=tags,
        settings=settings,
        accept_no_backup=accepted,
        # Of brokers that the stack does not show: only those show whether it is a minor step.
        backup={**backup_gate.wanted(present or {}, accepted=accepted), ACCEPT: accept is True},
    )


def read_plan_request(
    raw: object,
    declarations: Declarations,
    present: Mapping[str, str] | None = None,
    present_tags: Mapping[str, str] | None = None,
    present_settings: Settings = NOTHING,
    *,
    registries: Registries | None = None,
    zones: Sequence[str] | None = None,
    unfinished: bool = False,
) -> PlanRequest:
    """Validate the plan machine's input: ``clusterName`` and one of the three that it plans.

    Raises ``InvalidRequest`` that lists every problem.
    """
    if not isinstance(raw, Mapping):
        raise invalid([Problem("(input)", raw, "a JSON object with clusterName and provision")])
    problems = _unknown_fields(raw, PLAN_FIELDS)
    cluster = raw.get("clusterName")
    problems += _wrong_name(cluster, creates="provision" in raw and not present)
    planned = [name for name in _PLANNED if name in raw]
    if len(planned) != 1:
        rule = "exactly one of provision, scale and teardown"
        problems.append(Problem("(input)", ", ".join(planned) or None, rule))
    if raw.get("teardown", {}) != {}:
        problems.append(Problem("teardown", raw["teardown"], "an empty JSON object"))
    goal, wrong = _read_scale(raw["scale"]) if "scale" in raw else (ScaleGoal(), [])
    problems += wrong
    given = raw.get("provision", {})
    parameters: dict[str, str] = {}
    tags: dict[str, str | None] = {}
    settings: Mapping[str, Any] = {}
    named: tuple[str, ...] = ()
    if "provision" not in raw:
        pass  # a plan of scaling or of a teardown
    elif isinstance(given, Mapping):
        problems += _unknown_fields(given, PLANNED_PROVISION_FIELDS, "provision.")
        parameters, wrong = _read_all_parameters(
            given.get("parameters", {}),
            "provision.parameters",
            declarations,
            present or {},
            registries,
            zones=zones,
            unfinished=unfinished,
        )
        problems += wrong
        tags, wrong = _read_tags(given.get("tags", {}), "provision.tags", present_tags or {})
        problems += wrong
        login = way_in({**(present or {}), **parameters})
        settings, wrong = _read_settings(
            given.get("settings", {}), "provision.settings", present_settings, login
        )
        problems += wrong
        named, wrong = _read_replace(given.get("replace", []))
        problems += wrong
    else:
        problems.append(Problem("provision", given, "a JSON object with parameters"))
    if problems:
        raise invalid(problems)
    return PlanRequest(
        cluster=str(cluster),
        parameters=parameters,
        replace=named,
        count=goal.count,
        partitions=goal.partitions,
        teardown="teardown" in raw,
        tags=tags,
        settings=settings,
    )


def _wrong_name(cluster: object, *, creates: bool) -> list[Problem]:
    if not is_cluster_name(cluster):
        return [Problem("clusterName", cluster, CLUSTER_NAME_RULE)]
    if creates and not is_new_cluster_name(cluster):
        return [Problem("clusterName", cluster, NEW_CLUSTER_RULE)]
    return []


def _read_scale(given: object) -> tuple[ScaleGoal, list[Problem]]:
    if not isinstance(given, Mapping):
        return ScaleGoal(), [Problem("scale", given, "a JSON object with count or partitions")]
    goal, problems = read_goal(given, "scale.")
    return goal, [*_unknown_fields(given, ("count", "partitions"), "scale."), *problems]


def read_goal(given: Mapping[object, object], path: str) -> tuple[ScaleGoal, list[Problem]]:
    """Read ``count`` (brokers) or ``partitions``; ``path`` is put before the fields' names.

    One at a time, although Camunda can change both at once: requested brokers can go
    again when the change is refused, and partitions never can.
    """
    if "partitions" not in given:
        count, problems = read_number(given.get("count"), f"{path}count", MOST_BROKERS)
        return ScaleGoal(count=count), problems
    if "count" in given:
        both = {name: given[name] for name in ("count", "partitions")}
        allowed = "one of them: scale to the partitions first, then to the brokers"
        return ScaleGoal(), [Problem(f"{path}count, {path}partitions", both, allowed)]
    number, problems = read_number(given["partitions"], f"{path}partitions", MOST_PARTITIONS)
    return ScaleGoal(partitions=number), problems


def _read_replace(given: object) -> tuple[tuple[str, ...], list[Problem]]:
    if isinstance(given, list) and all(
        isinstance(name, str) and _LOGICAL_ID.fullmatch(name) for name in given
    ):
        return tuple(sorted(set(given))), []
    allowed = "a list of logical ids of stateful resources, as listed in a plan"
    return (), [Problem("provision.replace", given, allowed)]


def _read_tags(
    given: object, path: str, present: Mapping[str, str]
) -> tuple[dict[str, str | None], list[Problem]]:
    if not isinstance(given, Mapping):
        return {}, [Problem(path, given, "a JSON object of tag names to values")]
    problems = []
    number = max(len(given), tag_rules.number_after(present, given) if given else 0)
    if number > tag_rules.MOST:
        allowed = f"at most {tag_rules.MOST}, including the cluster's existing tags"
        problems.append(Problem(path, f"{number} tags", allowed))
    for key, value in given.items():
        if not tag_rules.is_key(key):
            problems.append(Problem(path, key, f"names of {tag_rules.KEY_RULE}"))
        elif not tag_rules.is_value(value):
            problems.append(Problem(f"{path}.{key}", value, tag_rules.VALUE_RULE))
    problems += [
        Problem(f"{path}.{key}", given[key], "a single tag: IAM ignores the case of tag names")
        for key in tag_rules.alike([*present, *(key for key in given if key not in present)])
        if key in given
    ]
    return dict(given), problems


def _read_settings(
    given: object, path: str, present: Settings, login: str
) -> tuple[Mapping[str, Any], list[Problem]]:
    owned = identity_provider.owned_with(login, cluster_environment())
    wrong = service_settings.refusals(given, owned, present)
    if wrong or not isinstance(given, Mapping):
        return {}, [Problem(path + where, value, allowed) for where, value, allowed in wrong]
    after = service_settings.patched(present, given)
    return given, identity_provider.settings_problems(login, after, owned, path)


def _read_all_parameters(
    given: object,
    path: str,
    declarations: Declarations,
    present: Mapping[str, str],
    registries: Registries | None,
    *,
    zones: Sequence[str] | None,
    unfinished: bool,
) -> tuple[dict[str, str], list[Problem]]:
    """Check parameters by themselves, and if each is right, against each other.

    The answer includes what follows from the kind of identity provider, and lists of ways in have
    their items where the stack has them.
    """
    if not isinstance(given, Mapping):
        return {}, [Problem(path, given, "a JSON object of parameter names to values")]
    parameters, problems = read_parameters(given, declarations)
    problems += _pre_releases(parameters)
    problems += _as_a_trial(parameters, present)
    if is_trial(parameters) and not present:
        parameters = trial_parameters(parameters)
    if not problems:
        defaults = {name: str(one.get("default", "")) for name, one in declarations.items()}
        follows = identity_provider.filled_in(parameters, present, defaults)
        parameters |= follows
        parameters |= ways_in.arranged(parameters, present)
        problems = read_parameters(follows, declarations)[1]
        problems += _across(parameters, declarations, present, zones)
        problems += identity_provider.problems(parameters, present, defaults, unfinished=unfinished)
        if registries is not None:
            values = {**defaults, **present, **parameters}
            problems += registry_problems(parameters, values, registries)
    prefix = path.removesuffix("parameters")
    return parameters, [replace(found, field=prefix + found.field) for found in problems]


def read_parameters(
    given: Mapping[str, object], declarations: Declarations
) -> tuple[dict[str, str], list[Problem]]:
    """Check each parameter separately. Returns CloudFormation's strings, and the problems."""
    values: dict[str, str] = {}
    problems: list[Problem] = []
    own = [name for name, declared in declarations.items() if not declared.get("machine")]
    for name, value in given.items():
        field = f"parameters.{name}"
        declared = declarations.get(name)
        if declared is None:
            similar = _suggestion(name, own) if len(problems) < MOST_PROBLEMS else ""
            problems.append(Problem(field, value, f"no such parameter{similar}"))
        elif declared.get("machine"):
            problems.append(Problem(field, value, "nothing: the machine sets this parameter"))
        else:
            text = _as_cloudformation(value)
            allowed = allowed_of(declared)
            if text is None or not _fits(text, declared):
                problems.append(Problem(field, value, allowed))
            else:
                values[name] = text
    return values, problems


def _as_cloudformation(value: object) -> str | None:
    """Turn a JSON value into the string CloudFormation takes; None when it cannot be one."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() if abs(value) >= _TOO_LARGE:
            return None
        case int():
            return str(value)
        case float() if value.is_integer():
            return str(int(value))
        case float():
            return repr(value)
        case str():
            return value.strip()
        case list():
            return ",".join(str(item).strip() for item in value)
        case _:
            return None


def _number(declared: Mapping[str, object], key: str) -> int | None:
    value = declared.get(key)
    return None if value is None else int(str(value))


def _fits(text: str, declared: Mapping[str, object]) -> bool:
    if declared["type"] == "Number":
        if re.fullmatch(r"-?[0-9]{1,18}", text) is None:
            return False
        low, high = _number(declared, "min"), _number(declared, "max")
        if (low is not None and int(text) < low) or (high is not None and int(text) > high):
            return False
    values = declared.get("allowedValues")
    if isinstance(values, list) and text not in {str(value) for value in values}:
        return False
    shortest, longest = _number(declared, "minLength"), _number(declared, "maxLength")
    if (shortest is not None and len(text) < shortest) or (
        longest is not None and len(text) > longest
    ):
        return False
    pattern = declared.get("allowedPattern")
    if not isinstance(pattern, str):
        return True
    # CloudFormation matches a list's pattern against each item, and the whole of each.
    items = (
        text.split(",")
        if str(declared["type"]).startswith(("CommaDelimitedList", "List<"))
        else [text]
    )
    return all(re.fullmatch(pattern, item.strip()) is not None for item in items)


def allowed_of(declared: Mapping[str, object]) -> str:
    """Return what a parameter may be, as a refusal names it."""
    values = declared.get("allowedValues")
    if isinstance(values, list):
        return "one of " + ", ".join(str(value) for value in values)
    low, high = declared.get("min"), declared.get("max")
    if declared["type"] == "Number" and (low is not None or high is not None):
        return f"a whole number from {low} to {high}" if high is not None else f"{low} or more"
    constraint = declared.get("constraint")
    if constraint:
        return str(constraint)
    return str(declared.get("description") or declared["type"])


def _across(
    parameters: Mapping[str, str],
    declarations: Declarations,
    present: Mapping[str, str],
    zones: Sequence[str] | None = None,
) -> list[Problem]:
    """Rules that need more than one parameter: as requested, else as it is, else the default."""
    full = {name: str(declared.get("default", "")) for name, declared in declarations.items()}
    full |= {**present, **parameters}
    problems: list[Problem] = []

    def value(name: str) -> str:
        return full.get(name, "")

    for name in BOOTSTRAP_PARAMETERS:
        # CAMUNDA_CLUSTER_SIZE and its kin count only when the first lease is written.
        if name in present and name in parameters and parameters[name] != present[name]:
            problems.append(
                Problem(
                    f"parameters.{name}",
                    parameters[name],
                    f"{present[name]}, with which this cluster was bootstrapped; omit it (brokers "
                    "and partitions change by scaling; the number of partitions is then updated "
                    "automatically)",
                )
            )
    brokers, factor = int(value("Brokers")), int(value("ReplicationFactor"))
    if brokers < factor:
        problems.append(
            Problem(
                "parameters.Brokers",
                brokers,
                f"at least the replication factor, {factor}: each copy of a partition needs a "
                "separate broker",
            )
        )
    problems += _versions(parameters, value)
    if not present:
        problems += _idle_brokers(value)
    problems += _memory(parameters, value)
    problems += _backups(parameters, value)
    problems += _rehearsals(parameters, value)
    problems += _maintenance(parameters, value)
    for cpu, memory in (("BrokerCpu", "BrokerMemory"), ("ConnectorsCpu", "ConnectorsMemory")):
        sizes = FARGATE_MEMORY.get(int(value(cpu)))
        if sizes is not None and int(value(memory)) not in sizes:
            problems.append(
                Problem(
                    f"parameters.{memory}",
                    int(value(memory)),
                    f"what Fargate supports with {cpu} {value(cpu)}: {sizes_of(sizes)} MiB",
                )
            )
    if value("LoadBalancerScheme") == "internet-facing" and value("ManagementListener") == "true":
        problems.append(
            Problem(
                "parameters.ManagementListener",
                "true",
                "false with an internet-facing load balancer: the management API has no "
                "authentication and can delete all data",
            )
        )
    problems += ways_in.problems(full, parameters, present)
    problems += front_door.problems(full, present, parameters, zones)
    return problems


def _pre_releases(parameters: Mapping[str, str]) -> list[Problem]:
    allowed = "a released version; Camunda cannot be upgraded from a pre-release"
    return [
        Problem(f"parameters.{name}", parameters[name], allowed)
        for name in images.IMAGES
        if images.is_pre_release(parameters.get(name, ""))
    ]


def _versions(parameters: Mapping[str, str], value: Callable[[str], str]) -> list[Problem]:
    """The version of the brokers is known, and the connectors are of the same minor."""
    problems = []
    given = parameters.get(images.PARAMETER)
    tagged = images.read_version(images.tag_of(value(images.BROKERS)))
    found = images.versions({name: value(name) for name in (*images.IMAGES, images.PARAMETER)})
    if found.brokers is None:
        problems.append(
            Problem(
                f"parameters.{images.PARAMETER}",
                value(images.PARAMETER) or None,
                f"the version of Camunda in {value(images.BROKERS)}, whose tag is not a released "
                "version, for example 8.9.22",
            )
        )
    elif tagged is not None and given and images.read_version(given) != tagged:
        problems.append(
            Problem(
                f"parameters.{images.PARAMETER}",
                given,
                f"{images.shown(tagged)}, as in the tag of {images.BROKERS}; omit it",
            )
        )
    elif found.connectors is not None and found.connectors[:2] != found.brokers[:2]:
        problems.append(
            Problem(
                f"parameters.{images.CONNECTORS}",
                value(images.CONNECTORS),
                f"an image of the brokers' minor, {images.shown(found.brokers)} "
                f"(parameters.{images.BROKERS}: {value(images.BROKERS)}): connectors of another "
                "minor are not supported",
            )
        )
    return problems


def _idle_brokers(value: Callable[[str], str]) -> list[Problem]:
    """Refuse brokers that would hold no partition, where such a broker never becomes ready.

    Up to 8.9 a broker is ready once it has a role in a partition, and since 8.9.0 liveness requires
    it (camunda/camunda, ``BrokerHealthCheckService`` and pull request 48759): ECS would replace an
    idle broker for ever. 8.10 counts it as ready.
    """
    found = images.versions({name: value(name) for name in (*images.IMAGES, images.PARAMETER)})
    brokers, most = (
        int(value("Brokers")),
        int(value("Partitions")) + int(value("ReplicationFactor")),
    )
    if brokers < most or (found.brokers is not None and found.brokers >= (8, 10, 0)):
        return []
    return [
        Problem(
            "parameters.Brokers",
            brokers,
            f"at most {most - 1} (Partitions + ReplicationFactor - 1) on 8.9: one more would hold "
            "no partition, and a broker without a partition never becomes ready before 8.10",
        )
    ]


def _memory(parameters: Mapping[str, str], value: Callable[[str], str]) -> list[Problem]:
    partitions, memory = int(value("Partitions")), int(value("BrokerMemory"))
    fraction = value("RocksDbMemoryFraction")
    beside = of_task({WORKSPACE: value(WORKSPACE)})
    if not (why := too_little(partitions, memory - beside, fraction)):
        return []
    decide = ("Partitions", "RocksDbMemoryFraction", "BrokerMemory", WORKSPACE)
    named = next((name for name in decide if name in parameters), "BrokerMemory")
    without = f", no {WORKSPACE} ({beside} MiB for its collector)" if beside else ""
    return [
        Problem(
            f"parameters.{named}",
            value(named),
            f"a BrokerMemory of {least_memory(partitions, fraction) + beside} or more, a larger "
            f"RocksDbMemoryFraction{without}, or fewer Partitions: {why}; a broker refuses to "
            "start then",
        )
    ]


def _backups(parameters: Mapping[str, str], value: Callable[[str], str]) -> list[Problem]:
    schedule, checkpoints = value("BackupSchedule"), value("BackupCheckpointInterval")
    if backups.minutes(checkpoints) <= backups.minutes(schedule):
        return []
    name = "BackupCheckpointInterval"
    if name not in parameters and "BackupSchedule" in parameters:
        allowed = f"{checkpoints} (BackupCheckpointInterval) or more, or a shorter interval with it"
        return [Problem("parameters.BackupSchedule", schedule, allowed)]
    return [Problem(f"parameters.{name}", checkpoints, f"{schedule} (BackupSchedule) or less")]


def _rehearsals(parameters: Mapping[str, str], value: Callable[[str], str]) -> list[Problem]:
    """Refuse a schedule of rehearsals, which the machine refuses without continuous backup."""
    schedule, name = value("RehearsalSchedule"), "ContinuousBackup"
    if schedule == "none" or value(name) == "true":
        return []
    if "RehearsalSchedule" in parameters:
        allowed = f"none while {name} is {value(name)}: without continuous backup, Camunda does "
        allowed += "not compare the database with the backup that is restored"
        return [Problem("parameters.RehearsalSchedule", schedule, allowed)]
    if name in parameters:
        allowed = f"true while RehearsalSchedule is {schedule}, or RehearsalSchedule none with it"
        return [Problem(f"parameters.{name}", value(name), allowed)]
    return []


def _maintenance(parameters: Mapping[str, str], value: Callable[[str], str]) -> list[Problem]:
    """The window of this request, or the time zone that it stands in, can be read."""
    try:
        maintenance_window.read_zone(value("MaintenanceTimeZone"))
    except ValueError:
        name = "MaintenanceTimeZone"
        allowed = "a time zone of the IANA time zone database, for example Europe/Berlin"
        return [Problem(f"parameters.{name}", value(name), allowed)] if name in parameters else []
    try:
        maintenance_window.read_window(value("MaintenanceWindow"), value("MaintenanceTimeZone"))
    except ValueError as error:
        name = "MaintenanceWindow"
        allowed = f"days and hours such as SAT SUN 02:00-06:00, half an hour or longer: {error}"
        return [Problem(f"parameters.{name}", value(name), allowed)] if name in parameters else []
    return []


def _as_a_trial(parameters: Mapping[str, str], present: Mapping[str, str]) -> list[Problem]:
    problems = []
    was, wanted = present.get(TRIAL, "false"), parameters.get(TRIAL)
    if present and wanted is not None and wanted != was:
        problems.append(
            Problem(
                f"parameters.{TRIAL}",
                wanted,
                f"{was}, which cannot change during the cluster's lifetime; omit it",
            )
        )
    if is_trial({**present, **parameters}):
        problems += [
            Problem(
                f"parameters.{name}", parameters[name], f"{value}, because a trial retains nothing"
            )
            for name, value in FIXED.items()
            if parameters.get(name, value) != value
        ]
    return problems


def sizes_of(sizes: range | tuple[int, ...]) -> str:
    """Return sizes of memory in MiB, as a refusal names them."""
    if isinstance(sizes, range):
        return f"{sizes[0]} to {sizes[-1]} in steps of {sizes.step}"
    return ", ".join(map(str, sizes))
