"""What an ALB listener does with a request."""

from __future__ import annotations

from typing import Any

import pytest

from local.proxy.rules import (
    Request,
    choose,
    location,
    reachable,
    sticky_cookie,
    sticky_target,
    visible_port,
)

pytestmark = pytest.mark.unit


def rule(priority: str, target: str, *patterns: str) -> dict[str, Any]:
    conditions = [{"Field": "path-pattern", "Values": list(patterns)}] if patterns else []
    return {"Priority": priority, "Conditions": conditions, "target": target}


RULES = [
    rule("default", "nothing"),
    rule("100", "orchestration", "/*"),
    rule("50", "connectors", "/connectors*"),
]


@pytest.mark.parametrize(
    ("path", "target"),
    [("/", "orchestration"), ("/v2/topology", "orchestration"), ("/connectors", "connectors"),
     ("/connectors/actuator/health", "connectors"), ("/Connectors", "orchestration")],
)  # fmt: skip
def test_the_lowest_priority_that_matches_wins(path: str, target: str) -> None:
    chosen = choose(RULES, Request("GET", "alb", path))
    assert chosen is not None
    assert chosen["target"] == target


def test_the_default_rule_is_the_last_resort() -> None:
    chosen = choose([RULES[0], RULES[2]], Request("GET", "alb", "/v2"))
    assert chosen is not None
    assert chosen["target"] == "nothing"


def test_every_condition_of_a_rule_must_hold() -> None:
    both = rule("1", "both", "/a*")
    both["Conditions"].append({"Field": "host-header", "Values": ["*.example.org"]})
    assert choose([both], Request("GET", "x.EXAMPLE.org:80", "/ab")) is both
    assert choose([both], Request("GET", "example.com", "/ab")) is None


@pytest.mark.parametrize("pattern", ["/a[b]*", "/a%6*", "/a b"])
def test_a_pattern_takes_only_the_characters_that_the_load_balancer_takes(pattern: str) -> None:
    with pytest.raises(ValueError, match="contains a character that is not valid"):
        choose([rule("1", "x", pattern)], Request("GET", "h", "/ab"))


def test_an_unknown_condition_is_not_ignored() -> None:
    unknown = {"Priority": "1", "Conditions": [{"Field": "source-ip", "Values": ["10.0.0.0/8"]}]}
    with pytest.raises(NotImplementedError, match="source-ip"):
        choose([unknown], Request("GET", "h", "/"))


def test_a_redirect_to_https_keeps_host_path_and_query() -> None:
    config = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    request = Request("GET", "alb.example.org:80", "/operate/x", "a=b")
    found = location(config, request, protocol="HTTP", port=80)
    assert found == "https://alb.example.org:443/operate/x?a=b"


def test_a_client_stays_on_its_target_while_it_is_healthy() -> None:
    cookie = sticky_cookie("group", "127.41.1.11:8080", 43200)
    assert "Max-Age=43200" in cookie
    sent = cookie.partition(";")[0]
    targets = ["127.41.1.10:8080", "127.41.1.11:8080"]
    assert sticky_target(sent, "group", targets) == "127.41.1.11:8080"
    assert sticky_target(sent, "group", targets[:1]) is None
    assert sticky_target(sent, "other", targets) is None


@pytest.mark.parametrize("cookies", ["", "AWSALB=%%%", "AWSALB=AAAA", "x=1; y", "AWSALB"])
def test_a_strange_cookie_is_no_cookie(cookies: str) -> None:
    assert sticky_target(cookies, "group", ["127.41.1.10:8080"]) is None


@pytest.mark.parametrize(
    ("host", "port"),
    [("camunda.test", 443), ("camunda.test:443", 443), ("camunda.test:10443", 10443), ("", 443)],
)
def test_the_port_is_the_one_that_the_client_used(host: str, port: int) -> None:
    assert visible_port(host, 10443, 443) == port


def test_a_redirect_leads_to_the_port_on_this_machine() -> None:
    served = {443: 10443}
    config = {"Protocol": "HTTPS", "Port": "443"}
    assert reachable(config, lambda port: served.get(port, port))["Port"] == "10443"
    assert "Port" not in reachable({"Protocol": "HTTPS"}, lambda port: port)
