"""A broker's settings, read from the environment of its container as Camunda reads them.

Names are those of the unified configuration of 8.9 and 8.10 (property reference; the older names
that the reference's Terraform still uses are taken too). Times are seconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.broker.configuration import Dialect

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.I)
_SIMPLE = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.I)
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class InvalidSetting(Exception):
    """The broker cannot start with what it is given."""


@dataclass(frozen=True)
class Settings:
    """What a broker starts with."""

    version: str
    """Camunda's version, from the image's tag: 8.9.16."""
    address: str
    """Address of the task's network interface."""
    memory_mib: int
    """Memory of the task; 0 for no limit."""
    data: Path
    cluster_size: int
    partitions: int
    replication_factor: int
    contact_points: tuple[str, ...]
    lease_bucket: str
    lease_seconds: float
    environment: Mapping[str, str] = field(repr=False)
    """Everything, for those parts that read their own settings. Holds passwords."""

    @property
    def dialect(self) -> Dialect:
        """Which minor's behaviour is performed."""
        minor = ".".join(self.version.split(".")[:2])
        if minor == "8.9":
            return "8.9"
        if minor == "8.10":
            return "8.10"
        raise InvalidSetting(
            f"The local broker performs 8.9 and 8.10; the image's tag is {self.version}."
        )


def read(
    environment: Mapping[str, str], *, version: str, address: str, memory_mib: int
) -> Settings:
    """Read the environment. Raises InvalidSetting, naming the variable."""

    def first(*names: str, default: str | None = None) -> str:
        for name in names:
            if environment.get(name):
                return environment[name]
        if default is None:
            raise InvalidSetting(f"{names[0]} is not set")
        return default

    kind = first("CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE", default="fixed")
    if kind != "s3":
        raise InvalidSetting(f"CAMUNDA_CLUSTER_NODEIDPROVIDER_TYPE={kind}: only s3 is performed")
    return Settings(
        version=version,
        address=address,
        memory_mib=memory_mib,
        data=Path(first("CAMUNDA_DATA_PRIMARYSTORAGE_DIRECTORY", "ZEEBE_BROKER_DATA_DIRECTORY")),
        cluster_size=_positive(first("CAMUNDA_CLUSTER_SIZE", default="1"), "CAMUNDA_CLUSTER_SIZE"),
        partitions=_positive(
            first("CAMUNDA_CLUSTER_PARTITIONCOUNT", default="1"), "CAMUNDA_CLUSTER_PARTITIONCOUNT"
        ),
        replication_factor=_positive(
            first("CAMUNDA_CLUSTER_REPLICATIONFACTOR", default="1"),
            "CAMUNDA_CLUSTER_REPLICATIONFACTOR",
        ),
        contact_points=tuple(
            one.strip()
            for one in environment.get("CAMUNDA_CLUSTER_INITIALCONTACTPOINTS", "").split(",")
            if one.strip()
        ),
        lease_bucket=first("CAMUNDA_CLUSTER_NODEIDPROVIDER_S3_BUCKETNAME"),
        lease_seconds=seconds(
            first("CAMUNDA_CLUSTER_NODEIDPROVIDER_S3_LEASEDURATION", default="PT15S")
        ),
        environment=environment,
    )


def seconds(text: str) -> float:
    """Give the seconds of `PT15S`, `P7D`, `15s` or `500ms`. Raises InvalidSetting."""
    found: Any = _DURATION.fullmatch(text)
    if found and any(found.groups()):
        factors = (86400, 3600, 60, 1)
        return float(
            sum(float(part or 0) * by for part, by in zip(found.groups(), factors, strict=True))
        )
    found = _SIMPLE.fullmatch(text)
    if found:
        return float(found[1]) * _UNITS[(found[2] or "ms").lower()]
    raise InvalidSetting(f"{text} is not a duration")


def _positive(text: str, name: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise InvalidSetting(f"{name}={text}: a whole number from 1 on")
    return int(text)
