"""The action of an Application Load Balancer on a request, by the rules of its listener."""

from __future__ import annotations

import base64
import binascii
import fnmatch
import re
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Rule = dict[str, Any]
COOKIE = "AWSALB"


@dataclass(frozen=True)
class Request:
    """The part of a request that rules look at."""

    method: str
    host: str
    path: str
    """Without the query string."""
    query: str = ""


def choose(rules: Iterable[Rule], request: Request) -> Rule | None:
    """Give the matching rule of the lowest priority; the default rule comes last."""
    ordered = sorted(rules, key=_priority)
    return next((rule for rule in ordered if applies(rule, request)), None)


def applies(rule: Rule, request: Request) -> bool:
    """Whether every condition of the rule holds. Raises NotImplementedError for unknown fields."""
    return all(_holds(condition, request) for condition in rule["Conditions"])


def refuse_patterns(values: Iterable[str]) -> None:
    """Raise ``ValueError`` for a pattern with a character that the load balancer does not take.

    https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_RuleCondition.html
    """
    for value in values:
        if not re.fullmatch(r"[A-Za-z0-9_\-.$/~\"'@:+&*?]{1,128}", value):
            raise ValueError(f"Condition value {value!r} contains a character that is not valid")


def _priority(rule: Rule) -> tuple[int, int]:
    return (1, 0) if rule["Priority"] == "default" else (0, int(rule["Priority"]))


def _holds(condition: Mapping[str, Any], request: Request) -> bool:
    values = condition.get("Values") or []
    match condition["Field"]:
        case "path-pattern":
            refuse_patterns(values)
            # Case-sensitive; `*` also spans slashes.
            return any(_like(request.path, pattern) for pattern in values)
        case "host-header":
            host = request.host.partition(":")[0].lower()
            return any(_like(host, pattern.lower()) for pattern in values)
        case "http-request-method":
            return request.method in values
        case other:
            raise NotImplementedError(f"listener rule with condition {other}")


def _like(text: str, pattern: str) -> bool:
    # `[` has a meaning for fnmatch that it does not have for a load balancer.
    return fnmatch.fnmatchcase(text, re.sub(r"\[", "[[]", pattern))


def location(config: Mapping[str, str], request: Request, *, protocol: str, port: int) -> str:
    """URL of a redirect action: its placeholders stand for parts of the request."""
    parts = {
        "protocol": protocol.lower(),
        "host": request.host.partition(":")[0],
        "port": str(port),
        "path": request.path.lstrip("/"),
        "query": request.query,
    }

    def filled(key: str, default: str) -> str:
        text = config.get(key, default)
        for name, value in parts.items():
            text = text.replace(f"#{{{name}}}", value)
        return text

    query = filled("Query", "#{query}")
    return (
        f"{filled('Protocol', '#{protocol}').lower()}://{filled('Host', '#{host}')}:"
        f"{filled('Port', '#{port}')}{filled('Path', '/#{path}')}{'?' if query else ''}{query}"
    )


def visible_port(host: str, actual: int, public: int) -> int:
    """Port of the listener as the client of this `Host` header sees it.

    On AWS that is the listener's own, `public`. A person may have to use the `actual` one, because
    this user may not bind the other; Camunda makes absolute URLs of it.
    """
    return actual if host.rpartition(":")[2] == str(actual) else public


def reachable(config: Mapping[str, str], actual: Callable[[int], int]) -> dict[str, str]:
    """Give a redirect whose port is the one on this machine."""
    port = config.get("Port", "")
    return {**config, "Port": str(actual(int(port)))} if port.isdigit() else dict(config)


def sticky_target(cookies: str, group: str, targets: Sequence[str]) -> str | None:
    """Target that an earlier answer's cookie names, if it is still among the healthy ones."""
    try:
        jar = SimpleCookie(cookies)
        text = base64.urlsafe_b64decode(jar[COOKIE].value).decode() if COOKIE in jar else ""
    except (CookieError, binascii.Error, UnicodeDecodeError):
        return None
    named_group, _, target = text.partition("|")
    return target if named_group == group and target in targets else None


def sticky_cookie(group: str, target: str, seconds: int) -> str:
    """`Set-Cookie` value that keeps a client on a target; on AWS its content is encrypted."""
    value = base64.urlsafe_b64encode(f"{group}|{target}".encode()).decode()
    return f"{COOKIE}={value}; Max-Age={seconds}; Path=/"
