"""Errors as problem documents. https://www.rfc-editor.org/rfc/rfc9457"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import ClusterBusy, InvalidRequest, LifecycleError, StartOutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTENT_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 5

STATUS: Final[Mapping[str, int]] = {
    "InvalidRequest": 400,
    "SecondApproverRequired": 403,
    "ClusterNotFound": 404,
    "OperationNotFound": 404,
    "HealthUnavailable": 404,
    "PlanNotFound": 404,
    "ReportNotFound": 404,
    "NotAcceptable": 406,
    "ClusterBusy": 409,
    "ClusterFrozen": 409,
    "ManageRefused": 409,
    "OperationNotCancellable": 409,
    "OperationNotResumable": 409,
    "PlanNotFinished": 409,
    "StackNotUsable": 409,
    "ClusterChanged": 412,
    "RequestTooLarge": 413,
    "UnsupportedMediaType": 415,
    "IdempotencyKeyReused": 422,
    "HealthCheckBusy": 429,
    "MachineNotDeployed": 501,
    "AwsUnavailable": 503,
    "StartOutcomeUnknown": 503,
}


def problem(error: LifecycleError, *, request_id: str) -> tuple[int, dict[str, Any]]:
    """Return status and document of an error. Its class name is the stable part: ``error``."""
    name = type(error).__name__
    status = STATUS.get(name, 500)
    document: dict[str, Any] = {
        "type": f"tag:camunda-ecs-lifecycle,2026:{name}",
        "title": re.sub(r"(?<!^)(?=[A-Z])", " ", name).capitalize(),
        "status": status,
        "detail": error.message,
        "error": name,
        "nextStep": error.next_step,
        "requestId": request_id,
    }
    if isinstance(error, InvalidRequest):
        document["errors"] = [dict(wrong) for wrong in error.problems]
    if isinstance(error, ClusterBusy | StartOutcomeUnknown):
        document["operationId"] = error.operation_id
    if isinstance(error, StartOutcomeUnknown):
        document["idempotencyKey"] = error.operation_id.rpartition(".")[2]
    return status, document


def unexpected(request_id: str) -> tuple[int, dict[str, Any]]:
    """Return status and document of an error that was not foreseen; it reveals nothing internal."""
    return 500, {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "The request failed because of an error in the function.",
        "nextStep": "Search the functions' log group for the request id.",
        "requestId": request_id,
    }
