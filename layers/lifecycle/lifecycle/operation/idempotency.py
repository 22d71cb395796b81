"""One request, one operation: ids, keys and when two requests are the same.

An operation's id is ``<cluster>.<verb>.<key>`` and at the same time the name of its execution, so
that Step Functions itself refuses a second one.
https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from lifecycle.cluster.names import is_cluster_name

LONGEST_NAME: Final = 80
"""Characters of an execution's name, which an operation's id is."""
# Execution names have at most 80 characters: 19 of the cluster, 9 of the verb, 2 dots, the key.
KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
KEY_RULE: Final = "1 to 40 characters: letters, digits, hyphens and underscores, bare or in quotes"


class Known(StrEnum):
    """What is known of an operation id before it is started."""

    NEW = "NEW"
    SAME = "SAME"
    OTHER = "OTHER"


def is_key(value: object) -> bool:
    """Return whether ``value`` may be an idempotency key."""
    return isinstance(value, str) and KEY.fullmatch(value) is not None


def unquoted(value: str) -> str:
    """Return a key without the quotes that a structured header has around a string.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
    """
    quoted = len(value) >= 2 and value[0] == value[-1] == '"'
    return value[1:-1] if quoted else value


def operation_id(cluster: str, verb: str, key: str) -> str:
    """Id of the operation that a request with this key stands for."""
    return f"{cluster}.{verb}.{key}"


def split_operation_id(text: str) -> tuple[str, str, str] | None:
    """Cluster, verb and key of an operation id; None when it is not of that form."""
    parts = text.split(".")
    if len(parts) != 3 or not is_cluster_name(parts[0]) or not is_key(parts[2]):
        return None
    return parts[0], parts[1], parts[2]


def canonical(value: object) -> str:
    """Return the canonical form of JSON: sorted keys, no spaces, ASCII, 4.0 as 4.

    Raises ``ValueError`` for values that JSON lacks (NaN and the infinities).
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> object:
    match value:
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case _:
            return value


def digest(text: str) -> str:
    """Hash of a canonical request."""
    return hashlib.sha256(text.encode()).hexdigest()


def compare(text: str, *, recorded: str | None, execution_input: str | None) -> Known:
    """Compare a canonical request with what already goes by its operation id.

    ``recorded`` is the hash noted when the API started it, ``execution_input`` what the execution
    was given (all there is for one started in the console); None for what does not exist.
    """
    if recorded:
        return Known.SAME if recorded == digest(text) else Known.OTHER
    if execution_input is None:
        return Known.NEW
    try:
        same = canonical(json.loads(execution_input)) == text
    except ValueError:
        same = False
    return Known.SAME if same else Known.OTHER
