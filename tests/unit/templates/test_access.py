"""Who reaches what: security groups, load balancers, their variants and the rules for them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from lifecycle.cluster.stack import ResourceChange
from lifecycle.cluster.stack_decisions import dangers

from local.proxy.rules import Request, choose
from tests.unit.templates.resolver import Resolved, broken_rules, resolve

CERTIFICATE = "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b"
PUBLIC = {"LoadBalancerScheme": "internet-facing", "AllowedCidrs": "203.0.113.0/24"}
BALANCERS = {"WebLoadBalancer", "GrpcLoadBalancer"}


def group(reference: str) -> str:
    return reference.removeprefix("att(").removesuffix(".GroupId)")


def ways_in(cluster: Resolved) -> dict[str, set[tuple[str, int, int]]]:
    """Per security group: who may connect, and from which port to which."""
    found: dict[str, set[tuple[str, int, int]]] = {
        name: set() for name in cluster.of_type("AWS::EC2::SecurityGroup")
    }
    for rule in cluster.of_type("AWS::EC2::SecurityGroupIngress").values():
        if "SourcePrefixListId" in rule:
            source = "clients"
        else:
            source = group(rule["SourceSecurityGroupId"]).removesuffix("SecurityGroup")
        assert rule["IpProtocol"] == "tcp"
        found[group(rule["GroupId"])].add((source, rule["FromPort"], rule["ToPort"]))
    return found


def ranges(cluster: Resolved) -> list[str]:
    """The client ranges that can be a source at all: loopback hosts cannot."""
    entries = [entry["Cidr"] for entry in cluster.properties("ClientRanges")["Entries"]]
    assert len(set(entries)) == len(entries) == 5, "AWS refuses the same range twice"
    return [entry for entry in entries if not entry.startswith("127.")]


def test_every_way_in_by_default() -> None:
    assert ways_in(resolve("cluster")) == {
        "DatabaseSecurityGroup": {("Broker", 5432, 5432), ("sg-functions", 5432, 5432)},
        "FileSystemSecurityGroup": {("Broker", 2049, 2049)},
        "BrokerSecurityGroup": {
            ("Broker", 26500, 26502),
            ("WebLoadBalancer", 8080, 8080),
            ("Connectors", 8080, 8080),
            ("sg-functions", 8080, 8080),
            ("GrpcLoadBalancer", 26500, 26500),
            ("Connectors", 26500, 26500),
            ("sg-functions", 26500, 26500),
            ("WebLoadBalancer", 9600, 9600),
            ("GrpcLoadBalancer", 9600, 9600),
            ("sg-functions", 9600, 9600),
        },
        "ConnectorsSecurityGroup": {
            ("WebLoadBalancer", 8080, 8080),
            ("Connectors", 8080, 8080),
            ("sg-functions", 8080, 8080),
        },
        "WebLoadBalancerSecurityGroup": {("clients", 80, 80), ("sg-functions", 80, 80)},
        "GrpcLoadBalancerSecurityGroup": {
            ("clients", 26500, 26500),
            ("sg-functions", 26500, 26500),
        },
    }


def test_no_group_has_rules_that_this_test_does_not_see() -> None:
    for properties in resolve("cluster").of_type("AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in properties
        assert properties["SecurityGroupEgress"], "an empty list lets AWS allow everything"


def test_ways_out() -> None:
    cluster = resolve("cluster")
    found: dict[str, set[tuple[str, int | None]]] = {}
    for name, properties in cluster.of_type("AWS::EC2::SecurityGroup").items():
        found[name] = {
            (rule.get("CidrIp") or group(rule["DestinationSecurityGroupId"]), rule.get("ToPort"))
            for rule in properties["SecurityGroupEgress"]
        }
    assert found == {
        "DatabaseSecurityGroup": {("127.0.0.1/32", None)},
        "FileSystemSecurityGroup": {("127.0.0.1/32", None)},
        "BrokerSecurityGroup": {
            ("0.0.0.0/0", 443),
            ("DatabaseSecurityGroup", 5432),
            ("FileSystemSecurityGroup", 2049),
        },
        "ConnectorsSecurityGroup": {
            ("0.0.0.0/0", 443),
            ("0.0.0.0/0", 80),
            ("BrokerSecurityGroup", 8080),
            ("BrokerSecurityGroup", 26500),
        },
        "WebLoadBalancerSecurityGroup": {
            ("BrokerSecurityGroup", 8080),
            ("BrokerSecurityGroup", 9600),
            ("ConnectorsSecurityGroup", 8080),
        },
        "GrpcLoadBalancerSecurityGroup": {
            ("BrokerSecurityGroup", 26500),
            ("BrokerSecurityGroup", 9600),
        },
    }


def test_whoever_may_send_is_also_let_in() -> None:
    """An egress rule towards a group without the ingress rule would fail only on AWS."""
    cluster = resolve("cluster")
    inward = ways_in(cluster)
    for name, properties in cluster.of_type("AWS::EC2::SecurityGroup").items():
        for rule in properties["SecurityGroupEgress"]:
            if "DestinationSecurityGroupId" in rule:
                target = inward[group(rule["DestinationSecurityGroupId"])]
                assert (
                    name.removesuffix("SecurityGroup"),
                    rule["FromPort"],
                    rule["ToPort"],
                ) in target


@pytest.mark.parametrize(("certificate", "web"), [("", 80), (CERTIFICATE, 443)])
def test_with_ecs_exec_a_broker_reaches_the_load_balancers(certificate: str, web: int) -> None:
    """A port is forwarded through a broker, whatever the clients' ranges are."""
    given = {"CertificateArn": certificate, "AllowedCidrs": "203.0.113.0/24"}
    cluster = resolve("cluster", EnableExecuteCommand="true", **given)
    inward = ways_in(cluster)
    assert ("Broker", web, web) in inward["WebLoadBalancerSecurityGroup"]
    assert ("Broker", 26500, 26500) in inward["GrpcLoadBalancerSecurityGroup"]
    outward = {
        (group(rule["DestinationSecurityGroupId"]), rule["FromPort"], rule["ToPort"])
        for rule in cluster.of_type("AWS::EC2::SecurityGroupEgress").values()
        if group(rule["GroupId"]) == "BrokerSecurityGroup"
    }
    assert outward >= {
        ("WebLoadBalancerSecurityGroup", web, web),
        ("GrpcLoadBalancerSecurityGroup", 26500, 26500),
    }


