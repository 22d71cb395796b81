"""RDS upgrades Aurora to the versions that it names, and never back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import provisioners, rds
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.aws.strict import Strictness

_KIND: Final = "AWS::RDS::DBCluster"
_NONE: Final = b"<ValidUpgradeTarget/>"
_VERSION: Final = b"<EngineVersion>"


def targets(version: str, known: Sequence[str]) -> list[str]:
    """Versions that RDS upgrades one to: here every later one; AWS names fewer."""
    return [one for one in known if _numbers(one) > _numbers(version)]


def refusal(before: str, after: str, known: Sequence[str]) -> str:
    """Why a cluster cannot be changed from one version to another; empty if it can."""
    if before == after or after in targets(before, known):
        return ""
    return (
        f"Cannot upgrade aurora-postgresql from {before} to {after} (Service: Rds, Error Code:"
        " InvalidParameterCombination)"
    )


def restore_refusal(version: str, snapshot: str, known: Sequence[str]) -> str:
    """Why a snapshot cannot be restored to a cluster of a version; empty if it can.

    https://github.com/aws-samples/redcap-on-aws/issues/99 quotes RDS.
    """
    if version == snapshot or version in targets(snapshot, known):
        return ""
    if version in known and _numbers(version) < _numbers(snapshot):
        return (
            f"The engine version you requested for your restored DB cluster ({version}) is earlier"
            f" than the engine version of the DB cluster snapshot ({snapshot})."
        )
    return f"Cannot find version {version} for aurora-postgresql"


def install(_: Strictness) -> None:
    """Name the targets, and hold CloudFormation to them."""
    describe = rds.ACTION_MAP["DescribeDBEngineVersions"]
    handlers = provisioners.RESOURCE_HANDLERS[_KIND]
    update = handlers["update"]

    def with_targets(parameters: Any) -> Any:
        status, headers, body = describe(parameters)
        return status, headers, _with_targets(body)

    def held(physical_id: str, old: Any, new: Any, *more: Any, **named: Any) -> Any:
        before, after = (str(one.get("EngineVersion") or "") for one in (old, new))
        # A template that names none leaves the version as it is.
        refused = refusal(before, after, known()) if before and after else ""
        if refused:
            raise ValueError(refused)
        return update(physical_id, old, new, *more, **named)

    rds.ACTION_MAP["DescribeDBEngineVersions"] = with_targets
    handlers["update"] = held


def known() -> list[str]:
    """Give the versions that the emulator creates."""
    return [
        version for version, _ in rds.AURORA_POSTGRESQL_ENGINE_VERSIONS if version[-1].isdigit()
    ]


def _with_targets(body: bytes) -> bytes:
    """Fill in what the emulator leaves empty, for each version of Aurora PostgreSQL in it."""
    first, *rest = body.split(_NONE)
    filled = first
    for part in rest:
        version = filled.rsplit(_VERSION, 1)[-1].partition(b"<")[0].decode()
        filled += _element(version) + part
    return filled


def _element(version: str) -> bytes:
    versions = known()
    later = targets(version, versions) if version in versions else []
    members = "".join(_member(one, major=_numbers(one)[0] > _numbers(version)[0]) for one in later)
    return f"<ValidUpgradeTarget>{members}</ValidUpgradeTarget>".encode()


def _member(version: str, *, major: bool) -> str:
    return (
        f"<UpgradeTarget><Engine>aurora-postgresql</Engine><EngineVersion>{version}</EngineVersion>"
        f"<IsMajorVersionUpgrade>{str(major).lower()}</IsMajorVersionUpgrade></UpgradeTarget>"
    )


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


RULE: Final = Rule(
    name="engine-upgrades",
    does="RDS lists the versions to which it upgrades Aurora, and CloudFormation fails for any"
    " other version, including earlier ones. A snapshot is restored to its own version or to one of"
    " those, and without `EngineVersion` to the Region's default.",
    source="https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_UpgradeDBInstance.PostgreSQL.UpgradeVersion.html",
    caught="a downgrade of DatabaseEngineVersion was planned, and applied on one machine.",
    install=install,
)
