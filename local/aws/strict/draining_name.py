"""A service that is being deleted keeps its name until its last task has stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import ecs, responses
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness


def install(_strictness: Strictness) -> None:
    """Check before the API or CloudFormation creates a service."""
    ecs.create_service = _asking(ecs.create_service)


def _asking(own: Any) -> Any:
    def create(data: Mapping[str, Any]) -> Any:
        cluster = ecs.resolve_cluster_name(data.get("cluster", "default"))
        refused = refusal(ecs.services.get(f"{cluster}/{data.get('serviceName')}"))
        return responses.error_response_json(*refused, 400) if refused else own(data)

    return create


def refusal(present: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Why no service can be made under the name of this one; INACTIVE ones do not keep it.

    The code of an ACTIVE one's refusal: hashicorp/terraform-provider-aws#2283.
    """
    match present["status"] if present else "INACTIVE":
        case "ACTIVE":
            message = "Creation of service was not idempotent."
        case "DRAINING":
            message = "Unable to Start a service that is still Draining."
        case _:
            return None
    return "InvalidParameterException", message


RULE: Final = Rule(
    name="draining-name",
    does="A service keeps its name until it is INACTIVE: CreateService returns `Creation of"
    " service was not idempotent` while it is ACTIVE, `Unable to Start a service that is still"
    " Draining` while it is DRAINING.",
    source="https://github.com/spinnaker/spinnaker/issues/5476",
    caught="nothing yet: CloudFormation waits until a service it deletes is INACTIVE.",
    install=install,
)
