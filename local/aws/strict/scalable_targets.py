"""Application Auto Scaling knows which services others let it scale."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import app, iam_actions, router
from local.aws.strict import Rule
from local.config import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_SERVICE: Final = "application-autoscaling"
_TARGET: Final = "AnyScaleFrontendService"
_KEY: Final = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_ROLE: Final = (
    f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_ECSService"
)
_SUSPENDED: Final = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}


class Registry:
    """The targets of an account and region; they outlive the service that they scale."""

    def __init__(self) -> None:
        self._targets: dict[tuple[str, ...], dict[str, Any]] = {}

    def answer(self, action: str, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer one call with its status and its document."""
        key = tuple(str(request.get(name)) for name in _KEY)
        match action:
            case "RegisterScalableTarget":
                return self._register(key, request)
            case "DeregisterScalableTarget":
                if self._targets.pop(key, None) is None:
                    return _refused("ObjectNotFoundException", f"No scalable target {key[1]}.")
                return 200, {}
            case "DescribeScalableTargets":
                if "ScalableDimension" in request and "ResourceIds" not in request:
                    return _refused("ValidationException", "A dimension needs resource ids.")
                wanted = request.get("ResourceIds")
                dimension = request.get("ScalableDimension")
                found = [
                    one
                    for one in self._targets.values()
                    if one["ServiceNamespace"] == request.get("ServiceNamespace")
                    and (wanted is None or one["ResourceId"] in wanted)
                    and dimension in {None, one["ScalableDimension"]}
                ]
                return 200, {"ScalableTargets": found}
        return _refused("ValidationException", f"{action} has no stand-in on this machine.")

    def _register(
        self, key: tuple[str, ...], request: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        present = self._targets.get(key)
        if present is None and not {"MinCapacity", "MaxCapacity"} <= request.keys():
            return _refused("ValidationException", "A new target needs both bounds.")
        made = present or dict(zip(_KEY, key, strict=True)) | {
            "RoleARN": _ROLE,
            "CreationTime": 0.0,
            "ScalableTargetARN": f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT_ID}:"
            f"scalable-target/{uuid.uuid4().hex}",
            "SuspendedState": _SUSPENDED,
        }
        made |= {name: request[name] for name in ("MinCapacity", "MaxCapacity") if name in request}
        made["SuspendedState"] = made["SuspendedState"] | request.get("SuspendedState", {})
        self._targets[key] = made
        return 200, {"ScalableTargetARN": made["ScalableTargetARN"]}


def install(_: Strictness) -> None:
    """Serve Application Auto Scaling, which the emulator lacks."""
    registry = Registry()

    async def handle(
        _method: str, _path: str, headers: Mapping[str, str], body: bytes, _query: Any
    ) -> tuple[int, dict[str, str], bytes]:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        status, document = registry.answer(action, json.loads(body or b"{}"))
        kind = {"Content-Type": "application/x-amz-json-1.1"}
        return status, kind, json.dumps(document).encode()

    router.SERVICE_PATTERNS[_SERVICE] = {
        "host_patterns": [r"application-autoscaling\."],
        "target_prefixes": [_TARGET],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[_SERVICE] = _SERVICE
    iam_actions.extract_resource_arn = _without_resources(iam_actions.extract_resource_arn)
    app.SERVICE_HANDLERS[_SERVICE] = handle


def _without_resources(own: Any) -> Any:
    """DescribeScalableTargets has no resource type, so that a policy allows it on all or none."""

    def extract(service: str, method: str, path: str, headers: Any, body: Any, *rest: Any) -> Any:
        if service == _SERVICE:
            return "*"
        return own(service, method, path, headers, body, *rest)

    return extract


def _refused(code: str, message: str) -> tuple[int, dict[str, Any]]:
    return 400, {"__type": code, "Message": message}


RULE: Final = Rule(
    name="scalable-targets",
    does="Application Auto Scaling changes the desired count of a registered service. Only"
    " DescribeScalableTargets shows its targets, without resource-level permissions.",
    source="https://docs.aws.amazon.com/autoscaling/application/APIReference/"
    "API_DescribeScalableTargets.html",
    caught="brokers scaled by something else were reported healthy, planned and scaled without a"
    " warning.",
    install=install,
)
