"""Load balancers that follow what was created, in front of tasks that really run."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.fargate_world import World, address, eventually, hosted
from tests.support.blocks import block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = block("proxy")


@dataclass
class Site:
    """An ALB with a sticky group for two tasks and an empty one, and an NLB."""

    world: World
    alb: dict[str, Any]
    nlb: dict[str, Any]
    groups: dict[str, str]
    listener: str

    @property
    def elb(self) -> Any:
        return self.world.client("elbv2")

    def place(self, name: str, port: int) -> tuple[str, int]:
        return self.world.instance.names.resolve(name, port)[0]

    def call(
        self,
        path: str,
        method: str = "GET",
        body: bytes | Iterator[bytes] | None = None,
        **headers: str,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(*self.place(self.alb["DNSName"], 80), timeout=10)
        try:
            connection.request(
                method, path, body, {key.replace("_", "-"): one for key, one in headers.items()}
            )
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def states(self, group: str) -> set[str]:
        answer = self.elb.describe_target_health(TargetGroupArn=self.groups[group])
        return {one["TargetHealth"]["State"] for one in answer["TargetHealthDescriptions"]}


def group(elb: Any, name: str, protocol: str, path: str) -> str:
    created = elb.create_target_group(
        Name=name,
        Protocol=protocol,
        Port=8080 if protocol == "HTTP" else 26500,
        TargetType="ip",
        HealthCheckProtocol="HTTP",
        HealthCheckPath=path,
        HealthCheckPort="9600",
        HealthCheckIntervalSeconds=10,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
    )
    return str(created["TargetGroups"][0]["TargetGroupArn"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with hosted(tmp_path_factory.mktemp("instance"), BLOCK) as world:
        elb = world.client("elbv2")
        alb, nlb = (
            elb.create_load_balancer(Name=kind, Subnets=["subnet-1"], Type=kind)["LoadBalancers"][0]
            for kind in ("application", "network")
        )
        groups = {
            "rest": group(elb, "rest", "HTTP", "/ready"),
            "sick": group(elb, "sick", "HTTP", "/sick"),
            "empty": group(elb, "empty", "HTTP", "/"),
            "grpc": group(elb, "grpc", "TCP", "/ready"),
            "unused": group(elb, "unused", "HTTP", "/"),
        }
        elb.modify_target_group_attributes(
            TargetGroupArn=groups["rest"],
            Attributes=[
                {"Key": "stickiness.enabled", "Value": "true"},
                {"Key": "stickiness.type", "Value": "lb_cookie"},
                {"Key": "stickiness.lb_cookie.duration_seconds", "Value": "43200"},
            ],
        )
        missing = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "nothing here"}
        listener = elb.create_listener(
            LoadBalancerArn=alb["LoadBalancerArn"],
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": missing}],
        )["Listeners"][0]["ListenerArn"]
        rules = {}
        secure = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        for number, pattern, action in (
            (100, "/v2/*", {"Type": "forward", "TargetGroupArn": groups["rest"]}),
            (60, "/empty*", {"Type": "forward", "TargetGroupArn": groups["rest"]}),
            (50, "/v2/sick*", {"Type": "forward", "TargetGroupArn": groups["sick"]}),
            (40, "/v2/empty*", {"Type": "forward", "TargetGroupArn": groups["empty"]}),
            (35, "/unused*", {"Type": "forward", "TargetGroupArn": groups["unused"]}),
            (30, "/moved*", {"Type": "redirect", "RedirectConfig": secure}),
        ):
            rules[pattern] = elb.create_rule(
                ListenerArn=listener,
                Priority=number,
                Conditions=[{"Field": "path-pattern", "Values": [pattern]}],
                Actions=[action],
            )["Rules"][0]["RuleArn"]
        elb.create_listener(
            LoadBalancerArn=nlb["LoadBalancerArn"],
            Protocol="TCP",
            Port=26500,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": groups["grpc"]}],
        )
        world.define("plain")
        ports = {"rest": 8080, "sick": 8080, "unused": 8080, "grpc": 26500}
        balancers = [
            {"targetGroupArn": groups[key], "containerName": "main", "containerPort": port}
            for key, port in ports.items()
        ]
        world.create("web", "plain", 2, loadBalancers=balancers, healthCheckGracePeriodSeconds=900)
        elb.delete_rule(RuleArn=rules["/unused*"])
        found = Site(world, alb, nlb, groups, listener)
        eventually(lambda: found.states("rest") == found.states("grpc") == {"healthy"})
        yield found


def test_the_default_action_answers_what_no_rule_takes(site: Site) -> None:
    response, body = site.call("/other")
    assert (response.status, body) == (404, b"nothing here")


def test_a_request_reaches_a_healthy_task_with_the_headers_of_an_alb(site: Site) -> None:
    response, body = site.call("/v2/topology?a=b%20c", X_Forwarded_For="192.0.2.1")
    seen = json.loads(body)
    addresses = {address(task) for task in site.world.tasks("web")}
    assert response.status == 200
    assert seen["address"] in addresses
    assert seen["path"] == "/v2/topology?a=b%20c"
    assert seen["headers"]["x-forwarded-proto"] == "http"
    assert seen["headers"]["x-forwarded-port"] == "80"
    assert seen["headers"]["x-forwarded-for"].startswith("192.0.2.1, 127.")


@pytest.mark.parametrize(
    "body",
    [lambda: b"x" * 200_000, lambda: iter([b"x" * 100_000, b"x" * 100_000])],
    ids=["content-length", "chunked"],
)
def test_a_body_arrives_whole(site: Site, body: Callable[[], bytes | Iterator[bytes]]) -> None:
    response, answer = site.call("/v2/deployments", "POST", body())
    seen = json.loads(answer)
    assert response.status == 200
    assert (seen["method"], len(seen["body"])) == ("POST", 200_000)
    assert seen["headers"]["content-length"] == "200000"


def test_answers_without_a_body_end_at_once(site: Site) -> None:
    head, nothing = site.call("/v2/x", "HEAD")
    assert (head.status, nothing) == (200, b"")
    assert int(head.headers["Content-Length"]) > 0
    connection = http.client.HTTPConnection(*site.place(site.alb["DNSName"], 80), timeout=5)
    for method, path, status, has_body in (
        ("HEAD", "/v2/x", 200, False),
        ("GET", "/empty", 204, False),
        ("GET", "/v2/x", 200, True),
    ):
        connection.request(method, path)
        response = connection.getresponse()
        assert (response.status, bool(response.read())) == (status, has_body)
    connection.close()


def test_a_client_with_the_cookie_stays_on_its_task(site: Site) -> None:
    response, body = site.call("/v2/x")
    cookie = response.headers["Set-Cookie"]
    assert "Max-Age=43200" in cookie
    first = json.loads(body)["address"]
    sent = cookie.partition(";")[0]
    assert {json.loads(site.call("/v2/x", Cookie=sent)[1])["address"] for _ in range(12)} == {first}


def test_a_redirect_keeps_the_path(site: Site) -> None:
    response, _ = site.call("/moved/here?q=1", Host="alb.example.org")
    assert response.status == 301
    assert response.headers["Location"] == "https://alb.example.org:443/moved/here?q=1"


@pytest.mark.parametrize("path", ["/v2/empty", "/v2/sick"])
def test_without_a_healthy_target_the_answer_is_503(site: Site, path: str) -> None:
    if path == "/v2/sick":
        eventually(lambda: site.states("sick") == {"unhealthy"})
    assert site.call(path)[0].status == 503


def test_target_health_says_why(site: Site) -> None:
    eventually(lambda: site.states("sick") == {"unhealthy"})
    told = site.elb.describe_target_health(TargetGroupArn=site.groups["sick"])
    one = told["TargetHealthDescriptions"][0]
    assert one["HealthCheckPort"] == "9600"
    assert one["TargetHealth"]["Reason"] == "Target.ResponseCodeMismatch"
    assert one["TargetHealth"]["Description"] == "Health checks failed with these codes: [503]"
    assert site.states("unused") == {"unused"}


def test_a_network_load_balancer_registers_before_it_asks(site: Site) -> None:
    """A task's successor: its target is `initial` where an ALB finds it healthy already."""
    present = {address(task) for task in site.world.tasks("web")}
    site.world.ecs.stop_task(cluster="c", task=site.world.tasks("web")[0]["taskArn"])

    def state(group: str) -> dict[str, str]:
        told = site.elb.describe_target_health(TargetGroupArn=site.groups[group])
        return next(
            (
                one["TargetHealth"]
                for one in told["TargetHealthDescriptions"]
                if one["Target"]["Id"] not in present
            ),
            {},
        )

    eventually(lambda: state("rest").get("State") == "healthy")
    assert state("grpc")["State"] == "initial"
    assert state("grpc")["Reason"] == "Elb.RegistrationInProgress"
    eventually(lambda: state("grpc")["State"] == "healthy")


