"""Logins by an identity provider in front of a whole cluster: refusals, browsers, machines, the way
from passwords, and the end.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from playwright.sync_api import expect
from pyzeebe import ZeebeClient
from pyzeebe.proto import gateway_pb2 as messages
from pyzeebe.proto import gateway_pb2_grpc as stubs

from local.identity import ADMINISTRATORS, HOST, ISSUER
from local.work import Work
from tests.support.cloud import eventually
from tests.support.grpc_login import with_header
from tests.support.sso import APPLICATION, Sso, log_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.component import Instance

SMALL = {"Brokers": 1, "Partitions": 2, "ReplicationFactor": 1, "Connectors": 1}
WORK_SECONDS = 2.0


@pytest.fixture(scope="module")
def sso(instance: Instance) -> Iterator[Sso]:
    yield from cluster(instance, "sso")


@pytest.fixture
def moved(instance: Instance) -> Iterator[Sso]:
    yield from cluster(instance, "moved")


def cluster(instance: Instance, name: str) -> Iterator[Sso]:
    site = Sso(instance, name)
    yield site
    if site.standing(name):
        site.run("teardown", {"clusterName": name, "confirm": name})


def test_what_nobody_could_log_in_to_is_not_begun(sso: Sso) -> None:
    login = sso.login(OidcAdministrator="admin")
    before = sso.stacks(), certificates(sso), addresses(sso)

    def refused(**changed: str) -> tuple[str, str]:
        parameters = {**SMALL, **sso.place, **login, **changed}
        return sso.failed("provision", {"clusterName": "sso", "parameters": parameters})

    error, cause = refused(OidcAdministrator="")
    assert (error, "OidcAdministrator" in cause) == ("InvalidRequest", True), cause
    error, cause = refused(DomainName="", HostedZoneId="")
    assert (error, "DomainName" in cause) == ("InvalidRequest", True), cause
    bare = sso.client("secretsmanager").create_secret(
        Name="sso/bare", SecretString='{"clientSecret": "x"}'
    )["ARN"]
    error, cause = refused(OidcClientSecretArn=bare)
    assert (error, "camunda:purpose" in cause) == ("PreflightFailed", True), cause
    sso.client("secretsmanager").delete_secret(SecretId=bare, ForceDeleteWithoutRecovery=True)
    # Read from inside the VPC.
    error, cause = refused(OidcIssuer=f"https://{HOST}:8444")
    assert (error, f"{HOST}:8444" in cause) == ("PreflightFailed", True), cause
    error, cause = refused(OidcIssuer=f"{ISSUER}/realms/other")
    assert (error, "identity provider" in cause) == ("PreflightFailed", True), cause
    error, cause = refused(OidcAudiences="another")
    assert (error, "token of the health client" in cause) == ("PreflightFailed", True), cause
    assert before == (sso.stacks(), certificates(sso), addresses(sso))


def test_a_cluster_is_made_for_an_identity_provider(sso: Sso) -> None:
    by_group = {"OidcGroupsClaim": "groups", "OidcAdministratorGroup": ADMINISTRATORS}
    parameters = {**SMALL, **sso.place, **sso.login(**by_group)}
    done = sso.run("provision", {"clusterName": "sso", "parameters": parameters})
    assert done["verification"]["result"] == "PASS", done["verification"]
    seen = {one["name"]: one for one in done["verification"]["checks"]}
    assert f"{ISSUER}/authorize" in seen["login page through the load balancer"]["seen"]
    assert {one["result"] for one in seen.values()} == {"PASS"}, seen
    assert sso.outputs(sso.stack)["RestUrl"] == sso.url
    for value in sso.clients.values():
        assert value not in str(done)


def test_its_health_includes_the_login(sso: Sso) -> None:
    given(sso)
    # Functions that start for the first time may exceed their ten seconds.
    assert eventually(lambda: sso.health()["findings"] == [], 60), sso.health()["text"]


def test_people_log_in_and_out_with_a_browser(sso: Sso, tmp_path: Path) -> None:
    given(sso)
    with sso.browser() as page:
        page.goto(f"{sso.url}/operate")
        assert page.url.startswith(f"{ISSUER}/authorize?")
        page.screenshot(path=tmp_path / "login.png")
        log_in(page, "admin", sso.users["admin"])
        expect(page.locator("#user")).to_have_text("admin")
        assert page.url == f"{sso.url}/operate"
        page.screenshot(path=tmp_path / "operate.png")
        cookies = {one["name"]: one for one in page.context.cookies(sso.url)}
        assert cookies["camunda-session"]["secure"]
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("User name")).to_be_visible()
        assert page.url.startswith(f"{ISSUER}/authorize?")
    with sso.browser() as page:
        page.goto(f"{sso.url}/operate")
        log_in(page, "guest", sso.users["guest"])
        page.wait_for_url(f"{sso.url}/operate/forbidden")
        page.screenshot(path=tmp_path / "guest.png")


def test_machines_work_with_tokens_alone(sso: Sso) -> None:
    given(sso)
    assert sso.call("GET", "/v2/topology", sso.bearer()).status == 200
    assert sso.call("GET", "/v2/topology", sso.basic).status == 401
    assert sso.call("GET", "/v2/topology").status == 401
    ready = sso.call("GET", "/connectors/actuator/health/readiness")
    assert (ready.status, ready.document()["status"]) == (200, "UP")

    root = sso.instance.config.authority_file.read_bytes()
    assert asyncio.run(brokers_by_grpc(sso, sso.bearer(), root)) == [0]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        asyncio.run(publish(sso, sso.bearer(APPLICATION), root))
    assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
    member = f"/v2/roles/connectors/clients/{APPLICATION}"
    assert sso.call("PUT", member, sso.bearer()).status == 204
    assert asyncio.run(publish(sso, sso.bearer(APPLICATION), root)) > 0


def test_operations_use_tokens(sso: Sso) -> None:
    given(sso)
    assert sso.scale(2)["result"] == "SUCCEEDED"
    assert sorted(sso.brokers()) == [0, 1]
    request: dict[str, Any] = {"clusterName": "sso", "service": "connectors"}
    assert sso.run("restart", request)["result"] == "SUCCEEDED"
    ready = sso.call("GET", "/connectors/actuator/health/readiness")
    assert ready.document()["status"] == "UP"
    error, cause = sso.failed("rotate", {"clusterName": "sso", "secrets": ["admin"]})
    assert (error, "only database is allowed" in cause) == ("RotationRefused", True), cause


def test_its_end_leaves_the_secrets_of_its_owner(sso: Sso) -> None:
    given(sso)
    outputs = sso.outputs(sso.stack)
    sso.run("teardown", {"clusterName": "sso", "confirm": "sso"})
    assert certificates(sso) == []
    assert addresses(sso) == set()
    assert sso.instance.names.lookup(sso.domain) == ()
    describe = sso.client("secretsmanager").describe_secret
    assert "DeletedDate" not in describe(SecretId=outputs["OidcHealthSecretArn"])


def test_a_living_cluster_goes_from_passwords_to_the_provider(moved: Sso) -> None:
    three = {"Brokers": 3, "Partitions": 3, "ReplicationFactor": 3, "Connectors": 1}
    moved.run("provision", {"clusterName": "moved", "parameters": {**three, **moved.place}})
    login = moved.login(OidcAdministrator="admin")
    error, cause = moved.failed("provision", {"clusterName": "moved", "parameters": login})
    assert (error, "plan" in cause) == ("PreflightFailed", True), cause

    made = moved.run("plan", {"clusterName": "moved", "provision": {"parameters": login}})["plan"]
    assert made["status"] == "READY", made
    text = " ".join(moved.stored(made["textKey"]).split())
    assert "Authentication becomes oidc, and there is no way back" in text
    assert "Users with passwords, admin included, can no longer log in" in text
    assert "Administrators are admin (claim preferred_username)" in text

    with watched(moved) as reports, at_work(moved) as (old, new):
        old.during("before", WORK_SECONDS)
        old.phase = new.phase = "roll"
        done = moved.run("provision", made["apply"], 400)
        old.phase = "after"
        refused = old.unanswered
        new.during("after", WORK_SECONDS)
    assert done["verification"]["result"] == "PASS", done["verification"]
    assert old.unanswered > refused
    assert "after" not in old.acknowledged.values()
    assert {"roll", "after"} <= set(new.acknowledged.values())
    new.acknowledged |= old.acknowledged
    assert new.missing() == set()

    assert reports
    # Brokers that know no token yet are a note while the operation runs.
    found = {(one["code"], one["severity"]) for report in reports for one in report["findings"]}
    assert ("TOKEN_NOT_ACCEPTED", "INFO") in found, found
    assert not {"CREDENTIALS_REFUSED", "TOKEN_REFUSED"} & {code for code, _ in found}, found
    assert {one["verdict"] for one in reports} == {"HEALTHY"}, [one["text"] for one in reports]

    assert moved.call("GET", "/v2/topology", moved.basic).status == 401
    assert moved.call("GET", "/v2/topology", moved.bearer()).status == 200
    back = {"clusterName": "moved", "parameters": {"Authentication": "basic"}}
    error, cause = moved.failed("provision", back)
    assert (error, "Authentication" in cause) == ("InvalidRequest", True), cause
    assert moved.outputs(moved.stack)["Authentication"] == "oidc"


@contextmanager
def watched(site: Sso) -> Iterator[list[dict[str, Any]]]:
    """Check the health all the time; gives the reports."""
    over, reports = threading.Event(), list[dict[str, Any]]()

    def watch() -> None:
        while not over.wait(2):
            reports.append(site.health())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield reports
    finally:
        over.set()
        watcher.join()


@contextmanager
def at_work(site: Sso) -> Iterator[tuple[Work, Work]]:
    """Let a client with the password and one with tokens work."""
    basic = site.basic
    old, new = (
        Work(site.instance, site.url, lambda: basic),
        Work(site.instance, site.url, site.bearer),
    )
    old.start()
    new.start(deploy=False)
    try:
        yield old, new
    finally:
        old.stop()
        new.stop()


def given(sso: Sso) -> None:
    """Start a case with the cluster, also when it runs alone."""
    if not sso.standing("sso"):
        test_a_cluster_is_made_for_an_identity_provider(sso)


def certificates(site: Sso) -> list[str]:
    found = site.client("acm").list_certificates()["CertificateSummaryList"]
    return [one["CertificateArn"] for one in found if one["DomainName"] == site.domain]


def addresses(site: Sso) -> set[str]:
    zone_id = str(site.place["HostedZoneId"])
    found = site.client("route53").list_resource_record_sets(HostedZoneId=zone_id)
    names = {one["Name"].rstrip(".") for one in found["ResourceRecordSets"] if one["Type"] == "A"}
    return {one for one in names if one.endswith(site.domain)}


async def brokers_by_grpc(site: Sso, header: str, root: bytes) -> list[int]:
    async with by_grpc(site, header, root) as connected:
        found = await ZeebeClient(connected, max_connection_retries=0).topology()
    return [one.node_id for one in found.brokers]


async def publish(site: Sso, header: str, root: bytes) -> int:
    request = messages.PublishMessageRequest(name="m", correlationKey="k")
    async with by_grpc(site, header, root) as connected:
        answer = await stubs.GatewayStub(connected).PublishMessage(request, timeout=10)
    return int(answer.key)


def by_grpc(site: Sso, header: str, root: bytes) -> grpc.aio.Channel:
    """Give a channel with the name of the certificate verified."""
    name = f"grpc.{site.domain}"
    ((address, port),) = site.instance.names.resolve(name, 26500)
    return with_header(f"ipv4:{address}:{port}", header, name=name, root=root)
