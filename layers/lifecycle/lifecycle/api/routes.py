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
