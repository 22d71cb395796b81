# Copied from layers/lifecycle/lifecycle/cluster by `make generate`: change it there.
"""What a cluster costs per month before usage; no price is ever guessed.

Prices are those that AWS's Price List API gave just now, else those of ``prices.json``, a dated
list of the regions that were looked up. Anything else is "no price for" it, and a sum that lacks a
part is no sum. ``make generate`` copies this module and the list into the command line: it imports
the standard library only.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, Final

# Each broker renews its lease every third of 15 seconds.
_LEASE_WRITES_PER_HOUR: Final = 3600 // 5
_ZONES: Final = 3
_NOT_INCLUDED: Final = (
    "storage and I/O of Aurora; EFS; logs and metrics, in Amazon Managed Service for "
    "Prometheus, too; load-balancer capacity units; data transfer; NAT gateways of the network, "
    "which clusters share"
)


@dataclass(frozen=True, slots=True)
class Size:
    """What of a cluster is paid for by the hour. CPU in Fargate's units, memory in MiB."""

    brokers: int
    connectors: int
    broker_cpu: int
    broker_memory: int
    connectors_cpu: int
    connectors_memory: int
    architecture: str
    instance_class: str
    instances: int
    public: bool
    own_keys: bool

    @classmethod
    def of(cls, parameters: Mapping[str, str], *, brokers: int, connectors: int) -> Size:
        """Take sizes from the cluster's parameters and the counts that run or will run."""
        return cls(
            brokers=brokers,
            connectors=connectors,
            broker_cpu=int(parameters["BrokerCpu"]),
            broker_memory=int(parameters["BrokerMemory"]),
            connectors_cpu=int(parameters["ConnectorsCpu"]),
            connectors_memory=int(parameters["ConnectorsMemory"]),
            architecture=parameters["CpuArchitecture"],
            instance_class=parameters["DatabaseInstanceClass"],
            instances=int(parameters["DatabaseInstances"]),
            public=parameters["LoadBalancerScheme"] == "internet-facing",
            own_keys=not parameters["KmsKeyArn"],
        )


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost per month. ``total`` is None when a price is missing; ``missing`` names them."""

    total: Decimal | None
    items: Mapping[str, Decimal]
    missing: tuple[str, ...]
    as_of: str
    currency: str

    def as_dict(self) -> dict[str, Any]:
        """Return the cost as JSON; amounts as strings with two decimals."""
        return {
            "total": None if self.total is None else f"{self.total:.2f}",
            "items": {name: f"{amount:.2f}" for name, amount in self.items.items()},
            "missing": list(self.missing),
            "asOf": self.as_of or None,
            "currency": self.currency,
        }


@functools.cache
def price_list() -> Mapping[str, Any]:
    """Read the price list."""
    text = Path(__file__).with_name("prices.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


@dataclass(frozen=True, slots=True)
class Bill:
    """Adds up parts by the prices of a region; what has no price is named in its cost."""

    region: str
    prices: Mapping[str, Any] = field(default_factory=price_list)
    _items: dict[str, Decimal] = field(default_factory=dict)
    _missing: dict[str, None] = field(default_factory=dict)

    @property
    def hours(self) -> Decimal:
        """Hours of a month."""
        return Decimal(self.prices["hoursPerMonth"])

    def price(self, name: str, kind: str = "") -> Decimal | None:
        """Price of one unit, of a kind where there are several; None where none is known."""
        found = self.prices["regions"].get(self.region, {}).get(name)
        found = found.get(kind) if isinstance(found, Mapping) else found
        return None if found is None else Decimal(found)

    def add(self, name: str, amount: Decimal | None, what: str) -> None:
        """Add a part; without an amount, ``what`` is what has no price."""
        if amount is None:
            self._missing[f"no price for {what} in {self.region}"] = None
        else:
            self._items[name] = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)

    def cost(self) -> Cost:
        """Return the cost of what was added."""
        known, currency = self.prices["regions"].get(self.region), self.prices["currency"]
        if known is None:
            return Cost(None, {}, (f"no price for {self.region}",), "", currency)
        total = None if self._missing else sum(self._items.values(), Decimal(0))
        return Cost(total, dict(self._items), tuple(self._missing), known["asOf"], currency)


def times(quantity: Decimal | int, *prices: Decimal | None) -> Decimal | None:
    """Multiply the sum of prices; None if one of them is not known."""
    given = [one for one in prices if one is not None]
    return quantity * sum(given, Decimal(0)) if len(given) == len(prices) else None


def monthly_cost(size: Size, region: str, prices: Mapping[str, Any] | None = None) -> Cost:
    """Fixed cost of a cluster per month. ``prices`` default to the list that is shipped."""
    bill = Bill(region, price_list() if prices is None else prices)
    price, hours = bill.price, bill.hours

    def fargate(count: int, cpu: int, memory: int) -> Decimal | None:
        vcpu = price("fargateVcpuHour", size.architecture)
        gigabyte = price("fargateGbHour", size.architecture)
        if vcpu is None or gigabyte is None:
            return None
        each = vcpu * cpu / 1024 + gigabyte * memory / 1024
        return each * count * hours

    tasks = f"Fargate {size.architecture}"
    bill.add("brokers", fargate(size.brokers, size.broker_cpu, size.broker_memory), tasks)
    connectors = fargate(size.connectors, size.connectors_cpu, size.connectors_memory)
    bill.add("connectors", connectors, tasks)
    instance = price("auroraInstanceHour", size.instance_class)
    bill.add("database instances", times(size.instances * hours, instance), size.instance_class)
    balancers = price("applicationLoadBalancerHour"), price("networkLoadBalancerHour")
    bill.add("load balancers", times(hours, *balancers), "load balancers")
    if size.public:
        addresses = times(2 * _ZONES * hours, price("publicAddressHour"))
        bill.add("public addresses", addresses, "public addresses")
    held = [price("hostedZoneMonth"), times(3, price("secretMonth"))]
    if size.own_keys:
        held.append(times(3, price("keyMonth")))
    bill.add("keys, secrets, private DNS", times(1, *held), "keys and secrets")
    writes = size.brokers * _LEASE_WRITES_PER_HOUR
    bill.add("broker-id leases in S3", times(writes * hours, price("bucketWrite")), "S3 requests")
    return bill.cost()


def not_included(region: str, prices: Mapping[str, Any] | None = None) -> str:
    """Name what the fixed cost of a cluster leaves out, backups first with their prices."""
    return f"{backup_prices(region, prices)}; {_NOT_INCLUDED}"


def backup_prices(region: str, prices: Mapping[str, Any] | None = None) -> str:
    """Name the prices of both kinds of backups, which depend on the load and on their retention."""
    bill = Bill(region, price_list() if prices is None else prices)

    def each(name: str) -> str:
        found = bill.price(name)
        known = "no price known" if found is None else f"{found} {bill.prices['currency']}"
        return f"{known} in {region}"

    return (
        f"backups, per GB and month: of the brokers in S3 {each('bucketGbMonth')}, of Aurora "
        f"beyond its free share {each('databaseBackupGbMonth')}"
    )


def backup_cost(
    *,
    brokers_gb: Decimal | int,
    database_gb: Decimal | int,
    region: str,
    prices: Mapping[str, Any] | None = None,
) -> Cost:
    """Cost of stored backups per month; what holds nothing is no part of it.

    ``brokers_gb`` is what the bucket holds, ``database_gb`` what Aurora charges for: as much as the
    database itself is free, and so is a snapshot that is younger than the retention period.
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-storage-backup.html
    """
    bill = Bill(region, price_list() if prices is None else prices)
    for part, size, name, what in (
        ("backups of the brokers", brokers_gb, "bucketGbMonth", "storage in S3"),
        ("backups of Aurora", database_gb, "databaseBackupGbMonth", "Aurora's backup storage"),
    ):
        if size:
            bill.add(part, times(size, bill.price(name)), what)
    return bill.cost()
