"""Query several sources at the same time, within one time limit."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lifecycle.errors import LifecycleError
from lifecycle.observability import logger, of_aws

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class SourceResults:
    """Answers by source, and why the others have none; seconds that each took.

    ``errors`` are the names of our errors by source.
    """

    answers: dict[str, Any] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def add(self, other: SourceResults) -> SourceResults:
        """Return the results of both."""
        return SourceResults(
            self.answers | other.answers,
            self.problems | other.problems,
            self.seconds | other.seconds,
            self.errors | other.errors,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the results as JSON."""
        return {
            "answers": self.answers,
            "problems": self.problems,
            "seconds": self.seconds,
            "errors": self.errors,
        }


def query_all(
    sources: Mapping[str, Callable[[], Any]],
    *,
    seconds: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> SourceResults:
    """Query each source in a thread of its own and wait ``seconds`` at most for all of them.

    Never raises: an error is a problem of that source alone, and so is a missing answer. A source
    that hangs is abandoned; its thread ends with the process.
    """
    results = SourceResults()
    done: queue.SimpleQueue[tuple[str, Any, Exception | None]] = queue.SimpleQueue()

    def query(name: str, source: Callable[[], Any]) -> None:
        try:
            done.put((name, source(), None))
        except Exception as error:  # noqa: BLE001 - whatever it is, it concerns this source alone
            done.put((name, None, error))

    began = monotonic()
    for name, source in sources.items():
        threading.Thread(target=query, args=(name, source), name=name, daemon=True).start()
    waiting = set(sources)
    while waiting:
        left = seconds - (monotonic() - began)
        try:
            name, answer, error = done.get(timeout=max(left, 0.001))
        except queue.Empty:
            break
        waiting.discard(name)
        results.seconds[name] = round(monotonic() - began, 3)
        if error is None:
            results.answers[name] = answer
        else:
            results.problems[name] = _words(name, error)
            if isinstance(error, LifecycleError):
                results.errors[name] = type(error).__name__
    for name in waiting:
        results.problems[name] = f"no answer within {seconds:g} s"
        results.seconds[name] = seconds
    return results


def _words(name: str, error: Exception) -> str:
    known = error if isinstance(error, LifecycleError) else of_aws(error)
    if known is not None:
        return known.message
    # Only its class: the text of an unknown error may contain secrets.
    logger.error("A source failed", extra={"source": name}, exc_info=error)
    return f"it failed with {type(error).__name__}"
