"""The identity provider of this machine, for clusters with logins by OpenID Connect.

It listens from the start, and its server is made at the first request: until then it costs
nothing. Users and clients are in `identity.json` of the instance's folder, with passwords and
secrets made for this instance alone; the file may be edited while it runs.
"""

from __future__ import annotations

import json
import logging
import secrets
from typing import TYPE_CHECKING, Any

from local.authority import Authority
from local.config import CONTROL_STACK
from local.names import replace_json

if TYPE_CHECKING:
    from pathlib import Path

    from local.component import Component, Instance
    from local.identity.provider import Registered

logger = logging.getLogger(__name__)

HOST = "login.camunda.test"
# In the issuer itself, as no user but root may bind 443: URLs are then the same everywhere.
PORT = 8443
ISSUER = f"https://{HOST}:{PORT}"
TOKEN_URL = f"{ISSUER}/token"
DOMAIN = "demo.camunda.test"
"""The domain name of the cluster whose redirect URI is registered from the beginning."""
WEB, CONNECTORS, HEALTH = "camunda", "connectors", "health"
ADMINISTRATORS = "camunda-administrators"
CLUSTER = "demo"
_TAGS: dict[str, dict[str, str]] = {
    WEB: {"camunda:purpose": "task"},
    CONNECTORS: {"camunda:purpose": "task"},
    HEALTH: {"camunda:purpose": "oidc-client", "camunda:token-url": TOKEN_URL},
}
_SHARED: dict[str, str] = {"camunda:control-plane": CONTROL_STACK, "camunda:cluster": CLUSTER}


class Identity:
    """The component; see `local.component.Component`."""

    def __init__(self, instance: Instance) -> None:
        from local.identity.server import Server

        self._instance = instance
        config = instance.config
        issued = Authority.of(config).issue([HOST])
        self._server = Server(
            config.identity_address,
            PORT,
            self._application,
            certificate=issued.certificate_pem,
            key=issued.key_pem,
            directory=config.root / "identity",
        )

    def start(self) -> None:
        """Write users and clients if there are none yet, and listen. Raises OSError."""
        config = self._instance.config
        if not config.identity_file.exists():
            replace_json(config.identity_file, defaults())
        self._server.start()
        self._instance.names.set(HOST, [config.identity_address])

    def stop(self) -> None:
        """Stop listening."""
        self._instance.names.remove(HOST)
        self._server.stop()

    def _application(self) -> Any:
        from local.identity.provider import Provider

        return Provider(ISSUER, FromFile(self._instance.config.identity_file)).app


class FromFile:
    """Gives what a file registers, read again when it changes; the last good content counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = 0
        self._known: Registered | None = None

    def __call__(self) -> Registered:
        """Give users and clients. Raises ValueError, naming the field, if none were ever good."""
        from local.identity.provider import parse

        stamp = self._path.stat().st_mtime_ns
        if self._known is None or stamp != self._stamp:
            try:
                self._known = parse(json.loads(self._path.read_text()))
            except ValueError:
                if self._known is None:
                    raise
                logger.exception("%s does not count, what it had before does", self._path)
            self._stamp = stamp
        return self._known


def defaults() -> dict[str, Any]:
    """Give the users and clients of a new instance."""
    machine = {"audiences": [WEB]}
    return {
        "users": [
            {
                "username": "admin",
                "password": secrets.token_urlsafe(12),
                "email": "admin@camunda.test",
                "groups": [ADMINISTRATORS],
            },
            {"username": "guest", "password": secrets.token_urlsafe(12), "groups": []},
        ],
        "clients": [
            {
                "clientId": WEB,
                "clientSecret": secrets.token_urlsafe(24),
                "redirectUris": [f"https://{DOMAIN}/sso-callback"],
                "postLogoutRedirectUris": [f"https://{DOMAIN}/post-logout"],
                **machine,
            },
            {"clientId": CONNECTORS, "clientSecret": secrets.token_urlsafe(24), **machine},
            {"clientId": HEALTH, "clientSecret": secrets.token_urlsafe(24), **machine},
        ],
    }


def describe(instance: Instance) -> dict[str, Any]:
    """Give what a cluster's request and a person need: no secret, but where they are."""
    return {
        "issuer": ISSUER,
        "tokenUrl": TOKEN_URL,
        "address": instance.config.identity_address,
        "usersAndClients": str(instance.config.identity_file),
        "secrets": _arns(instance),
    }


def ensure_secrets(instance: Instance) -> None:
    """Write the clients' secrets into Secrets Manager, tagged as the control plane needs them.

    They are of the cluster `CLUSTER`; that of the functions is for this token endpoint alone.
    """
    api = instance.client("secretsmanager")
    clients = json.loads(instance.config.identity_file.read_text())["clients"]
    known = {one["clientId"]: one["clientSecret"] for one in clients}
    for client, tags in _TAGS.items():
        if client not in known:
            continue
        name, value = _secret_name(client), json.dumps({"clientSecret": known[client]})
        given = [{"Key": key, "Value": text} for key, text in {**_SHARED, **tags}.items()]
        try:
            api.create_secret(Name=name, SecretString=value, Tags=given)
        except api.exceptions.ResourceExistsException:
            if api.get_secret_value(SecretId=name)["SecretString"] != value:
                api.put_secret_value(SecretId=name, SecretString=value)


def _secret_name(client: str) -> str:
    return f"identity-{client}"


def _arns(instance: Instance) -> dict[str, str]:
    found = instance.client("secretsmanager").list_secrets(
        Filters=[{"Key": "name", "Values": [_secret_name("")]}]
    )
    arns = {one["Name"]: one["ARN"] for one in found["SecretList"]}
    return {one: arns[_secret_name(one)] for one in _TAGS if _secret_name(one) in arns}


def component(instance: Instance) -> Component:
    """Give the component of `instance`."""
    return Identity(instance)
