"""How a caller logs in to Camunda, and where what it sends may travel."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lifecycle.errors import LifecycleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


class Login(Protocol):
    """What a request to Camunda is authorized by; its values are in no representation."""

    def authorizations(self) -> Iterable[str]:
        """Return values of the ``Authorization`` header, in the order in which they are sent.

        Another one than the first is sent only to a broker that answers 401 to those before it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password for basic authentication; the password is in no representation."""

    username: str
    password: str = field(repr=False)

    def authorizations(self) -> tuple[str, ...]:
        """Return the value of the ``Authorization`` header (RFC 7617, UTF-8)."""
        pair = f"{self.username}:{self.password}".encode()
        return (f"Basic {base64.b64encode(pair).decode('ascii')}",)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token of an identity provider; it is in no representation."""

    value: str = field(repr=False)

    def authorizations(self) -> tuple[str, ...]:
        """Return the value of the ``Authorization`` header (RFC 6750, section 2.1)."""
        return (f"Bearer {self.value}",)


@dataclass(frozen=True, slots=True)
class Either:
    """The first login, and the second where a broker does not know the first one's kind.

    While brokers are replaced that are to log users in by another method, both kinds run. The
    second one is read when it is needed; one that is not there any more is no login.
    """

    first: Login
    second: Callable[[], Login]

    def authorizations(self) -> Iterator[str]:
        """Return those of both."""
        yield from self.first.authorizations()
        try:
            second = self.second()
        except LifecycleError:
            return
        yield from second.authorizations()


def may_travel(
    scheme: str, address: str, networks: Sequence[str], *, balancer: bool = False
) -> bool:
    """Return whether credentials or a token may be sent to ``address`` (an IP address).

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
