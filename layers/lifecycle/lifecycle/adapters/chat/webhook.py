"""A channel of Slack or Teams behind an incoming webhook, whose URL is a secret."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Final

from lifecycle.errors import ChatRefused, ChatUnavailable
from lifecycle.messages.chat import body_for, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS: Final = 8.0
# "Too many requests", and what a proxy or gateway in between returns for a time.
_LATER: Final = frozenset({408, 425, 429})


class Webhook:
    """The ``Chat`` port. ``url`` reads the secret; it is called for each post."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url

    def post(self, title: str, text: str) -> None:
        """Post a text. Certificate and host name are verified, redirects are not followed.

        The URL is in no error and no log: what Python raises names it, so that nothing of that is
        passed on. Raises ``ChatRefused``, ``ChatUnavailable`` and what reading the URL raises.
        """
        url = self._url()
        kind = kind_of(url)
        request = urllib.request.Request(  # noqa: S310 - kind_of allows https only
            url,
            data=body_for(kind, title, text),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=SECONDS) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except (OSError, ValueError) as error:
            reason = type(getattr(error, "reason", error)).__name__
            raise ChatUnavailable(f"{kind} could not be reached: {reason}.") from None
        if 200 <= status < 300:
            return
        if status in _LATER or status >= 500:
            raise ChatUnavailable(f"{kind} answered HTTP {status}.")
        raise ChatRefused(
            f"{kind} rejected a message: HTTP {status}.",
            next_step="Check that the webhook still exists and its channel is not archived; put "
            "the URL of a new one into the secret ChatWebhookSecretArn.",
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect may lead to any host: it is an answer like any other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""
        return
