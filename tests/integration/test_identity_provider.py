"""Logins by OpenID Connect: a provider, real brokers in front of a database, a real browser."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import grpc
import psycopg
import pytest
import requests
from joserfc.jwk import RSAKey
from playwright.sync_api import expect
from pyzeebe.proto import gateway_pb2 as messages
from pyzeebe.proto import gateway_pb2_grpc as stubs

from local.broker import identity
from local.broker.identity import IssuerUnavailable, TokenRejected
from local.broker.issuer import Issuer
from local.broker.settings import InvalidSetting
from local.config import REGION, REPOSITORY, user_environment
from local.https import call
from local.identity import HOST, ISSUER, PORT
from tests.integration.test_connectors import PROCESS, StandIn, stand_in
from tests.integration.test_database_seed import Aurora, aurora
from tests.support.blocks import block
from tests.support.brokers import Brokers, Leases, brokers
from tests.support.browser import chromium
from tests.support.cloud import eventually
from tests.support.documents import ANYTHING, blocks, uses
from tests.support.grpc_login import with_header
from tests.support.identity import (
    ADMIN,
    CONNECTORS_SECRET,
    DOMAIN,
    GUEST,
    Running,
    identity_provider,
)
from tests.support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

__all__ = ["aurora"]

pytestmark = pytest.mark.integration

type Json = dict[str, Any]

BLOCK = f"{block('identity')}.100"
ADDRESS = f"{block('identity')}.90.1"
# The scheme and port of the brokers themselves; behind a load balancer it is https.
ORIGIN = f"http://{DOMAIN}:8080"
ROLES = "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES"


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("idp")
    with identity_provider(folder, ADDRESS, ORIGIN, f"https://{DOMAIN}") as running:
        yield running


class Ours(Leases):
    """Buckets in an instance that runs already."""

    def __init__(self, found: Aurora) -> None:
        self._instance = found.instance
        self.endpoint = found.instance.config.aws_endpoint

    def close(self) -> None:
        """The instance is not ours to stop."""


@pytest.fixture(scope="module")
def cluster(
    aurora: Aurora, idp: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Brokers]:
    config, outputs = aurora.instance.config, aurora.outputs
    with aurora.superuser() as server:
        server.execute("CREATE ROLE sso LOGIN IN ROLE rds_iam")
        server.execute("CREATE DATABASE sso OWNER sso")
    options = f"wrapperPlugins=iam&sslmode=verify-full&sslrootcert={config.database_ca}"
    host = outputs["DatabaseEndpoint"]
    rdbms = "CAMUNDA_DATA_SECONDARYSTORAGE_RDBMS_"
    url = f"postgresql://{host}:{outputs['DatabasePort']}/sso?{options}"
    environment = idp.settings(
        REDIRECTURI=f"{ORIGIN}/sso-callback",
        GROUPSCLAIM="groups",
    ) | {
        f"{rdbms}URL": f"jdbc:aws-wrapper:{url}",
        f"{rdbms}USERNAME": "sso",
        "CAMUNDA_PERSISTENT_SESSIONS_ENABLED": "true",
        "SERVER_FORWARDHEADERSSTRATEGY": "native",
        "AWS_DEFAULT_REGION": REGION,
        "HOME": str(tmp_path_factory.getbasetemp()),
        f"{ROLES}_READONLY-ADMIN_GROUPS_0": "readers",
    }
    with brokers(
        tmp_path_factory.mktemp("brokers"),
        BLOCK,
        Ours(aurora),
        environment=environment,
        hosts=idp.hosts | {host: [config.database_address]},
        authorization=lambda: f"Bearer {idp.provider.access_token('camunda', 'anna')}",
    ) as started:
        yield started


def get(cluster: Brokers, token: str, path: str = "/v2/topology", task: int = 0) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"http://{cluster.address(task)}:8080{path}", headers=headers, timeout=5)


def ask_token(idp: Running, **form: str) -> tuple[int, Json]:
    answer = call("POST", f"{ISSUER}/token", resolve=idp.resolve, form=form)
    return answer.status, answer.document()


# The provider and the part of a broker that speaks with it


def code_of(idp: Running, **more: str) -> str:
    """Log in as a browser does, and give the code."""
    query = {
        "response_type": "code",
        "client_id": "camunda",
        "redirect_uri": f"https://{DOMAIN}/sso-callback",
        "scope": "openid profile",
        "state": "s",
        **more,
    }
    url = requests.Request("GET", f"{ISSUER}/authorize", params=query).prepare().url
    form = {"username": ADMIN.username, "password": ADMIN.password}
    answer = _raw(idp, str(url), form)
    assert answer.status_code == 302, answer.text
    return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]


def _raw(idp: Running, url: str, form: dict[str, str] | None = None) -> requests.Response:
    """Call the provider by its address, with its name in the request and in the certificate."""
    from requests.adapters import HTTPAdapter

    class Named(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> Any:
            more |= {"server_hostname": HOST, "assert_hostname": HOST}
            return super().init_poolmanager(*args, **more)

    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", Named())
        return session.request(
            "POST" if form else "GET",
            url.replace(HOST, idp.address),
            data=form,
            headers={"Host": f"{HOST}:{PORT}"},
            allow_redirects=False,
            verify=str(idp.trust),
            timeout=5,
        )


def issuer(idp: Running, **more: str) -> Issuer:
    settings = identity.read(idp.settings(**more), "8.9")
    assert settings is not None
    return Issuer(settings, idp.resolve)


def test_a_machine_gets_tokens_for_the_audiences_that_it_may_have(idp: Running) -> None:
    form = {"grant_type": "client_credentials", "client_id": "connectors"}
    status, found = ask_token(idp, **form, client_secret=CONNECTORS_SECRET)
    assert (status, found["expires_in"]) == (200, 300)
    who = issuer(idp).principal(found["access_token"])
    assert (who.kind, who.name) == ("CLIENT", "connectors")
    status, found = ask_token(idp, **form, client_secret="wrong")
    assert (status, found["error"]) == (401, "invalid_client")
    status, found = ask_token(idp, **form, client_secret=CONNECTORS_SECRET, audience="nobody")
    assert (status, found["error"]) == (400, "invalid_request")
    status, found = ask_token(idp, **form, client_secret=CONNECTORS_SECRET, audience="other")
    with pytest.raises(TokenRejected, match="Token audiences are"):
        issuer(idp).principal(found["access_token"])
    web = {"client_id": "camunda", "client_secret": "of the web"}
    refused = ask_token(idp, grant_type="client_credentials", **web)
    assert refused[1]["error"] == "unauthorized_client"


def test_a_code_counts_once_and_only_with_its_verifier(idp: Running) -> None:
    verifier = "v" * 50
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    pkce = {"code_challenge": challenge, "code_challenge_method": "S256"}
    form = {
        "grant_type": "authorization_code",
        "client_id": "camunda",
        "client_secret": "of the web",
        "redirect_uri": f"https://{DOMAIN}/sso-callback",
    }
    code = code_of(idp, **pkce)
    status, found = ask_token(idp, **form, code=code, code_verifier=verifier)
    assert status == 200, found
    assert ask_token(idp, **form, code=code, code_verifier=verifier)[1]["error"] == "invalid_grant"
    wrong = ask_token(idp, **form, code=code_of(idp, **pkce), code_verifier="w" * 50)
    assert wrong[1]["error"] == "invalid_grant"
    # A refresh token counts once, too.
    again = {**form, "grant_type": "refresh_token", "refresh_token": found["refresh_token"]}
    del again["redirect_uri"]
    assert ask_token(idp, **again)[0] == 200
    assert ask_token(idp, **again)[1]["error"] == "invalid_grant"


def test_the_provider_sends_nobody_to_another_place(idp: Running) -> None:
    query = "response_type=code&client_id=camunda&scope=openid&state=s&redirect_uri="
    elsewhere = _raw(idp, f"{ISSUER}/authorize?{query}https://evil.test/sso-callback")
    assert elsewhere.status_code == 400
    assert "Location" not in elsewhere.headers
    out = _raw(
        idp, f"{ISSUER}/logout?post_logout_redirect_uri=https://evil.test/&client_id=camunda"
    )
    assert (out.status_code, "Location" in out.headers) == (200, False)


def test_a_login_is_redeemed_and_refreshed(idp: Running) -> None:
    broker = issuer(idp, GROUPSCLAIM="groups")
    redirect = f"https://{DOMAIN}/sso-callback"
    who, tokens = broker.redeem(code_of(idp, nonce="n1"), redirect, "n1")
    assert (who.kind, who.name, who.groups) == ("USER", "anna", ("admins", "staff"))
    assert broker.refresh(tokens)[0].name == "anna"
    with pytest.raises(TokenRejected, match="invalid_nonce"):
        broker.redeem(code_of(idp, nonce="n2"), redirect, "another")
    with pytest.raises(TokenRejected, match="invalid_grant"):
        broker.redeem(code_of(idp, nonce="n3"), f"{redirect}/other", "n3")
    assert "secret" not in repr(broker.settings)
    assert tokens.access not in repr(tokens)


def test_a_wrong_issuer_ends_the_start(idp: Running) -> None:
    for wrong, reason in (
        (f"{ISSUER}/", "did not match the requested issuer"),
        (f"https://{HOST}:{PORT + 1}", "refused"),
        (f"{ISSUER}/realms/none", "answers 404"),
    ):
        with pytest.raises(InvalidSetting, match="Unable to connect to the Identity") as ended:
            issuer(idp, ISSUERURI=wrong)
        assert reason in str(ended.value)


def test_without_its_keys_nothing_is_known_of_a_token(idp: Running) -> None:
    broker = issuer(idp)
    token = idp.provider.access_token("camunda", "anna")
    broker.metadata["jwks_uri"] = f"{ISSUER}/nothing"
    with pytest.raises(IssuerUnavailable, match="404"):
        broker.principal(token)


# Real brokers


def test_tokens_of_users_and_machines_are_accepted(idp: Running, cluster: Brokers) -> None:
    for name, user, kind in (("camunda", "anna", "anna"), ("connectors", "", None)):
        token = idp.provider.access_token(name, user)
        assert get(cluster, token).status_code == 200
        me = get(cluster, token, "/v2/authentication/me").json()
        assert me["username"] == kind
    me = get(cluster, idp.provider.access_token("camunda", "anna"), "/v2/authentication/me").json()
    assert (me["roles"], me["groups"], me["email"]) == (
        ["admin"],
        ["admins", "staff"],
        "anna@camunda.test",
    )


def test_a_token_that_is_not_the_issuers_own_and_current_one_is_401(
    idp: Running, cluster: Brokers
) -> None:
    provider, now = idp.provider, int(time.time())
    good = provider.claims(idp.clients["camunda"], ADMIN, "openid")
    stranger = RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)
    same_name = RSAKey.import_key(stranger.as_pem(private=True), {"kid": str(provider.key.kid)})
    header, body, _ = provider.sign(good).split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    rejected = {
        "expired": provider.sign(good | {"exp": now - 120}),
        "not yet": provider.sign(good | {"nbf": now + 120}),
        "audience": provider.sign(good | {"aud": ["another"]}),
        "issuer": provider.sign(good | {"iss": "https://evil.test"}),
        "nobody": provider.sign({k: v for k, v in good.items() if k != "preferred_username"}),
        "stranger's key": provider.sign(good, key=stranger),
        "stranger's key under a known name": provider.sign(good, key=same_name),
        "none": f"{none}.{body}.",
        "no signature": f"{header}.{body}.",
        "public key as secret": confused(provider.key, body),
        "ID token type": provider.sign(good, typ="logout+jwt"),
        "rubbish": "x.y.z",
        "opaque": "0123456789",
    }
    assert get(cluster, provider.sign(good)).status_code == 200
    for reason, token in rejected.items():
        answer = get(cluster, token)
        assert (answer.status_code, answer.text) == (401, ""), reason
        assert 'Bearer error="invalid_token"' in answer.headers["WWW-Authenticate"], reason
        assert token not in answer.headers["WWW-Authenticate"]


def confused(key: RSAKey, body: str) -> str:
    """Sign with the published key as if it were a shared secret."""
    header = json.dumps({"alg": "HS256", "typ": "JWT", "kid": key.kid}).encode()
    text = f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.{body}"
    digest = hmac.digest(key.as_pem(private=False), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def test_passwords_are_refused_and_there_is_no_session_by_a_form(cluster: Brokers) -> None:
    url = f"http://{cluster.address(0)}:8080"
    answer = requests.get(f"{url}/v2/topology", auth=("admin", "secret"), timeout=5)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert requests.get(f"{url}/v2/topology", timeout=5).status_code == 401
    form = {"username": "admin", "password": "secret"}
    assert requests.post(f"{url}/login", data=form, timeout=5).status_code in {404, 405}
    assert requests.get(f"{url}/v2/license", timeout=5).status_code == 200


def test_the_commands_of_the_first_hour_log_in_with_a_token(
    idp: Running, cluster: Brokers, tmp_path: Path
) -> None:
    """Word for word; curl finds the provider by its own configuration, as no name resolves here."""
    to = f'connect-to = "{HOST}:{PORT}:{idp.address}:{PORT}"'
    (tmp_path / ".curlrc").write_text(f'cacert = "{idp.trust}"\n{to}\n')
    terminal = Terminal(
        tmp_path / "terminal",
        tmp_path,
        {
            **user_environment(),
            "CURL_HOME": str(tmp_path),
            "CAMUNDA_REST_ADDRESS": f"http://{cluster.address(0)}:8080/v2",
        },
    )
    filled = {
        "CAMUNDA_OAUTH_URL": f"{ISSUER}/token",
        "CAMUNDA_CLIENT_ID": "connectors",
        "CAMUNDA_CLIENT_SECRET": CONNECTORS_SECRET,
        "CAMUNDA_TOKEN_AUDIENCE": "camunda",
    }
    page = blocks(REPOSITORY / "docs" / "first-hour.md")
    found = [use for use in uses(page) if use.block.heading == "8. With OpenID Connect"]
    for use in found:
        for command in use.commands:
            given = command
            for name, value in filled.items():
                given = given.replace(f"{name}={ANYTHING}", f"{name}='{value}'")
            ended = terminal.run(given)
            assert ended.code == 0, terminal.transcript()
    assert json.loads(terminal.ended[-1].output)["clusterSize"] == 3


def test_roles_decide_what_is_forbidden(idp: Running, cluster: Brokers) -> None:
    url = f"http://{cluster.address(0)}:8080/v2"

    def search(client: str, user: str = "") -> int:
        headers = {"Authorization": f"Bearer {idp.provider.access_token(client, user)}"}
        return requests.post(f"{url}/jobs/search", json={}, headers=headers, timeout=5).status_code

    assert search("camunda", "anna") == 200
    assert search("connectors") == 200
    assert search("camunda", "gustav") == 403
    assert search("stranger") == 403
    # By a group of the token, which the environment made a member.
    idp.users["rita"] = type(GUEST)("r", "rita", "x", "", ("readers",))
    assert search("camunda", "rita") == 200
    reader = {"Authorization": f"Bearer {idp.provider.access_token('camunda', 'rita')}"}
    made = requests.post(f"{url}/process-instances", json={}, headers=reader, timeout=5)
    assert made.status_code == 403
    # An administrator lets another client in.
    admin = {"Authorization": f"Bearer {idp.provider.access_token('camunda', 'anna')}"}
    member = f"{url}/roles/connectors/clients/stranger"
    assert requests.put(member, headers=admin, timeout=5).status_code == 204
    assert requests.put(member, headers=admin, timeout=5).status_code == 409
    assert search("stranger") == 200
    assert requests.delete(member, headers=admin, timeout=5).status_code == 204
    assert search("stranger") == 403
    for path, words in (("users/search", "OIDC mode"), ("groups", "group claim mode")):
        refused = requests.post(f"{url}/{path}", json={}, headers=admin, timeout=5)
        assert (refused.status_code, words in refused.json()["detail"]) == (403, True)


def test_grpc_takes_the_same_tokens(idp: Running, cluster: Brokers) -> None:
    async def answer(header: str, name: str = "Topology", request: Any = None) -> Any:
        async with with_header(f"{cluster.address(0)}:26500", header) as channel:
            return await getattr(stubs.GatewayStub(channel), name)(
                request or messages.TopologyRequest(), timeout=10
            )

    def code(*arguments: Any) -> Any:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            asyncio.run(answer(*arguments))
        return refused.value.code()

    token = idp.provider.access_token("connectors")
    assert asyncio.run(answer(f"Bearer {token}")).clusterSize == 3
    expired = idp.provider.access_token("connectors", exp=int(time.time()) - 120)
    assert code(f"Bearer {expired}") == grpc.StatusCode.UNAUTHENTICATED
    assert code("Basic YWRtaW46c2VjcmV0") == grpc.StatusCode.UNAUTHENTICATED
    stranger = idp.provider.access_token("stranger")
    publish = messages.PublishMessageRequest(name="m", correlationKey="k")
    args = (f"Bearer {stranger}", "PublishMessage", publish)
    assert code(*args) == grpc.StatusCode.PERMISSION_DENIED
    assert asyncio.run(answer(f"Bearer {token}", "PublishMessage", publish)).key


def test_a_rotated_key_of_the_issuer_is_found(idp: Running, cluster: Brokers) -> None:
    before = idp.provider.access_token("camunda", "anna")
    assert get(cluster, before).status_code == 200
    idp.provider.rotate()
    after = idp.provider.access_token("camunda", "anna")
    assert eventually(lambda: get(cluster, after).status_code == 200, 5)
    assert get(cluster, before).status_code == 200


@pytest.fixture(scope="module")
def connectors(idp: Running, cluster: Brokers) -> Iterator[StandIn]:
    login = client_settings(CONNECTORS_SECRET)
    names = cluster.directory / "names.json"
    with stand_in(cluster.directory, 50, cluster.address(0), idp.trust, names, **login) as started:
        assert eventually(started.ready, 10), started.log()
        yield started


def client_settings(secret: str, **more: str) -> dict[str, str]:
    prefix = "CAMUNDA_CLIENT_AUTH_"
    return {
        f"{prefix}METHOD": "oidc",
        f"{prefix}CLIENTID": "connectors",
        f"{prefix}CLIENTSECRET": secret,
        f"{prefix}TOKENURL": f"{ISSUER}/token",
        f"{prefix}AUDIENCE": "camunda",
        **more,
    }


def test_connectors_work_with_a_token(idp: Running, cluster: Brokers, connectors: StandIn) -> None:
    headers = {"Authorization": f"Bearer {idp.provider.access_token('camunda', 'anna')}"}
    url = f"http://{cluster.address(1)}:8080/v2"
    resources = {"resources": ("work.bpmn", PROCESS)}
    answer = requests.post(f"{url}/deployments", files=resources, headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    body: Any = {"processDefinitionId": "work", "variables": {}, "awaitCompletion": True}

    def outcome() -> Any:
        made = requests.post(f"{url}/process-instances", json=body, headers=headers, timeout=30)
        return made.json().get("variables", {}).get("standIn")

    # A deployment reaches the other partitions a moment later.
    assert eventually(lambda: outcome() is True, 20), connectors.log()
    assert CONNECTORS_SECRET not in connectors.log()


def test_connectors_are_down_with_the_reason(idp: Running, cluster: Brokers) -> None:
    names = cluster.directory / "names.json"
    with stand_in(
        cluster.directory, 51, cluster.address(0), idp.trust, names, **client_settings("wrong")
    ) as refused:
        assert eventually(lambda: refused.not_ready("answers 401, invalid_client"), 10)
    elsewhere = client_settings(
        CONNECTORS_SECRET, CAMUNDA_CLIENT_AUTH_TOKENURL=f"https://{HOST}:{PORT + 1}/token"
    )
    with stand_in(
        cluster.directory, 52, cluster.address(0), idp.trust, names, **elsewhere
    ) as unreachable:
        assert eventually(lambda: unreachable.not_ready("no login: the token endpoint"), 10)


def test_connectors_trust_only_the_authority(
    cluster: Brokers, idp: Running, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    stranger.write_bytes(type(idp.authority)().pem)
    names, login = cluster.directory / "names.json", client_settings(CONNECTORS_SECRET)
    with stand_in(cluster.directory, 53, cluster.address(0), stranger, names, **login) as started:
        assert eventually(lambda: started.not_ready("certificate verify failed"), 10)


# A browser


@dataclass
class Visit:
    """A browser that resolves the domain to one broker, and the provider's name to its address."""

    browser: Browser
    page: Page


