"""The rule for the port of Aurora, and that the template's database can be reached."""

from __future__ import annotations

from typing import Any

import pytest

from local.aws.strict.database_port import covers, port_of
from tests.unit.templates.resolver import resolve


def test_without_a_port_it_is_that_of_mysql() -> None:
    assert port_of({"Engine": "aurora-postgresql"}) == 3306
    assert port_of({"Engine": "aurora-postgresql", "Port": "5432"}) == 5432


@pytest.mark.parametrize(
    ("rule", "port", "covered"),
    [
        ({"FromPort": 5432, "ToPort": 5432}, 5432, True),
        ({"FromPort": 5432, "ToPort": 5432}, 3306, False),
        ({"FromPort": "5000", "ToPort": "6000"}, 5432, True),
        ({"IpProtocol": "-1"}, 3306, True),
    ],
)
def test_a_group_lets_in_what_it_names(rule: dict[str, Any], port: int, covered: bool) -> None:
    assert covers([rule], port) == covered
    assert not covers([], port)


def test_the_template_s_database_listens_where_everybody_is_let_in() -> None:
    resources = resolve("cluster").resources
    port = port_of(resources["DatabaseCluster"]["Properties"])
    ingress = [
        resource["Properties"]
        for resource in resources.values()
        if resource["Type"] == "AWS::EC2::SecurityGroupIngress"
        and "DatabaseSecurityGroup" in str(resource["Properties"]["GroupId"])
    ]
    assert len(ingress) >= 2, "brokers and functions"
    assert all(covers([rule], port) for rule in ingress)