def test_a_target_group_is_served_before_a_service_has_it(site: Site) -> None:
    ecs = site.world.ecs
    orphan = {"targetGroupArn": site.groups["unused"], "containerName": "main"}
    balancers = [orphan | {"containerPort": 8081}]
    refused = pytest.raises(
        ecs.exceptions.InvalidParameterException, match="does not have an associated load balancer"
    )
    with refused:
        site.world.create("early", "plain", 0, loadBalancers=balancers)
    assert ecs.describe_services(cluster="c", services=["early"])["services"] == []
    before = site.world.service("web")
    with refused:
        ecs.update_service(cluster="c", service="web", loadBalancers=balancers)
    after = site.world.service("web")
    assert after["loadBalancers"] == before["loadBalancers"]
    assert [one["id"] for one in after["deployments"]] == [
        one["id"] for one in before["deployments"]
    ]


def test_bytes_pass_through_the_network_load_balancer(site: Site) -> None:
    with socket.create_connection(site.place(site.nlb["DNSName"], 26500), 5) as client:
        client.sendall(b"GET /raw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["path"] == "/raw"


def test_no_request_fails_while_a_task_is_stopped(site: Site) -> None:
    stopped = site.world.tasks("web")[0]
    site.world.ecs.stop_task(cluster="c", task=stopped["taskArn"])

    def seen_until_it_is_gone() -> str | None:
        response, body = site.call("/v2/x")
        assert response.status == 200
        found = site.world.ecs.describe_tasks(cluster="c", tasks=[stopped["taskArn"]])["tasks"][0]
        return str(json.loads(body)["address"]) if found["lastStatus"] == "STOPPED" else None

    assert eventually(seen_until_it_is_gone) != address(stopped)
    site.world.running("web", 2)
    eventually(lambda: len(site.states("rest")) == 1 and site.states("rest") == {"healthy"})


def test_a_new_rule_acts_at_once_and_a_deleted_balancer_is_gone(site: Site) -> None:
    action = {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": "hello"}
    site.elb.create_rule(
        ListenerArn=site.listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/hello"]}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": action}],
    )
    assert site.call("/hello")[1] == b"hello"
    spare = site.elb.create_load_balancer(Name="spare", Subnets=["subnet-1"])["LoadBalancers"][0]
    site.elb.create_listener(
        LoadBalancerArn=spare["LoadBalancerArn"],
        Protocol="HTTP",
        Port=8081,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": action}],
    )
    name = spare["DNSName"]
    place = eventually(lambda: site.world.instance.names.resolve(name, 8081))[0]

    def listens() -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(place) == 0

    eventually(listens)
    site.elb.delete_load_balancer(LoadBalancerArn=spare["LoadBalancerArn"])
    eventually(lambda: site.world.instance.names.lookup(name) == ())
    eventually(lambda: not listens())
