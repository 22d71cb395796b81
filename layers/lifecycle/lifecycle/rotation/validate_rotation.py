"""Check a rotation request before anything is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifecycle.cluster.find import find_cluster, find_own_cluster
from lifecycle.errors import RotationRefused
from lifecycle.rotation.request import OUTPUTS, Secret, read_rotation_request

if TYPE_CHECKING:
    from lifecycle.cluster.contract import ClusterOutputs
    from lifecycle.cluster.ports import Stacks
    from lifecycle.rotation.request import RotationRequest
    from lifecycle.services.ports import Services, TaskSecrets


def validate_rotation(raw: object, *, control_stack: str, stacks: Stacks) -> dict[str, Any]:
    """Validate ``{"clusterName": "demo", "secrets": ["admin"]}``; change nothing.

    Returns ``cluster``, ``stack``, ``ecsCluster``, ``secrets``, ``dryRun`` and ``approves`` as the
    state machine carries them. Raises ``InvalidRequest`` that names every wrong field,
    ``ClusterNotFound``, ``ClusterFrozen``, ``RotationRefused`` for users that an identity provider
    replaced, and ``StackNotUsable`` for a cluster that something else made, and for a stack that
    CloudFormation changes.
    """
    request = read_rotation_request(raw)
    stack = find_own_cluster(stacks, control_stack, request.cluster)
    _refuse_unused_passwords(stack.outputs, request)
    for secret in request.secrets:
        stack.outputs.required(OUTPUTS[secret])
    return {
        "cluster": request.cluster,
        "stack": stack.name,
        "ecsCluster": stack.outputs.ecs_cluster,
        "secrets": [str(one) for one in request.secrets],
        "dryRun": request.dry_run,
        "approves": request.approves,
    }


def _refuse_unused_passwords(outputs: ClusterOutputs, request: RotationRequest) -> None:
    """Refuse users of Camunda where an identity provider logs in: Camunda's users API is off then.

    Raises ``RotationRefused`` that names them.
    """
    unused = [str(one) for one in request.secrets if one is not Secret.DATABASE]
    if not outputs.uses_oidc or not unused:
        return
    raise RotationRefused(
        f"secrets names {', '.join(unused)}; with Authentication oidc only database is allowed: "
        "Camunda accepts no password then, and changes none.",
        next_step='Request "secrets": ["database"]. A client\'s secret is renewed at the identity '
        "provider: put the new one into the secret of Secrets Manager, then restart the connectors "
        "for OidcConnectorsSecretArn and the brokers for OidcClientSecretArn; for "
        "OidcHealthSecretArn nothing else is needed.",
    )


def prepare_rotation(
    raw: object, *, control_stack: str, stacks: Stacks, services: Services, tasks: TaskSecrets
) -> dict[str, Any]:
    """Validate as ``validate_rotation`` does, and what a rotation of the connectors needs.

    The machine calls it before it holds the cluster and again when it does. Raises
    ``RotationRefused`` where a new task would not log in as the user in the secret: two users take
    turns, and a revision of an earlier release names one of them.
    """
    found = validate_rotation(raw, control_stack=control_stack, stacks=stacks)
    if Secret.CONNECTORS not in found["secrets"]:
        return found
    outputs = find_cluster(stacks, control_stack, found["cluster"]).outputs
    (connectors,) = services.describe(outputs.ecs_cluster, [outputs.connectors_service])
    if not connectors.exists:
        return found
    wanted = f"{outputs.required(OUTPUTS[Secret.CONNECTORS])}:username::"
    if wanted not in tasks.references(connectors.revision):
        raise RotationRefused(
            f"The connectors have a revision ({connectors.revision.rsplit('/', 1)[-1]}) with a "
            "fixed user name, so that new tasks would not log in as the user whose turn it is.",
            next_step="Provision the cluster, which moves the connectors to a revision that takes "
            "the name from the secret; then start the same request again.",
        )
    return found
