"""Certificates of an instance's authority: for whom, who trusts them, who reads the keys."""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from local.authority import Authority
from local.config import LocalConfig
from local.keys import KeysError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("camunda.test", "*.camunda.test")


def greeted(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """TLS version that the two agree on, without a network. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(5):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return str(ends[0].version())


def client_of(pem: bytes) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=pem.decode())


@pytest.mark.parametrize("name", ["camunda.test", "grpc.camunda.test"])
def test_a_client_with_the_root_verifies_the_names(name: str) -> None:
    authority = Authority()
    assert greeted(authority.server_context(NAMES), client_of(authority.pem), name) == "TLSv1.3"


@pytest.mark.parametrize("name", ["other.test", "a.b.camunda.test"])
def test_other_names_are_refused(name: str) -> None:
    authority = Authority()
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        greeted(authority.server_context(NAMES), client_of(authority.pem), name)


def test_a_client_with_another_root_refuses() -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        greeted(Authority().server_context(NAMES), client_of(Authority().pem), "camunda.test")


def test_a_certificate_is_for_exactly_the_names_and_days_that_were_given() -> None:
    issued = Authority().issue(["camunda.test", "127.0.0.1"], days=30)
    certificate = x509.load_pem_x509_certificate(issued.certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["camunda.test"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    left = issued.not_after - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    assert b"PRIVATE" not in issued.certificate_pem + issued.chain_pem
    assert "PRIVATE" not in repr(issued)


def test_an_instance_keeps_its_authority(tmp_path: Path) -> None:
    config = LocalConfig(tmp_path)
    first, second = Authority.of(config), Authority.of(config)
    assert first.pem == second.pem == config.authority_file.read_bytes()
    assert greeted(second.server_context(NAMES), client_of(first.pem), NAMES[0]) == "TLSv1.3"


def test_functions_trust_the_instance_besides_the_roots_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, config = Authority(), LocalConfig(tmp_path / "instance")
    roots = tmp_path / "roots.pem"
    roots.write_bytes(other.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    own = Authority.of(config)
    client = ssl.create_default_context(cafile=config.trust_file)
    for authority in (own, other):
        assert greeted(authority.server_context(NAMES), client, NAMES[0])


def test_the_key_is_readable_by_its_user_only(tmp_path: Path) -> None:
    config = LocalConfig(tmp_path / "instance")
    Authority.of(config)
    (key,) = (one for one in config.root.glob("*.pem") if b"PRIVATE" in one.read_bytes())
    assert key.stat().st_mode & 0o777 == 0o600
    assert config.root.stat().st_mode & 0o777 == 0o700
    key.chmod(0o640)
    with pytest.raises(KeysError, match="0640"):
        Authority.of(config)
