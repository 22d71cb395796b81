"""The certificate authorities that Aurora's server certificates are verified against.

One file, `rds-global-bundle.pem`; libpq reads it through `PGSSLROOTCERT` (on Lambda
`/opt/python/lifecycle/certificates/rds-global-bundle.pem`), everything else through this module.
"""

from __future__ import annotations

import functools
import re
import ssl
from pathlib import Path

from lifecycle.errors import InvalidRequest

BUNDLE = Path(__file__).with_name("rds-global-bundle.pem")

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\n.+?\n-----END CERTIFICATE-----\n", re.DOTALL
)


@functools.cache
def _certificates() -> tuple[str, ...]:
    return tuple(_CERTIFICATE.findall(BUNDLE.read_text(encoding="ascii")))


def rds_root_certificate(region: str) -> str:
    """Give the one RSA2048 root certificate of a region, as PEM of about 1.5 KB.

    It signs the certificates of instances whose CA is `rds-ca-rsa2048-g1`. Raises
    ``InvalidRequest`` for a region that the bundle does not cover.
    """
    # A root is self-signed and RDS writes the region into its common name, so the name stands in
    # the encoded certificate as it is; the standard library has no parser for more than that.
    common_name = f"Amazon RDS {region} Root CA RSA2048 G1".encode()
    for pem in _certificates():
        if common_name in ssl.PEM_cert_to_DER_cert(pem):
            return pem
    message = f"The bundled RDS certificates hold no RSA2048 root of region {region!r}."
    raise InvalidRequest(
        message,
        next_step=(
            "Refresh the bundle as described in layers/lifecycle/lifecycle/certificates/README.md "
            "and deploy the application again; nothing was changed."
        ),
    )