# --- clients -------------------------------------------------------------------------------------


def test_without_ranges_the_vpc_is_let_in_and_nobody_else() -> None:
    assert ranges(resolve("cluster")) == ["10.190.0.0/16"]


def test_up_to_five_ranges_are_let_in() -> None:
    five = "203.0.113.0/24,198.51.100.7/32,10.0.0.0/8,192.0.2.0/28,172.16.0.0/12"
    assert ranges(resolve("cluster", AllowedCidrs="203.0.113.0/24,198.51.100.7/32")) == [
        "203.0.113.0/24",
        "198.51.100.7/32",
    ]
    assert ranges(resolve("cluster", AllowedCidrs=five)) == five.split(",")


# --- load balancers ------------------------------------------------------------------------------


def test_load_balancers_are_internal_unless_asked() -> None:
    cluster = resolve("cluster")
    for name in BALANCERS:
        assert cluster.properties(name)["Scheme"] == "internal"
        assert cluster.properties(name)["Subnets"][0] == "subnet-private-1"
    public = resolve("cluster", **PUBLIC, CertificateArn=CERTIFICATE)
    for name in BALANCERS:
        assert public.properties(name)["Scheme"] == "internet-facing"
        assert public.properties(name)["Subnets"] == [
            "subnet-public-1",
            "subnet-public-2",
            "subnet-public-3",
        ]


def rules_of(cluster: Resolved) -> list[dict[str, Any]]:
    """Rules of the web load balancer in the form in which its API returns them, by priority."""
    rules = [
        {
            "Priority": str(rule["Priority"]),
            "Conditions": [
                {"Field": one["Field"], "Values": one["PathPatternConfig"]["Values"]}
                for one in rule["Conditions"]
            ],
            "Action": rule["Actions"][0],
            "Listener": rule["ListenerArn"],
        }
        for rule in cluster.of_type("AWS::ElasticLoadBalancingV2::ListenerRule").values()
    ]
    return sorted(rules, key=lambda rule: int(rule["Priority"]))


