"""What a control plane and a cluster cost per month before usage; nothing is sent for it.

``prices.py``, ``prices.json`` and ``sizes.json`` are copies that ``make generate`` writes: the
formula of a cluster, the prices and what a parameter may be are those of plans and of the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

from camunda_ecs.ends import usage
from camunda_ecs.prices import (
    Bill,
    Cost,
    Size,
    backup_cost,
    backup_prices,
    monthly_cost,
    price_list,
    times,
)

# The option of each parameter that decides what is paid for.
OPTIONS: Final[Mapping[str, str]] = {
    "Brokers": "--brokers",
    "BrokerCpu": "--broker-cpu",
    "BrokerMemory": "--broker-memory",
    "Connectors": "--connectors",
    "ConnectorsCpu": "--connectors-cpu",
    "ConnectorsMemory": "--connectors-memory",
    "CpuArchitecture": "--architecture",
    "DatabaseInstanceClass": "--database-class",
    "DatabaseInstances": "--database-instances",
    "LoadBalancerScheme": "--public",
    "DetailedMetrics": "--detailed-metrics",
    "NatGateways": "--nat-gateways",
}
# Of stacks/monitoring.yaml and stacks/cluster.yaml.
CONTROL_ALARMS: Final = 15
CLUSTER_ALARMS: Final = 4
# Custom metrics of each check, and those that DetailedMetrics adds.
METRICS: Final = 4
DETAILED_METRICS: Final = 13
USAGE: Final = (
    "storage and I/O of Aurora; EFS; logs and Container Insights; load-balancer capacity "
    "units; data transfer, also through NAT gateways; the control plane's functions, state "
    "machines, table, bucket and API, and their work on operations and health checks"
)


@cache
def _rules() -> Mapping[str, Any]:
    text = resources.files("camunda_ecs").joinpath("sizes.json").read_text()
    found: Mapping[str, Any] = json.loads(text)
    return found


def parameters(given: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters with their defaults.

    Raises ``Stop`` (usage) with each option that the API would refuse, and what is allowed.
    """
    declared = _rules()["parameters"]
    wrong = [
        f"{OPTIONS[name]}: given {value}; allowed: {declared[name]['allowed']}"
        for name, value in given.items()
        if not _fits(value, declared[name])
    ]
    full = {name: str(one["default"]) for name, one in declared.items()} | dict(given)
    if not wrong:
        for cpu, memory in (("BrokerCpu", "BrokerMemory"), ("ConnectorsCpu", "ConnectorsMemory")):
            offered = _rules()["memory"][full[cpu]]
            if int(full[memory]) not in offered["sizes"]:
                wrong.append(
                    f"{OPTIONS[memory]}: given {full[memory]}; allowed: what Fargate supports with "
                    f"{cpu} {full[cpu]}: {offered['allowed']}"
                )
    if wrong:
        raise usage(*wrong)
    return full


def _fits(value: str, declared: Mapping[str, Any]) -> bool:
    if "allowedValues" in declared:
        return value in declared["allowedValues"]
    if declared["type"] == "Number":
        return int(declared["min"]) <= int(value) <= int(declared["max"])
    return re.fullmatch(declared["allowedPattern"], value) is not None


def control_plane(full: Mapping[str, str], region: str) -> Cost:
    """Fixed cost of a control plane per month, with the NAT gateways of the VPC that it creates."""
    bill = Bill(region)
    bill.add("key of the topic", bill.price("keyMonth"), "keys")
    bill.add("alarms", times(CONTROL_ALARMS, bill.price("alarmMonth")), "alarms")
    bill.add("dashboard of all clusters", bill.price("dashboardMonth"), "dashboards")
    gateways = int(full["NatGateways"])
    if gateways:
        # Each has a public address of its own.
        hour = bill.price("natGatewayHour"), bill.price("publicAddressHour")
        bill.add("NAT gateways", times(gateways * bill.hours, *hour), "NAT gateways")
    return bill.cost()


def cluster(full: Mapping[str, str], region: str, *, own_key: bool = False) -> Cost:
    """Fixed cost of a cluster per month, as the plan of a cluster of these parameters has it.

    ``own_key``: KmsKeyArn names a key that exists.
    """
    key = {"KmsKeyArn": "arn" if own_key else ""}
    size = Size.of(
        {**full, **key}, brokers=int(full["Brokers"]), connectors=int(full["Connectors"])
    )
    return monthly_cost(size, region)


def monitoring(full: Mapping[str, str], region: str) -> Cost:
    """Alarms and custom metrics of a cluster per month, checked at least once an hour."""
    bill = Bill(region)
    bill.add("alarms", times(CLUSTER_ALARMS, bill.price("alarmMonth")), "alarms")
    metrics = METRICS + (DETAILED_METRICS if full["DetailedMetrics"] == "true" else 0)
    bill.add("metrics", times(metrics, bill.price("metricMonth")), "metrics")
    return bill.cost()


def regions() -> list[str]:
    """Return the regions that the list has prices of."""
    return sorted(price_list()["regions"])


def estimate(
    full: Mapping[str, str],
    region: str,
    *,
    own_key: bool = False,
    backup_gb: int = 0,
    snapshot_gb: int = 0,
) -> dict[str, Any]:
    """Return the cost of everything as JSON; amounts as strings with two decimals.

    ``backup_gb`` are in the bucket of the brokers' backups, ``snapshot_gb`` what Aurora charges for
    its own. ``total`` is None where a price is missing, which ``missing`` names.
    """
    costs = {
        "controlPlane": control_plane(full, region),
        "cluster": cluster(full, region, own_key=own_key),
        "monitoring": monitoring(full, region),
        "backups": backup_cost(brokers_gb=backup_gb, database_gb=snapshot_gb, region=region),
    }
    known = [one.total for one in costs.values() if one.total is not None]
    missing = dict.fromkeys(what for one in costs.values() for what in one.missing)
    return {
        "region": region,
        "parameters": {name: full[name] for name in OPTIONS},
        "ownKey": own_key,
        **{name: one.as_dict() for name, one in costs.items()},
        "total": f"{sum(known):.2f}" if len(known) == len(costs) else None,
        "missing": list(missing),
        "asOf": costs["cluster"].as_of or None,
        "currency": costs["cluster"].currency,
        "notIncluded": USAGE if backup_gb else f"{backup_prices(region)}; {USAGE}",
    }
