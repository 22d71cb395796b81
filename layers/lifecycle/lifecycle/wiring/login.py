"""Which adapter stands behind which port: logins of the functions at Camunda, inside the VPC."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from lifecycle.wiring.common import settings

if TYPE_CHECKING:
    from lifecycle.adapters.identity.provider import ClientTokens, HttpIdentityProvider
    from lifecycle.cluster.login import ClusterLogins
    from lifecycle.preflight.query_issuer import IssuerProber

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def logins(provider: HttpIdentityProvider | None = None) -> ClusterLogins:
    """Logins by the outputs of a cluster's stack; tokens by ``provider``."""
    from lifecycle.adapters.aws.secrets import SecretsManagerUsers
    from lifecycle.cluster.login import ClusterLogins
    from lifecycle.cluster.owned_secrets import Purpose

    return ClusterLogins(
        users=SecretsManagerUsers(settings().control_stack, Purpose.CAMUNDA_USER),
        tokens=client_tokens(provider or identity_provider()),
    )


@functools.cache
def client_tokens(provider: HttpIdentityProvider) -> ClientTokens:
    """Tokens, kept as long as the process."""
    return _tokens(provider)


def _tokens(provider: HttpIdentityProvider) -> ClientTokens:
    from lifecycle.adapters.aws.secrets import SecretsManagerClients
    from lifecycle.adapters.identity.provider import ClientTokens

    return ClientTokens(provider, SecretsManagerClients(settings().control_stack))


@functools.cache
def identity_provider() -> HttpIdentityProvider:
    """Identity providers; nothing that they publish is kept."""
    from lifecycle.adapters.identity.provider import HttpIdentityProvider

    return HttpIdentityProvider()


@functools.cache
def watched_identity_provider() -> HttpIdentityProvider:
    """The same for health checks: each document is read every ten minutes at most.

    One that hangs must not use up the time of the brokers.
    """
    from lifecycle.adapters.camunda.http_client import Timeouts
    from lifecycle.adapters.identity.provider import HttpIdentityProvider

    return HttpIdentityProvider(
        timeouts=Timeouts(connect=1.0, read=1.5), budget_seconds=1.0, keep=600.0
    )


def issuer_prober() -> IssuerProber:
    """The query about an identity provider, inside the VPC.

    Its token is new each time: one that was kept is from before a correction at the provider.
    """
    from lifecycle.preflight.query_issuer import IssuerProber

    provider = identity_provider()
    return IssuerProber(provider=provider, tokens=_tokens(provider))
