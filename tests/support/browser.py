"""Chromium, and what every page of the console is held to."""

from __future__ import annotations

import base64
import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import sync_playwright

from tools.browser import browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


def spki(certificate: bytes) -> str:
    """Give the SHA-256 of a certificate's public key as Chromium takes it; DER in, Base64 out."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


@contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """Start the browser, with more options. Raises NoBrowserError, whose message has the remedy."""
    found = browser()
    # Without its sandbox it also runs as root; it opens nothing but what the tests serve.
    options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *more]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=found.executable,
            args=options,
            chromium_sandbox=False,
            env={**os.environ, **found.environment},
        )
        try:
            yield launched
        finally:
            launched.close()


@dataclass
class Seen:
    """What a page did that it must not: errors of its scripts, requests to other origins."""

    page: Page
    origin: str
    elsewhere: set[str] = field(default_factory=set)
    """Origins to which it may send requests beside its own."""
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)
        self.page.on("request", self._request)

    def _console(self, message: Any) -> None:
        # The browser itself notes every response with an error status.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load"):
            self.errors.append(message.text)

    def _request(self, request: Any) -> None:
        url = urlsplit(request.url)
        origin = f"{url.scheme}://{url.netloc}"
        if origin != self.origin and origin not in self.elsewhere:
            self.foreign.append(request.url)

    def clean(self) -> None:
        """Assert that there was nothing of it."""
        assert self.errors == []
        assert self.foreign == []


_AUDIT = (Path(__file__).parent / "audit.js").read_text()


def faults(page: Page) -> list[str]:
    """Return what keeps people from reading or using the page as it is now."""
    return list(page.evaluate(_AUDIT))


def reached_by_keyboard(page: Page, most: int = 200) -> list[str]:
    """Return what Tab reaches from the beginning of the page, one line for each stop."""
    page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); }")
    stops: list[str] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            "() => { const one = document.activeElement;"
            " if (!one || one === document.body) return '';"
            " one.dataset.reached = '1'; return one.outerHTML.slice(0, 120); }"
        )
        if not stop:
            break
        stops.append(stop)
    return stops
