"""The API's routes, in one table.

Dispatch, the OpenAPI document (``tools/generate_openapi.py``) and the comparison with the template
all read it. API Gateway has matched the route already and names it (``resource``), whatever base
path a custom domain puts in front, so there is no second router here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Route:
    """One route. ``verb`` names the machine that it starts; empty for a route that only reads."""

    method: str
    resource: str
    name: str
    summary: str
    verb: str = ""


ROUTES: Final = (
    Route("GET", "/clusters", "listClusters", "List the clusters"),
    Route("GET", "/clusters/{name}", "readCluster", "Describe a cluster"),
    Route(
        "GET",
        "/clusters/{name}/health",
        "readHealth",
        ("Show the last health check, or run one now"),
    ),
    Route(
        "PUT",
        "/clusters/{name}",
        "provisionCluster",
        "Apply a reviewed plan, or plan and apply parameters in one step",
        "provision",
    ),
    Route("DELETE", "/clusters/{name}", "tearDownCluster", "Remove a cluster", "teardown"),
    Route(
        "PUT",
        "/clusters/{name}/brokers",
        "scaleBrokers",
        "Scale the brokers of a cluster to a count",
        "scale",
    ),
    Route(
        "PUT",
        "/clusters/{name}/partitions",
        "scalePartitions",
        "Add partitions to a cluster, up to a number",
        "scale",
    ),
    Route(
        "POST",
        "/clusters/{name}/restart",
        "restartService",
        "Restart the brokers one at a time, one of them, or the connectors",
        "restart",
    ),
    Route(
        "POST",
        "/clusters/{name}/rotation",
        "rotateSecrets",
        "Rotate the passwords of Camunda's users and of Aurora's administrator",
        "rotate",
    ),
    Route(
        "PUT",
        "/clusters/{name}/management-access",
        "openManagement",
        "Open the management API on the internal load balancer for a limited time",
        "manage",
    ),
    Route(
        "DELETE",
        "/clusters/{name}/management-access",
        "closeManagement",
        "Close the management API before its end",
        "manage",
    ),
    Route(
        "GET",
        "/clusters/{name}/backups",
        "listBackups",
        "List the backups of a cluster and what they can restore",
    ),
    Route(
        "POST",
        "/clusters/{name}/backups",
        "takeBackup",
        "Take a backup: a snapshot of the database, then a backup of the brokers",
        "backup",
    ),
    Route(
        "DELETE",
        "/clusters/{name}/backups/{id}",
        "deleteBackup",
        "Delete a backup of the brokers and its snapshot",
        "backup",
    ),
    Route(
        "DELETE",
        "/clusters/{name}/former-data",
        "deleteFormerData",
        "Delete what restores have replaced, or list it",
        "backup",
    ),
    Route(
        "POST",
        "/clusters/{name}/restores",
        "restoreCluster",
        "Restore a cluster to a backup, or plan that",
        "restore",
    ),
    Route(
        "POST",
        "/clusters/{name}/rehearsals",
        "rehearseRestore",
        "Restore a backup of a cluster into a trial, compare and time it, or plan that",
        "rehearse",
    ),
    Route(
        "POST",
        "/clusters/{name}/plans",
        "planChange",
        "Plan provisioning or scaling; changes nothing",
        "plan",
    ),
    Route(
        "PUT",
        "/clusters/{name}/freeze",
        "freezeCluster",
        "Freeze a cluster: every change is rejected until the freeze is lifted",
    ),
    Route("DELETE", "/clusters/{name}/freeze", "thawCluster", "Lift the freeze of a cluster"),
    Route("GET", "/kept", "listKept", "List what clusters that were torn down have left"),
    Route(
        "GET",
        "/kept/{name}",
        "readKept",
        "Show what a cluster has left, and whether a new one can be made of it",
    ),
    Route("GET", "/operations", "listOperations", "List operations, newest first"),
    Route("GET", "/operations/{id}", "readOperation", "Describe an operation"),
    Route(
        "GET",
        "/operations/{id}/report",
        "readReport",
        "Return links to the report and the page of an ended operation",
    ),
    Route(
        "POST",
        "/operations/{id}/cancel",
        "cancelOperation",
        "Stop an operation that has not changed anything yet",
    ),
    Route(
        "POST",
        "/operations/{id}/resume",
        "resumeOperation",
        "Let an operation go on that was stopped or timed out",
    ),
    Route("GET", "/plans/{id}", "readPlan", "Read a plan as JSON, text or page"),
)
