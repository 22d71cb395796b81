"""`python -m local.collector`: scrapes the broker of its task and writes to the workspace.

The configuration is the container's `AOT_CONFIG_CONTENT`. A request is signed as the extension
`sigv4auth` signs it, with the session of the task's role; its body is JSON, not Prometheus's
compressed protobuf. As the collector, it goes on after a scrape or a request that failed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.collector.configuration import Configuration, ConfigurationError, read
from local.collector.series import series

CONTENT: Final = "AOT_CONFIG_CONTENT"
_LOCAL: Final = ("localhost", "127.0.0.1")
_LONGEST: Final = 2.0
"""Upper limit of the interval between scrapes, in seconds: 30 on AWS."""
_PATIENCE: Final = 5.0


def main(arguments: list[str]) -> int:
    """Scrape for ever; 1 if the collector would not start."""
    parser = argparse.ArgumentParser(prog="python -m local.collector")
    parser.add_argument("--address", required=True)
    parser.add_argument("--task", required=True)
    given = parser.parse_args(arguments)
    try:
        configuration = read(os.environ[CONTENT], os.environ)
    except (ConfigurationError, KeyError, TypeError, ValueError) as error:
        print(f"Error: failed to get config: {error}", flush=True)
        return 1
    while True:
        try:
            write(configuration, given.task, scrape(configuration, given.address))
        except (OSError, urllib.error.URLError) as error:
            print(f"error: {error}", flush=True)
        time.sleep(min(configuration.interval, _LONGEST))


def scrape(configuration: Configuration, address: str) -> str:
    """Read the target; containers of a task share its address, which is their localhost."""
    host, _, port = configuration.target.partition(":")
    there = address if host in _LOCAL else host
    url = f"http://{there}:{port}{configuration.path}"
    with urllib.request.urlopen(url, timeout=configuration.timeout) as answer:
        text: str = answer.read().decode()
    return text


def write(configuration: Configuration, task: str, text: str) -> None:
    """Send all series of a scrape to the workspace."""
    path = urlsplit(configuration.endpoint).path
    url = os.environ["AWS_ENDPOINT_URL"] + path
    body = json.dumps(list(series(configuration, task, text))).encode()
    request = AWSRequest(
        "POST",
        url,
        data=body,
        headers={"Content-Type": "application/json"},
    )
    session = Credentials(
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        os.environ["AWS_SESSION_TOKEN"],
    )
    SigV4Auth(session, configuration.service, configuration.region).add_auth(request)
    sent = urllib.request.Request(  # noqa: S310
        url, data=body, headers=dict(request.headers), method="POST"
    )
    with urllib.request.urlopen(sent, timeout=_PATIENCE):  # noqa: S310
        pass


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
