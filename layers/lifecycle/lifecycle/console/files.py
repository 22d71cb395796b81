"""What the console consists of in its bucket: the files of a release, and ``config.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

CONFIGURATION: Final = "config.json"
PAGE: Final = "index.html"
# A layer's folder for Python's modules: https://docs.aws.amazon.com/lambda/latest/dg/python-layers.html
_OF_PYTHON: Final = "python"
# With nosniff a browser takes scripts and styles only as these.
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""Content type by the ending of a file of the console."""
_ANY: Final = "application/octet-stream"
# No name changes with its content, so that a browser has to ask again; and nothing may keep what
# names API and sign-in.
_ASK_AGAIN: Final = "no-cache"
_KEEP_NOTHING: Final = "no-store"


@dataclass(frozen=True, slots=True)
class File:
    """One object: its key, content and the headers with which it is served."""

    key: str
    body: bytes
    content_type: str
    cache_control: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """How people sign in: host of the user pool's pages, and the ids of client and pools."""

    domain: str
    client_id: str
    user_pool_id: str
    identity_pool_id: str


def read_files(folder: Path) -> dict[str, bytes]:
    """Read the files of the console by their keys; Python's modules and hidden files are none."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(one.startswith(".") for one in parts)
        if path.is_file() and parts[0] != _OF_PYTHON and not hidden:
            found["/".join(parts)] = path.read_bytes()
    return found


def configuration(*, release: str, region: str, host: str, base: str, sign_in: SignIn) -> bytes:
    """Return ``config.json``, which the console reads first: names only, nothing secret."""
    document = {
        "release": release,
        "region": region,
        "api": {"host": host, "base": base},
        "signIn": {
            "kind": "cognito",
            "domain": sign_in.domain,
            "clientId": sign_in.client_id,
            "userPoolId": sign_in.user_pool_id,
            "identityPoolId": sign_in.identity_pool_id,
        },
    }
    return json.dumps(document, indent=2).encode()


def published(files: Mapping[str, bytes], configured: bytes) -> list[File]:
    """Return all objects of a release in the order of their upload: what loads others comes last.

    A configuration among the files is not that of this control plane, and is left out.
    """
    own = {**files, CONFIGURATION: configured}
    last = [one for one in (CONFIGURATION, PAGE) if one in own]
    return [_file(key, own[key]) for key in [*sorted(own.keys() - {*last}), *last]]


def superseded(there: Iterable[str], files: Iterable[File]) -> list[str]:
    """Return the keys of objects that are no part of a release."""
    return sorted(set(there) - {one.key for one in files})


def _file(key: str, body: bytes) -> File:
    kind = TYPES.get(PurePosixPath(key).suffix.lower(), _ANY)
    return File(key, body, kind, _KEEP_NOTHING if key == CONFIGURATION else _ASK_AGAIN)
