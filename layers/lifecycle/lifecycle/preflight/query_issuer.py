"""The probe's question ``issuer``: what an identity provider publishes and issues."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifecycle.camunda.read_identity import query_provider, query_token
from lifecycle.cluster.login import health_client
from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from lifecycle.camunda.ports import IdentityProvider, Tokens
    from lifecycle.cluster.contract import ClusterOutputs


@dataclass(frozen=True, slots=True)
class IssuerProber:
    """The use case and its ports."""

    provider: IdentityProvider
    tokens: Tokens

    def query(
        self, cluster: ClusterOutputs, *, client_claim: str, username_claim: str
    ) -> dict[str, Any]:
        """Return ``provider`` and ``token`` as JSON, null where they could not be read.

        ``cluster`` are the outputs that the stack has or is to have. ``providerProblem`` and
        ``tokenProblem`` are why, never an exception; no secret and no token is part of it.
        """
        answer: dict[str, Any] = {
            "provider": None,
            "providerProblem": "",
            "token": None,
            "tokenProblem": "",
        }
        try:
            answer["provider"] = query_provider(self.provider, cluster.oidc_issuer)
        except LifecycleError as error:
            answer["providerProblem"] = _words(error)
        try:
            answer["token"] = query_token(
                self.tokens,
                health_client(cluster),
                client_claim=client_claim,
                username_claim=username_claim,
            )
        except LifecycleError as error:
            answer["tokenProblem"] = _words(error)
        return answer


def _words(error: LifecycleError) -> str:
    return f"{type(error).__name__}: {error.message.rstrip('.')}"
