"""Settings of the two services that are no parameters: variables, secrets, policies, JVM options.

They are part of the cluster template as data. ``Metadata`` of the stack's own template holds them
as they were given, so that the stack alone shows what it runs with; what makes them true stands in
the task definitions and roles. A request's ``settings`` are a JSON merge patch of them (RFC 7396)::

    {"brokers": {"environment": {"LOGGING_LEVEL_ROOT": "WARN"}, "javaToolOptions": null}}

What it does not name stays, null removes, a list is replaced as a whole. Secrets travel as ARNs.

Sources: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Secret.html and
.../API_ContainerDefinition.html for names, references and the rule that no name is given twice;
Camunda's connectors (``ConnectorsAutoConfiguration``) for ``SECRET_``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

type Settings = Mapping[str, Mapping[str, Any]]
"""By service: ``environment`` and ``secrets`` (maps), and the other two of ``KINDS``."""

METADATA: Final = "camunda:settings"
KINDS: Final = ("environment", "secrets", "managedPolicyArns", "javaToolOptions")
MOST_BYTES: Final = 16384
"""A quarter of what a task definition may be, and little enough to travel in a machine's state."""


@dataclass(frozen=True, slots=True)
class Service:
    """Where a service stands in the cluster template."""

    task_definition: str
    container: str
    execution_role: str
    task_role: str


SERVICES: Final[Mapping[str, Service]] = {
    "brokers": Service(
        "OrchestrationTaskDefinition",
        "orchestration-cluster",
        "OrchestrationExecutionRole",
        "OrchestrationTaskRole",
    ),
    "connectors": Service(
        "ConnectorsTaskDefinition", "connectors", "ConnectorsExecutionRole", "ConnectorsTaskRole"
    ),
}
JAVA: Final = "JAVA_TOOL_OPTIONS"
NOTHING: Final[Settings] = {}

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,254}")
NAME_RULE: Final = "names of upper-case letters, digits and underscores that start with a letter"
_RESERVED: Final = ("AWS_", "ECS_")
# Older names of what the template sets, and ports on which load balancers and checks rely.
_FIXED: Final[Mapping[str, str]] = {
    "ZEEBE_BROKER_DATA_DIRECTORY": "CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY",
    "ZEEBE_BROKER_CLUSTER_CLUSTERSIZE": "CAMUNDA_CLUSTER_SIZE",
    "ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT": "CAMUNDA_CLUSTER_PARTITIONCOUNT",
    "ZEEBE_BROKER_CLUSTER_REPLICATIONFACTOR": "CAMUNDA_CLUSTER_REPLICATIONFACTOR",
    "ZEEBE_BROKER_CLUSTER_INITIALCONTACTPOINTS": "CAMUNDA_CLUSTER_INITIALCONTACTPOINTS",
    "ZEEBE_BROKER_CLUSTER_NODEID": "CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE",
    "SERVER_PORT": "",
    "MANAGEMENT_SERVER_PORT": "",
}
_HIDDEN: Final = "(a value that is not shown)"
_JSON: Final = "SPRING_APPLICATION_JSON"
_SECRET_NAME: Final = re.compile(r"(?:.*_)?[A-Z0-9]*(?:PASSWORD|SECRET|TOKEN)(?:_.*)?|.*KEY")
_CONNECTORS_SECRET: Final = re.compile(r"SECRET_.+|CAMUNDA_CLIENT_.+|SPRING_.+|SERVER_SSL_.+")
_SECRET: Final = re.compile(
    r"(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+)"
    r"(:[^:\s]*:[^:\s]*:[^:\s]*)?"
)
_PARAMETER: Final = re.compile(
    r"arn:aws[a-z-]*:ssm:[a-z0-9-]+:[0-9]{12}:parameter/[A-Za-z0-9/_.-]+"
)
_POLICY: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:policy/camunda/[A-Za-z0-9/_+=,.@-]+")
_MOST_POLICIES: Final = (
    10  # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
)
_MOST_TEXT: Final = 4096

# CloudFormation would put the secret in clear into the task definition:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
_DYNAMIC: Final = "{{resolve:"
_NO_REFERENCE: Final = "text without {{resolve:…}}; give an ARN in secrets"

