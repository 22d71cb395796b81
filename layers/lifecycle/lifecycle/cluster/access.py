"""How people reach a cluster and log in: URLs, who logs in, ways to the load balancers.

A pure decision from the cluster's stack and, where they were read, its tasks. It holds names, ARNs
and commands that read a password, never a password.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.stack import Stack

# Camunda 8.9 and later serve each web application below the load balancer's root.
# https://docs.camunda.io/docs/8.9/apis-tools/migration-manuals/saas-orchestration-architecture/
WEB: Final = ("operate", "tasklist", "admin")
# ``SecretStringTemplate`` of AdminUserSecret in stacks/cluster.yaml.
ADMINISTRATOR: Final = "admin"
GRPC_PORT: Final = 26500

# Local ports of a forwarding. Camunda behind HTTPS builds redirects from X-Forwarded-Port, which is
# the load balancer's 443, and an identity provider only accepts the redirect URI without a port:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/x-forwarded-headers.html
_LOCAL_CLEAR: Final = 8080
_LOCAL_TLS: Final = 8443
_LOCAL_OIDC: Final = 443

# https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-sessions-start.html
_DOCUMENT: Final = "AWS-StartPortForwardingSessionToRemoteHost"
AGENT: Final = "ExecuteCommandAgent"

# AWS's name of an internal load balancer resolves anywhere, to private addresses:
# https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/how-elastic-load-balancing-works.html
_NETWORK: Final = (
    "From the VPC, or from a network that is connected with it (VPN, Direct Connect, VPC peering, "
    "transit gateway), where the address is admitted."
)
_THROUGH_TASK: Final = (
    "From anywhere with AWS credentials: Systems Manager forwards a local port through a broker's "
    "task (ECS Exec). It needs the AWS CLI, the Session Manager plugin and the right "
    "ssm:StartSession on the task and the document."
)
_NOT_READ: Final = "The tasks were not read here: camunda-ecs open shows the commands."


@dataclass(frozen=True, slots=True)
class ExecTask:
    """A task of the brokers' service as DescribeTasks returns it, with what ECS Exec needs of it.

    ``runtime_id`` is that of the brokers' container; ``agent`` the status of its managed agent
    ``ExecuteCommandAgent``, empty where it has none.
    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ManagedAgent.html
    """

    task_id: str
    runtime_id: str = ""
    status: str = ""
    agent: str = ""

    @property
    def usable(self) -> bool:
        """Whether a session can be started to it."""
        return (self.status, self.agent) == ("RUNNING", "RUNNING") and bool(self.runtime_id)


def exec_target(ecs_cluster: str, task: ExecTask) -> str:
    """Return a container as Systems Manager names it.

    AWS's own ``aws ecs execute-command`` builds it so: aws-cli,
    ``awscli/customizations/ecs/executecommand.py``.
    """
    return f"ecs:{ecs_cluster}_{task.task_id}_{task.runtime_id}"


def wants_tasks(stack: Stack) -> bool:
    """Whether the tasks of a cluster add a way: where a port can be forwarded through them."""
    return _lacks(stack.outputs) is None and _scheme(stack) != "internet-facing"


def access(
    stack: Stack, tasks: Sequence[ExecTask] | None, *, unread: str = ""
) -> dict[str, Any] | None:
    """Return how a cluster is reached; None for a stack that has no URL, as that of an adoption.

    ``tasks`` are those of the brokers' service; None where they were not read, ``unread`` is why
    they could not be. Returned: ``urls`` (operate, tasklist, admin, rest, connectors), ``grpc``
    (endpoint, tls, authority), ``login`` (method and who), ``scheme`` (internal, internet-facing,
    None where it is not known), ``from`` (who the load balancers admit) and ``ways``.
    """
    outputs = stack.outputs
    url = outputs.get("RestUrl", "").rstrip("/")
    if not url:
        return None
    region = _region(stack)
    scheme = _scheme(stack)
    admitted = _admitted(stack.parameters)
    return {
        "urls": {
            **{name: f"{url}/{name}" for name in WEB},
            "rest": f"{url}/v2",
            "connectors": f"{url}/connectors",
        },
        "grpc": _grpc(outputs, url),
        "login": _login(stack, region),
        "scheme": scheme,
        "from": admitted,
        "ways": _ways(outputs, url, scheme, region, tasks, unread=unread),
    }


def _region(stack: Stack) -> str:
    """Return the region of a stack's ARN; empty for one that is none."""
    fields = stack.stack_id.split(":")
    return fields[3] if len(fields) > 5 else ""


