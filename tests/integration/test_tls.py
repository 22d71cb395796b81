"""A name of one's own with its certificate: HTTPS and gRPC by TLS through the load balancers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from concurrent import futures
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from botocore.exceptions import ClientError

from local import instance
from local import zone as hosted
from local.authority import Authority
from local.component import Instance
from local.config import LocalConfig
from local.proxy.listener import TcpListener
from tests.integration.fargate_world import eventually
from tests.support.blocks import block
from tests.support.browser import chromium, spki

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

DOMAIN = "demo.camunda.test"
GRPC = f"grpc.{DOMAIN}"
POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"


def group(protocol: str, port: int) -> dict[str, Any]:
    """A target group whose targets are checked every time by a connection."""
    return {
        "Type": "AWS::ElasticLoadBalancingV2::TargetGroup",
        "Properties": {
            "TargetType": "ip",
            "Protocol": protocol,
            "Port": port,
            "HealthCheckProtocol": "TCP" if protocol == "TCP" else "HTTP",
            "HealthCheckIntervalSeconds": 5,
            "HealthyThresholdCount": 2,
        },
    }


def listener(balancer: str, port: int, protocol: str, action: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "LoadBalancerArn": {"Ref": balancer},
        "Port": port,
        "Protocol": protocol,
        "DefaultActions": [action],
    }
    if protocol in {"HTTPS", "TLS"}:
        properties |= {"SslPolicy": POLICY, "Certificates": [{"CertificateArn": {"Ref": "Issued"}}]}
    if protocol == "TLS":
        properties["AlpnPolicy"] = ["HTTP2Preferred"]
    return {"Type": "AWS::ElasticLoadBalancingV2::Listener", "Properties": properties}


def alias(zone: str, name: str, balancer: str) -> dict[str, Any]:
    return {
        "Type": "AWS::Route53::RecordSet",
        "Properties": {
            "HostedZoneId": zone,
            "Name": name,
            "Type": "A",
            "AliasTarget": {
                "DNSName": {"Fn::GetAtt": [balancer, "DNSName"]},
                "HostedZoneId": {"Fn::GetAtt": [balancer, "CanonicalHostedZoneID"]},
                "EvaluateTargetHealth": False,
            },
        },
    }


def forward(target: str) -> dict[str, Any]:
    return {"Type": "forward", "TargetGroupArn": {"Ref": target}}


def front_door(zone: str) -> dict[str, Any]:
    """What a cluster with a name of its own has."""
    secure = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    return {
        "Issued": {
            "Type": "AWS::CertificateManager::Certificate",
            "Properties": {
                "DomainName": DOMAIN,
                "SubjectAlternativeNames": [GRPC],
                "ValidationMethod": "DNS",
                "DomainValidationOptions": [
                    {"DomainName": name, "HostedZoneId": zone} for name in (DOMAIN, GRPC)
                ],
            },
        },
        "Web": {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {"Type": "application", "Subnets": ["subnet-1"]},
        },
        "Grpc": {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {"Type": "network", "Subnets": ["subnet-1"]},
        },
        "WebTargets": group("HTTP", 8080),
        "GrpcTargets": group("TCP", 26500),
        "NoTargets": group("TCP", 26501),
        "Clear": listener("Web", 80, "HTTP", {"Type": "redirect", "RedirectConfig": secure}),
        "Secure": listener("Web", 443, "HTTPS", forward("WebTargets")),
        "SecureGrpc": listener("Grpc", 26500, "TLS", forward("GrpcTargets")),
        "SecureNothing": listener("Grpc", 26501, "TLS", forward("NoTargets")),
        "WebName": alias(zone, DOMAIN, "Web"),
        "GrpcName": alias(zone, GRPC, "Grpc"),
    }


@dataclass
class Site:
    """The front door of a cluster, with its targets in this process."""

    instance: Instance
    zone: str
    resources: dict[str, Any]
    ids: dict[str, str]

    @property
    def elb(self) -> Any:
        return self.instance.client("elbv2")

    @property
    def acm(self) -> Any:
        return self.instance.client("acm")

    @property
    def route53(self) -> Any:
        return self.instance.client("route53")

    @property
    def root(self) -> bytes:
        return self.instance.config.authority_file.read_bytes()

    def place(self, name: str, port: int) -> tuple[str, int]:
        return self.instance.names.resolve(name, port)[0]

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.root.decode())

    def greet(
        self, name: str, port: int, context: ssl.SSLContext, verified_for: str = ""
    ) -> ssl.SSLSocket:
        """Open TLS to the place of a name, verified for that or another one."""
        connection = socket.create_connection(self.place(name, port), 10)
        try:
            return context.wrap_socket(connection, server_hostname=verified_for or name)
        except BaseException:
            connection.close()
            raise

    def call(
        self, path: str, headers: dict[str, str] | None = None, *, port: int = 443
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(DOMAIN, port, timeout=10)
        if port == 443:
            connection.sock = self.greet(DOMAIN, port, self.client())
        else:
            connection.sock = socket.create_connection(self.place(DOMAIN, port), 10)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"Host": DOMAIN} | (headers or {}))
            response = connection.getresponse()
            return response, response.read()

    def records(self, kind: str) -> list[str]:
        found = self.route53.list_resource_record_sets(HostedZoneId=self.zone)
        return [one["Name"] for one in found["ResourceRecordSets"] if one["Type"] == kind]

    def change(self, action: str, record: dict[str, Any]) -> None:
        self.route53.change_resource_record_sets(
            HostedZoneId=self.zone,
            ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]},
        )


def status(here: Instance, stack: str) -> str:
    try:
        found = here.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError:
        return "gone"
    return str(found[0]["StackStatus"])


def settled(here: Instance, stack: str) -> str:
    eventually(lambda: not status(here, stack).endswith("_IN_PROGRESS"), 30)
    return status(here, stack)


def template(resources: dict[str, Any]) -> str:
    return json.dumps({"Resources": resources})


class Page(BaseHTTPRequestHandler):
    """A broker's REST API as far as a load balancer sees it: returns what arrived."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        seen = {"headers": {key.lower(): value for key, value in self.headers.items()}}
        page = self.path.startswith("/page")
        body = b"<!doctype html><title>Operate</title>" if page else json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if page else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def echo() -> grpc.Server:
    """A server of plaintext gRPC, as the gateway of a broker is."""
    served = grpc.server(futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(lambda request, _: b"echo " + request)
    served.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("e.E", {"Do": handler}),))
    return served


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    config = LocalConfig(tmp_path_factory.mktemp("instance"), block("tls"))
    here = Instance.of(config)
    host = instance.start(here, components=["proxy"])
    address = config.task_address(0)
    page = ThreadingHTTPServer((address, 8080), Page)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    gateway = echo()
    gateway.add_insecure_port(f"{address}:26500")
    gateway.start()
    try:
        zone = hosted.ensure(here)
        assert hosted.ensure(here) == zone, "one zone of that name"
        resources = front_door(zone)
        api = here.client("cloudformation")
        api.create_stack(StackName="door", TemplateBody=template(resources))
        assert settled(here, "door") == "CREATE_COMPLETE", api.describe_stack_events(
            StackName="door"
        )
        found = api.list_stack_resources(StackName="door")["StackResourceSummaries"]
        ids = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found}
        made = Site(here, zone, resources, ids)
        for name, port in (("WebTargets", 8080), ("GrpcTargets", 26500)):
            made.elb.register_targets(
                TargetGroupArn=ids[name], Targets=[{"Id": address, "Port": port}]
            )

        def healthy(name: str) -> bool:
            told = made.elb.describe_target_health(TargetGroupArn=ids[name])
            states = [one["TargetHealth"]["State"] for one in told["TargetHealthDescriptions"]]
            return states == ["healthy"]

        eventually(lambda: healthy("WebTargets") and healthy("GrpcTargets"), 60)
        yield made
    finally:
        gateway.stop(0)
        page.shutdown()
        page.server_close()
        host.stop(grace=30)
        assert here.processes.survivors() == []


