"""How boto3 clients are made, in one place. boto3 is loaded only when a client is needed."""

from __future__ import annotations

import functools
import threading
from typing import Any

from lifecycle import __version__

_MAKING = threading.Lock()


@functools.cache
def client(
    service: str,
    *,
    read_timeout: int = 20,
    attempts: int = 8,
    region: str | None = None,
    presigns: bool = False,
) -> Any:
    """Make a boto3 client once per process.

    Standard retries cover throttling, 5xx answers and time-outs, ``attempts`` in all;
    ``read_timeout`` in seconds; ``region`` where it is not the function's own; ``presigns`` for
    S3's presigned links, which botocore would sign with version 2 and for its global address.
    https://docs.aws.amazon.com/sdkref/latest/guide/feature-s3-virtual.html
    """
    import boto3  # noqa: PLC0415 - functions that call no AWS API must not pay for it
    from botocore.config import Config  # noqa: PLC0415

    make: Any = boto3.client  # its stubs know services only as literals
    # Clients may be used by several threads, but not made by several at once.
    with _MAKING:
        return make(
            service,
            region_name=region,
            config=Config(
                retries={"mode": "standard", "max_attempts": attempts},
                connect_timeout=5,
                read_timeout=read_timeout,
                signature_version="s3v4" if presigns else None,
                s3={"addressing_style": "virtual"} if presigns else None,
                user_agent_extra=f"camunda-ecs-lifecycle/{__version__}",
            ),
        )


def error_code(error: Exception) -> str:
    """Return AWS's code of a botocore ``ClientError``, empty for any other exception."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def error_message(error: Exception) -> str:
    """Return AWS's message of a botocore ``ClientError``."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Message", "")) if isinstance(response, dict) else ""
