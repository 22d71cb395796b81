"""Which API a command addresses, and with which identity.

The URL is ``--api-url`` (``CAMUNDA_ECS_API_URL``), else that of the instance of ``make up``, whose
``.local/endpoints.json`` is in the current directory or above it. Neither is guessed.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from camunda_ecs.ends import usage

ENDPOINTS: Final = Path(".local") / "endpoints.json"
# Also of interface endpoints of a VPC:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-private-api-test-invoke-url.html
_AWS: Final = re.compile(r"\.execute-api\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?$")
_HOW: Final = (
    "Give --api-url or set CAMUNDA_ECS_API_URL. It is the output ApiUrl of the control stack:",
    (
        "  aws cloudformation describe-stacks --stack-name camunda-lifecycle "
        "--query \"Stacks[0].Outputs[?OutputKey=='ApiUrl'].OutputValue\" --output text"
    ),
    f"Or start an instance on this machine with `make up`, which writes {ENDPOINTS}.",
)


@dataclass(frozen=True)
class Target:
    """An API and the identity that calls it. ``local`` are the endpoints of ``make up``."""

    url: str
    region: str
    credentials: Any
    caller: str
    local: Mapping[str, Any] | None = None

    def line(self, cluster: str | None) -> str:
        """Return what a change is sent to, on one line."""
        named = f", cluster {cluster}" if cluster else ""
        return f"API {self.url}, region {self.region}, {self.caller}{named}"


def find(api_url: str | None, profile: str | None, region: str | None) -> Target:
    """Return the target. Raises ``Stop`` (usage) if there is none or its parts disagree."""
    path = endpoints_above(Path.cwd())
    if api_url:
        return _remote(api_url, profile, region, _instance_of(api_url, path))
    if path is None:
        raise usage("There is no API to address.", *_HOW)
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise usage(f"{path} cannot be read: {error}", *_HOW) from error
    if not found.get("api"):
        raise usage(f"{path} has no API yet: the instance is starting.", *_HOW)
    if profile or (region and region != found["region"]):
        return _remote(str(found["api"]), profile, region or found["region"], found)
    credentials = Credentials(found["accessKeyId"], found["secretAccessKey"])
    caller = f"account {found['accountId']}, root of the instance in {path.parent}"
    return Target(str(found["api"]).rstrip("/"), str(found["region"]), credentials, caller, found)


def endpoints_above(directory: Path) -> Path | None:
    """Return the nearest ``.local/endpoints.json`` of the directory or of one above it."""
    for one in (directory, *directory.parents):
        if (one / ENDPOINTS).is_file():
            return one / ENDPOINTS
    return None


def _instance_of(url: str, path: Path | None) -> Mapping[str, Any] | None:
    """Return the endpoints of the instance of ``make up`` if the URL is its API's."""
    try:
        found = json.loads(path.read_text()) if path else {}
    except (OSError, ValueError):
        return None
    return found if str(found.get("api")).rstrip("/") == url.rstrip("/") else None


def _remote(
    url: str, profile: str | None, region: str | None, local: Mapping[str, Any] | None
) -> Target:
    url = url.rstrip("/")
    host = _host(url)
    try:
        session = Session(profile=profile)
        credentials = session.get_credentials()
        own_region = session.get_config_variable("region")
    except BotoCoreError as error:
        raise usage(f"The credentials cannot be read: {error}") from error
    if credentials is None:
        raise usage(
            "There are no AWS credentials.",
            "Give --profile, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    in_url = _AWS.search(host)
    if in_url and region and region != in_url[1]:
        raise usage(f"--region: given {region}; allowed: {in_url[1]}, the region in the API's URL")
    # boto3 itself reads AWS_DEFAULT_REGION and profiles, AWS's CLI and SAM also AWS_REGION.
    used = region or (in_url and in_url[1]) or os.environ.get("AWS_REGION") or own_region
    if not used:
        raise usage(
            "The region of the API is not known: its host is not one of AWS.",
            "Give --region or set AWS_REGION.",
        )
    account = getattr(credentials, "account_id", None)
    parts = [f"account {account}"] if account else []
    named = profile or os.environ.get("AWS_PROFILE")
    # Credentials in the environment are used before a profile that the environment names.
    parts.append(
        f"profile {named}"
        if named and (profile or credentials.method != "env")
        else f"credentials of {credentials.method}"
    )
    return Target(url, str(used), credentials, ", ".join(parts), local)


def _host(url: str) -> str:
    """Return the host of an API's URL. Raises ``Stop`` (usage) for one that is not safe to use."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment:
        raise usage(f"--api-url: given {url}; allowed: https://<host>/<stage>", *_HOW)
    if parts.username or parts.password:
        raise usage("--api-url: given a URL with a user; allowed: https://<host>/<stage>")
    if parts.scheme == "http" and not _loopback(host):
        raise usage(
            f"--api-url: given {url}; allowed: https, and http for addresses of this machine. "
            "The session token of temporary credentials would travel unencrypted."
        )
    if _AWS.search(host) and not parts.path:
        raise usage(f"--api-url: given {url}; allowed: with the stage at its end ({url}/v1)")
    return host


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
