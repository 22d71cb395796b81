"""A cluster under a name of its own: certificate and records come and go with it."""

from __future__ import annotations

import asyncio
import http.client
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from pyzeebe import ZeebeClient

from local import zone
from local.work import Work
from tests.support.grpc_login import channel
from tests.support.site import Site

if TYPE_CHECKING:
    from local.component import Instance

DOMAIN = f"door.{zone.ZONE}"
GRPC = f"grpc.{DOMAIN}"
WORK_SECONDS = 2.0


def records(site: Site, kind: str) -> set[str]:
    found = site.client("route53").list_resource_record_sets(HostedZoneId=zone.find(site.instance))
    return {one["Name"].rstrip(".") for one in found["ResourceRecordSets"] if one["Type"] == kind}


def certificates(site: Site) -> list[str]:
    found = site.client("acm").list_certificates()["CertificateSummaryList"]
    return [one["CertificateArn"] for one in found if one["DomainName"] == DOMAIN]


def page(instance: Instance, path: str) -> http.client.HTTPResponse:
    """Get a page by its name, with the certificate verified."""
    address, port = instance.names.resolve(DOMAIN, 443)[0]
    trusting = ssl.create_default_context(cafile=instance.config.authority_file)
    plain = http.client.HTTPConnection(address, port, timeout=10)
    plain.connect()
    plain.sock = trusting.wrap_socket(plain.sock, server_hostname=DOMAIN)
    plain.request("GET", path, headers={"Host": DOMAIN})
    return plain.getresponse()


async def topology(site: Site, root: bytes) -> Any:
    """Read the topology as a client of gRPC that verifies the name."""
    address, port = site.instance.names.resolve(GRPC, 26500)[0]
    async with channel(f"ipv4:{address}:{port}", *site.user, name=GRPC, root=root) as connected:
        return await ZeebeClient(connected, max_connection_retries=0).topology()


def test_a_cluster_has_its_name_from_the_first_request_to_its_end(instance: Instance) -> None:
    site = Site(instance, "door")
    parameters = {
        "Brokers": 1,
        "Partitions": 1,
        "ReplicationFactor": 1,
        "Connectors": 1,
        "DomainName": DOMAIN,
        "HostedZoneId": zone.find(instance),
    }
    done = site.run("provision", {"clusterName": "door", "parameters": parameters})
    assert done["verification"]["result"] == "PASS", done["verification"]
    outputs = site.outputs(site.stack)
    assert outputs["RestUrl"] == f"https://{DOMAIN}"
    assert outputs["GrpcEndpoint"] == f"{GRPC}:26500"
    assert certificates(site) == [outputs["CertificateArn"]]
    assert records(site, "A") == {DOMAIN, GRPC}

    basic = site.basic
    work = Work(instance, f"https://{DOMAIN}", lambda: basic)
    work.start()
    work.during("before", WORK_SECONDS)
    root = instance.config.authority_file.read_bytes()
    seen = asyncio.run(topology(site, root))
    assert [one.node_id for one in seen.brokers] == [0]
    work.stop()
    assert len(work.acknowledged) > 1
    assert work.unanswered == 0
    assert work.missing() == set()
    opened = page(instance, "/operate/login")
    assert opened.status == 200
    assert opened.headers["Strict-Transport-Security"] == "max-age=31536000"

    site.run("teardown", {"clusterName": "door", "confirm": "door"})
    assert certificates(site) == []
    assert records(site, "A") == set()
    assert instance.names.lookup(DOMAIN) == instance.names.lookup(GRPC) == ()
    # ACM's records stay, as on AWS: a second certificate for the names needs them again.
    left = {one for one in records(site, "CNAME") if one.endswith(f".{DOMAIN}")}
    assert len(left) == 2


@pytest.fixture(autouse=True)
def gone(instance: Instance) -> Any:
    yield
    site = Site(instance, "door")
    if site.standing("door"):
        site.run("teardown", {"clusterName": "door", "confirm": "door"})
