"""Takes out of a document what must not leave the machine: secrets and presigned URLs."""

from __future__ import annotations

import re
from typing import Any, Final

REMOVED: Final = "<removed>"
# Words that name a secret only as a word of their own: SMTP_PASS, db.pwd, and not "passed".
_SHORT: Final = r"(?:PASS|PWD|PW|PIN|JWT|DSN|AUTH)(?![A-Za-z0-9])"
_NAMES: Final = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|credential|authorization|private.?key|licen[cs]e.?key"
    r"|access.?key|api.?key|cookie|signature"
    # A variable of a service as a plan names it: only its owner knows whether it holds a secret.
    r"|(?:^|\.)environment\."
    rf"|(?<![A-Za-z0-9]){_SHORT}"
    r"|(?-i:(?<=[a-z])(?:Pass|Pwd|Pw|Pin|Jwt|Dsn|Auth)(?![a-z]))",
    re.IGNORECASE,
)
# Variables of a container: a map, or a list of objects with name and value.
_VARIABLES: Final = "environment"
# In an object such as {"name": …, "from": …, "to": …}: what names its values, and its values.
_LABELS: Final = ("name", "property", "field", "key", "parameterkey")
_LABELLED: Final = frozenset({"value", "from", "to", "before", "after", "given", "parametervalue"})
# An ARN names a secret and holds none.
_ARN: Final = re.compile(r"(arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(?:\d{12}|aws)?:[\w./:*+-]+)")
_TEXTS: Final = (
    # Presigned URLs of Signature Version 4 and 2, and CloudFront's: all from the question mark.
    (
        re.compile(
            r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*"
            r"(?:X-Amz-|AWSAccessKeyId|Signature|Key-Pair-Id)[^\s\"'<>]*",
            re.IGNORECASE,
        ),
        rf"\1?{REMOVED}",
    ),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), REMOVED),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
            re.DOTALL,
        ),
        REMOVED,
    ),
    (re.compile(r"(://[^\s/:@]*):[^\s/@]+@"), rf"\1:{REMOVED}@"),
    (re.compile(r"\b((?:Basic|Bearer) )[A-Za-z0-9+/=._~-]{8,}"), rf"\1{REMOVED}"),
)
# A name in running text, up to the value: also in JSON, and in JSON within JSON.
_NAMED: Final = (
    r"(?:(?:pass(?:word|wd|phrase)|secret|token|api[-_ ]?key|access[-_ ]?key)"
    rf"|(?<=[_.\"'-]){_SHORT}|(?<![A-Za-z0-9]){_SHORT}(?=\w{{0,128}}=))"
)
_REST: Final = r"[A-Za-z0-9_-]{0,128}\\*[\"']?\s*[=:]\s*\\*[\"']?"
_KEPT: Final = r"(?!arn:aws|(?:none|nothing|null)(?![^\s\"',;&}]))"
_ASSIGNED: Final = re.compile(rf"({_NAMED}{_REST}){_KEPT}[^\s\"',;&}}]+", re.IGNORECASE)
# A difference in running text: "name: before → after", to the end of its line and of the lines
# that continue it, which are indented further.
_CHANGED: Final = re.compile(
    rf"^(?P<indent>[ ]*)(?![ ])(?P<name>.*?"
    rf"(?:{_NAMED}[\w.-]{{0,128}}|\benvironment\.[\w.-]{{1,256}})"
    r"[\"']?[ ]*[=:]\s*)"
    r"(?P<values>.*(?:\n(?P=indent)[ ]+.*)*)",
    re.IGNORECASE | re.MULTILINE,
)
_ARROW: Final = re.compile(r"(\s*(?:→|->)\s*)")
_NOTHING: Final = frozenset({"none", "nothing", "null"})


def redacted(value: Any, *, secrets: tuple[str, ...] = ()) -> Any:
    """Return a copy of JSON data without secrets; ``secrets`` are values to remove everywhere.

    A field whose name is one of a secret keeps only ARNs, numbers, booleans and null; so do the
    values of an object whose ``name`` is one. Variables below ``environment`` keep their names, and
    of their values only ARNs and null.
    """
    if isinstance(value, dict):
        label = _label(value)
        return {
            redacted(name, secrets=secrets): _field(
                label if label and str(name).lower() in _LABELLED else str(name), one, secrets
            )
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [redacted(one, secrets=secrets) for one in value]
    return text(value, secrets=secrets) if isinstance(value, str) else value


def text(value: str, *, secrets: tuple[str, ...] = ()) -> str:
    """Return text without secrets and presigned URLs."""
    for secret in secrets:
        value = value.replace(secret, REMOVED)
    for pattern, replacement in _TEXTS:
        value = pattern.sub(replacement, value)
    value = _CHANGED.sub(_without_values, value)
    # ARNs of secrets are no secrets, though their words look like it: every second part is one.
    parts = _ARN.split(value)
    parts[::2] = [_ASSIGNED.sub(rf"\1{REMOVED}", one) for one in parts[::2]]
    return "".join(parts)


def _without_values(found: re.Match[str]) -> str:
    """Return a difference in text without its values; what has no arrow is none, and stays."""
    parts = _ARROW.split(found["values"])
    if len(parts) == 1:
        return found[0]
    parts[::2] = [one if _is_harmless(one) else REMOVED for one in parts[::2]]
    return found["indent"] + found["name"] + "".join(parts)


def _is_harmless(value: str) -> bool:
    return value in _NOTHING or _ARN.fullmatch(value.strip("\"'")) is not None


def _label(value: dict[Any, Any]) -> str:
    """Return what names the values of an object, or nothing."""
    found = {str(name).lower(): one for name, one in value.items()}
    given = (found.get(one) for one in _LABELS)
    return next((one for one in given if isinstance(one, str)), "")


def _field(name: str, value: Any, secrets: tuple[str, ...]) -> Any:
    if name.lower() == _VARIABLES and isinstance(value, dict | list):
        return _variables(value, secrets)
    if not _NAMES.search(name) or value is None or isinstance(value, bool | int | float):
        return redacted(value, secrets=secrets)
    if isinstance(value, str):
        return redacted(value, secrets=secrets) if _ARN.fullmatch(value) else REMOVED
    if isinstance(value, list):
        return [_field(name, one, secrets) for one in value]
    # A group of secrets by name, as in the settings of a service: ARNs only.
    return {key: _field(name, one, secrets) for key, one in value.items()}


def _variables(value: Any, secrets: tuple[str, ...], *, is_entry: bool = False) -> Any:
    """Return variables with their names only; an entry of a list has its name in a field."""
    if isinstance(value, dict):
        return {
            redacted(name, secrets=secrets): (
                redacted(one, secrets=secrets)
                if is_entry and str(name).lower() in _LABELS
                else _variables(one, secrets)
            )
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_variables(one, secrets, is_entry=True) for one in value]
    if value is None or (isinstance(value, str) and _ARN.fullmatch(value)):
        return redacted(value, secrets=secrets)
    return REMOVED