def answered(path: str, cluster: Resolved) -> str:
    """Target group that a request reaches, or the status that the balancer answers with."""
    rule = choose(rules_of(cluster), Request("GET", "alb", path))
    assert rule is not None
    fixed = rule["Action"].get("FixedResponseConfig")
    return str(fixed["StatusCode"] if fixed else rule["Action"]["TargetGroupArn"])


EVERY_LISTENER: list[dict[str, Any]] = [{}, {**PUBLIC, "CertificateArn": CERTIFICATE}]


@pytest.mark.parametrize("parameters", EVERY_LISTENER, ids=["internal", "public"])
@pytest.mark.parametrize(
    ("path", "reached"),
    [
        ("/connectors/", "ref(ConnectorsTargetGroup)"),
        ("/connectors/inbound/order", "ref(ConnectorsTargetGroup)"),
        ("/connectors/inbound/my-actuator", "ref(ConnectorsTargetGroup)"),
        ("/connectors/inbound/%C3%A4", "ref(ConnectorsTargetGroup)"),
        # Verification reads this path through the balancer.
        ("/connectors/actuator/health/readiness", "ref(ConnectorsTargetGroup)"),
        ("/connectors/actuator", "403"),
        ("/connectors/actuator/", "403"),
        ("/connectors/actuator/prometheus", "403"),
        ("/connectors/actuator/health", "403"),
        ("/connectors/actuator/health/readiness/", "403"),
        ("/connectors/actuator/health/readiness/../../env", "403"),
        # What Tomcat reads as the same path: https://tomcat.apache.org/tomcat-10.1-doc/config/http.html
        ("/connectors//actuator/env", "403"),
        ("/connectors/./actuator/env", "403"),
        ("/connectors;a=b/actuator/env", "403"),
        ("/connectors/inbound/../actuator/env", "403"),
        # No pattern takes a percent sign; what is decoded later finds no endpoint but health.
        ("/connectors/%61ctuator/env", "ref(ConnectorsTargetGroup)"),
        ("/v2/topology", "ref(RestTargetGroup)"),
        ("/operate/%7E", "ref(RestTargetGroup)"),
    ],
)
def test_what_a_request_reaches(path: str, reached: str, parameters: dict[str, Any]) -> None:
    """The actuator of the connectors shows metrics and health in detail: not to the clients."""
    assert answered(path, resolve("cluster", **parameters)) == reached


