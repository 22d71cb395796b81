"""What SAM makes of the control plane's template, nested stacks included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from samtranslator.translator.transform import transform

from tests.support.nested import flattened

if TYPE_CHECKING:
    from collections.abc import Mapping


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def translated(artifacts: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The resources after the SAM transform, artifacts named as `sam package` names them.

    ``artifacts`` are objects in the bucket by the logical id of what they belong to.
    """
    source = flattened()
    for name, resource in source["Resources"].items():
        for key in ("CodeUri", "ContentUri", "DefinitionUri"):
            if key in resource.get("Properties", {}):
                resource["Properties"][key] = f"s3://bucket/{(artifacts or {}).get(name, 'same')}"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        resources: dict[str, Any] = transform(source, {}, _NoManagedPolicies())["Resources"]
    return resources
