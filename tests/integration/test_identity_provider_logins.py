"""The functions in front of a real identity provider and real brokers, also on the way to it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.adapters.camunda.http_client import Timeouts
from lifecycle.adapters.camunda.load_balancers import NetworkPaths
from lifecycle.adapters.camunda.management import HttpManagement
from lifecycle.adapters.camunda.processes import HttpProcesses
from lifecycle.adapters.identity.provider import ClientTokens, HttpIdentityProvider
from lifecycle.camunda.credentials import Credentials
from lifecycle.camunda.paths import SignIn
from lifecycle.camunda.read_topology import query_topology
from lifecycle.cluster.checks import Result
from lifecycle.cluster.contract import ClusterOutputs
from lifecycle.cluster.login import ClusterLogins
from lifecycle.errors import (
    CredentialsRefused,
    IdentityProviderUnreachable,
    ManagementRefused,
    SecretRefused,
    TokenRefused,
)
from lifecycle.preflight.identity_provider import Wanted, check_identity_provider
from lifecycle.preflight.query_issuer import IssuerProber
from lifecycle.verification.process_instances import PROCESS, PROCESS_ID, RESOURCE

from local.identity import HOST, ISSUER
from tests.support.blocks import block
from tests.support.brokers import USER, Brokers, Leases, brokers
from tests.support.cloud import eventually
from tests.support.identity import HEALTH_SECRET, Running, identity_provider

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

BLOCK = f"{block('identity')}.101"
ADDRESS = f"{block('identity')}.91.1"
NETWORKS = ("127.0.0.0/8",)
FAST = Timeouts(connect=1.0, read=5.0)
ADMIN = Credentials("admin", "secret")
OUTPUTS = ClusterOutputs(
    {
        "ClusterName": "demo",
        "Authentication": "oidc",
        "AdminUserSecretArn": "arn:admin",
        "OidcIssuer": ISSUER,
        "OidcTokenUrl": f"{ISSUER}/token",
        "OidcClientId": "camunda",
        "OidcHealthClientId": "health",
        "OidcHealthSecretArn": "arn:health",
    }
)


class Secrets:
    """Both secrets; that of the client has its URL in a tag."""

    def __init__(self) -> None:
        self.client = HEALTH_SECRET
        self.admin_reads = 0

    def secret(self, secret_arn: str, cluster: str, token_url: str) -> str:
        assert (secret_arn, cluster) == ("arn:health", "demo")
        if token_url != f"{ISSUER}/token":
            raise SecretRefused(f"not for {token_url}.")
        return self.client

    def credentials(self, secret_arn: str, cluster: str) -> Credentials:
        assert (secret_arn, cluster) == ("arn:admin", "demo")
        self.admin_reads += 1
        return ADMIN


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with identity_provider(tmp_path_factory.mktemp("idp"), ADDRESS) as running:
        yield running


@pytest.fixture(scope="module")
def leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leases]:
    made = Leases(tmp_path_factory.mktemp("leases"), block("identity"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def resolved(idp: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    known = socket.getaddrinfo

    def resolve(host: str, *given: Any, **named: Any) -> Any:
        return known(idp.address if host == HOST else host, *given, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def logins(secrets: Secrets) -> ClusterLogins:
    return ClusterLogins(secrets, ClientTokens(HttpIdentityProvider(), secrets))


def api(cluster: Brokers, kind: type[HttpManagement] = HttpManagement) -> Any:
    addresses = tuple(cluster.address(task) for task in cluster.tasks)
    return kind("brokers", networks=NETWORKS, timeouts=FAST, resolve=lambda *_: addresses)


def test_a_preflight_passes_and_names_what_differs(idp: Running, secrets: Secrets) -> None:
    parameters = {
        **OUTPUTS,
        "OidcUsernameClaim": "preferred_username",
        "OidcClientIdClaim": "client_id",
        "OidcPreferUsernameClaim": "false",
        "OidcIdpLogout": "true",
        "OidcAudiences": "camunda",
    }

    def results(**changed: str) -> dict[str, str]:
        wanted = Wanted.of("demo", parameters | changed)
        assert wanted is not None
        provider = HttpIdentityProvider()
        answer = IssuerProber(provider, ClientTokens(provider, secrets)).query(
            wanted.outputs, client_claim=wanted.client_claim, username_claim=wanted.username_claim
        )
        assert HEALTH_SECRET not in str(answer)
        return {
            one.name: one.seen
            for one in check_identity_provider(wanted, answer)
            if one.result is not Result.PASS
        }

    del idp
    assert results() == {}
    assert list(results(OidcAudiences="another")) == ["token of the health client"]
    assert list(results(OidcIssuer=f"{ISSUER}/")) == [
        "identity provider",
        "token of the health client",
    ]
    assert "not for https://thief" in str(results(OidcTokenUrl="https://thief.example.com/token"))
    secrets.client = "a former secret"
    assert "invalid_client" in results()["token of the health client"]


def test_a_provider_of_an_unknown_authority_is_not_trusted(
    idp: Running, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    del idp
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(IdentityProviderUnreachable, match="certificate of login"):
        ClusterLogins(secrets, ClientTokens(HttpIdentityProvider(), secrets)).of(OUTPUTS).login()


def test_brokers_go_from_passwords_to_the_provider_and_are_known_all_the_time(
    tmp_path_factory: pytest.TempPathFactory,
    idp: Running,
    leases: Leases,
    secrets: Secrets,
    logins: ClusterLogins,
) -> None:
    source = logins.of(OUTPUTS)
    folder = tmp_path_factory.mktemp("brokers")
    with brokers(folder, BLOCK, leases, hosts=idp.hosts) as cluster:

        def whole() -> bool:
            """Every broker is in the topology that the functions read by either login."""
            found = query_topology(api(cluster), source)
            return len(found.brokers) == 3 and all(one.partitions for one in found.brokers)

        # The stack names the provider before any broker has it.
        assert whole()
        assert secrets.admin_reads > 0
        with pytest.raises(CredentialsRefused, match="token of client health"):
            query_topology(api(cluster), source, newest=True)
        before = {k: v for k, v in cluster._environment.items() if k not in USER}
        cluster._environment = before | idp.settings()
        for task in (2, 1, 0):
            cluster.kill(task)
            cluster.start(task)
            ready = lambda one=task: cluster.ask(one, "/actuator/health/readiness")[0] == 200  # noqa: E731
            assert eventually(ready, 60), cluster.log(task)
            assert eventually(whole, 60)
            # Those that have it accept the token alone, and no password.
            address = cluster.address(task)
            assert api(cluster).topology_of(address, source.newest()).brokers
            with pytest.raises(CredentialsRefused):
                api(cluster).topology_of(address, ADMIN)
            assert query_topology(api(cluster), source, newest=True).brokers
        reads = secrets.admin_reads
        assert whole()
        assert secrets.admin_reads == reads

        processes = api(cluster, HttpProcesses)
        processes.deploy(RESOURCE, PROCESS.encode(), source.login())

        def created() -> bool:
            try:
                return bool(processes.create_instance(PROCESS_ID, source.login()))
            except ManagementRefused:  # its partition does not have the process yet
                return False

        assert eventually(created, 20)

        seen = NetworkPaths().sign_in(
            f"http://{cluster.address(0)}:8080/operate",
            SignIn(f"{ISSUER}/authorize", "camunda", "https://demo.camunda.test/sso-callback"),
        )
        assert seen.ok, seen.seen

        secrets.client = "a former secret"
        fresh = ClusterLogins(secrets, ClientTokens(HttpIdentityProvider(), secrets)).of(OUTPUTS)
        with pytest.raises(TokenRefused, match="invalid_client"):
            query_topology(api(cluster), fresh)
