"""Credentials of a Camunda user, and where they may travel."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password for basic authentication; the password is in no representation."""

    username: str
    password: str = field(repr=False)

    def basic_authorization(self) -> str:
        """Return the value of the ``Authorization`` header (RFC 7617, UTF-8)."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


def may_travel(
    scheme: str, address: str, networks: Sequence[str], *, balancer: bool = False
) -> bool:
    """Return whether credentials may be sent to ``address`` (an IP address).

    Inside ``networks`` (CIDRs, those of the VPC) or on the machine itself; and over verified TLS to
    a load balancer by AWS's own name of it (``balancer``). A domain name proves nothing: the
    principal that names it may own it, with a certificate for it.
    """
    if scheme == "https" and balancer:
        return True
    return is_inside(address, networks)


def is_inside(address: str, networks: Sequence[str]) -> bool:
    """Return whether ``address`` is an IP address inside ``networks`` or of the machine itself."""
    try:
        target = ipaddress.ip_address(address)
    except ValueError:
        return False
    if target.is_loopback:
        return True
    return any(target in ipaddress.ip_network(network) for network in networks)
