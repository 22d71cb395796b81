"""The entity tag of a cluster: what a caller has seen of it, in parts that can be compared.

A tag is the digest of each part, so that a request that rests on an older state is refused with the
names of the parts that changed. It covers what people and operations change, not what moves by
itself. Source: https://www.rfc-editor.org/rfc/rfc9110#name-if-match
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.validation import Problem, invalid
from lifecycle.errors import ClusterChanged

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER: Final = "If-Match"
_DIGITS: Final = 12
_ENTITY_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_LIST: Final = re.compile(rf"\s*{_ENTITY_TAG.pattern}\s*(?:,\s*{_ENTITY_TAG.pattern}\s*)*")


def entity_tag(parts: Mapping[str, object]) -> str:
    """Return the tag of a cluster with these parts, with its quotes."""
    return f'"{"-".join(_digest(parts[name]) for name in sorted(parts))}"'


def read_match(given: str | None) -> tuple[str, ...] | None:
    """Return the tags of the header; None without one, ``("*",)`` for any. Raises as invalid."""
    if given is None:
        return None
    if given.strip() == "*":
        return ("*",)
    if len(given) > 1024 or not _LIST.fullmatch(given):
        raise invalid([Problem(HEADER, given[:80], "the ETag of GET /clusters/{name}, or *")])
    return tuple(_ENTITY_TAG.findall(given))


def refuse_other(cluster: str, tags: tuple[str, ...], parts: Mapping[str, object] | None) -> None:
    """Raise ``ClusterChanged`` unless one of the tags is that of the cluster as it is.

    ``parts`` are None where there is no cluster.
    """
    if parts is None:
        raise ClusterChanged(f"There is no cluster {cluster}, so that no {HEADER} holds.")
    now = entity_tag(parts)
    if "*" in tags or now in tags:
        return
    digests = now.strip('"').split("-")
    seen = [tag.strip('"').split("-") for tag in tags if not tag.startswith("W/")]
    seen = [one for one in seen if len(one) == len(digests)]
    if not seen:
        raise ClusterChanged(f"{HEADER} is no tag of cluster {cluster} as this release writes it.")
    changed = [
        f"{name} is now {json.dumps(parts[name], ensure_ascii=False)}"
        for name, before, after in zip(sorted(parts), seen[0], digests, strict=True)
        if before != after
    ]
    raise ClusterChanged(f"Cluster {cluster} has changed since it was read: {'; '.join(changed)}.")


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
