"""Settings read from environment variables. Names and ARNs only, never secrets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class MissingSettings(Exception):
    """The function's environment lacks variables that its template must set."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The control plane as one function sees it.

    ``cluster_template`` is the file of the template of cluster stacks, ``service_definitions`` the
    folder of the definitions of ECS services. ``probe_function`` is set only where it is needed:
    for functions outside the VPC that query the one inside; ``event_bus`` for those that publish
    how an operation goes.
    """

    control_stack: str
    region: str
    table_name: str
    artifact_bucket: str
    deployment_role_arn: str
    cluster_template: str
    service_definitions: str = "/opt/"
    probe_function: str = ""
    event_bus: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *require: str) -> Settings:
        """Read the environment; ``require`` names further variables this function cannot lack.

        Raises ``MissingSettings`` naming *all* missing variables at once.
        """
        env = os.environ if environ is None else environ
        needed = (
            "CONTROL_STACK",
            "AWS_REGION",
            "TABLE_NAME",
            "ARTIFACT_BUCKET",
            "DEPLOYMENT_ROLE_ARN",
            "CLUSTER_TEMPLATE",
            *require,
        )
        missing = [name for name in needed if not env.get(name)]
        if missing:
            message = f"Missing environment variables: {', '.join(missing)}"
            raise MissingSettings(message)
        return cls(
            control_stack=env["CONTROL_STACK"],
            region=env["AWS_REGION"],
            table_name=env["TABLE_NAME"],
            artifact_bucket=env["ARTIFACT_BUCKET"],
            deployment_role_arn=env["DEPLOYMENT_ROLE_ARN"],
            cluster_template=env["CLUSTER_TEMPLATE"],
            service_definitions=env.get("SERVICE_DEFINITIONS", "/opt/"),
            probe_function=env.get("PROBE_FUNCTION", ""),
            event_bus=env.get("EVENT_BUS", ""),
        )
