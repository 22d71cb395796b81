"""The root keys of an instance: random, in a file that only its user can read.

Whoever has them can run code as that user, because functions and tasks are processes of the user.
Loopback addresses are reachable by every user of the machine, so a well-known key is no protection.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import string
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ALPHABET: Final = string.ascii_uppercase + "234567"
_OTHERS: Final = 0o077


class KeysError(Exception):
    """The keys cannot be used; the message names the file and the remedy."""


@dataclass(frozen=True)
class RootKeys:
    """Keys of the local account's root, in the lengths that IAM issues."""

    access_key_id: str
    secret_access_key: str


def root_keys(root: Path) -> RootKeys:
    """Return the keys of the instance in ``root``, made at the first call.

    The directory gets mode 0700, the file 0600. Raises KeysError if others may read the file.
    """
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(root.stat().st_mode) & _OTHERS:
        root.chmod(0o700)
    file = root / "keys.json"
    if not file.exists():
        _make(file)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & _OTHERS:
        raise KeysError(
            f"{file} has mode {mode:04o}, so that other users may have read it; allowed is 0600."
            " Stop the instance (`make down`), delete the file and start again."
        )
    content = json.loads(file.read_text())
    return RootKeys(content["accessKeyId"], content["secretAccessKey"])


def _make(file: Path) -> None:
    """Write new keys; of several processes that do at once, one wins."""
    content = {
        "accessKeyId": "AKIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16)),
        "secretAccessKey": secrets.token_urlsafe(30),
    }
    # Made with mode 0600: https://docs.python.org/3/library/tempfile.html#tempfile.mkstemp
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".keys.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w") as stream:
            json.dump(content, stream)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink()
