"""An identity provider that tests start, and what a cluster in front of it is configured with."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.authority import Authority
from local.identity import HOST, ISSUER, PORT
from local.identity.provider import Client, Provider, Registered, User
from local.identity.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DOMAIN = "demo.camunda.test"
WEB_SECRET, CONNECTORS_SECRET, HEALTH_SECRET = "of the web", "of connectors", "of health"
ADMIN = User("9f1c", "anna", "anna's password", "anna@camunda.test", ("admins", "staff"))
GUEST = User("77aa", "gustav", "gustav's password", "", ("staff",))
USERS = {one.username: one for one in (ADMIN, GUEST)}


def clients(*origins: str) -> dict[str, Client]:
    """The three clients; the web client may come back to `origins`."""
    found = (
        Client(
            "camunda",
            WEB_SECRET,
            tuple(f"{one}/sso-callback" for one in origins),
            tuple(f"{one}/post-logout" for one in origins),
            ("camunda",),
        ),
        Client("connectors", CONNECTORS_SECRET, audiences=("camunda", "other")),
        Client("health", HEALTH_SECRET, audiences=("camunda",)),
        Client("stranger", "of nobody", audiences=("camunda",)),
    )
    return {one.id: one for one in found}


@dataclass
class Running:
    """A provider that listens at `address`; `root` is the PEM that its certificate is signed by."""

    provider: Provider
    address: str
    authority: Authority
    trust: Path
    users: dict[str, User]
    clients: dict[str, Client]

    def resolve(self, name: str, port: int) -> tuple[tuple[str, int], ...]:
        """Resolve as the VPC does, for `local.https.call`."""
        return ((self.address, port),) if name == HOST else ((name, port),)

    @property
    def hosts(self) -> dict[str, list[str]]:
        """The name in the VPC's name resolution."""
        return {HOST: [self.address]}

    def settings(self, **more: str) -> dict[str, str]:
        """Environment of a broker: OIDC_ of `more` first, with `anna` as its administrator."""
        oidc = {
            "CLIENTID": "camunda",
            "CLIENTSECRET": WEB_SECRET,
            "ISSUERURI": ISSUER,
            "REDIRECTURI": f"https://{DOMAIN}/sso-callback",
            "USERNAMECLAIM": "preferred_username",
            "CLIENTIDCLAIM": "client_id",
            "AUDIENCES": "camunda",
            **more,
        }
        initialization = "CAMUNDA_SECURITY_INITIALIZATION_DEFAULTROLES"
        return {
            "CAMUNDA_SECURITY_AUTHENTICATION_METHOD": "oidc",
            **{f"CAMUNDA_SECURITY_AUTHENTICATION_OIDC_{k}": v for k, v in oidc.items() if v},
            f"{initialization}_ADMIN_USERS_0": ADMIN.username,
            f"{initialization}_ADMIN_CLIENTS_0": "health",
            f"{initialization}_CONNECTORS_CLIENTS_0": "connectors",
            "SSL_CERT_FILE": str(self.trust),
        }


@contextmanager
def identity_provider(folder: Path, address: str, *origins: str, **more: Any) -> Iterator[Running]:
    """Start a provider with the clients and users above, at its port and `address`."""
    authority = Authority()
    issued = authority.issue([HOST])
    trust = folder / "trust.pem"
    trust.write_bytes(authority.pem)
    users, known = dict(USERS), clients(*(origins or (f"https://{DOMAIN}",)))
    provider = Provider(ISSUER, lambda: Registered(users, known), **more)
    server = Server(
        address,
        PORT,
        lambda: provider.app,
        certificate=issued.certificate_pem,
        key=issued.key_pem,
        directory=folder / "identity",
    )
    server.start()
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(trust)
    try:
        yield Running(provider, address, authority, trust, users, known)
    finally:
        if before is None:
            del os.environ["SSL_CERT_FILE"]
        else:
            os.environ["SSL_CERT_FILE"] = before
        server.stop()
