"""Takes out of a document what must not leave the machine: secrets and presigned URLs."""

from __future__ import annotations

import re
from typing import Any, Final

REMOVED: Final = "<removed>"
_NAMES: Final = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|credential|authorization|private.?key|licen[cs]e.?key"
    r"|access.?key|api.?key|cookie|signature",
    re.IGNORECASE,
)
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
_ASSIGNED: Final = re.compile(
    r"((?:pass(?:word|wd|phrase)|secret|token|api[-_ ]?key|access[-_ ]?key)[A-Za-z0-9_-]*"
    r"[\"']?\s*[=:]\s*[\"']?)(?!arn:aws)[^\s\"',;&}]+",
    re.IGNORECASE,
)


def redacted(value: Any, *, secrets: tuple[str, ...] = ()) -> Any:
    """Return a copy of JSON data without secrets; ``secrets`` are values to remove everywhere.

    A field whose name is one of a secret keeps only ARNs, numbers, booleans and null.
    """
    if isinstance(value, dict):
        return {
            redacted(name, secrets=secrets): _field(str(name), one, secrets)
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
    # ARNs of secrets are no secrets, though their words look like it: every second part is one.
    parts = _ARN.split(value)
    parts[::2] = [_ASSIGNED.sub(rf"\1{REMOVED}", one) for one in parts[::2]]
    return "".join(parts)


def _field(name: str, value: Any, secrets: tuple[str, ...]) -> Any:
    if not _NAMES.search(name) or value is None or isinstance(value, bool | int | float):
        return redacted(value, secrets=secrets)
    if isinstance(value, str):
        return redacted(value, secrets=secrets) if _ARN.fullmatch(value) else REMOVED
    if isinstance(value, list):
        return [_field(name, one, secrets) for one in value]
    # A group of secrets by name, as in the settings of a service: ARNs only.
    return {key: _field(name, one, secrets) for key, one in value.items()}
