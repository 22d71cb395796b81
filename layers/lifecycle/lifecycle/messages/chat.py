"""What a chat takes: which webhooks, and the body of a post. Pure, except that nothing is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from lifecycle.errors import ChatRefused

_SLACK: Final = ("hooks.slack.com", "hooks.slack-gov.com")
# Workflows of Teams: Power Automate's own addresses, and those of Logic Apps before them.
# https://learn.microsoft.com/en-us/power-automate/developer/http-trigger-url-migration and
# https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
# (the connectors behind *.webhook.office.com, which that page retires, take the same card)
_TEAMS: Final = (".powerplatform.com", ".logic.azure.com", ".webhook.office.com")
ALLOWED: Final = ", ".join((*_SLACK, *(f"*{one}" for one in _TEAMS)))
# Slack cuts a text after 40,000 characters, Teams refuses a card of more than 28 KB.
# https://docs.slack.dev/reference/methods/chat.postMessage and
# https://learn.microsoft.com/en-us/microsoftteams/limits-specifications-teams
TEXT_MOST: Final = 6000


class Kind(StrEnum):
    """Which chat a webhook belongs to."""

    SLACK = "Slack"
    TEAMS = "Teams"


def kind_of(url: str) -> Kind:
    """Return which chat a webhook's URL belongs to.

    Raises ``ChatRefused`` for any other URL; the message has nothing of it, because it is a secret.
    """
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or ""), parts.port
    except ValueError:
        raise _refused("no URL can be read") from None
    if parts.scheme != "https":
        raise _refused("its scheme is not https")
    if parts.username is not None or parts.password is not None:
        raise _refused("it has a user")
    if port not in (None, 443):
        raise _refused("its port is not 443")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise _refused("it contains white space")
    if host in _SLACK:
        return Kind.SLACK
    if host.endswith(_TEAMS):
        return Kind.TEAMS
    raise _refused("its host is none of the allowed ones")


def body_for(kind: Kind, title: str, text: str) -> bytes:
    """Return the JSON that the webhook takes.

    Slack: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and, of the
    characters to escape, https://docs.slack.dev/messaging/formatting-message-text. Teams: an
    adaptive card in a message, as the trigger of Workflows takes it.
    """
    text = text if len(text) <= TEXT_MOST else f"{text[:TEXT_MOST]}\n(cut)"
    if kind is Kind.SLACK:
        content: Mapping[str, object] = {
            "text": f"*{_escaped(title)}*\n{_escaped(text)}",
            "unfurl_links": False,
        }
    else:
        # A card's text is Markdown, in which one line break is none.
        blocks = [_block(title, weight="Bolder"), *(_block(line) for line in text.splitlines())]
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": blocks,
        }
        content_type = "application/vnd.microsoft.card.adaptive"
        attachment = {"contentType": content_type, "contentUrl": None, "content": card}
        content = {"type": "message", "attachments": [attachment]}
    return json.dumps(content).encode()


def notification(record: Mapping[str, object]) -> tuple[str, str]:
    """Return title and text of what a topic delivered: a message as it is, an alarm in words.

    ``record`` is the member ``Sns`` of a record.
    https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html
    """
    subject, text = str(record.get("Subject") or ""), str(record.get("Message") or "")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or "AlarmName" not in found:
        return subject or "Notification", text
    state = str(found.get("NewStateValue", ""))
    lines = [
        str(found.get("AlarmDescription") or ""),
        f"Since: {found.get('StateChangeTime', '')}.",
        f"Reason: {found.get('NewStateReason', '')}",
        f"Account {found.get('AWSAccountId', '')}, region {found.get('Region', '')}.",
    ]
    return f"{state}: alarm {found['AlarmName']}", "\n".join(line for line in lines if line)


def _block(text: str, **more: str) -> dict[str, object]:
    return {"type": "TextBlock", "text": text, "wrap": True, "spacing": "Small", **more}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _refused(why: str) -> ChatRefused:
    return ChatRefused(
        f"The webhook in the secret ChatWebhookSecretArn was not called: {why}. Allowed is "
        f"an https URL of {ALLOWED}, alone in the secret."
    )