Refusal = tuple[str, object, str]
"""A path below ``settings``, what was given, and what is allowed."""


def patched(present: Settings, patch: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Apply a request's settings to those that a cluster has; what is empty is left out."""
    merged = _merge(present, patch)
    services = {name: {k: v for k, v in one.items() if v} for name, one in merged.items()}
    return {name: dict(sorted(services[name].items())) for name in SERVICES if services.get(name)}


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge(result.get(name), value)
    return dict(sorted(result.items()))


def settings_of(template: str) -> dict[str, dict[str, Any]]:
    """Read the settings in the template of a stack; a template of before is YAML and has none."""
    try:
        read = json.loads(template)
    except ValueError:
        return {}
    found: dict[str, dict[str, Any]] = (read.get("Metadata") or {}).get(METADATA, {})
    return found


def changes(before: Settings, after: Settings) -> list[dict[str, str | None]]:
    """Describe what differs: ``name`` as in ``brokers.environment.X``, ``from`` and ``to``.

    Values of secrets are ARNs already.
    """
    was, becomes = _flat(before), _flat(after)
    return [
        {"name": name, "from": was.get(name), "to": becomes.get(name)}
        for name in sorted({*was, *becomes})
        if was.get(name) != becomes.get(name)
    ]


def _flat(settings: Settings) -> dict[str, str]:
    flat: dict[str, str] = {}
    for service, kinds in settings.items():
        for kind, value in kinds.items():
            if isinstance(value, Mapping):
                flat |= {f"{service}.{kind}.{name}": str(one) for name, one in value.items()}
            elif isinstance(value, str):
                flat[f"{service}.{kind}"] = value
            else:
                flat[f"{service}.{kind}"] = ", ".join(value)
    return flat


def back(before: Settings, after: Settings) -> dict[str, Any]:
    """Return the patch that makes ``before`` of ``after`` again."""
    patch: dict[str, Any] = {}
    for service in sorted({*before, *after}):
        was, becomes = before.get(service, {}), after.get(service, {})
        for kind in KINDS:
            old, new = was.get(kind), becomes.get(kind)
            if old == new:
                continue
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                names = sorted({*old, *new})
                old = {n: old.get(n) for n in names if old.get(n) != new.get(n)}
            patch.setdefault(service, {})[kind] = old
    return patch


# --- what a request may contain ----------------------------------------------------------------


def refusals(
    given: object, owned: Mapping[str, Mapping[str, Sequence[str]]], present: Settings
) -> list[Refusal]:
    """Find every wrong field of a request's settings; empty when they can be applied.

    ``owned`` are the names that the template sets, by service, each with the parameters that decide
    its value; ``present`` the settings that the cluster has.
    """
    if not isinstance(given, Mapping):
        return [("", given, f"a JSON object with {' and '.join(SERVICES)}")]
    found = [
        (f".{name}", given[name], f"no such service; {' or '.join(SERVICES)}")
        for name in given
        if name not in SERVICES
    ]
    for service in SERVICES:
        value = given.get(service)
        if value is not None:
            found += _of_service(service, value, owned.get(service, {}))
    if not found:
        after = patched(present, given)
        found += _twice(after)
        size = len(json.dumps(after).encode())
        if size > MOST_BYTES:
            found.append(("", f"{size} bytes", f"at most {MOST_BYTES} bytes, all together"))
    return found


def _of_service(
    service: str, value: object, owned: Mapping[str, Sequence[str]]
) -> Iterator[Refusal]:
    path = f".{service}"
    if not isinstance(value, Mapping):
        yield (path, value, f"a JSON object with {', '.join(KINDS)}, or null to remove them all")
        return
    for kind, given in value.items():
        where = f"{path}.{kind}"
        if kind not in KINDS:
            yield (where, given, f"no such field; {', '.join(KINDS)}")
        elif given is None:
            continue
        elif kind in {"environment", "secrets"}:
            if not isinstance(given, Mapping):
                yield (where, given, "a JSON object of names to values, or null to remove them all")
                continue
            for name, one in given.items():
                allowed = _wrong_name(service, kind, name, owned, removed=one is None)
                allowed = allowed or _wrong_value(kind, one)
                if allowed:
                    secret = kind == "secrets" or _is_secret(name)
                    yield (f"{where}.{name}", _HIDDEN if secret else one, allowed)
        elif kind == "javaToolOptions":
            if not isinstance(given, str) or not 0 < len(given) <= _MOST_TEXT or "\n" in given:
                yield (where, given, f"one line of at most {_MOST_TEXT} characters, or null")
            elif _DYNAMIC in given:
                yield (where, given, _NO_REFERENCE)
        elif (
            not isinstance(given, list)
            or len(given) > _MOST_POLICIES
            or not all(isinstance(one, str) and _POLICY.fullmatch(one) for one in given)
        ):
            yield (
                where,
                given,
                f"at most {_MOST_POLICIES} ARNs of the account's policies under /camunda/, or null",
            )


def _wrong_name(
    service: str, kind: str, name: str, owned: Mapping[str, Sequence[str]], *, removed: bool
) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        return NAME_RULE
    if removed:
        return ""
    if name == JAVA:
        return f"no such name: {service}.javaToolOptions sets it"
    if name in owned:
        by = " and ".join(owned[name])
        return f"no such name: {f'the parameter {by} sets it' if by else 'the template sets it'}"
    if name in _FIXED:
        newer = _FIXED[name]
        return f"no such name: the template sets {newer or 'it, and checks rely on it'}"
    if name.startswith(_RESERVED):
        return f"no such name: {' and '.join(_RESERVED)} are reserved"
    if kind == "environment" and _is_secret(name):
        return f"no plain text: give an ARN in {service}.secrets"
    if kind == "secrets" and service == "connectors" and not _CONNECTORS_SECRET.fullmatch(name):
        return (
            "SECRET_ and a name: connectors read no other secrets (but settings of their own, "
            "CAMUNDA_CLIENT_, SPRING_ and SERVER_SSL_)"
        )
    return ""


def _is_secret(name: object) -> bool:
    """Whether the value of a variable of this name must not be seen."""
    return isinstance(name, str) and (
        name == _JSON or _SECRET_NAME.fullmatch(name.upper()) is not None
    )


def _wrong_value(kind: str, value: object) -> str:
    if value is None:
        return ""
    if kind == "environment":
        if isinstance(value, str) and _DYNAMIC in value:
            return _NO_REFERENCE
        if isinstance(value, str) and len(value) <= _MOST_TEXT:
            return ""
        return f"text of at most {_MOST_TEXT} characters, or null to remove it"
    if isinstance(value, str) and (_SECRET.fullmatch(value) or _PARAMETER.fullmatch(value)):
        return ""
    return (
        "the ARN of a secret of Secrets Manager, with :json-key:: at its end for one key of it, or "
        "of a parameter of Systems Manager; or null to remove it"
    )


def without_key(reference: str) -> str:
    """Return the ARN of a secret or parameter, without the JSON key that may follow it."""
    found = _SECRET.fullmatch(reference)
    return found[1] if found else reference


def _twice(settings: Settings) -> list[Refusal]:
    return [
        (f".{service}.secrets.{name}", name, "a name that is not in environment as well")
        for service, kinds in settings.items()
        for name in kinds.get("secrets", {})
        if name in kinds.get("environment", {})
    ]


# --- the template ------------------------------------------------------------------------------


def put_into(template: dict[str, Any], settings: Settings) -> None:
    """Put settings into the cluster template (JSON, as data)."""
    if not settings:
        return
    template.setdefault("Metadata", {})[METADATA] = settings
    for name, kinds in settings.items():
        service, resources = SERVICES[name], template["Resources"]
        container = container_of(template, service)
        variables = dict(kinds.get("environment", {}))
        if "javaToolOptions" in kinds:
            variables[JAVA] = kinds["javaToolOptions"]
        secrets = kinds.get("secrets", {})
        container.setdefault("Environment", []).extend(
            {"Name": one, "Value": value} for one, value in sorted(variables.items())
        )
        container.setdefault("Secrets", []).extend(
            {"Name": one, "ValueFrom": arn} for one, arn in sorted(secrets.items())
        )
        if secrets:
            role = resources[service.execution_role]["Properties"]
            role["Policies"].append(_reading(sorted(set(secrets.values()))))
        if policies := kinds.get("managedPolicyArns"):
            resources[service.task_role]["Properties"]["ManagedPolicyArns"] = list(policies)


def container_of(template: Mapping[str, Any], service: Service) -> dict[str, Any]:
    """Find the container of a service in the cluster template."""
    containers = template["Resources"][service.task_definition]["Properties"][
        "ContainerDefinitions"
    ]
    found: dict[str, Any] = next(one for one in containers if one.get("Name") == service.container)
    return found


def _reading(references: Sequence[str]) -> dict[str, Any]:
    """Let an execution role read exactly these, and only if their tags name the control plane and
    the purpose ``task``.

    GetSecretValue and GetParameters know aws:ResourceTag:
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
    and .../list_awssystemsmanager.html. Whose key encrypts them is unknown: the encryption context,
    which names the secret or the parameter, takes its place
    (https://docs.aws.amazon.com/kms/latest/developerguide/services-secrets-manager.html and
    https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html).
    """
    statements: list[dict[str, Any]] = []
    secrets = sorted({found[1] for one in references if (found := _SECRET.fullmatch(one))})
    parameters = [one for one in references if _PARAMETER.fullmatch(one)]
    for sid, via, action, context, arns in (
        ("Secrets", "secretsmanager", "secretsmanager:GetSecretValue", "SecretARN", secrets),
        ("Parameters", "ssm", "ssm:GetParameters", "PARAMETER_ARN", parameters),
    ):
        if arns:
            tags = {
                "aws:ResourceTag/camunda:control-plane": {"Ref": "ControlStack"},
                "aws:ResourceTag/camunda:purpose": "task",
            }
            statements += [
                {
                    "Sid": f"Read{sid}OfSettings",
                    "Effect": "Allow",
                    "Action": action,
                    "Resource": arns,
                    "Condition": {"StringEquals": tags},
                },
                {
                    "Sid": f"Decrypt{sid}OfSettings",
                    "Effect": "Allow",
                    "Action": "kms:Decrypt",
                    "Resource": "*",
                    "Condition": {
                        "StringEquals": {
                            f"kms:EncryptionContext:{context}": arns,
                            "kms:ViaService": {
                                "Fn::Sub": f"{via}.${{AWS::Region}}.${{AWS::URLSuffix}}"
                            },
                        }
                    },
                },
            ]
    return {
        "PolicyName": "settings",
        "PolicyDocument": {"Version": "2012-10-17", "Statement": statements},
    }


def set_by(template: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """Return the names that the template sets, by service, with the parameters that decide them."""
    found: dict[str, dict[str, list[str]]] = {}
    for name, service in SERVICES.items():
        container = container_of(template, service)
        names: dict[str, set[str]] = {}
        for entry in [*container.get("Environment", []), *container.get("Secrets", [])]:
            for one in _entries(entry):
                names.setdefault(one["Name"], set()).update(_parameters(template, entry))
        found[name] = {one: sorted(by) for one, by in sorted(names.items())}
    return found


def _entries(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the entries in one of a list, which may stand behind conditions."""
    if "Fn::If" in entry:
        return [one for branch in entry["Fn::If"][1:] for one in _entries(branch)]
    return [entry] if "Name" in entry else []


def _parameters(template: Mapping[str, Any], value: object) -> set[str]:
    """Names of parameters in a value, those of its conditions too."""
    declared = template["Parameters"]
    if isinstance(value, list):
        return {name for one in value for name in _parameters(template, one)}
    if not isinstance(value, Mapping):
        return set()
    found = {name for one in value.values() for name in _parameters(template, one)}
    if "Ref" in value:
        found |= {value["Ref"]} & set(declared)
    if "Fn::If" in value:
        found |= _parameters(template, {"Condition": value["Fn::If"][0]})
    if isinstance(named := value.get("Condition"), str):
        found |= _parameters(template, template["Conditions"][named])
    if isinstance(text := value.get("Fn::Sub"), str):
        found |= set(re.findall(r"\$\{(\w+)\}", text)) & set(declared)
    return found