def test_patterns_have_only_characters_that_the_load_balancer_takes() -> None:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html"""
    for rule in rules_of(resolve("cluster")):
        for condition in rule["Conditions"]:
            for value in condition["Values"]:
                assert re.fullmatch(r"[A-Za-z0-9_\-.$/~\"'@:+&*?]{1,128}", value), value


def test_rules_keep_to_the_quotas_of_the_load_balancer() -> None:
    """Three values in a condition, five values and five wildcards in a rule.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
    """
    for rule in rules_of(resolve("cluster")):
        values = [value for one in rule["Conditions"] for value in one["Values"]]
        assert all(len(one["Values"]) <= 3 for one in rule["Conditions"])
        assert len(values) <= 5
        assert sum(value.count("*") + value.count("?") for value in values) <= 5


def test_without_certificate_what_no_rule_matches_is_not_found() -> None:
    listener = resolve("cluster").properties("HttpListener")
    assert (listener["Port"], listener["Protocol"]) == (80, "HTTP")
    (action,) = listener["DefaultActions"]
    assert action["FixedResponseConfig"]["StatusCode"] == "404"


def test_with_a_certificate_everything_is_encrypted() -> None:
    cluster = resolve("cluster", **PUBLIC, CertificateArn=CERTIFICATE)
    (redirect,) = cluster.properties("HttpListener")["DefaultActions"]
    assert redirect["RedirectConfig"] == {
        "Protocol": "HTTPS",
        "Port": "443",
        "StatusCode": "HTTP_301",
    }
    assert {rule["Listener"] for rule in rules_of(cluster)} == {"ref(HttpsListener)"}
    for name, protocol in (("HttpsListener", "HTTPS"), ("GrpcListener", "TLS")):
        listener = cluster.properties(name)
        assert listener["Protocol"] == protocol
        assert listener["Certificates"] == [{"CertificateArn": CERTIFICATE}]
        assert listener["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
    assert cluster.properties("GrpcListener")["AlpnPolicy"] == ["HTTP2Preferred"]
    web = ways_in(cluster)["WebLoadBalancerSecurityGroup"]
    assert web == {("clients", 80, 80), ("clients", 443, 443), ("sg-functions", 443, 443)}
    assert cluster.outputs["RestUrl"] == "https://att(WebLoadBalancer.DNSName)"


def test_grpc_without_certificate_is_plain_tcp() -> None:
    listener = resolve("cluster").properties("GrpcListener")
    assert (listener["Port"], listener["Protocol"]) == (26500, "TCP")
    assert not {"Certificates", "SslPolicy", "AlpnPolicy"} & set(listener)


def test_the_rest_url_is_the_name_in_the_certificate() -> None:
    assert resolve("cluster").outputs["RestUrl"] == "http://att(WebLoadBalancer.DNSName)"
    named = resolve("cluster", CertificateArn=CERTIFICATE, DomainName="camunda.example.com")
    assert named.outputs["RestUrl"] == "https://camunda.example.com"
    assert named.outputs["WebLoadBalancerDnsName"] == "att(WebLoadBalancer.DNSName)"


DOMAIN = {"DomainName": "camunda.example.com", "HostedZoneId": "Z0123456789ABC"}


def test_the_stack_requests_the_certificate_of_a_name_in_a_zone() -> None:
    cluster = resolve("cluster", **DOMAIN)
    certificate = cluster.properties("Certificate")
    names = ["camunda.example.com", "grpc.camunda.example.com"]
    assert certificate["DomainName"] == names[0]
    assert certificate["SubjectAlternativeNames"] == names[1:]
    assert certificate["ValidationMethod"] == "DNS"
    assert certificate["DomainValidationOptions"] == [
        {"DomainName": name, "HostedZoneId": DOMAIN["HostedZoneId"]} for name in names
    ]
    for listener in ("HttpsListener", "GrpcListener"):
        found = cluster.properties(listener)["Certificates"]
        assert found == [{"CertificateArn": "ref(Certificate)"}]
    assert {rule["Listener"] for rule in rules_of(cluster)} == {"ref(HttpsListener)"}
    assert cluster.outputs["CertificateArn"] == "ref(Certificate)"
    assert cluster.outputs["RestUrl"] == "https://camunda.example.com"
    assert cluster.outputs["GrpcEndpoint"] == "grpc.camunda.example.com:26500"
    assert cluster.outputs["GrpcLoadBalancerDnsName"] == "att(GrpcLoadBalancer.DNSName)"


@pytest.mark.parametrize("own", [{}, {"CertificateArn": CERTIFICATE}])
def test_each_name_has_a_record_of_its_load_balancer(own: dict[str, str]) -> None:
    cluster = resolve("cluster", **DOMAIN, GrpcDomainName="zeebe.example.com", **own)
    records = cluster.of_type("AWS::Route53::RecordSet")
    assert {
        record["Name"]: (
            record["Type"],
            record["HostedZoneId"],
            record["AliasTarget"]["DNSName"],
            record["AliasTarget"]["HostedZoneId"],
            record["AliasTarget"]["EvaluateTargetHealth"],
        )
        for record in records.values()
    } == {
        name: (
            "A",
            DOMAIN["HostedZoneId"],
            f"att({balancer}.DNSName)",
            f"att({balancer}.CanonicalHostedZoneID)",
            False,
        )
        for name, balancer in (
            ("camunda.example.com", "WebLoadBalancer"),
            ("zeebe.example.com", "GrpcLoadBalancer"),
        )
    }
    assert ("Certificate" in cluster.resources) == (not own)
    wanted = own.get("CertificateArn", "ref(Certificate)")
    assert cluster.outputs["CertificateArn"] == wanted
    assert cluster.properties("GrpcListener")["Certificates"] == [{"CertificateArn": wanted}]


def test_without_a_zone_there_is_no_record_and_nothing_is_requested() -> None:
    own = resolve(
        "cluster",
        CertificateArn=CERTIFICATE,
        DomainName="camunda.example.com",
        GrpcDomainName="zeebe.example.com",
    )
    assert own.of_type("AWS::Route53::RecordSet", "AWS::CertificateManager::Certificate") == {}
    assert own.outputs["GrpcEndpoint"] == "zeebe.example.com:26500"
    named = resolve("cluster", CertificateArn=CERTIFICATE, DomainName="camunda.example.com")
    assert named.outputs["GrpcEndpoint"] == "att(GrpcLoadBalancer.DNSName):26500"


def test_rules_move_to_the_listener_with_the_certificate_before_the_others_go() -> None:
    """CloudFormation makes the new rules first, and removes the former ones in its clean-up.

    A plan does not refuse it: no service refers to a rule, a listener or a record.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html
    """
    before, after = resolve("cluster"), resolve("cluster", **DOMAIN)
    moved = [
        ResourceChange("Modify", name, "AWS::ElasticLoadBalancingV2::ListenerRule", "True")
        for name in after.of_type("AWS::ElasticLoadBalancingV2::ListenerRule")
        if before.properties(name)["ListenerArn"] != after.properties(name)["ListenerArn"]
    ]
    assert len(moved) == len(after.of_type("AWS::ElasticLoadBalancingV2::ListenerRule"))
    added = [
        ResourceChange("Add", name, after.resources[name]["Type"])
        for name in after.resources.keys() - before.resources.keys()
    ]
    assert {one.logical_id for one in added} == {
        *("Certificate", "WebRecord", "GrpcRecord", "HttpsListener", "HttpsFromClients")
    }
    replaced = ResourceChange("Modify", "GrpcListener", "AWS::ElasticLoadBalancingV2::Listener")
    assert dangers([*moved, *added, replaced]) == []
    # A rule of the former listener matches everything, so that its redirect waits for them to go.
    last = max(rules_of(before), key=lambda rule: int(rule["Priority"]))
    assert (last["Listener"], last["Conditions"][0]["Values"]) == ("ref(HttpListener)", ["/*"])


TARGETS = {
    "RestTargetGroup": ("HTTP", 8080, "9600", "/actuator/health/readiness"),
    "GrpcTargetGroup": ("TCP", 26500, "9600", "/actuator/health/readiness"),
    "ManagementTargetGroup": ("HTTP", 9600, "9600", "/actuator/health/readiness"),
    "ConnectorsTargetGroup": ("HTTP", 8080, "8080", "/connectors/actuator/health/readiness"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_target_health(name: str) -> None:
    target = resolve("cluster", ManagementListener="true").properties(name)
    protocol, port, health_port, path = TARGETS[name]
    assert (target["Protocol"], target["Port"]) == (protocol, port)
    assert (target["HealthCheckPort"], target["HealthCheckPath"]) == (health_port, path)
    assert target["HealthCheckProtocol"] == "HTTP"
    assert target["HealthCheckIntervalSeconds"] == 10
    assert target["HealthCheckTimeoutSeconds"] == 5
    assert (target["HealthyThresholdCount"], target["UnhealthyThresholdCount"]) == (2, 2)
    assert target["TargetType"] == "ip"
    attributes = {one["Key"]: one["Value"] for one in target["TargetGroupAttributes"]}
    assert attributes["deregistration_delay.timeout_seconds"] == "30"
    sticky = name in {"RestTargetGroup", "ConnectorsTargetGroup"}
    assert (attributes.get("stickiness.lb_cookie.duration_seconds") == "43200") is sticky
    assert (attributes.get("stickiness.enabled") == "true") is sticky


def test_the_management_listener_exists_only_on_request() -> None:
    assert "ManagementListenerOnRequest" not in resolve("cluster").resources
    asked = resolve("cluster", ManagementListener="true")
    assert asked.properties("ManagementListenerOnRequest")["Port"] == 9600
    assert ("clients", 9600, 9600) in ways_in(asked)["WebLoadBalancerSecurityGroup"]


# --- rules over several parameters ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"Brokers": "2"}, "at least ReplicationFactor"),
        ({"Brokers": "4", "ReplicationFactor": "5"}, "at least ReplicationFactor"),
        ({"LoadBalancerScheme": "internet-facing", "CertificateArn": CERTIFICATE}, "AllowedCidrs"),
        (PUBLIC, "CertificateArn, or AcceptPlaintext"),
        ({"HostedZoneId": "Z0123456789ABC"}, "needs the DomainName"),
        ({"GrpcDomainName": "zeebe.example.com"}, "GrpcDomainName needs the HostedZoneId"),
        (
            {
                "CertificateArn": CERTIFICATE,
                "DomainName": "a.example.com",
                "GrpcDomainName": "a.example.com",
            },
            "must differ",
        ),
        (
            {**PUBLIC, "CertificateArn": CERTIFICATE, "ManagementListener": "true"},
            "LoadBalancerScheme internal",
        ),
        ({"DomainName": "camunda.example.com"}, "CertificateArn"),
        ({"BrokerMemory": "4096"}, "BrokerMemory from 8192"),
        ({"BrokerCpu": "1024", "BrokerMemory": "12288"}, "BrokerMemory from 2048"),
        ({"BrokerCpu": "2048", "BrokerMemory": "2048"}, "BrokerMemory from 4096"),
        ({"BrokerCpu": "8192"}, "BrokerMemory from 16384"),
        ({"BrokerCpu": "16384"}, "BrokerMemory from 32768"),
        ({"ConnectorsCpu": "512", "ConnectorsMemory": "6144"}, "ConnectorsMemory from 1024"),
        ({"ConnectorsCpu": "1024", "ConnectorsMemory": "1024"}, "ConnectorsMemory from 2048"),
        ({"ConnectorsMemory": "2048"}, "ConnectorsMemory from 4096"),
        ({"ConnectorsCpu": "4096"}, "ConnectorsMemory from 8192"),
    ],
)
def test_combinations_that_are_refused(given: dict[str, str], said: str) -> None:
    (broken,) = broken_rules("cluster", **given)
    assert said in broken


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"Brokers": "1", "ReplicationFactor": "1"},
        {"Brokers": "5", "ReplicationFactor": "5"},
        {**PUBLIC, "CertificateArn": CERTIFICATE},
        {**PUBLIC, "AcceptPlaintext": "true"},
        {**PUBLIC, **DOMAIN},
        {"CertificateArn": CERTIFICATE, "GrpcDomainName": "zeebe.example.com"},
        {"ManagementListener": "true"},
        {"BrokerCpu": "16384", "BrokerMemory": "122880"},
        {"BrokerCpu": "1024", "BrokerMemory": "2048"},
    ],
)
def test_combinations_that_are_accepted(given: dict[str, str]) -> None:
    assert broken_rules("cluster", **given) == []


def attributes(cluster: Resolved, name: str) -> dict[str, str]:
    found = cluster.properties(name)["LoadBalancerAttributes"]
    return {one["Key"]: one["Value"] for one in found}


@pytest.mark.parametrize("name", sorted(BALANCERS))
def test_load_balancers_are_protected_and_log_on_request(name: str) -> None:
    kind = name.removesuffix("LoadBalancer").lower()
    default = attributes(resolve("cluster"), name)
    assert default["deletion_protection.enabled"] == "true"
    # An attribute that is left out keeps its value.
    assert {key: value for key, value in default.items() if key.startswith("access_logs")} == {
        "access_logs.s3.enabled": "false"
    }
    other = resolve(
        "cluster", LoadBalancerDeletionProtection="false", LoadBalancerLogBucket="platform-logs"
    )
    found = attributes(other, name)
    assert found["deletion_protection.enabled"] == "false"
    assert {key: value for key, value in found.items() if key.startswith("access_logs")} == {
        "access_logs.s3.enabled": "true",
        "access_logs.s3.bucket": "platform-logs",
        "access_logs.s3.prefix": f"control-demo/{kind}",
    }


@pytest.mark.parametrize(("brokers", "crosses"), [("1", "true"), ("2", "true"), ("3", "false")])
def test_grpc_crosses_zones_where_some_have_no_broker(brokers: str, crosses: str) -> None:
    cluster = resolve("cluster", Brokers=brokers)
    assert attributes(cluster, "GrpcLoadBalancer")["load_balancing.cross_zone.enabled"] == crosses
