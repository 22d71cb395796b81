"""Which rights the functions' roles really use: the first use of each, one JSON line.

On AWS, CloudTrail and IAM Access Analyzer show this; here it shows which statements a run needed
and whether anything was denied. With ``CAMUNDA_LIFECYCLE_AUDIT_EVERY`` in the environment, every
use: what is paid by the request can be counted then.
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from local.aws.emulator import iam_evaluator, sts

if TYPE_CHECKING:
    from pathlib import Path


def install(log: Path) -> None:
    """Write to `log` what the emulator decides for sessions of roles; call after iam.install()."""
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    seen: set[tuple[str, str, bool]] = set()
    lock = threading.Lock()
    every = "CAMUNDA_LIFECYCLE_AUDIT_EVERY" in os.environ
    decide = iam_evaluator.enforce

    def enforce(access_key_id: str, iam_action: str, *rest: Any, **more: Any) -> Any:
        denied = decide(access_key_id, iam_action, *rest, **more)
        session = str((sts.sessions.get(access_key_id) or {}).get("Arn", ""))
        if ":assumed-role/" in session:
            entry = session.split("/")[1], iam_action, denied is None
            with lock:
                if every or entry not in seen:
                    seen.add(entry)
                    line = dict(zip(("role", "action", "allowed"), entry, strict=True))
                    with log.open("a") as file:
                        file.write(json.dumps(line) + "\n")
        return denied

    iam_evaluator.enforce = enforce
