"""The steps of each state machine, as operations record them on the timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# What an operation goes through, in the order in which it may; out needs no stop, in no start.
PHASES: Final = ("Observation", "Tasks start", "Cluster change", "Tasks stop", "Verification")


# The steps as the operations write them onto the timeline, in order.
STEPS: Final[Mapping[str, tuple[str, ...]]] = {
    "provision": (
        "Change set for the infrastructure",
        "CloudFormation builds the infrastructure",
        "Database user is seeded",
        "Brokers and connectors start",
        "Brokers are replaced",
        "Verification",
    ),
    "scale": PHASES,
    "restart": ("Service is restarted", "Verification"),
    "plan": (),
    "teardown": (
        "Brokers and connectors stop",
        "Buckets of the trial are emptied",
        "CloudFormation deletes the infrastructure",
    ),
}
