"""Signing a request needs an issued key, its secret and its token, also for root."""

from __future__ import annotations

import contextvars
import os
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import iam_evaluator, sts
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.aws.strict import Strictness

_naming: contextvars.ContextVar[bool] = contextvars.ContextVar("naming", default=False)


def install(_strictness: Strictness) -> None:
    """Let the emulator check the signatures of root as it checks those of users and sessions.

    It spares what it takes for root: any secret is good for the key that it was configured with,
    and any twelve digits are the root key of some account.
    """
    iam_evaluator.is_root_access_key = is_root_access_key
    # Called where a signature would be checked, and where API Gateway identifies the caller.
    iam_evaluator.is_root_key = _is_spared
    iam_evaluator.resolve_caller_identity = _telling(iam_evaluator.resolve_caller_identity)
    # Without its record, a session that is over would be one that never was.
    sts.evict_expired_sessions = _keep_sessions


def is_root_access_key(access_key_id: str) -> bool:
    """Whether a key is root's: the one that the emulator was configured with, no account's id.

    So is the absence of a key, as the emulator has it: it rejects unsigned requests itself.
    """
    return not access_key_id or access_key_id == os.environ.get("AWS_ACCESS_KEY_ID")


def _is_spared(access_key_id: str) -> bool:
    return not access_key_id or (_naming.get() and is_root_access_key(access_key_id))


def _telling(own: Callable[[str], Any]) -> Callable[[str], Any]:
    def resolve(access_key_id: str) -> Any:
        before = _naming.set(True)
        try:
            return own(access_key_id)
        finally:
            _naming.reset(before)

    return resolve


def _keep_sessions() -> None:
    """Keep what is over, a few hundred bytes for each session of an instance's life."""


RULE: Final = Rule(
    name="known-keys",
    does="AWS rejects a request unless it is signed with an issued key and its secret. That"
    " includes the account's root; an expired session is reported as expired (`ExpiredToken`), not"
    " as unknown.",
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html",
    caught="nothing yet: no caller here signed with another secret.",
    install=install,
)
