"""Read a cluster and scale it with the client that is generated from ``docs/openapi.json``.

Arguments: URL of the API. Credentials and region are those of the environment, as for the AWS CLI.
Runs outside of the tests' own interpreter, which lacks the generator and what its code imports.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session
from camunda_client import Client
from camunda_client.api.changes import provision_cluster, scale_brokers
from camunda_client.api.clusters import read_cluster
from camunda_client.models import (
    Cluster,
    ClusterParameters,
    Operation,
    OperationStatus,
    Problem,
    ProvisionClusterProvisionParameters,
    ScaleBrokersBody,
)
from camunda_client.types import Unset


class Signed(httpx.Auth):
    """Sign each request with AWS Signature Version 4, service ``execute-api``."""

    requires_request_body = True

    def __init__(self, region: str) -> None:
        self.session = Session()
        self.region = region

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        sent = AWSRequest(request.method, str(request.url), data=request.content)
        SigV4Auth(self.session.get_credentials(), "execute-api", self.region).add_auth(sent)
        request.headers.update(dict(sent.headers))
        yield request


def main(url: str) -> dict[str, object]:
    """Return what the client read, from its typed results."""
    auth = Signed(os.environ["AWS_REGION"])
    client = Client(base_url=url, httpx_args={"auth": auth}, raise_on_unexpected_status=True)
    told: dict[str, object] = {}

    cluster = read_cluster.sync("demo", client=client)
    assert isinstance(cluster, Cluster), cluster
    told["cluster"] = [cluster.name, cluster.brokers.declared, cluster.freeze]

    refused = scale_brokers.sync_detailed(
        "demo", client=client, body=ScaleBrokersBody(count=0), idempotency_key="none"
    )
    problem = refused.parsed
    assert isinstance(problem, Problem), problem
    assert not isinstance(problem.errors, Unset)
    told["refused"] = [
        int(refused.status_code),
        problem.error,
        [[one.field, one.given, one.allowed] for one in problem.errors],
    ]

    scaled = scale_brokers.sync(
        "demo", client=client, body=ScaleBrokersBody(count=4), idempotency_key="four"
    )
    assert isinstance(scaled, Operation), scaled
    assert scaled.status is OperationStatus.RUNNING
    told["scaled"] = scaled.operation_id

    body = ProvisionClusterProvisionParameters(
        parameters=ClusterParameters(brokers=5, continuous_backup=True)
    )
    made = provision_cluster.sync("other", client=client, body=body, idempotency_key="made")
    assert isinstance(made, Operation), made
    told["made"] = made.operation_id
    return told


if __name__ == "__main__":
    json.dump(main(sys.argv[1]), sys.stdout)
