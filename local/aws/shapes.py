"""CloudFormation properties as the parameters of the API call that AWS makes of them.

CloudFormation writes `EFSVolumeConfiguration`, the API `efsVolumeConfiguration`; a template's
numbers and booleans arrive as strings. Names and types are taken from botocore's own model of the
operation, so that nothing is listed by hand and nothing is dropped.
"""

from __future__ import annotations

from typing import Any

import botocore.session


class UnknownPropertyError(Exception):
    """A template sets what the API call does not know."""


def api_parameters(service: str, operation: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Translate `properties` of a resource into the parameters of `service`'s `operation`.

    Raises UnknownPropertyError with the path of a property that the operation does not have.
    """
    model = botocore.session.get_session().get_service_model(service)
    shape = model.operation_model(operation).input_shape
    result = _converted(shape, properties, "")
    if not isinstance(result, dict):
        raise UnknownPropertyError(f"{service}:{operation} takes no parameters")
    return result


def _converted(shape: Any, value: Any, path: str) -> Any:
    match shape.type_name:
        case "structure":
            members = {name.lower(): name for name in shape.members}
            result = {}
            for key, item in value.items():
                name = members.get(key.lower())
                if name is None:
                    raise UnknownPropertyError(f"{path}{key}")
                result[name] = _converted(shape.members[name], item, f"{path}{key}.")
            return result
        case "list":
            return [_converted(shape.member, item, path) for item in value]
        case "map":
            return {key: _converted(shape.value, item, path) for key, item in value.items()}
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case _:
            return str(value)
