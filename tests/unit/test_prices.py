from __future__ import annotations

import copy
from decimal import Decimal

import pytest
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.cluster.prices import (
    Size,
    backup_cost,
    backup_prices,
    monthly_cost,
    not_included,
    price_list,
)

DEFAULTS = {name: str(d.get("default", "")) for name, d in cluster_parameters().items()}


def size(brokers: int = 3, connectors: int = 1, **parameters: str) -> Size:
    return Size.of({**DEFAULTS, **parameters}, brokers=brokers, connectors=connectors)


def test_a_default_cluster_is_the_sum_of_its_parts() -> None:
    cost = monthly_cost(size(), "us-east-1")
    # 3 brokers x (4 vCPU x 0.04048 + 8 GB x 0.004445) x 730 h
    assert cost.items["brokers"] == Decimal("432.48")
    assert cost.items["connectors"] == Decimal("72.08")
    assert cost.items["database instances"] == Decimal("59.86")
    assert cost.items["load balancers"] == Decimal("32.85")
    assert cost.total == sum(cost.items.values())


def test_backups_cost_what_is_stored() -> None:
    cost = backup_cost(brokers_gb=1000, database_gb=0, region="us-east-1")
    assert dict(cost.items) == {"backups of the brokers": Decimal("23.00")}
    assert cost.total == Decimal("23.00")
    nothing = backup_cost(brokers_gb=0, database_gb=0, region="us-east-1")
    assert (nothing.total, dict(nothing.items)) == (Decimal(0), {})


def test_backups_without_a_price_have_no_sum() -> None:
    cost = backup_cost(brokers_gb=1, database_gb=1, region="eu-central-1")
    assert cost.total is None
    assert cost.missing == ("no price for Aurora's backup storage in eu-central-1",)
    assert backup_cost(brokers_gb=1, database_gb=0, region="mars-north-1").total is None


def test_what_is_left_out_names_the_prices_of_backups() -> None:
    assert not_included("us-east-1").startswith(backup_prices("us-east-1"))
    assert "S3 0.023 USD in us-east-1, of Aurora beyond its free share 0.021 USD" in backup_prices(
        "us-east-1"
    )
    assert "share no price known in eu-central-1" in backup_prices("eu-central-1")
    # Today's price comes before the list's.
    prices = copy.deepcopy(dict(price_list()))
    prices["regions"]["us-east-1"]["bucketGbMonth"] = "0.5"
    assert "S3 0.5 USD" in not_included("us-east-1", prices)


def test_an_unknown_region_has_no_price_and_no_sum() -> None:
    cost = monthly_cost(size(), "mars-north-1")
    assert (cost.total, cost.missing) == (None, ("no price for mars-north-1",))
    assert cost.items == {}


def test_a_sum_that_lacks_a_part_is_no_sum() -> None:
    cost = monthly_cost(size(DatabaseInstanceClass="db.x99.huge"), "us-east-1")
    assert cost.total is None
    assert cost.missing == ("no price for db.x99.huge in us-east-1",)
    assert "brokers" in cost.items


def test_a_processor_without_a_price_is_named_once() -> None:
    cost = monthly_cost(size(CpuArchitecture="ARM64"), "eu-central-1")
    assert cost.missing == ("no price for Fargate ARM64 in eu-central-1",)


@pytest.mark.parametrize("region", sorted(price_list()["regions"]))
def test_more_of_anything_never_costs_less(region: str) -> None:
    base = monthly_cost(size(), region).total
    assert base is not None
    for more in (
        size(brokers=4),
        size(connectors=2),
        size(BrokerCpu="8192", BrokerMemory="16384"),
        size(DatabaseInstances="2"),
        size(LoadBalancerScheme="internet-facing"),
    ):
        dearer = monthly_cost(more, region).total
        assert dearer is not None
        assert dearer > base


def test_a_key_of_ones_own_saves_three() -> None:
    arn = "arn:aws:kms:us-east-1:123456789012:key/x"
    own, ours = (monthly_cost(size(KmsKeyArn=key), "us-east-1").total for key in (arn, ""))
    assert own is not None
    assert ours is not None
    assert ours - own == 3


def test_every_price_is_dated_and_a_number() -> None:
    for region in price_list()["regions"].values():
        assert len(region["asOf"]) == len("2025-07")
        prices = copy.deepcopy(region)
        del prices["asOf"]
        for price in prices.values():
            for number in price.values() if isinstance(price, dict) else [price]:
                assert Decimal(number) > 0
