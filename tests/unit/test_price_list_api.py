"""AWS's Price List API as a plan asks it: one price counts, everything else is the list's."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from lifecycle.adapters.aws import pricing as reading
from lifecycle.adapters.aws.pricing import PriceListApi, read_prices
from lifecycle.cluster.current_prices import with_live
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.prices import Size, monthly_cost, price_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULTS = {name: str(d.get("default", "")) for name, d in cluster_parameters().items()}
SIZE = Size.of(DEFAULTS, brokers=3, connectors=1)
NOWHERE = "mars-north-1"
TODAY = "2026-11-27"
LIVE: dict[str, Any] = {
    "fargateVcpuHour": {"X86_64": "0.05"},
    "fargateGbHour": {"X86_64": "0.005"},
    "auroraInstanceHour": {"db.t3.medium": "0.1"},
    "applicationLoadBalancerHour": "0.03",
    "networkLoadBalancerHour": "0.03",
    "publicAddressHour": "0.005",
    "keyMonth": "1",
    "secretMonth": "0.4",
    "bucketWrite": "0.000005",
}


def product(usage: str, *prices: str, begin: str = "0", **attributes: str) -> dict[str, Any]:
    dimensions = {
        f"D{n}": {"beginRange": begin, "unit": "hours", "pricePerUnit": {"USD": price}}
        for n, price in enumerate(prices)
    }
    return {
        "product": {"attributes": {"usagetype": usage, **attributes}},
        "terms": {"OnDemand": {"T": {"priceDimensions": dimensions}}},
    }


class Api:
    """GetProducts as AWS answers it, by service."""

    def __init__(self, products: Mapping[str, list[dict[str, Any]]]) -> None:
        self.products = products

    def get_paginator(self, operation: str) -> Api:
        assert operation == "get_products"
        return self

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        wanted = {one["Field"]: one["Value"] for one in given["Filters"]}
        found = [
            json.dumps(one)
            for one in self.products.get(given["ServiceCode"], [])
            if all(
                one["product"]["attributes"].get(name, value) == value
                for name, value in wanted.items()
            )
        ]
        yield {"PriceList": found}


def ask(monkeypatch: pytest.MonkeyPatch, products: Mapping[str, list[dict[str, Any]]]) -> Any:
    monkeypatch.setattr(reading, "client", lambda *_, **__: Api(products))
    return PriceListApi().of(
        "eu-central-1", architecture="X86_64", instance_classes={"db.t3.medium"}
    )


def test_what_aws_tells_is_taken_under_whatever_service_it_is_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    application = {"productFamily": "Load Balancer-Application"}
    found = ask(
        monkeypatch,
        {
            "AmazonECS": [
                product("EUC1-Fargate-vCPU-Hours:perCPU", "0.0465600000"),
                product("EUC1-Fargate-ARM-vCPU-Hours:perCPU", "0.03725"),
                product("EUC1-SpotUsage-Fargate-vCPU-Hours:perCPU", "0.0127"),
                product("EUC1-Fargate-GB-Hours", "0.00511"),
            ],
            "AmazonEC2": [product("EUC1-LoadBalancerUsage", "0.027", **application)],
            "AmazonRDS": [
                product("EUC1-InstanceUsage:db.t3.medium", "0.096", instanceType="db.t3.medium"),
                product("EUC1-InstanceUsageIOOptimized:db.t3.medium", "0.125"),
            ],
            "awskms": [product("eu-central-1-KMS-Keys", "1.0000000000")],
        },
    )
    assert found == {
        "fargateVcpuHour": {"X86_64": "0.04656"},
        "fargateGbHour": {"X86_64": "0.00511"},
        "auroraInstanceHour": {"db.t3.medium": "0.096"},
        "applicationLoadBalancerHour": "0.027",
        "keyMonth": "1",
    }


def test_more_than_one_price_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [product("EUC1-Fargate-GB-Hours", "0.005"), product("Fargate-GB-Hours", "0.006")]
    assert ask(monkeypatch, {"AmazonECS": twice}) == {}


def test_a_refusal_is_no_price_and_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: Any, **__: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetProducts")

    monkeypatch.setattr(reading, "client", denied)
    assert PriceListApi().of(NOWHERE, architecture="X86_64", instance_classes=()) == {}


@pytest.mark.parametrize("garbage", [{}, {"product": {}}, {"terms": {"OnDemand": {"T": {}}}}])
def test_an_answer_of_another_shape_is_no_price(garbage: dict[str, Any]) -> None:
    assert read_prices(garbage, "Fargate-GB-Hours") == []


def test_free_tiers_and_discounts_of_large_bills_are_no_price() -> None:
    assert read_prices(product("Requests-Tier1", "0.0000000000"), "Requests-Tier1") == []
    assert read_prices(product("Requests-Tier1", "0.004", begin="1000"), "Requests-Tier1") == []


def test_todays_prices_make_a_sum_in_a_region_that_the_list_lacks() -> None:
    cost = monthly_cost(SIZE, NOWHERE, with_live(LIVE, NOWHERE, today=TODAY))
    # 3 brokers x (4 vCPU x 0.05 + 8 GB x 0.005) x 730 h
    assert cost.items["brokers"] == Decimal("525.60")
    assert cost.total == sum(cost.items.values())
    assert cost.as_of == f"{TODAY}, Price List API; hostedZoneMonth of 2025-07"


def test_what_aws_does_not_tell_is_the_lists_and_named_with_its_date() -> None:
    live = {"fargateVcpuHour": {"X86_64": "1"}}
    cost = monthly_cost(SIZE, "us-east-1", with_live(live, "us-east-1", today=TODAY))
    plain = monthly_cost(SIZE, "us-east-1")
    assert cost.items["database instances"] == plain.items["database instances"]
    assert cost.items["brokers"] > plain.items["brokers"]
    assert cost.as_of.startswith(f"{TODAY}, Price List API; ")
    assert "auroraInstanceHour" in cost.as_of
    assert cost.as_of.endswith(" of 2025-07")


def test_what_neither_tells_has_no_price_and_no_sum() -> None:
    part = {name: LIVE[name] for name in LIVE if name != "auroraInstanceHour"}
    cost = monthly_cost(SIZE, NOWHERE, with_live(part, NOWHERE, today=TODAY))
    assert (cost.total, cost.missing) == (None, (f"no price for db.t3.medium in {NOWHERE}",))


def test_without_an_answer_the_list_is_left_as_it_is() -> None:
    assert with_live({}, "us-east-1", today=TODAY) is price_list()
    assert monthly_cost(SIZE, NOWHERE, with_live({}, NOWHERE, today=TODAY)).missing == (
        f"no price for {NOWHERE}",
    )
