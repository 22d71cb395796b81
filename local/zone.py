"""The public hosted zone of an instance, in which clusters can have names.

It is public to the local Route 53 only: `.test` is reserved and never delegated (RFC 6761), so that
no name here has an owner. Another zone serves other names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from local.component import Instance

ZONE: Final = "camunda.test"


def ensure(instance: Instance) -> str:
    """Give the id of the zone, which is created with the first call."""
    if found := find(instance):
        return found
    made = instance.client("route53").create_hosted_zone(
        Name=ZONE,
        CallerReference=f"local {ZONE}",
        HostedZoneConfig={"Comment": "Names of clusters on this machine", "PrivateZone": False},
    )
    return _id(made["HostedZone"]["Id"])


def find(instance: Instance) -> str:
    """Give the id of the zone; empty while there is none."""
    answer = instance.client("route53").list_hosted_zones_by_name(DNSName=ZONE)
    found = [
        _id(one["Id"])
        for one in answer["HostedZones"]
        if one["Name"] == f"{ZONE}." and not one["Config"]["PrivateZone"]
    ]
    return found[0] if found else ""


def _id(named: str) -> str:
    return named.removeprefix("/hostedzone/")
