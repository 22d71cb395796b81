"""Secrets that a cluster reads and does not create: named by ARN, in parameters and settings.

Tasks may read a secret only if its tags name the control plane and the purpose, and only when they
start; so what is wrong with one would be seen minutes after the change, in a task that does not
start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE
from lifecycle.cluster.owned_secrets import (
    TAG_TOKEN_URL,
    Purpose,
    tag_command,
    wrong_tag,
    wrong_url,
)
from lifecycle.services.settings import SERVICES, without_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.services.settings import Settings

REGISTRY: Final = "RegistryCredentialsArn"
HEALTH: Final = "OidcHealthSecretArn"
# Tasks log in with them. Who may set the options of a JVM in a cluster can make its tasks send
# what they read elsewhere, so that a client of one cluster must not be readable by another one.
_CLIENTS: Final = ("OidcClientSecretArn", "OidcConnectorsSecretArn")
PARAMETERS: Final = ("LicenseKeySecretArn", REGISTRY, *_CLIENTS, HEALTH)
_PURPOSES: Final = {REGISTRY: Purpose.REGISTRY, HEALTH: Purpose.OIDC_CLIENT}
NAME: Final = "named secrets"
# Of a long list the first are enough to see what is wrong, and a cause has its limit.
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class NamedSecret:
    """A secret or parameter (``arn``, without a JSON key) and the ``field`` that names it.

    ``token_url`` is the one place to which the functions may send its value; empty for a secret
    that they do not read.
    """

    field: str
    arn: str
    token_url: str = ""

    @property
    def service(self) -> str:
        """``secretsmanager`` or ``ssm``."""
        return self.arn.split(":")[2]

    @property
    def purpose(self) -> Purpose:
        """Where its value would go."""
        return _PURPOSES.get(self.field, Purpose.TASK)

    @property
    def shared(self) -> bool:
        """Whether several clusters may name it."""
        return self.field not in _CLIENTS

    @property
    def region(self) -> str:
        """Region in the ARN."""
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        """Account in the ARN."""
        return self.arn.split(":")[4]


class Seen(StrEnum):
    """What AWS returns when a secret is looked at, and what that means."""

    THERE = "exists"
    ABSENT = "does not exist"
    LEAVING = "is scheduled for deletion"
    DENIED = f"does not exist, or does not carry the tag {TAG_CONTROL_PLANE}: AWS denies access"
    """Only what carries the tag may be looked at, so that one answer stands for both."""


@dataclass(frozen=True, slots=True)
class SecretSeen:
    """What is known of a secret; ``arn`` is its own, empty for a parameter.

    Secrets Manager finds a secret by an ARN without the last hyphen and six characters too;
    policies of roles and the encryption context of its key have the whole one.
    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
    """

    state: Seen
    tags: Mapping[str, str] = field(default_factory=dict)
    arn: str = ""


def named_secrets(
    parameters: Mapping[str, str], settings: Mapping[str, Any] | Settings
) -> tuple[NamedSecret, ...]:
    """Find the secrets that the parameters of a cluster and a request's settings name."""
    found = [
        NamedSecret(
            name, parameters[name], parameters.get("OidcTokenUrl", "") if name == HEALTH else ""
        )
        for name in PARAMETERS
        if parameters.get(name)
    ]
    for service in SERVICES:
        given = (settings.get(service) or {}).get("secrets") or {}
        found += [
            NamedSecret(f"settings.{service}.secrets.{name}", without_key(reference))
            for name, reference in given.items()
            if reference is not None
        ]
    return tuple(found)


def check_secrets(
    secrets: Sequence[NamedSecret],
    seen: Mapping[str, SecretSeen] | None,
    *,
    unread: str,
    account: str | None,
    region: str,
    control_stack: str,
    cluster: str,
) -> Check:
    """Hold every named secret against what AWS reports; ``seen`` is by ARN.

    What could not be read is a warning, with the reason in ``unread``; what is not there, is
    elsewhere or lacks a tag fails.
    """
    wrong = [
        f"{one.field}: {one.arn} {why}"
        for one in secrets
        if (
            why := _wrong(
                one,
                (seen or {}).get(one.arn),
                account=account,
                region=region,
                control_stack=control_stack,
                cluster=cluster,
            )
        )
    ]
    if wrong:
        return Check(
            NAME,
            Result.FAIL,
            _joined(wrong),
            "Specify secrets of this account and region that have the tags "
            f"{TAG_CONTROL_PLANE}={control_stack} and camunda:purpose=registry "
            f"(RegistryCredentialsArn), camunda:purpose={Purpose.OIDC_CLIENT} ({HEALTH}, with "
            f"{TAG_TOKEN_URL}) or camunda:purpose=task (all others), with {TAG_CLUSTER}={cluster} "
            "where it is the secret of a client (Oidc...), and no tag of another cluster.",
        )
    if seen is None:
        return Check(
            NAME,
            Result.WARN,
            f"{', '.join(one.field for one in secrets[:_SHOWN])} could not be read: {unread}",
            "Check manually, or grant PreflightCluster's role read access.",
        )
    return Check(NAME, Result.PASS, f"{len(secrets)} exist and have the tags")


def _wrong(
    secret: NamedSecret,
    seen: SecretSeen | None,
    *,
    account: str | None,
    region: str,
    control_stack: str,
    cluster: str,
) -> str:
    if secret.region != region:
        return f"is in region {secret.region}, not {region}"
    if account is not None and secret.account != account:
        return f"belongs to account {secret.account}, not {account}"
    if seen is None:
        return ""
    if seen.state is not Seen.THERE:
        return seen.state
    if seen.arn and seen.arn != secret.arn:
        return f"is not the whole ARN, with which roles read it; allowed is {seen.arn!r}"
    wrong = wrong_tag(
        seen.tags,
        control_stack=control_stack,
        cluster=cluster,
        purpose=secret.purpose,
        shared=secret.shared,
    )
    wrong = wrong or (wrong_url(seen.tags, secret.token_url) if secret.token_url else "")
    if not wrong or secret.service != "secretsmanager":
        return wrong
    command = tag_command(
        secret.arn,
        control_stack=control_stack,
        cluster=cluster,
        purpose=secret.purpose,
        shared=secret.shared,
    )
    if secret.token_url:
        command += f" Key={TAG_TOKEN_URL},Value={secret.token_url}"
    return f"{wrong}; if it is meant for that: {command}"


def _joined(lines: Sequence[str]) -> str:
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more