def _scheme(stack: Stack) -> str | None:
    return stack.parameters.get("LoadBalancerScheme") or None


def _admitted(parameters: Mapping[str, str]) -> dict[str, list[str]]:
    """Return ranges, prefix lists and security groups that the load balancers admit.

    Those of gRPC replace the common ones as soon as there is one. Empty: the VPC's range.
    """

    def listed(prefix: str) -> list[str]:
        kinds = ("AllowedCidrs", "AllowedPrefixLists", "AllowedSecurityGroups")
        values = (parameters.get(f"{prefix}{kind}", "") for kind in kinds)
        return [one.strip() for value in values for one in value.split(",") if one.strip()]

    web = listed("")
    return {"web": web, "grpc": listed("Grpc") or web}


def _grpc(outputs: ClusterOutputs, url: str) -> dict[str, Any] | None:
    endpoint = outputs.get("GrpcEndpoint", "")
    if not endpoint:
        return None
    tls = url.startswith("https://")
    return {"endpoint": endpoint, "tls": tls, "authority": _authority(endpoint, url)}


def _authority(endpoint: str, url: str) -> str | None:
    """Return the name for which a client verifies the certificate, where the endpoint has another.

    No certificate can name AWS's name of a load balancer; the one of RestUrl is the domain name.
    """
    host, name = endpoint.partition(":")[0], _host(url)
    if not url.startswith("https://") or not _is_of_aws(host) or _is_of_aws(name):
        return None
    return name


def _is_of_aws(host: str) -> bool:
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _login(stack: Stack, region: str) -> dict[str, Any]:
    """Return who logs in. An output that is absent is of a release that knew only ``basic``."""
    outputs = stack.outputs
    if outputs.get("Authentication") == "oidc":
        return {
            "method": "oidc",
            "issuer": outputs.get("OidcIssuer"),
            "administrator": outputs.get("OidcAdministrator"),
            "administratorGroup": stack.parameters.get("OidcAdministratorGroup") or None,
        }
    secret = outputs.get("AdminUserSecretArn")
    shown = password = None
    if secret:
        shown = _secret_command(secret, region)
        # JMESPath, the language of --query, parses no JSON inside of a text. The double quotes
        # outside and the single ones inside are the same in sh, PowerShell and cmd.
        reads = "import json, sys; print(json.load(sys.stdin)['password'])"
        password = f'{shown} | python3 -c "{reads}"'
    return {
        "method": "basic",
        "user": ADMINISTRATOR,
        "secretArn": secret,
        "secretCommand": shown,
        "passwordCommand": password,
    }


def _secret_command(secret: str, region: str) -> str:
    where = f" --region {region}" if region else ""
    return (
        f"aws secretsmanager get-secret-value{where} --secret-id {secret} "
        "--query SecretString --output text"
    )


def _ways(
    outputs: ClusterOutputs,
    url: str,
    scheme: str | None,
    region: str,
    tasks: Sequence[ExecTask] | None,
    *,
    unread: str,
) -> list[dict[str, Any]]:
    """Return the ways to the load balancers, the shortest first."""
    if scheme == "internet-facing":
        what = "From the ranges, prefix lists and security groups that are admitted."
        return [_way("internet", what)]
    network = _way("network", _NETWORK)
    if scheme is None:
        network["unknown"] = "Whether the load balancer is internal is not known."
    return [network, _through_task(outputs, url, region, tasks, unread=unread)]


