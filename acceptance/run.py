"""A run: its steps, their checks, and the file from which it resumes after an interruption."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from acceptance.target import Target

OK: Final = "ok"
FAILED: Final = "FAILED"
NOT_POSSIBLE: Final = "not possible here"
RUNNING: Final = "running"
_WIDTH: Final = 16


class NotPossible(Exception):
    """The target does not support what a step needs; the message is the reason."""


class CannotGoOn(Exception):
    """A precondition of later steps is missing; the message is what was seen."""


@dataclass(frozen=True)
class Step:
    """One part of the run.

    Where ``needed``, the steps after it make no sense once it failed. One that ``removes`` is not
    taken after a failure, which would be gone with what it removes.
    """

    name: str
    title: str
    act: Callable[[Run], None]
    needed: bool = False
    removes: bool = False


@dataclass
class Run:
    """A run on a target; ``state`` is all that is known of it, kept in ``path``."""

    path: Path
    target: Target
    state: dict[str, Any]
    say: Callable[[str], None] = print
    step: str = field(default="", init=False)

    # --- the file ------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the state, whole or not at all."""
        beside = self.path.with_suffix(".writing")
        beside.write_text(json.dumps(self.state, indent=2, default=str) + "\n")
        beside.replace(self.path)

    def remember(self, **facts: Any) -> None:
        """Keep what later steps, the report or cleaning up need."""
        self.state["facts"].update(facts)
        self.save()

    def fact(self, name: str, default: Any = None) -> Any:
        """Give what was remembered."""
        return self.state["facts"].get(name, default)

    @property
    def id(self) -> str:
        """Name of the run, and of its files."""
        return str(self.state["runId"])

    @property
    def stack(self) -> str:
        """Name of the control stack that this run alone makes."""
        return str(self.state["stack"])

    @property
    def record(self) -> dict[str, Any]:
        """What is known of the step that runs."""
        found: dict[str, Any] = self.state["steps"][self.step]
        return found

    def key(self, what: str) -> str:
        """Idempotency key of a request: a step that was interrupted finds its operation again.

        One that failed makes a new one. At most 40 characters, as the API takes them.
        """
        return f"{self.id}-{self.step}-{what}-{self.record['attempt']}"[-40:]

    # --- checks --------------------------------------------------------------------------------

    def check(self, name: str, *, expected: object, seen: object, ok: bool | None = None) -> bool:
        """Record and show one check; without ``ok``, what was seen has to be what was expected."""
        good = expected == seen if ok is None else ok
        self._note(name, str(expected), str(seen), OK if good else FAILED)
        return good

    def need(self, name: str, *, expected: object, seen: object, ok: bool | None = None) -> None:
        """Check what everything after it rests on. Raises ``CannotGoOn``."""
        if not self.check(name, expected=expected, seen=seen, ok=ok):
            raise CannotGoOn(name)

    def not_possible(self, name: str, reason: str) -> None:
        """Record what could not be checked here."""
        self._note(name, "", reason, NOT_POSSIBLE)

    def _note(self, name: str, expected: str, seen: str, result: str) -> None:
        entry = {"name": name, "expected": expected, "seen": seen, "result": result}
        self.record["checks"].append(entry)
        self.save()
        self.say(f"  {result:{_WIDTH if result == NOT_POSSIBLE else 6}}  {name}: {seen}")
        if result == FAILED:
            self.say(f"          expected: {expected}")

    def progress(self, words: str) -> None:
        """Show the progress of something slow."""
        self.say(f"          {words}")

    def eventually[T](
        self, look: Callable[[], T], good: Callable[[T], bool], seconds: float, pause: float = 1
    ) -> T:
        """Poll until it is good or the time is over; returns what was seen last."""
        deadline = time.monotonic() + seconds
        while not good(seen := look()) and time.monotonic() < deadline:
            time.sleep(pause if self.target.local else max(pause, 5))
        return seen


def new_state(run_id: str, stack: str, target: Target, **settings: Any) -> dict[str, Any]:
    """Give the state of a run that has not begun."""
    return {
        "runId": run_id,
        "stack": stack,
        "region": target.region,
        "endpoints": str(target.endpoints) if target.endpoints else None,
        "settings": settings,
        "startedAt": _now(),
        "steps": {},
        "facts": {},
        # What the run made, by stack: type and id, so that what outlives a stack is found again.
        "inventory": {},
    }


def load(path: Path) -> dict[str, Any]:
    """Read a state. Raises ``FileNotFoundError``."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def still_to_do(steps: Sequence[Step], state: dict[str, Any]) -> list[Step]:
    """Give the steps that have not ended well, in their order."""
    done = {OK, NOT_POSSIBLE}
    return [s for s in steps if state["steps"].get(s.name, {}).get("status") not in done]


def perform(
    run: Run, steps: Sequence[Step], agreed: Callable[[Step], bool] = lambda _: True
) -> bool:
    """Take every step that is still to do and ``agreed``; gives whether the whole run is well.

    Raises ``KeyboardInterrupt`` and leaves the state so that the run can go on.
    """
    for step in still_to_do(steps, run.state):
        if step.removes and FAILED in {one["status"] for one in run.state["steps"].values()}:
            run.say("\nSomething failed: everything is left as it is for inspection.")
            break
        if not agreed(step):
            break
        _begin(run, step)
        began = time.monotonic()
        run.say(f"\n{step.title}")
        go_on = True
        try:
            step.act(run)
        except NotPossible as reason:
            run.not_possible(step.title, str(reason))
        except CannotGoOn as reason:
            go_on = False
            if judge(run.record["checks"]) != FAILED:
                run.check(step.title, expected="to go on", seen=reason, ok=False)
        except Exception as error:  # noqa: BLE001 - any error belongs in the report
            words = f"{type(error).__name__}: {error}"
            run.check(step.title, expected="no error", seen=words)
        finally:
            run.record["seconds"] += round(time.monotonic() - began, 1)
            run.save()
        run.record["status"] = judge(run.record["checks"])
        run.record["endedAt"] = _now()
        run.save()
        run.say(f"  {run.record['status']}, {run.record['seconds']:.0f} s")
        if run.record["status"] == FAILED and (step.needed or not go_on):
            run.say("  Later steps depend on this one: skipped.")
            break
    return all(
        run.state["steps"].get(s.name, {}).get("status") in {OK, NOT_POSSIBLE} for s in steps
    )


def judge(checks: Sequence[dict[str, str]]) -> str:
    """Give the status of a step by its checks: the worst of them, and never ok without any."""
    results = {check["result"] for check in checks}
    if FAILED in results:
        return FAILED
    return OK if results == {OK} else NOT_POSSIBLE


def _begin(run: Run, step: Step) -> None:
    before = run.state["steps"].get(step.name)
    interrupted = before is not None and before["status"] == RUNNING
    attempt = 1 if before is None else before["attempt"] + (0 if interrupted else 1)
    run.state["steps"][step.name] = {
        "title": step.title,
        "status": RUNNING,
        "attempt": attempt,
        "startedAt": before["startedAt"] if before and interrupted else _now(),
        "seconds": before["seconds"] if before and interrupted else 0,
        "checks": [],
    }
    run.step = step.name
    run.save()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_id() -> str:
    """Give a name for a run: when it began, short enough for the names of stacks."""
    return f"{datetime.now(UTC):%m%d%H%M}{os.getpid() % 100:02d}"
