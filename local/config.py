"""One local instance: its files, its addresses and its account.

Everything of an instance is under one root directory and inside one block of loopback addresses,
so that two instances (a developer's `make up` and the end-to-end tests) never collide.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from local.keys import RootKeys, root_keys

REPOSITORY = Path(__file__).resolve().parent.parent
REGION = "eu-central-1"
ACCOUNT_ID = "000000000000"
AWS_PORT = 4566
CONSOLE_PORT = 8000
CONTROL_STACK = "camunda-lifecycle"
DEFAULT_BLOCK = "127.41"


@dataclass(frozen=True)
class LocalConfig:
    """One instance: `root` holds its files, `block` (two octets) its addresses."""

    root: Path
    block: str = DEFAULT_BLOCK

    @property
    def aws_address(self) -> str:
        """Address the emulator listens on."""
        return f"{self.block}.0.1"

    @property
    def aws_endpoint(self) -> str:
        """URL of the emulator, for `AWS_ENDPOINT_URL`."""
        return f"http://{self.aws_address}:{AWS_PORT}"

    @property
    def console_address(self) -> str:
        """Address of the console; its own, so that the page shares its origin with nothing."""
        return f"{self.block}.0.2"

    @property
    def console_url(self) -> str:
        """Origin of the console."""
        return f"http://{self.console_address}:{CONSOLE_PORT}"

    @property
    def keys(self) -> RootKeys:
        """Keys of the account's root; see `keys.py`. They open nothing elsewhere."""
        return root_keys(self.root)

    @property
    def database_address(self) -> str:
        """Address of the database's front; its port is the deployed one."""
        return f"{self.block}.0.3"

    @property
    def database_ca(self) -> Path:
        """PEM of the local authority that signed the database's certificate."""
        return self.root / "postgres" / "ca.pem"

    @property
    def identity_address(self) -> str:
        """Address of the identity provider; load balancers never come so far."""
        return f"{self.block}.0.251"

    @property
    def identity_file(self) -> Path:
        """Users and clients of the identity provider, with their secrets."""
        return self.root / "identity.json"

    @property
    def authority_file(self) -> Path:
        """PEM of the root of the instance's certificate authority; see `authority.py`."""
        return self.root / "authority.pem"

    @property
    def trust_file(self) -> Path:
        """PEM of this machine's roots and the instance's: what its functions trust."""
        return self.root / "trust.pem"

    @property
    def messages(self) -> Path:
        """Mails and posts to the chat, one file each."""
        return self.root / "messages"

    @property
    def outbound_file(self) -> Path:
        """Environment of functions outside the VPC: the way to the chat; see `messages`."""
        return self.root / "outbound.json"

    def load_balancer_address(self, index: int) -> str:
        """Address of the load balancer number `index`, from 0."""
        return _address(self.block, 0, 4 + index)

    def task_address(self, index: int) -> str:
        """Address of the task number `index`, from 0: what its network interface has on AWS."""
        return _address(self.block, 1, 10 + index)

    @property
    def names_file(self) -> Path:
        """The VPC's name resolution; see `names.py`."""
        return self.root / "names.json"

    @property
    def processes_file(self) -> Path:
        """Registry of every process this instance started; see `processes.py`."""
        return self.root / "processes.json"

    @property
    def instance_file(self) -> Path:
        """The process that hosts the instance, written when it is ready."""
        return self.root / "instance.json"

    @property
    def tasks_file(self) -> Path:
        """Which tasks run, written by the supervisor: task ARN, service, address, node id."""
        return self.root / "tasks.json"

    @property
    def endpoints_file(self) -> Path:
        """For users: URLs, keys and ARNs of the running instance."""
        return self.root / "endpoints.json"

    @property
    def logs(self) -> Path:
        """Directory of log files."""
        return self.root / "logs"

    @property
    def faults_file(self) -> Path:
        """While it exists, AWS fails temporarily for the functions: see ``local/aws/faults.py``."""
        return self.root / "faults.json"

    @property
    def strict_file(self) -> Path:
        """Pending rules that are on for this instance: see ``local/aws/strict``."""
        return self.root / "strict.json"

    @property
    def restorable_file(self) -> Path:
        """While it exists, seconds by which Aurora's latest restorable time is behind (JSON).

        See ``local/aws/strict/restorable_time.py``.
        """
        return self.root / "restorable.json"

    @property
    def sleeping_file(self) -> Path:
        """While it exists, functions in the VPC count as idle for weeks when it was written.

        See ``local/aws/strict/sleeping_functions.py``.
        """
        return self.root / "sleeping.json"

    @property
    def metrics_file(self) -> Path:
        """What collectors wrote last, by workspace and pod; see `aws/prometheus.py`."""
        return self.root / "metrics.json"

    @property
    def authorisation_log(self) -> Path:
        """Which rights the functions' roles used, and what was denied; see `aws/audit.py`."""
        return self.logs / "authorisation.jsonl"

    @property
    def cache(self) -> Path:
        """Downloads, shared by all instances and never deleted by `down`."""
        override = os.environ.get("CAMUNDA_LIFECYCLE_CACHE")
        return Path(override) if override else REPOSITORY / ".cache"

    def client_environment(self) -> dict[str, str]:
        """Environment that points the aws CLI, SAM and boto3 at this instance as its root."""
        keys = self.keys
        return {
            "AWS_ENDPOINT_URL": self.aws_endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": keys.access_key_id,
            "AWS_SECRET_ACCESS_KEY": keys.secret_access_key,
            # A developer's own profiles must never be used by mistake.
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def user_environment() -> dict[str, str]:
    """The part of the user's environment that tools get: paths, never credentials."""
    kept = (
        "PATH",
        "HOME",
        "LANG",
        "LC_",
        "PIP_",
        "SSL_",
        "CAMUNDA_LIFECYCLE_",
        "LAMBDA_",
    )
    return {
        key: value
        for key, value in os.environ.items()
        if key.startswith(kept) or key.lower().endswith("_proxy")
    }


def _address(block: str, third: int, number: int) -> str:
    third, fourth = third + number // 250, number % 250
    if third > 250:
        raise ValueError(f"block {block}: no address left for number {number}")
    return f"{block}.{third}.{fourth}"
