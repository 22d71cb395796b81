"""An imported certificate is what its PEM says, with the key that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from local.aws.emulator import acm
from local.aws.strict import Rule

if TYPE_CHECKING:
    from local.aws.strict import Strictness

_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


def install(_strictness: Strictness) -> None:
    """Read what is imported."""
    acm.import_certificate = _read(acm.import_certificate)


def _read(own: Any) -> Any:
    def act(data: dict[str, Any]) -> Any:
        arn = data.get("CertificateArn")
        if arn and arn not in acm.certificates:
            return acm.error_response_json(
                "ResourceNotFoundException", f"Could not find certificate {arn}.", 400
            )
        pem = {
            name: acm.decode_pem_field(data.get(name)).encode()
            for name in ("Certificate", "PrivateKey", "CertificateChain")
        }
        try:
            facts = read(pem["Certificate"], pem["PrivateKey"], pem["CertificateChain"])
        except ValueError as problem:
            return acm.error_response_json("ValidationException", str(problem), 400)
        before = set(acm.certificates)
        answer = own(data)
        for made in [arn] if arn else set(acm.certificates) - before:
            acm.certificates[made] |= facts
        return answer

    return act


def read(certificate: bytes, key: bytes, chain: bytes) -> dict[str, Any]:
    """Give names and validity of a certificate. Raises ValueError for what ACM does not import.

    https://docs.aws.amazon.com/acm/latest/userguide/import-certificate-prerequisites.html
    """
    try:
        found = x509.load_pem_x509_certificates(certificate)
        above = x509.load_pem_x509_certificates(chain) if chain else []
        private = load_pem_private_key(key, None)
    except (TypeError, ValueError) as error:
        raise ValueError("The certificate, chain or key is not a valid PEM") from error
    if len(found) != 1:
        raise ValueError("The certificate field contains more than one certificate.")
    if found[0].public_key() != private.public_key():
        raise ValueError("The private key does not match the certificate.")
    links = [found[0], *above]
    for one, issuer in zip(links, above, strict=False):
        if one.issuer != issuer.subject:
            raise ValueError("The certificate chain is not in order.")
    names = _names(found[0])
    return {
        "DomainName": names[0],
        "SubjectAlternativeNames": names,
        "NotBefore": found[0].not_valid_before_utc.strftime(_TIME),
        "NotAfter": found[0].not_valid_after_utc.strftime(_TIME),
    }


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = [str(name) for name in found.value.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        names = []
    common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return names or [str(one.value) for one in common] or [""]


RULE: Final = Rule(
    name="imported-certificates",
    does="ImportCertificate takes one certificate with its private key and a chain in order, and"
    " DescribeCertificate returns the names and the validity that are in it.",
    source="https://docs.aws.amazon.com/acm/latest/userguide/import-certificate-prerequisites.html",
    caught="nothing yet.",
    install=install,
)
