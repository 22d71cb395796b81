"""A post to a chat behind HTTPS, as a function makes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.adapters.chat.webhook import Webhook
from lifecycle.errors import ChatRefused, ChatUnavailable

from local.component import Instance
from local.config import LocalConfig
from local.messages import CHAT_URL, Messages

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def chat(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalConfig]:
    """Slack's host name behind a proxy, with a certificate of a local authority."""
    config = LocalConfig(tmp_path)
    server = Messages(Instance.of(config))
    server.start()
    for name, value in json.loads(config.outbound_file.read_text()).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SSL_CERT_FILE", str(config.trust_file))
    monkeypatch.setenv("NO_PROXY", "")
    yield config
    server.stop()


def test_a_post_reaches_the_chat(chat: LocalConfig) -> None:
    Webhook(lambda: CHAT_URL).post("demo is DOWN", "What: <this> & that")
    (file,) = chat.messages.glob("*-chat.txt")
    assert file.read_text() == "*demo is DOWN*\nWhat: &lt;this&gt; &amp; that"


def test_a_chat_whose_certificate_nobody_trusts_has_no_post(
    chat: LocalConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(ChatUnavailable) as failed:
        Webhook(lambda: CHAT_URL).post("title", "text")
    assert "T00000000" not in repr(failed.value)
    assert failed.value.__cause__ is None
    assert not list(chat.messages.glob("*"))


@pytest.mark.usefixtures("chat")
def test_a_webhook_that_is_gone_is_refused_and_not_named() -> None:
    with pytest.raises(ChatRefused) as failed:
        Webhook(lambda: "https://hooks.slack.com/services/gone").post("title", "text")
    assert "HTTP 404" in failed.value.message
    assert "gone" not in str(failed.value)


@pytest.mark.usefixtures("chat")
def test_a_host_that_cannot_be_reached_is_not_named() -> None:
    with pytest.raises(ChatUnavailable) as failed:
        Webhook(lambda: "https://x.logic.azure.com/workflows/hidden?sig=hidden").post("t", "t")
    assert "hidden" not in repr(failed.value)
