"""The two ways to log in to a cluster, by its parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

AUTHENTICATION: Final = "Authentication"
OIDC: Final = "oidc"
BASIC: Final = "basic"


def way_in(parameters: Mapping[str, str]) -> str:
    """Return ``basic`` or ``oidc``; a cluster of before the parameter has ``basic``."""
    return parameters.get(AUTHENTICATION, BASIC)


def is_one_way(before: Mapping[str, str], after: Mapping[str, str]) -> bool:
    """Whether a change leaves a way to log in to which a cluster cannot return.

    ``before`` are the parameters of the cluster, empty without one.
    """
    return bool(before) and way_in(after) == OIDC != way_in(before)