@pytest.fixture
def visit(idp: Running, cluster: Brokers) -> Iterator[Visit]:
    rules = f"MAP {DOMAIN} {cluster.address(2)},MAP {HOST} {idp.address}"
    with chromium(f"--host-resolver-rules={rules}") as browser:
        # The authority is this run's own; the provider's certificate is verified by the brokers.
        context = browser.new_context(ignore_https_errors=True)
        yield Visit(browser, context.new_page())


def test_a_browser_logs_in_and_its_session_outlives_the_broker(
    idp: Running, cluster: Brokers, visit: Visit, tmp_path: Path
) -> None:
    page = visit.page
    page.goto(f"{ORIGIN}/operate/processes?x=1")
    assert page.url.startswith(f"{ISSUER}/authorize?")
    page.screenshot(path=tmp_path / "login.png")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("User name or password is wrong.")
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill(ADMIN.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#user")).to_have_text("anna")
    assert page.url == f"{ORIGIN}/operate/processes?x=1"
    page.screenshot(path=tmp_path / "logged-in.png")

    cookies = {one["name"]: one for one in page.context.cookies(ORIGIN)}
    session = cookies["camunda-session"]
    assert (session["httpOnly"], session["sameSite"], session["secure"]) == (True, "Lax", False)
    jar = {"camunda-session": session["value"]}

    def me(task: int) -> int:
        url = f"http://{cluster.address(task)}:8080/v2/authentication/me"
        return requests.get(url, cookies=jar, timeout=5).status_code

    assert me(2) == me(0) == 200
    cluster.kill(2)
    try:
        assert me(0) == 200
        assert writes_need_the_token(f"http://{cluster.address(0)}:8080", jar)
    finally:
        cluster.start(2)
        assert eventually(lambda: cluster.ready(0, 1, 2), 60), cluster.log(2)

    page.reload()
    expect(page.locator("#user")).to_have_text("anna")
    page.get_by_role("button", name="Log out").click()
    # From the issuer's end of session to /post-logout, and, logged out there too, to a new login.
    expect(page.get_by_label("User name")).to_be_visible()
    assert page.url.startswith(f"{ISSUER}/authorize?")
    assert me(0) == 401


def writes_need_the_token(url: str, jar: dict[str, str]) -> bool:
    """Whether a session writes with the masked token of an answer alone."""
    write = f"{url}/v2/jobs/search"
    body: Json = {}
    assert requests.post(write, json=body, cookies=jar, timeout=5).status_code == 401
    answer = requests.get(f"{url}/v2/topology", cookies=jar, timeout=5)
    token = str(answer.cookies["X-CSRF-TOKEN"])
    both = jar | {"X-CSRF-TOKEN": token}

    def sent(value: str) -> int:
        headers = {"X-CSRF-TOKEN": value}
        return requests.post(write, json=body, cookies=both, headers=headers, timeout=5).status_code

    assert sent(token) == 401, "the cookie's own value is not what a header has"
    return sent(answer.headers["X-CSRF-TOKEN"]) == 200


def test_a_user_without_a_role_sees_no_application(visit: Visit) -> None:
    page = visit.page
    page.goto(f"{ORIGIN}/operate")
    page.get_by_label("User name").fill("gustav")
    page.get_by_label("Password").fill(GUEST.password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{ORIGIN}/operate/forbidden")


def test_behind_https_cookies_are_secure_and_the_issuer_gets_the_registered_address(
    idp: Running, cluster: Brokers
) -> None:
    url = f"http://{cluster.address(0)}:8080"
    headers = {"Host": DOMAIN, "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}
    with requests.Session() as client:
        entry = client.get(f"{url}/operate", headers=headers, allow_redirects=False, timeout=5)
        assert (entry.status_code, entry.headers["Location"]) == (302, "/oauth2/authorization/oidc")
        assert "; secure" in entry.headers["Set-Cookie"].lower()
        assert "max-age=" in entry.headers["Strict-Transport-Security"]
        sign_in = f"{url}/oauth2/authorization/oidc"
        answer = client.get(sign_in, headers=headers, allow_redirects=False, timeout=5)
    target = urlsplit(answer.headers["Location"])
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    assert f"{target.scheme}://{target.netloc}{target.path}" == f"{ISSUER}/authorize"
    assert (query["client_id"], query["scope"]) == ("camunda", "openid profile")
    # As registered, whatever the request looks like.
    assert query["redirect_uri"] == f"{ORIGIN}/sso-callback"
    assert min(len(query["state"]), len(query["nonce"])) > 40


def test_a_state_of_another_login_begins_anew(cluster: Brokers) -> None:
    url = f"http://{cluster.address(0)}:8080/sso-callback?code=x&state=forged"
    answer = requests.get(url, allow_redirects=False, timeout=5)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")


def test_a_script_gets_401_and_no_redirect(cluster: Brokers) -> None:
    headers = {"X-Requested-With": "XMLHttpRequest"}
    url = f"http://{cluster.address(0)}:8080/operate"
    answer = requests.get(url, headers=headers, allow_redirects=False, timeout=5)
    assert answer.status_code == 401


def test_sessions_are_in_the_database_and_expire_there(aurora: Aurora, cluster: Brokers) -> None:
    with aurora.superuser("sso") as server:
        assert rows(server)
        server.execute("UPDATE web_session SET expires = 0")
        requests.get(f"http://{cluster.address(0)}:8080/operate", allow_redirects=False, timeout=5)
        assert rows(server) == 1


def rows(server: psycopg.Connection[Any]) -> int:
    found = server.execute("SELECT count(*) FROM web_session").fetchone()
    return int(found[0]) if found else 0


def test_a_broker_that_does_not_find_its_issuer_does_not_start(
    idp: Running, cluster: Brokers, tmp_path: Path
) -> None:
    lone = Brokers(
        tmp_path,
        f"{block('identity')}.110",
        cluster._leases,
        size=1,
        partitions=1,
        replication_factor=1,
        environment=idp.settings(ISSUERURI=f"https://{HOST}:{PORT + 1}"),
        hosts=idp.hosts,
    )
    lone.start(0)
    assert lone.ended(0) == 1
    assert "Unable to connect to the Identity Provider endpoint" in lone.log(0)
