"""The bundle of RDS certificate authorities, and one region's root out of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from lifecycle.certificates import BUNDLE, rds_root_certificate
from lifecycle.errors import InvalidRequest

pytestmark = pytest.mark.unit

# Opened after the package that the bundle was taken from; README.md beside the bundle lists them.
NOT_COVERED = {
    "ap-east-2",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-west-1",
    "il-central-1",
    "mx-central-1",
}
COMMERCIAL = set(boto3.session.Session().get_available_regions("rds"))


def certificates() -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(BUNDLE.read_bytes())


def common_name(certificate: x509.Certificate) -> str:
    (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(name.value)


def test_every_certificate_is_a_lasting_self_signed_authority() -> None:
    assert len(certificates()) > 80
    for certificate in certificates():
        name = common_name(certificate)
        assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=730), name
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca, name
        certificate.verify_directly_issued_by(certificate)
        assert not re.search("beta|preview", name, re.IGNORECASE), name


def test_every_commercial_region_is_covered_or_known_not_to_be() -> None:
    covered = set()
    for region in COMMERCIAL:
        try:
            rds_root_certificate(region)
        except InvalidRequest:
            continue
        covered.add(region)
    assert COMMERCIAL - covered == NOT_COVERED


@pytest.mark.parametrize("region", sorted(COMMERCIAL - NOT_COVERED))
def test_the_root_of_a_region_is_its_rsa2048_one_and_fits_a_stack_parameter(region: str) -> None:
    pem = rds_root_certificate(region)
    (certificate,) = x509.load_pem_x509_certificates(pem.encode())
    assert common_name(certificate) == f"Amazon RDS {region} Root CA RSA2048 G1"
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    assert key.key_size == 2048
    assert len(pem.encode()) < 4096


@pytest.mark.parametrize("region", ["", "eu-central-9", "eu-central", "Root CA", "il-central-1"])
def test_a_region_without_a_root_is_refused_with_the_way_out(region: str) -> None:
    with pytest.raises(InvalidRequest, match=r"certificates/README\.md") as refusal:
        rds_root_certificate(region)
    assert repr(region) in refusal.value.message
