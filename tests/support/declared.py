"""Declarations for requests of a new cluster that are about something else than its front door."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.cluster.front_door import PLAINTEXT
from lifecycle.cluster.parameters import cluster_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping


def in_clear() -> dict[str, Mapping[str, object]]:
    """Declarations that accept a new cluster without a certificate by default."""
    declared = cluster_parameters()
    return {**declared, PLAINTEXT: {**declared[PLAINTEXT], "default": "true"}}