def test_https_by_name_is_verified_and_the_target_sees_how_the_client_came(site: Site) -> None:
    response, body = site.call("/v2/topology", {"X-Forwarded-Proto": "http"})
    seen = json.loads(body)["headers"]
    assert response.status == 200
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-forwarded-port"] == "443"
    assert seen["host"] == DOMAIN


def test_the_certificate_is_for_exactly_the_names_that_were_requested(site: Site) -> None:
    with site.greet(DOMAIN, 443, site.client()) as connection:
        certificate: Any = connection.getpeercert()
    assert certificate["subjectAltName"] == (("DNS", DOMAIN), ("DNS", GRPC))
    found = site.acm.describe_certificate(CertificateArn=site.ids["Issued"])["Certificate"]
    assert found["Status"] == "ISSUED"
    assert found["NotAfter"].timestamp() == ssl.cert_time_to_seconds(certificate["notAfter"])


@pytest.mark.parametrize(("name", "port"), [(DOMAIN, 443), (GRPC, 26500)])
def test_another_name_or_another_authority_is_refused(site: Site, name: str, port: int) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        site.greet(name, port, site.client(), verified_for="other.camunda.test")
    stranger = ssl.create_default_context(cadata=Authority().pem.decode())
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        site.greet(name, port, stranger)


