"""Tags of a parameter that is not there are an invalid resource id."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import responses, ssm
from local.aws.strict import Rule

if TYPE_CHECKING:
    from local.aws.strict import Strictness

CODE: Final = "InvalidResourceId"
_OWN: Final = "ParameterNotFound"


def code_of(body: bytes) -> str:
    """Code of an error of the JSON protocol; empty for any other answer."""
    return str(json.loads(body or b"{}").get("__type", "")).rpartition("#")[2]


def install(_: Strictness) -> None:
    """Answer with the code that Systems Manager has for it."""
    own = ssm.list_tags_for_resource

    def list_tags_for_resource(data: dict[str, Any]) -> Any:
        status, headers, body = own(data)
        if status >= 400 and code_of(body) == _OWN:
            return responses.error_response_json(CODE, "", 400)
        return status, headers, body

    ssm.list_tags_for_resource = list_tags_for_resource


RULE: Final = Rule(
    name="parameter-tags",
    does="ListTagsForResource returns InvalidResourceId for a parameter that does not exist.",
    source="https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_ListTagsForResource.html",
    caught="nothing yet.",
    install=install,
)
