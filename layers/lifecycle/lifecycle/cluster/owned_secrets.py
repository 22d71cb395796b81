"""Whose a secret is and what it is for, by its tags: decided before its value is read.

A stack may name any secret of the account, above all one that describes a cluster that another
tool made. A principal that may change the secret sets its tags.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.names import TAG_CLUSTER, TAG_CONTROL_PLANE

if TYPE_CHECKING:
    from collections.abc import Mapping

TAG_PURPOSE: Final = "camunda:purpose"
TAG_TOKEN_URL: Final = "camunda:token-url"  # noqa: S105 - the name of a tag
"""The only URL to which the secret of a client of an identity provider is sent.

The outputs of a stack name the token endpoint, and who may plan or adopt a cluster decides on these
outputs. Its own tag keeps the secret from a server of their choice.
"""


class Purpose(StrEnum):
    """Value of the tag ``camunda:purpose``: where the value of a secret may go."""

    DATABASE_ADMIN = "database-admin"
    """Administrator of Aurora: to Aurora, never to a task or a registry."""
    CAMUNDA_USER = "camunda-user"
    """A user of Camunda: to the cluster's tasks and to its own REST API."""
    TASK = "task"
    """Anything else that a request hands to the tasks of a cluster, such as a license key."""
    REGISTRY = "registry"
    """Credentials of an image registry, which ECS sends to the registry that a request names."""
    OIDC_CLIENT = "oidc-client"
    """Secret of the client by which the functions log in: to the URL in its tag, nowhere else."""
    CHAT = "chat"
    """URL of a webhook: to the chat that it names, of the control plane and never of a cluster."""


# A secret of these belongs to one cluster; of the others, several clusters may share one.
_OF_ONE_CLUSTER: Final = frozenset(
    {Purpose.DATABASE_ADMIN, Purpose.CAMUNDA_USER, Purpose.OIDC_CLIENT}
)


def wrong_tag(
    tags: Mapping[str, str],
    *,
    control_stack: str,
    cluster: str,
    purpose: Purpose,
    shared: bool = True,
) -> str:
    """Return which tag keeps a secret from a cluster, with its value and the allowed one.

    Empty for a secret of this control plane, of this purpose and of this cluster. A secret for
    tasks or a registry may lack the cluster's tag: then every cluster of the control plane may
    use it, unless it must not be ``shared``.
    """
    needed = _tags(control_stack, cluster, purpose)
    lent = shared and purpose not in _OF_ONE_CLUSTER and TAG_CLUSTER not in tags
    if purpose is Purpose.CHAT or lent:
        del needed[TAG_CLUSTER]
    for key, value in needed.items():
        if key not in tags:
            return f"does not carry the tag {key}; allowed is the value {value!r}"
        if tags[key] != value:
            return f"has {tags[key]!r} in the tag {key}; allowed is {value!r}"
    return ""


def wrong_url(tags: Mapping[str, str], token_url: str) -> str:
    """Return what keeps a client's secret from a token endpoint; empty if it may be sent there."""
    if tags.get(TAG_TOKEN_URL) == token_url:
        return ""
    seen = f"has {tags[TAG_TOKEN_URL]!r} in" if TAG_TOKEN_URL in tags else "does not carry"
    return f"{seen} the tag {TAG_TOKEN_URL}; allowed is the value {token_url!r} (OidcTokenUrl)"


def tag_command(
    arn: str, *, control_stack: str, cluster: str, purpose: Purpose, shared: bool = True
) -> str:
    """Return the AWS CLI command that makes a secret one of this cluster."""
    needed = _tags(control_stack, cluster, purpose)
    if shared and purpose not in _OF_ONE_CLUSTER:
        del needed[TAG_CLUSTER]
    pairs = " ".join(f"Key={key},Value={value}" for key, value in needed.items())
    return f"aws secretsmanager tag-resource --secret-id {arn} --tags {pairs}"


def _tags(control_stack: str, cluster: str, purpose: Purpose) -> dict[str, str]:
    return {
        TAG_CONTROL_PLANE: control_stack,
        TAG_CLUSTER: cluster,
        TAG_PURPOSE: purpose.value,
    }
