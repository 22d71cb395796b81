"""A trial: a cluster to try things on, which leaves nothing behind when it is torn down.

It is one from its first change set to its last, and its stack carries a tag for it. What
makes it one is the parameter ``Trial`` and a template in which nothing is retained: CloudFormation
takes no condition in a deletion policy, so the policies are changed before the upload.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PARAMETER: Final = "Trial"
TAG_TRIAL: Final = "camunda:trial"

# With the mark and the digest, the longest name of a cluster: 19 characters.
_BEGINNING: Final = 10
_DIGEST: Final = 5
_OF_REHEARSAL: Final = re.compile(rf"[a-z][a-z0-9-]{{0,{_BEGINNING - 1}}}-rh-[0-9a-f]{{{_DIGEST}}}")

# The smallest sizes that should work: a broker is gateway and three web applications as well, and
# its heap a quarter of the memory. They are untried on AWS. Each can be given another value, except
# those below.
DEFAULTS: Final[Mapping[str, str]] = {
    "Brokers": "1",
    "Partitions": "1",
    "ReplicationFactor": "1",
    "Connectors": "1",
    "BrokerCpu": "1024",
    "BrokerMemory": "4096",
    "ConnectorsCpu": "512",
    "ConnectorsMemory": "2048",
    "ContinuousBackup": "false",
    "DatabaseInstances": "1",
    "DatabaseBackupRetentionDays": "1",
    "LogRetentionDays": "1",
}
# Protection would keep it from being removed; Container Insights makes a log group outside of the
# stack, and AWS Backup keeps its copies: both would be left behind.
FIXED: Final[Mapping[str, str]] = {
    "DatabaseDeletionProtection": "false",
    "LoadBalancerDeletionProtection": "false",
    "FileSystemBackup": "false",
    "ContainerInsights": "disabled",
}

# A task definition keeps its replaced revisions (they cost nothing): brokers may still run them.
_RETAINED: Final = {"RetainExceptOnCreate", "Snapshot"}


def is_trial(parameters: Mapping[str, str]) -> bool:
    """Return whether parameters, requested or present, are those of a trial."""
    return parameters.get(PARAMETER) == "true"


def trial_parameters(requested: Mapping[str, str]) -> dict[str, str]:
    """Fill a request for a new trial with the smallest sizes and what is fixed."""
    return {**DEFAULTS, **requested, **FIXED}


def retain_nothing(template: dict[str, Any]) -> None:
    """Change the cluster template (JSON, as data) so that nothing of it is retained."""
    for resource in template["Resources"].values():
        if resource.get("DeletionPolicy") in _RETAINED:
            resource["DeletionPolicy"] = resource["UpdateReplacePolicy"] = "Delete"


def tags(parameters: Mapping[str, str]) -> dict[str, str]:
    """Tags that a stack carries beside the others, by its parameters."""
    return {TAG_TRIAL: "true"} if is_trial(parameters) else {}


def rehearsal_trial(cluster: str) -> str:
    """Name the trial into which a cluster's backup is restored: one for each cluster."""
    digest = hashlib.sha256(cluster.encode()).hexdigest()[:_DIGEST]
    # A name of a new cluster has no two hyphens in a row.
    return re.sub("-{2,}", "-", f"{cluster[:_BEGINNING]}-rh-{digest}")


def is_rehearsal_trial(cluster: str) -> bool:
    """Return whether a cluster has the name of such a trial."""
    return _OF_REHEARSAL.fullmatch(cluster) is not None
