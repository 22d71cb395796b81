"""A plan: what a change set would do, what it rests on, and whether it may still be applied."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import PlanNotFound, PlanStale
from lifecycle.provisioning.change_set_owner import _DESCRIPTION
from lifecycle.services.image_digests import differing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


LIFETIME: Final = timedelta(days=1)
# Long and shown nowhere: only that they differ is worth telling.
_OPAQUE: Final = frozenset({"DatabaseCaCertificate"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a plan rests on. Its change set is worth nothing once one of these is different.

    ``template`` is the digest of the cluster template, ``definitions`` that of the definitions of
    the services; ``parameters`` and ``tags`` are those of the change set; ``counts`` the live
    desired counts and ``deployments`` the ids of the PRIMARY deployments, by service; ``stack`` the
    stack's id and ``changed_at`` its last update, both empty while no stack was ever made; ``role``
    the deployment role's ARN; ``replace`` the logical ids of the data that may be replaced;
    ``images`` the digests that are known of the images, by reference.
    """

    template: str
    definitions: str
    parameters: Mapping[str, str]
    counts: Mapping[str, int]
    deployments: Mapping[str, str]
    stack: str
    changed_at: str
    role: str
    tags: Mapping[str, str] = field(default_factory=dict)
    replace: Sequence[str] = ()
    images: Mapping[str, str] = field(default_factory=dict)

    def digest(self) -> str:
        """SHA-256 over all of it, in hexadecimal."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Fingerprint:
        """Read what ``asdict`` wrote."""
        return cls(
            **{name: found[name] for name in cls.__slots__ if name != "replace"},
            replace=tuple(found["replace"]),
        )


def differences(planned: Fingerprint, now: Fingerprint) -> list[str]:
    """Describe what is different now, in words; empty when the plan still holds."""
    found: list[str] = []
    if planned.stack != now.stack:
        found.append("the stack is not the one in the plan")
    elif planned.changed_at != now.changed_at:
        found.append(
            f"the stack was last changed at {now.changed_at}; when planned, at {planned.changed_at}"
        )
    if planned.template != now.template:
        found.append(
            f"the cluster template: planned with {planned.template[:12]}, this version of the "
            f"application has {now.template[:12]}"
        )
    if planned.definitions != now.definitions:
        found.append(
            f"the definitions of the services: planned with {planned.definitions[:12]}, this "
            f"version of the application has {now.definitions[:12]}"
        )
    for name in sorted({*planned.parameters, *now.parameters}):
        before, after = planned.parameters.get(name), now.parameters.get(name)
        if before == after:
            continue
        if name in _OPAQUE:
            found.append(f"the parameter {name}")
        else:
            found.append(f"the parameter {name}: planned {_shown(before)}, now {_shown(after)}")
    for name in sorted({*planned.counts, *now.counts}):
        wanted, live = planned.counts.get(name), now.counts.get(name)
        if wanted != live:
            found.append(f"the tasks of {name}: planned at {wanted}, now {live}")
    found += [
        f"the deployment of {name}: a new deployment has started since"
        for name in sorted({*planned.deployments, *now.deployments})
        if planned.deployments.get(name) != now.deployments.get(name)
    ]
    found += [
        f"the tag {name}: planned {_tag(planned.tags, name)}, now {_tag(now.tags, name)}"
        for name in sorted({*planned.tags, *now.tags})
        if planned.tags.get(name) != now.tags.get(name)
    ]
    if planned.role != now.role:
        found.append(f"the deployment role: planned {planned.role}, now {now.role}")
    return found + differing(planned.images, now.images)


def _shown(value: str | None) -> str:
    return "the default" if value is None else repr(value)


def _tag(tags: Mapping[str, str], name: str) -> str:
    return repr(tags[name]) if name in tags else "absent"


@dataclass(frozen=True, slots=True)
class PlanDescription:
    """The content of a plan's change-set description."""

    digest: str
    made_at: datetime
    operation_id: str

    def __str__(self) -> str:
        made = self.made_at.isoformat(timespec="seconds")
        return f"plan sha256:{self.digest} made {made} by {self.operation_id}"

    @property
    def expires_at(self) -> datetime:
        """When the plan can no longer be applied."""
        return self.made_at + LIFETIME


def read_description(description: str) -> PlanDescription:
    """Read a change set's description. Raises ``PlanNotFound`` for one that is not a plan's."""
    found = _DESCRIPTION.fullmatch(description)
    try:
        made = datetime.fromisoformat(found[2]) if found else None
    except ValueError:
        made = None
    if found is None or made is None or made.tzinfo is None:
        raise PlanNotFound(
            "The change set was not created by the plan machine: its description is not that of "
            "a plan."
        )
    return PlanDescription(digest=found[1], made_at=made, operation_id=found[3])


def refuse_stale(mark: PlanDescription, now: datetime, different: list[str]) -> None:
    """Raise ``PlanStale`` for a plan that is too old or rests on what is no longer so."""
    if now > mark.expires_at:
        raise PlanStale(
            f"Plan {mark.operation_id} was created at "
            f"{mark.made_at.isoformat(timespec='seconds')} and could be applied until "
            f"{mark.expires_at.isoformat(timespec='seconds')}."
        )
    if different:
        raise PlanStale(
            f"Plan {mark.operation_id} is stale. Changed since: {'; '.join(different)}."
        )
