"""Which rights roles really use: the first use of each, one JSON line.

On AWS, CloudTrail and IAM Access Analyzer show this; here it shows which statements a run needed
and whether anything was denied. With ``CAMUNDA_LIFECYCLE_AUDIT_EVERY`` in the environment, every
use: what is paid by the request can be counted then.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import iam_evaluator, sts

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class _Audit:
    """Where uses are written; nowhere before `install`."""

    log: Path | None = None
    seen: set[tuple[str, str, bool]] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


_audit: Final = _Audit()


def install(log: Path) -> None:
    """Write to `log` what the emulator decides for sessions of roles; call after iam.install()."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    _audit.log = log
    decide = iam_evaluator.enforce

    def enforce(access_key_id: str, iam_action: str, *rest: Any, **more: Any) -> Any:
        denied = decide(access_key_id, iam_action, *rest, **more)
        session = str((sts.sessions.get(access_key_id) or {}).get("Arn", ""))
        if ":assumed-role/" in session:
            note(session.split("/")[1], iam_action, allowed=denied is None, session=True)
        return denied

    iam_evaluator.enforce = enforce


def note(role: str, action: str, *, allowed: bool, session: bool = False) -> None:
    """Write that a role used a right, by the role's name, and whether it was a request of its own.

    The roles of state machines, schedules and stacks open no session here: whatever acts for them
    asks `local.aws.iam.role_allows`, which calls this.
    """
    if _audit.log is None:
        return
    entry = role, action, allowed
    with _audit.lock:
        if "CAMUNDA_LIFECYCLE_AUDIT_EVERY" in os.environ or entry not in _audit.seen:
            _audit.seen.add(entry)
            line = {"role": role, "action": action, "allowed": allowed, "session": session}
            with _audit.log.open("a") as file:
                file.write(json.dumps(line) + "\n")
