"""A cluster whose users, connectors and functions log in at the instance's identity provider."""

from __future__ import annotations

import json
import secrets
import socket
import ssl
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from local import https, zone
from local.config import CONTROL_STACK
from local.identity import CONNECTORS, HEALTH, HOST, ISSUER, PORT, TOKEN_URL, WEB
from local.names import replace_json
from tests.support.browser import chromium, spki
from tests.support.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from local.component import Instance

APPLICATION = "application"
"""A client of the identity provider that Camunda has never heard of."""


class Sso(Site):
    """A cluster under a name of its own, its clients at the provider, and their secrets."""

    def __init__(self, instance: Instance, cluster: str) -> None:
        super().__init__(instance, cluster)
        self.domain = f"{cluster}.{zone.ZONE}"
        self.url = f"https://{self.domain}"
        self._tokens: dict[str, tuple[str, float]] = {}
        self._register()

    def _register(self) -> None:
        """Register the cluster's addresses and an application, as people do: in the file."""
        file = self.instance.config.identity_file
        known = json.loads(file.read_text())
        (web,) = [one for one in known["clients"] if one["clientId"] == WEB]
        for field, path in (
            ("redirectUris", "sso-callback"),
            ("postLogoutRedirectUris", "post-logout"),
        ):
            web[field] = sorted({*web[field], f"{self.url}/{path}"})
        if not any(one["clientId"] == APPLICATION for one in known["clients"]):
            made = {"clientId": APPLICATION, "clientSecret": secrets.token_urlsafe(24)}
            known["clients"].append(made | {"audiences": [WEB]})
        replace_json(file, known)
        self.clients = {one["clientId"]: one["clientSecret"] for one in known["clients"]}
        self.users = {one["username"]: one["password"] for one in known["users"]}

    # Parameters

    @property
    def place(self) -> dict[str, Any]:
        """Parameters of the name and the certificate."""
        return {"DomainName": self.domain, "HostedZoneId": zone.find(self.instance)}

    def secret(self, client: str, purpose: str = "task", **more: str) -> str:
        """Store the secret of a client with its tags; gives the ARN."""
        tags = {
            "camunda:control-plane": CONTROL_STACK,
            "camunda:cluster": self.cluster,
            "camunda:purpose": purpose,
            **more,
        }
        made = self.client("secretsmanager").create_secret(
            Name=f"{self.cluster}/{client}-{uuid.uuid4().hex[:8]}",
            SecretString=json.dumps({"clientSecret": self.clients[client]}),
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        return str(made["ARN"])

    def login(self, **administrator: str) -> dict[str, str]:
        """Parameters of the provider, with secrets that are stored for this cluster."""
        return {
            "Authentication": "oidc",
            "OidcIssuer": ISSUER,
            "OidcTokenUrl": TOKEN_URL,
            "OidcUsernameClaim": "preferred_username",
            "OidcClientIdClaim": "client_id",
            "OidcAudiences": WEB,
            "OidcClientId": WEB,
            "OidcClientSecretArn": self.secret(WEB),
            "OidcConnectorsClientId": CONNECTORS,
            "OidcConnectorsSecretArn": self.secret(CONNECTORS),
            "OidcHealthClientId": HEALTH,
            "OidcHealthSecretArn": self.secret(
                HEALTH, "oidc-client", **{"camunda:token-url": TOKEN_URL}
            ),
            **administrator,
        }

    # Machines

    def failed(self, machine: str, request: dict[str, Any]) -> tuple[str, str]:
        """Run a machine that has to fail; gives error and cause."""
        ended = self.ended(self.start(request, machine), 240)
        assert ended["status"] == "FAILED", ended
        return ended["error"], ended["cause"]

    def health(self) -> dict[str, Any]:
        """Check the health once, as a person does."""
        answer = self.instance.client("stepfunctions").start_sync_execution(
            stateMachineArn=self.machine.replace("-provision", "-check_health"),
            input=json.dumps({"clusterName": self.cluster}),
        )
        assert answer["status"] == "SUCCEEDED", answer
        report: dict[str, Any] = json.loads(answer["output"])
        return report

    def stored(self, key: str) -> str:
        """Read an object of the artifact bucket."""
        bucket = self.outputs(CONTROL_STACK)["ArtifactBucketName"]
        return str(self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())

    # What a client sees

    def bearer(self, client: str = HEALTH) -> str:
        """Get a token with client credentials, another one each minute; gives the header."""
        header, until = self._tokens.get(client, ("", 0.0))
        if time.monotonic() < until:
            return header
        answer = https.call(
            "POST",
            TOKEN_URL,
            resolve=self.instance.names.reach,
            form={
                "grant_type": "client_credentials",
                "client_id": client,
                "client_secret": self.clients[client],
            },
            trust=self.instance.config.trust_file,
        )
        assert answer.status == 200, answer.body
        header = f"Bearer {answer.document()['access_token']}"
        self._tokens[client] = header, time.monotonic() + 60
        return header

    def call(self, method: str, path: str, header: str = "") -> https.Response:
        """Call the cluster by its name, with the certificate verified."""
        return https.call(
            method,
            f"{self.url}{path}",
            resolve=self.instance.names.reach,
            headers={"Authorization": header} if header else {},
            seconds=15,
            trust=self.instance.config.trust_file,
        )

    @contextmanager
    def browser(self) -> Iterator[Page]:
        """Open a browser that knows both names, and both certificates by their keys.

        Chromium's own list of roots cannot be extended here.
        """
        (place,) = self.instance.names.resolve(self.domain, 443)
        address = self.instance.config.identity_address
        keys = [
            spki(_certificate(self.instance, name, *to))
            for name, to in ((self.domain, place), (HOST, (address, PORT)))
        ]
        with chromium(
            f"--ignore-certificate-errors-spki-list={','.join(keys)}",
            f"--host-resolver-rules=MAP {self.domain}:443 {place[0]}:{place[1]},"
            f"MAP {HOST} {address}",
        ) as found:
            yield found.new_page()


def _certificate(instance: Instance, name: str, address: str, port: int) -> bytes:
    trusting = ssl.create_default_context(cafile=instance.config.trust_file)
    with (
        socket.create_connection((address, port), 10) as plain,
        trusting.wrap_socket(plain, server_hostname=name) as secured,
    ):
        found = secured.getpeercert(binary_form=True)
    assert found
    return found


def log_in(page: Page, user: str, password: str) -> None:
    """Fill in the provider's form."""
    page.get_by_label("User name").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
