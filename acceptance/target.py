"""Target of a run: an AWS account, or the instance of `make up` on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.credentials import Credentials

from tools.api_client import Client

REPOSITORY = Path(__file__).resolve().parent.parent
ENDPOINTS = REPOSITORY / ".local" / "endpoints.json"
# The two of an instance that a run starts for itself.
OWN_BLOCK = "127.42"
_TOOLS = Path(sys.prefix) / "bin"
_STARTING_SECONDS = 900


class NoTargetError(Exception):
    """The run has no target; the message names the remedy."""


@dataclass(frozen=True)
class Target:
    """An account and region; with ``endpoints``, the file of a local instance instead."""

    region: str
    endpoints: Path | None = None

    @property
    def local(self) -> bool:
        """Whether this is the environment on one machine."""
        return self.endpoints is not None

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return "one machine" if self.local else f"an AWS account in {self.region}"

    @cached_property
    def _local(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._file("endpoints.json"))
        return found

    @staticmethod
    def on_this_machine(endpoints: Path) -> Target:
        """Give the running instance. Raises ``NoTargetError`` when none runs."""
        return Target(str(Target("", endpoints)._local["region"]), endpoints)

    def _file(self, name: str) -> str:
        try:
            return (self.endpoints or ENDPOINTS).with_name(name).read_text()
        except FileNotFoundError as error:
            raise NoTargetError(
                f"{error.filename} is missing: the instance on this machine is not running."
            ) from None

    @cached_property
    def session(self) -> boto3.session.Session:
        """Session with the credentials that the run has."""
        if not self.local:
            return boto3.session.Session(region_name=self.region)
        return boto3.session.Session(
            aws_access_key_id=self._local["accessKeyId"],
            aws_secret_access_key=self._local["secretAccessKey"],
            region_name=self._local["region"],
        )

    def client(self, service: str) -> Any:
        """Make a client of an AWS service."""
        make: Any = self.session.client
        config = Config(retries={"mode": "standard", "total_max_attempts": 8})
        if self.local:
            # Without it, Step Functions requests go to `sync-127.…`, which does not exist.
            config = config.merge(Config(inject_host_prefix=False))
            return make(service, endpoint_url=self._local["aws"], config=config)
        return make(service, config=config)

    def identity(self) -> tuple[str, str]:
        """Account and ARN of the run's identity. Raises ``NoTargetError`` for a local stand-in."""
        caller = self.client("sts").get_caller_identity()
        account = str(caller["Account"])
        if not self.local and account == "000000000000":
            raise NoTargetError("AWS_ENDPOINT_URL points to this machine: unset it for an account.")
        return account, str(caller["Arn"])

    def api(self, url: str) -> Client:
        """Give a client of our REST API, at the URL that the stack's outputs name."""
        if self.local:
            api, stage = (urlsplit(url).hostname or "").partition(".")[0], urlsplit(url).path
            url = f"{self._local['aws']}/restapis/{api}{stage}/_user_request_"
        found = self.session.get_credentials()
        if found is None:
            raise NoTargetError("no credentials: log in, or set AWS_PROFILE or keys")
        frozen = found.get_frozen_credentials()
        signer = Credentials(str(frozen.access_key), str(frozen.secret_key), frozen.token)
        return Client(url, self.region, signer)

    def reachable(self, url: str) -> str:
        """Give the address at which a load balancer is reached from here."""
        if not self.local:
            return url
        parts = urlsplit(url)
        names = json.loads(self._file("names.json"))
        host, port = (parts.hostname or "").lower(), parts.port or 80
        if mapped := names["ports"].get(f"{host}:{port}"):
            return parts._replace(netloc=mapped).geturl()
        addresses = names["hosts"].get(host)
        return parts._replace(netloc=f"{addresses[0]}:{port}").geturl() if addresses else url

    def environment(self) -> dict[str, str]:
        """Environment of `sam`: this target, and Python 3.13 on the path for its builder."""
        found = dict(os.environ) | {
            "PATH": f"{_TOOLS}:{os.environ.get('PATH', os.defpath)}",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "SAM_CLI_TELEMETRY": "0",
        }
        if not self.local:
            return found
        return {name: value for name, value in found.items() if name != "AWS_PROFILE"} | {
            "AWS_ENDPOINT_URL": self._local["aws"],
            "AWS_ACCESS_KEY_ID": self._local["accessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self._local["secretAccessKey"],
        }


def own_instance(root: Path, block: str, verb: str) -> None:
    """Start (`up`) or stop (`down`) an instance for this run alone. Raises ``NoTargetError``."""
    root.mkdir(parents=True, exist_ok=True)
    smallest = root / "input.json"
    smallest.write_text(
        json.dumps({"clusterName": "demo", "parameters": {"Trial": True, "AcceptPlaintext": True}})
    )
    arguments = ["-m", "local", verb, "--root", str(root), "--block", block]
    done = subprocess.run(
        [sys.executable, *arguments, "--input", str(smallest)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=_STARTING_SECONDS,
        check=False,
    )
    if done.returncode:
        raise NoTargetError(f"`make {verb}` failed:\n{(done.stdout + done.stderr)[-2000:]}")
