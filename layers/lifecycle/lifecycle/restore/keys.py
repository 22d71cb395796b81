"""Whether RDS can read what is restored, before anything is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lifecycle.errors import RestoreRefused

if TYPE_CHECKING:
    from lifecycle.kept.ports import KeptThings
    from lifecycle.restore.facts import Target

_ENABLED: Final = "Enabled"


def refuse_closed_key(target: Target, things: KeptThings) -> None:
    """Raise ``RestoreRefused`` unless the key that encrypts what is restored is enabled.

    RDS answers ``KMSKeyNotAccessibleFault`` otherwise, which for a snapshot is only seen when the
    brokers have stopped and the stack is being changed:
    https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RestoreDBClusterFromSnapshot.html
    """
    state = things.key_state(target.key) if target.key else _ENABLED
    if state == _ENABLED:
        return
    what = f"Database {target.source}" if target.source else f"Snapshot {target.snapshot}"
    raise RestoreRefused(
        f"{what} cannot be read: its key {target.key} is {state}; allowed is {_ENABLED}.",
        next_step="Nothing was changed. Enable the key, or cancel its deletion, then start the "
        "same request again.",
    )