def _way(
    kind: str,
    what: str,
    *,
    missing: str | None = None,
    unknown: str | None = None,
    forwards: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a way. ``missing`` is what it lacks, ``unknown`` what was not read about it."""
    return {
        "way": kind,
        "what": what,
        "missing": missing,
        "unknown": unknown,
        "forwards": [dict(one) for one in forwards],
    }


def _lacks(outputs: ClusterOutputs) -> str | None:
    """Return what a stack lacks for a port forwarding through a broker's task; None for nothing.

    The security groups' rules between brokers and load balancers (``BrokersToWeb`` and those beside
    it in stacks/cluster.yaml) are of the same release as the output ``GrpcLoadBalancerDnsName``.
    """
    if outputs.get("EnableExecuteCommand") != "true":
        return (
            "ECS Exec is off: provision with EnableExecuteCommand=true, which restarts the brokers "
            "one at a time."
        )
    if not outputs.get("GrpcLoadBalancerDnsName"):
        return (
            "The stack is of release 0.2.0 or earlier, in which brokers may not reach the load "
            "balancers: provision the cluster again."
        )
    return None


def _through_task(
    outputs: ClusterOutputs,
    url: str,
    region: str,
    tasks: Sequence[ExecTask] | None,
    *,
    unread: str,
) -> dict[str, Any]:
    """Return the port forwarding through a broker's task, with its commands if it can be used."""
    kind = "port-forwarding"
    missing = _lacks(outputs)
    if missing:
        return _way(kind, _THROUGH_TASK, missing=missing)
    if tasks is None:
        unknown = f"The tasks could not be read: {unread}" if unread else _NOT_READ
        return _way(kind, _THROUGH_TASK, unknown=unknown)
    usable = sorted((one for one in tasks if one.usable), key=lambda one: one.task_id)
    if not usable:
        missing = (
            f"No task of {outputs.get('OrchestrationServiceName')} runs with a running {AGENT}; "
            "only tasks that started after EnableExecuteCommand have it."
        )
        return _way(kind, _THROUGH_TASK, missing=missing)
    target = exec_target(outputs.ecs_cluster, usable[0])
    return _way(kind, _THROUGH_TASK, forwards=forwards(outputs, url, region, target))


def forwards(outputs: ClusterOutputs, url: str, region: str, target: str) -> list[dict[str, Any]]:
    """Return the forwardings through a container, to the web applications and to gRPC.

    ``target`` is the container as ``exec_target`` names it. Each has ``to``, ``host``, ``port``,
    ``localPort``, ``command``, ``url`` (what to open or connect to), and for TLS ``hosts``, the
    line for the hosts file, and ``resolve``, the option of curl: the certificate names no
    ``localhost``.
    """
    found = [_web_forward(outputs, url, region, target)]
    endpoint = outputs.get("GrpcEndpoint", "")
    if endpoint:
        found.append(_grpc_forward(outputs, url, region, target))
    return found


def _web_forward(outputs: ClusterOutputs, url: str, region: str, target: str) -> dict[str, Any]:
    tls, name = url.startswith("https://"), _host(url)
    local = _LOCAL_CLEAR
    if tls:
        local = _LOCAL_OIDC if outputs.get("Authentication") == "oidc" else _LOCAL_TLS
    port = 443 if tls else 80
    there = f"https://{name}" if tls else "http://localhost"
    return {
        "to": "web",
        **_forward(target, region, _web_host(outputs) or name, port, local),
        "url": f"{there}/operate" if local == port else f"{there}:{local}/operate",
        "hosts": f"127.0.0.1 {name}" if tls else None,
        "resolve": f"--resolve {name}:{local}:127.0.0.1" if tls else None,
    }


def _grpc_forward(outputs: ClusterOutputs, url: str, region: str, target: str) -> dict[str, Any]:
    endpoint = outputs.grpc_endpoint
    host = endpoint.partition(":")[0]
    name = _authority(endpoint, url) or host
    tls = url.startswith("https://")
    return {
        "to": "grpc",
        **_forward(target, region, outputs.grpc_load_balancer, GRPC_PORT, GRPC_PORT),
        "url": f"{name if tls else 'localhost'}:{GRPC_PORT}",
        "hosts": f"127.0.0.1 {name}" if tls else None,
        "resolve": None,
    }


def _forward(target: str, region: str, host: str, port: int, local: int) -> dict[str, Any]:
    where = f" --region {region}" if region else ""
    # Quoted as sh, PowerShell and cmd read it alike.
    command = (
        f"aws ssm start-session{where} --target {target} --document-name {_DOCUMENT} "
        f'--parameters "host={host},portNumber={port},localPortNumber={local}"'
    )
    return {
        "target": target,
        "host": host,
        "port": port,
        "localPort": local,
        "command": command,
    }


def _web_host(outputs: ClusterOutputs) -> str:
    return outputs.get("WebLoadBalancerDnsName", "")


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
