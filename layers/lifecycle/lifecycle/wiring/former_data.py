"""Which adapter stands behind which port: what restores have left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.wiring.common import settings

if TYPE_CHECKING:
    from lifecycle.cluster.ports import FormerData

# Imports stay inside the functions: each Lambda function loads only what it uses.
# ruff: noqa: PLC0415


def former_data() -> FormerData:
    """Former databases, and buckets of former leases."""
    from lifecycle.adapters.aws.former_data import AwsFormerData

    return AwsFormerData(settings().control_stack)
