"""The naming contract: how control stack, cluster, stack and operation are called."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

CLUSTER_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,18}")
CLUSTER_NAME_RULE: Final = (
    "2 to 19 characters: lower-case letters, digits and hyphens, starting with a letter"
)
NEW_CLUSTER_RULE: Final = (
    f"{CLUSTER_NAME_RULE}; for a new cluster without two hyphens in a row or one at the end, which "
    "RDS refuses in the names of databases and snapshots"
)
CONTROL_STACK_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,31}")
CONTROL_STACK_RULE: Final = (
    "2 to 32 characters: lower-case letters, digits and hyphens, starting with a letter"
)
_DIGEST: Final = 12
OF_CONTROL_STACKS: Final = "-DeploymentRoleArn"
"""How an export of every control stack ends, after its name; no other stack has one."""
ALIKE_RULE: Final = (
    "a name that does not begin with the other's and a hyphen, nor the other way round"
)
CONSOLE_GROUPS: Final = ("viewer", "planner", "operator", "administrator")
"""Groups of the console's users, each with the rights of those before it."""
TAG_CONTROL_PLANE: Final = "camunda:control-plane"
TAG_CLUSTER: Final = "camunda:cluster"
TAG_GENERATION: Final = "camunda:data-generation"
"""Number of a cluster's data, which each restore raises; its databases and their snapshots have it.

RDS copies the tags of a database to its automated and final snapshots (``CopyTagsToSnapshot``), and
to none that is requested with tags of its own:
https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_Tagging.html
"""


def is_cluster_name(value: object) -> bool:
    """Return whether ``value`` may name a cluster."""
    return isinstance(value, str) and CLUSTER_NAME.fullmatch(value) is not None


def is_new_cluster_name(value: object) -> bool:
    """Return whether ``value`` may name a cluster that does not exist yet.

    Its databases and snapshots are named after it, and RDS takes no two hyphens in a row. Clusters
    that have such names, as adopted ones may, keep them.
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBClusterSnapshot.html
    """
    return is_cluster_name(value) and "--" not in f"{value}-"


def is_console_role(role: str, control_stack: str) -> bool:
    """Return whether a role is one of the console's of that control plane (stacks/console.yaml).

    No control plane's name has an underscore, so that no other one's role is called like that.
    """
    return role in {f"{control_stack}_console_{group}" for group in CONSOLE_GROUPS}


def control_stack_problem(name: str) -> str:
    """Return why a control stack may not be called ``name``; empty when it may.

    Policies name buckets and other resources by the control stack's name, and CloudFormation makes
    their names of it: those of buckets in lower case, and each cut to what its type allows.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-name.html
    """
    if CONTROL_STACK_NAME.fullmatch(name):
        return ""
    return (
        f"the control stack is called {name}; CloudFormation lower-cases or cuts the names that it "
        "makes of that, so that policies would not match them"
    )


def alike(control_stack: str, others: Iterable[str]) -> list[str]:
    """Control stacks whose resources a pattern ``<control stack>-*`` of the other one matches.

    Buckets and log streams have no tags that IAM sees, so that policies name them by that pattern.
    """
    return sorted(
        other
        for other in set(others)
        if other.startswith(f"{control_stack}-") or control_stack.startswith(f"{other}-")
    )


def control_stacks(exports: Iterable[tuple[str, str]]) -> list[str]:
    """Control stacks of an account and region, by the exports of all stacks.

    ``exports`` are names with the ARN of the stack that exports each.
    """
    return sorted(
        name.removesuffix(OF_CONTROL_STACKS)
        for name, stack in exports
        if name.endswith(OF_CONTROL_STACKS)
        and stack.split("/")[1:2] == [name.removesuffix(OF_CONTROL_STACKS)]
    )


def stack_name(control_stack: str, cluster: str) -> str:
    """Name of the CloudFormation stack that holds a cluster."""
    return f"{control_stack}-{cluster}"


def held_name(ecs_cluster: str) -> str:
    """Name of the export by which an adoption holds an ECS cluster.

    CloudFormation lets one stack of an account and region export a name, made of letters, digits,
    hyphens and colons; names of ECS clusters have underscores too, and no colons.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/outputs-section-structure.html
    """
    return f"camunda-adopted-ecs-cluster:{ecs_cluster.replace('_', ':')}"


def tags(control_stack: str, cluster: str) -> dict[str, str]:
    """Tags that everything of a cluster carries."""
    return {TAG_CONTROL_PLANE: control_stack, TAG_CLUSTER: cluster}


def change_set_name(operation_id: str, step: str) -> str:
    """Name of the change set that one operation makes for one step.

    The same operation requests the same name again after a retry, so that CloudFormation itself
    refuses a second copy. At most 128 characters of ``[A-Za-z0-9-]``, starting with a letter, as
    CreateChangeSet takes them; what they cannot hold of the operation's id is distinguished by the
    digest at the end.
    """
    digest = hashlib.sha256(f"{step}/{operation_id}".encode()).hexdigest()[:_DIGEST]
    cleaned = re.sub(r"[^A-Za-z0-9-]", "-", f"{step}-{operation_id}")
    return f"{cleaned[: 127 - _DIGEST]}-{digest}"
