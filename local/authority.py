"""The certificate authority of an instance: its root signs what Amazon's authorities sign on AWS.

The root and its key are files of the instance, the key readable by its user only, so that a
browser that trusts the root once still does after a restart; `make clean` deletes both. The
key impersonates every name to clients that trust the root: trust it nowhere but in clients of this
instance.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import ssl
import stat
import tempfile
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from local.keys import KeysError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.config import LocalConfig

_ROOT_DAYS: Final = 3650
# Browsers reject certificates of more than 398 days: CA/Browser Forum, section 6.3.2.
_DAYS: Final = 397
_OTHERS: Final = 0o077


@dataclass(frozen=True)
class Issued:
    """A server's certificate and its key."""

    certificate_pem: bytes
    key_pem: bytes = field(repr=False)
    chain_pem: bytes
    """The certificates above it, here the root alone."""
    not_after: datetime

    def server_context(self, minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> ssl.SSLContext:
        """TLS context of a server with this certificate that accepts `minimum` and later."""
        return server_context(self.certificate_pem, self.key_pem, minimum)


class Authority:
    """A self-signed root that signs server certificates."""

    def __init__(self, name: str = "Local root CA") -> None:
        """Make a new one, in memory only; `of` gives the instance's."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        # Unique, so that a client with another instance's root reports "unknown", not "forged".
        subject = _name(f"{name} {uuid.uuid4().hex[:8]}")
        # RFC 5280 wants identifiers of keys, and Python verifies that (VERIFY_X509_STRICT).
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._certificate = (
            _certificate(subject, subject, self._key.public_key(), _ROOT_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self._key, hashes.SHA256())
        )

    @classmethod
    def of(cls, config: LocalConfig) -> Authority:
        """Give the authority of an instance, made with the first use, and write its root.

        Raises KeysError if other users may have read its key.
        """
        key_file = config.authority_file.with_name("authority-key.pem")
        config.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with key_file.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            authority = cls._read(key_file, config.authority_file)
            if authority is None:
                authority = cls()
                _write(config.authority_file, authority.pem)
                _write(key_file, _key_pem(authority._key))
            _write(config.trust_file, _system_roots() + authority.pem)
        return authority

    @classmethod
    def _read(cls, key_file: Path, root_file: Path) -> Authority | None:
        """Give what is in the files; None if there is nothing that still signs for a year."""
        try:
            mode = stat.S_IMODE(key_file.stat().st_mode)
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            certificate = x509.load_pem_x509_certificate(root_file.read_bytes())
        except FileNotFoundError:
            return None
        if mode & _OTHERS:
            raise KeysError(
                f"{key_file} has mode {mode:04o}, so that other users may have read it; allowed is"
                " 0600. Stop the instance (`make down`), delete the file, remove the root from"
                " every browser that trusts it, and start again."
            )
        if certificate.not_valid_after_utc < datetime.now(UTC) + timedelta(days=_DAYS + 1):
            return None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            return None
        if certificate.public_key() != key.public_key():
            return None
        authority = cls.__new__(cls)
        authority._key, authority._certificate = key, certificate
        return authority

    @property
    def pem(self) -> bytes:
        """The root certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, names: Sequence[str], days: int = _DAYS) -> Issued:
        """Give a server certificate for exactly `names`: host names, wildcards or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        signer = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        # A common name holds 64 characters, less than a host name may have; clients read the list.
        certificate = (
            _certificate(_name("Local server"), self._certificate.subject, key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(alternatives, critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer.value),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return Issued(
            certificate.public_bytes(serialization.Encoding.PEM),
            _key_pem(key),
            self.pem,
            certificate.not_valid_after_utc,
        )

    def server_context(self, names: Sequence[str]) -> ssl.SSLContext:
        """TLS context of a server that is known by `names`; TLS 1.2 and later."""
        return self.issue(names).server_context()


def server_context(
    certificates_pem: bytes, key_pem: bytes, minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
) -> ssl.SSLContext:
    """TLS context of a server: its certificate first, then those above it.

    Raises ssl.SSLError if the key is not the certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = minimum
    # The ssl module reads keys from files only.
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "server.pem"
        _write(path, certificates_pem + key_pem)
        context.load_cert_chain(path)
    return context


def _system_roots() -> bytes:
    """What Python trusts on this machine without configuration, or by `SSL_CERT_FILE`."""
    file = ssl.get_default_verify_paths().cafile
    content = Path(file).read_bytes() if file else b""
    return content if not content or content.endswith(b"\n") else content + b"\n"


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # A clock that was set back a little must not make the certificate one of the future.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=days))
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(file: Path, content: bytes) -> None:
    """Write so that readers see the old or the new file, and others none of it."""
    # Made with mode 0600: https://docs.python.org/3/library/tempfile.html#tempfile.mkstemp
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    Path(name).replace(file)
