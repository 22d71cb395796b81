"""Which adapter stands behind which port: rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.wiring.common import journal, settings, stacks

if TYPE_CHECKING:
    from lifecycle.adapters.camunda.users import HttpUsers
    from lifecycle.rotation.restored_logins import RestoredLogins
    from lifecycle.rotation.rotate_secrets import SecretRotator

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def secret_rotator() -> SecretRotator:
    """Rotation of secrets, inside the VPC; needs the layer with psycopg."""
    from lifecycle.adapters.aws.secrets import SecretsManagerVersions
    from lifecycle.adapters.postgres.database import PostgresDatabase
    from lifecycle.rotation.rotate_secrets import SecretRotator

    return SecretRotator(
        secrets=SecretsManagerVersions(settings().control_stack),
        camunda=_users,
        database=lambda target: PostgresDatabase(target, connect_timeout=5),
        journal=journal(),
    )


def restored_logins() -> RestoredLogins:
    """Passwords of Camunda's users after a restore, inside the VPC."""
    from lifecycle.adapters.aws.secrets import SecretsManagerVersions
    from lifecycle.rotation.restored_logins import RestoredLogins

    return RestoredLogins(
        secrets=SecretsManagerVersions(settings().control_stack),
        camunda=_users,
        journal=journal(),
    )


def _users(name: str) -> HttpUsers:
    """Users of the cluster with that discovery name."""
    import os

    from lifecycle.adapters.camunda.http_client import Timeouts
    from lifecycle.adapters.camunda.users import HttpUsers

    return HttpUsers(
        name,
        networks=(os.environ["VPC_CIDR"],),
        timeouts=Timeouts(connect=2.0, read=5.0),
        budget_seconds=10.0,
    )


def rotation_validator(raw: object) -> dict[str, Any]:
    """Validate a request, and whether the connectors can be moved to another user."""
    from lifecycle.adapters.aws.ecs import EcsServices
    from lifecycle.adapters.aws.service_design import EcsTaskSecrets
    from lifecycle.rotation.validate_rotation import prepare_rotation

    return prepare_rotation(
        raw,
        control_stack=settings().control_stack,
        stacks=stacks(),
        services=EcsServices(),
        tasks=EcsTaskSecrets(),
    )