@pytest.mark.parametrize(("name", "port"), [(DOMAIN, 443), (GRPC, 26500)])
def test_versions_are_those_of_the_security_policy(site: Site, name: str, port: int) -> None:
    for version, expected in (
        (ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        (ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
    ):
        context = site.client()
        context.minimum_version = context.maximum_version = version
        with site.greet(name, port, context) as connection:
            assert connection.version() == expected
    old = site.client()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        site.greet(name, port, old)


def test_port_80_leads_to_https(site: Site) -> None:
    response, _ = site.call("/operate?a=b", port=80)
    assert response.status == 301
    assert response.headers["Location"] == f"https://{DOMAIN}:443/operate?a=b"


def test_http_in_clear_on_the_port_of_https_is_refused(site: Site) -> None:
    connection = http.client.HTTPConnection(*site.place(DOMAIN, 443), timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/v2/topology")
        response = connection.getresponse()
        assert response.status == 400
        assert b"plain HTTP request" in response.read()


@pytest.mark.parametrize(("offered", "chosen"), [(["http/1.1", "h2"], "h2"), ([], None)])
def test_the_network_load_balancer_prefers_http_2(
    site: Site, offered: list[str], chosen: str | None
) -> None:
    context = site.client()
    if offered:
        context.set_alpn_protocols(offered)
    with site.greet(GRPC, 26500, context) as connection:
        assert connection.selected_alpn_protocol() == chosen


def say(site: Site, credentials: grpc.ChannelCredentials | None) -> bytes:
    """One call of a client that resolves the name as in the VPC."""
    address, port = site.place(GRPC, 26500)
    target = f"ipv4:{address}:{port}"
    options = [("grpc.ssl_target_name_override", GRPC), ("grpc.default_authority", GRPC)]
    channel = (
        grpc.secure_channel(target, credentials, options)
        if credentials
        else grpc.insecure_channel(target)
    )
    with channel:
        return bytes(channel.unary_unary("/e.E/Do")(b"hello", timeout=5))


def test_a_client_of_grpc_is_served_by_tls_with_the_root_and_not_without(site: Site) -> None:
    assert say(site, grpc.ssl_channel_credentials(site.root)) == b"echo hello"
    for refused in (grpc.ssl_channel_credentials(Authority().pem), None):
        with pytest.raises(grpc.RpcError) as failed:
            say(site, refused)
        assert failed.value.code() == grpc.StatusCode.UNAVAILABLE


def test_without_a_healthy_target_the_connection_ends_after_the_handshake(site: Site) -> None:
    with site.greet(GRPC, 26501, site.client()) as connection:
        assert connection.version() == "TLSv1.3"
        assert connection.recv(1) == b""


def test_a_browser_opens_the_page_under_the_name(site: Site) -> None:
    """It trusts the certificate by its key: Chromium's own list of roots cannot be extended here.

    That the certificate is for the name and of the instance's root, the tests above show.
    """
    address, port = site.place(DOMAIN, 443)
    with site.greet(DOMAIN, 443, site.client()) as connection:
        certificate = connection.getpeercert(binary_form=True)
    assert certificate
    with chromium(
        f"--ignore-certificate-errors-spki-list={spki(certificate)}",
        f"--host-resolver-rules=MAP {DOMAIN}:443 {address}:{port}",
    ) as browser:
        page = browser.new_page()
        answer = page.goto(f"https://{DOMAIN}/page")
        assert answer is not None
        details = answer.security_details()
        assert details is not None
        assert details["protocol"] == "TLS 1.3"
        assert page.title() == "Operate"
        assert page.evaluate("window.isSecureContext")
    with chromium(f"--host-resolver-rules=MAP {DOMAIN}:443 {address}:{port}") as browser:
        page = browser.new_page()
        with pytest.raises(Exception, match="ERR_CERT_AUTHORITY_INVALID"):
            page.goto(f"https://{DOMAIN}/page")


def new_listener(site: Site, certificate: str, **options: Any) -> Any:
    return site.elb.create_listener(
        LoadBalancerArn=site.ids["Web"],
        Protocol="HTTPS",
        Port=9443,
        Certificates=[{"CertificateArn": certificate}] if certificate else [],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": site.ids["WebTargets"]}],
        **options,
    )


def test_a_certificate_that_is_not_issued_is_refused_until_its_record_is_there(site: Site) -> None:
    arn = site.acm.request_certificate(DomainName="later.camunda.test", ValidationMethod="DNS")[
        "CertificateArn"
    ]
    found = site.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert found["Status"] == "PENDING_VALIDATION"
    assert "NotAfter" not in found
    with pytest.raises(ClientError, match="UnsupportedCertificate"):
        new_listener(site, arn)
    with pytest.raises(ClientError, match="RequestInProgressException"):
        site.acm.get_certificate(CertificateArn=arn)
    record = found["DomainValidationOptions"][0]["ResourceRecord"]
    site.change(
        "CREATE",
        {
            "Name": record["Name"],
            "Type": record["Type"],
            "TTL": 300,
            "ResourceRecords": [{"Value": record["Value"]}],
        },
    )
    found = site.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert found["Status"] == "ISSUED"
    made = new_listener(site, arn)["Listeners"][0]["ListenerArn"]
    site.elb.delete_listener(ListenerArn=made)
    site.acm.delete_certificate(CertificateArn=arn)


def test_a_listener_refuses_what_is_no_certificate_or_policy_of_its_region(site: Site) -> None:
    own = site.ids["Issued"]
    for arn, options, code in (
        (own.replace("eu-central-1", "us-east-1"), {}, "CertificateNotFound"),
        (f"{own[:-3]}fff", {}, "CertificateNotFound"),
        (own, {"SslPolicy": "ELBSecurityPolicy-TLS13-2-0"}, "SSLPolicyNotFound"),
        ("", {}, "ValidationError"),
    ):
        with pytest.raises(ClientError, match=code):
            new_listener(site, arn, **options)
    listeners = site.elb.describe_listeners(LoadBalancerArn=site.ids["Web"])["Listeners"]
    assert sorted(one["Port"] for one in listeners) == [80, 443]


def test_a_certificate_in_use_is_kept(site: Site) -> None:
    found = site.acm.describe_certificate(CertificateArn=site.ids["Issued"])["Certificate"]
    assert sorted(found["InUseBy"]) == sorted([site.ids["Web"], site.ids["Grpc"]])
    with pytest.raises(ClientError, match="ResourceInUseException"):
        site.acm.delete_certificate(CertificateArn=site.ids["Issued"])
    assert site.acm.describe_certificate(CertificateArn=site.ids["Issued"])


def test_an_imported_certificate_takes_the_place_of_another(site: Site) -> None:
    other = Authority()
    issued = other.issue([DOMAIN, GRPC], days=30)
    with pytest.raises(ClientError, match="does not match"):
        site.acm.import_certificate(
            Certificate=issued.certificate_pem, PrivateKey=other.issue([DOMAIN]).key_pem
        )
    arn = site.acm.import_certificate(
        Certificate=issued.certificate_pem,
        PrivateKey=issued.key_pem,
        CertificateChain=issued.chain_pem,
    )["CertificateArn"]
    found = site.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert (found["Type"], found["Status"]) == ("IMPORTED", "ISSUED")
    assert found["SubjectAlternativeNames"] == [DOMAIN, GRPC]
    assert found["NotAfter"] == issued.not_after
    trusting = ssl.create_default_context(cadata=other.pem.decode())

    def served_by(context: ssl.SSLContext) -> bool:
        try:
            site.greet(DOMAIN, 443, context).close()
        except ssl.SSLCertVerificationError:
            return False
        return True

    assert not served_by(trusting)
    for certificate, context in ((arn, trusting), (site.ids["Issued"], site.client())):
        site.elb.modify_listener(
            ListenerArn=site.ids["Secure"], Certificates=[{"CertificateArn": certificate}]
        )
        assert served_by(context)
    site.acm.delete_certificate(CertificateArn=arn)


def test_a_stack_waits_for_its_certificate_and_leaves_the_record_behind(site: Site) -> None:
    api = site.instance.client("cloudformation")
    properties: dict[str, Any] = {"DomainName": "waits.camunda.test", "ValidationMethod": "DNS"}
    resource = {"Type": "AWS::CertificateManager::Certificate", "Properties": properties}
    api.create_stack(StackName="waits", TemplateBody=template({"Own": resource}))

    def own() -> dict[str, Any]:
        for one in site.acm.list_certificates()["CertificateSummaryList"]:
            if one["DomainName"] == "waits.camunda.test":
                arn = one["CertificateArn"]
                return dict(site.acm.describe_certificate(CertificateArn=arn)["Certificate"])
        return {}

    record = eventually(own)["DomainValidationOptions"][0]["ResourceRecord"]
    assert status(site.instance, "waits") == "CREATE_IN_PROGRESS"
    wanted = {
        "Name": record["Name"],
        "Type": "CNAME",
        "TTL": 300,
        "ResourceRecords": [{"Value": record["Value"]}],
    }
    site.change("CREATE", wanted)
    assert settled(site.instance, "waits") == "CREATE_COMPLETE"
    api.delete_stack(StackName="waits")
    assert settled(site.instance, "waits") in {"gone", "DELETE_COMPLETE"}
    assert own() == {}
    assert record["Name"] in site.records("CNAME")


def test_a_private_zone_validates_nothing_and_another_zone_is_refused(site: Site) -> None:
    api = site.instance.client("cloudformation")
    private = site.route53.create_hosted_zone(
        Name="inside.test",
        CallerReference="private",
        HostedZoneConfig={"PrivateZone": True},
        VPC={"VPCRegion": "eu-central-1", "VPCId": "vpc-1"},
    )["HostedZone"]["Id"].removeprefix("/hostedzone/")

    def resource(zone: str) -> dict[str, Any]:
        name = "demo.inside.test"
        return {
            "Type": "AWS::CertificateManager::Certificate",
            "Properties": {
                "DomainName": name,
                "ValidationMethod": "DNS",
                "DomainValidationOptions": [{"DomainName": name, "HostedZoneId": zone}],
            },
        }

    api.create_stack(StackName="other", TemplateBody=template({"Own": resource(site.zone)}))
    assert settled(site.instance, "other") == "ROLLBACK_COMPLETE"
    arn = site.acm.request_certificate(DomainName="demo.inside.test", ValidationMethod="DNS")[
        "CertificateArn"
    ]
    found = site.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    record = found["DomainValidationOptions"][0]["ResourceRecord"]
    site.route53.change_resource_record_sets(
        HostedZoneId=private,
        ChangeBatch={
            "Changes": [
                {
                    "Action": "CREATE",
                    "ResourceRecordSet": {
                        "Name": record["Name"],
                        "Type": "CNAME",
                        "TTL": 300,
                        "ResourceRecords": [{"Value": record["Value"]}],
                    },
                }
            ]
        },
    )
    found = site.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    assert found["Status"] == "PENDING_VALIDATION"


def test_a_record_that_is_there_is_not_created_again(site: Site) -> None:
    record = {
        "Name": DOMAIN,
        "Type": "A",
        "TTL": 60,
        "ResourceRecords": [{"Value": "192.0.2.1"}],
    }
    with pytest.raises(ClientError, match="but it already exists"):
        site.change("CREATE", record)
    api = site.instance.client("cloudformation")
    api.create_stack(
        StackName="again",
        TemplateBody=template({"Name": alias(site.zone, DOMAIN, "Web"), **some_balancer()}),
    )
    assert settled(site.instance, "again") == "ROLLBACK_COMPLETE"
    assert site.place(DOMAIN, 443)


def some_balancer() -> dict[str, Any]:
    return {
        "Web": {
            "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
            "Properties": {"Type": "application", "Subnets": ["subnet-1"]},
        }
    }


def test_a_name_is_gone_with_its_record(site: Site) -> None:
    balancer = site.elb.describe_load_balancers(LoadBalancerArns=[site.ids["Web"]])[
        "LoadBalancers"
    ][0]
    record: dict[str, Any] = {
        "Name": "alias.camunda.test.",
        "Type": "A",
        "AliasTarget": {
            "DNSName": balancer["DNSName"],
            "HostedZoneId": balancer["CanonicalHostedZoneId"],
            "EvaluateTargetHealth": False,
        },
    }
    names = site.instance.names
    site.change("CREATE", record)
    eventually(lambda: names.resolve("alias.camunda.test", 443) == (site.place(DOMAIN, 443),))
    site.change("DELETE", record)
    eventually(lambda: names.lookup("alias.camunda.test") == ())
    record["AliasTarget"]["HostedZoneId"] = "Z3F0SRJ5LGBH90"
    with pytest.raises(ClientError, match="does not lie within the target zone"):
        site.change("CREATE", record)


def test_a_listener_that_gets_tls_on_its_port_serves_tls(site: Site) -> None:
    made = site.elb.create_listener(
        LoadBalancerArn=site.ids["Grpc"],
        Protocol="TCP",
        Port=26502,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": site.ids["GrpcTargets"]}],
    )["Listeners"][0]["ListenerArn"]

    def greeted() -> bool:
        try:
            with site.greet(GRPC, 26502, site.client()) as connection:
                return connection.version() == "TLSv1.3"
        except OSError:
            return False

    assert not greeted()
    site.elb.modify_listener(
        ListenerArn=made,
        Protocol="TLS",
        SslPolicy=POLICY,
        AlpnPolicy=["HTTP2Preferred"],
        Certificates=[{"CertificateArn": site.ids["Issued"]}],
    )
    found = site.elb.describe_listeners(ListenerArns=[made])["Listeners"][0]
    assert found["AlpnPolicy"] == ["HTTP2Preferred"]
    eventually(greeted)
    site.elb.delete_listener(ListenerArn=made)


def test_the_first_idle_connection_is_reset(tmp_path: Path) -> None:
    config = LocalConfig(tmp_path, block("tls"))
    target = socket.create_server((config.task_address(9), 0))
    relay = TcpListener(
        config.task_address(8), 26500, targets=lambda: [target.getsockname()], idle_seconds=0.2
    )
    relay.start()
    try:
        with socket.create_connection((config.task_address(8), 26500), 10) as client:
            accepted, _ = target.accept()
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"
            began = time.monotonic()
            with pytest.raises(ConnectionResetError):
                client.recv(1)
            assert time.monotonic() - began >= 0.1
            accepted.close()
    finally:
        relay.stop()
        target.close()
