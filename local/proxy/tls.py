"""TLS of load balancers: which versions a security policy has, and the context of a listener."""

from __future__ import annotations

import functools
import re
import ssl
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from local.authority import server_context

_V: Final = {
    "0": ssl.TLSVersion.TLSv1,
    "1": ssl.TLSVersion.TLSv1_1,
    "2": ssl.TLSVersion.TLSv1_2,
    "3": ssl.TLSVersion.TLSv1_3,
}
# https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
_WITH_TLS_1_3: Final = re.compile(
    r"ELBSecurityPolicy-TLS13-1-(?P<least>[0-3])(-Res|-Ext[0-2])?(-FIPS)?(-PQ)?"
    r"-(2021-06|2023-04|2025-09)"
)
_UP_TO_TLS_1_2: Final = {
    "ELBSecurityPolicy-2015-05": "0",
    "ELBSecurityPolicy-2016-08": "0",
    "ELBSecurityPolicy-TLS-1-0-2015-04": "0",
    "ELBSecurityPolicy-TLS-1-1-2017-01": "1",
    "ELBSecurityPolicy-TLS-1-2-2017-01": "2",
    "ELBSecurityPolicy-TLS-1-2-Ext-2018-06": "2",
    "ELBSecurityPolicy-FS-2018-06": "0",
    "ELBSecurityPolicy-FS-1-1-2019-08": "1",
    "ELBSecurityPolicy-FS-1-2-2019-08": "2",
    "ELBSecurityPolicy-FS-1-2-Res-2019-08": "2",
    "ELBSecurityPolicy-FS-1-2-Res-2020-10": "2",
}
# https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-listeners.html#alpn-policies
ALPN: Final = {
    "HTTP1Only": ("http/1.1", "http/1.0"),
    "HTTP2Only": ("h2",),
    "HTTP2Optional": ("http/1.1", "http/1.0", "h2"),
    "HTTP2Preferred": ("h2", "http/1.1", "http/1.0"),
    "None": (),
}


def versions(policy: str) -> tuple[ssl.TLSVersion, ssl.TLSVersion] | None:
    """Give the lowest and the highest version of a security policy; None if there is no such one.

    Its ciphers are not followed: OpenSSL's own for these versions are.
    """
    if found := _WITH_TLS_1_3.fullmatch(policy):
        return _V[found["least"]], ssl.TLSVersion.TLSv1_3
    if policy in _UP_TO_TLS_1_2:
        return _V[_UP_TO_TLS_1_2[policy]], ssl.TLSVersion.TLSv1_2
    return None


@dataclass(frozen=True)
class Terms:
    """What a listener with TLS offers to clients."""

    certificates_pem: bytes
    """The listener's certificate, then its chain."""
    key_pem: bytes = field(repr=False)
    policy: str
    protocols: tuple[str, ...]
    """ALPN, the preferred one first. A client that shares none of them is connected without."""


def _sent(certificates_pem: bytes) -> bytes:
    """Leave out the root, which clients have or do not have."""
    first, *chain = x509.load_pem_x509_certificates(certificates_pem)
    sent = [first, *(one for one in chain if one.subject != one.issuer)]
    return b"".join(one.public_bytes(Encoding.PEM) for one in sent)


@functools.lru_cache(maxsize=64)
def context(terms: Terms) -> ssl.SSLContext:
    """TLS context of a listener. Raises ValueError for an unknown policy, ssl.SSLError for keys."""
    found = versions(terms.policy)
    if found is None:
        raise ValueError(f"there is no security policy {terms.policy}")
    made = server_context(_sent(terms.certificates_pem), terms.key_pem, found[0])
    made.maximum_version = found[1]
    if terms.protocols:
        made.set_alpn_protocols(list(terms.protocols))
    return made
