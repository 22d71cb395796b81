"""Starts operations and follows them to their end, across lost connections."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from camunda_ecs import access, show
from camunda_ecs.api import Answer, Lost
from camunda_ecs.ends import Code, Stop
from camunda_ecs.session import Session, operation_path

POLL_SECONDS: Final = 2.0
# For how long the API may be out of reach while an operation is followed.
PATIENCE_SECONDS: Final = 300.0
_GOES_ON: Final = {"RUNNING", "PENDING_REDRIVE"}

T = TypeVar("T")


def start(
    session: Session,
    verb: str,
    method: str,
    path: str,
    body: Any,
) -> dict[str, Any]:
    """Start an operation with the key of this invocation and return it. Raises ``Stop``.

    ``verb`` is the second part of the operation's id. Without an answer the outcome is unknown,
    and the same command with the same key is what clears it up.
    """
    expected = f"{session.cluster}.{verb}.{session.key}"
    see = session.command("follow", expected)
    again = (
        f"It is not known whether {expected} was started. See it: {see}",
        f"If it does not exist, nothing was started. Repeat the command with --key {session.key}.",
    )
    return changed(session, method, path, body, unknown=again, key=session.key, match=session.match)


def changed(
    session: Session,
    method: str,
    path: str,
    body: Any = None,
    *,
    unknown: tuple[str, ...],
    **options: Any,
) -> dict[str, Any]:
    """Send a request that starts, resumes or cancels an operation, and return the operation.

    ``options`` are those of ``Api.send``. Raises as ``settled`` does.
    """

    def read(answer: Answer) -> dict[str, Any]:
        return operation(answer, method, path)

    return settled(session, method, path, body, unknown=unknown, read=read, **options)


def settled(
    session: Session,
    method: str,
    path: str,
    body: Any = None,
    *,
    unknown: tuple[str, ...],
    read: Callable[[Answer], T],
    **options: Any,
) -> T:
    """Send a request that changes something, and return what ``read`` makes of a good answer.

    Raises ``Stop``: a refusal only where nothing can have been changed, by no attempt of the
    request; else unknown, with the lines of ``unknown``, which are also the hint of an
    interruption.
    """
    session.hint = unknown
    is_open = False
    try:
        answer = session.answered(method, path, body, **options)
        is_open = not answer.is_good and _may_have_acted(answer, keyed="key" in options)
        return read(session.checked(answer, method, path))
    except Stop as stop:
        if is_open or stop.code is Code.UNKNOWN:
            raise Stop(*stop.lines, *unknown, code=Code.UNKNOWN) from stop
        raise


def _may_have_acted(answer: Answer, *, keyed: bool) -> bool:
    """Whether an error still leaves open that the request was carried out.

    A start ends with an error of its own name only when nothing was started, but for two. What has
    no key acts first and records it afterwards, so that each error but 501 may come after it.
    """
    if answer.is_doubtful:
        return True
    if answer.status < 500 or answer.status == 501:
        return False
    found = answer.document if isinstance(answer.document, Mapping) else {}
    return not keyed or found.get("error") in {None, "StartOutcomeUnknown", "AwsUnavailable"}


def operation(answer: Answer, method: str, path: str) -> dict[str, Any]:
    """Return the operation that an answer holds. Raises ``Stop`` if it holds none."""
    found = answer.document
    if not isinstance(found, dict) or not {"operationId", "status", "progress"} <= found.keys():
        raise Stop(f"The answer of {method} {path} is no operation.", code=Code.UNKNOWN)
    return found


def run(session: Session, begun: dict[str, Any]) -> Code:
    """Show an operation's id, follow it unless that is not wanted, and show its end."""
    session.hint = (goes_on(session, begun),)
    session.tell(Text(show.plain(begun["operationId"]), style="bold"))
    if not session.wait:
        session.emit(begun, [])
        session.note(f"Follow it: {session.command('follow', begun['operationId'])}")
        return Code.DONE
    ended = until_end(session, begun)
    session.emit(
        ended,
        [
            *show.end(ended),
            *show.restore_plan(ended),
            *show.former_plan(ended),
            *show.rehearsal(ended),
            *show.deleted(ended),
            *access.of_result(ended),
        ],
    )
    return code_of(session, ended)


def code_of(session: Session, ended: Mapping[str, Any]) -> Code:
    """Return the exit code of an operation that ended, with a note where it is no clear one."""
    if ended["status"] == "NOT_STARTED":
        session.note(
            "The operation was recorded, but its start is not confirmed. Send the same request "
            "with the same --key again: it starts at most once.",
            style="bold yellow",
        )
        return Code.UNKNOWN
    if ended["status"] != "SUCCEEDED" and not ended.get("error"):
        session.note(f"The operation is {ended['status']}.", style="bold red")
    return Code.DONE if ended["status"] == "SUCCEEDED" else Code.FAILED


def goes_on(session: Session, begun: Mapping[str, Any]) -> str:
    """Return that an operation goes on, and the command that follows it."""
    identifier = begun["operationId"]
    return f"{identifier} goes on. Follow it: {session.command('follow', identifier)}"


def until_end(session: Session, begun: dict[str, Any]) -> dict[str, Any]:
    """Show progress until the operation ends, and return it then. Raises ``Stop`` (unknown).

    Ctrl-C, a connection that stays lost, and credentials that expire end the following and not the
    operation, whose outcome is then not known.
    """
    path = operation_path(begun["operationId"])
    hint = goes_on(session, begun)
    session.hint = (hint,)
    warned = False

    def note(reason: str) -> None:
        nonlocal warned
        if not warned:
            session.note(hint, style="yellow")
        warned = True
        session.note(reason)

    found, pause = begun, POLL_SECONDS
    try:
        with _progress(session) as shown:
            shown(found)
            while found["status"] in _GOES_ON:
                session.world.sleep(pause)
                answer = _poll(session, path, note)
                found = operation(session.checked(answer, "GET", path), "GET", path)
                pause = answer.retry_after or POLL_SECONDS
                shown(found)
    except Lost as lost:
        raise Stop(str(lost), hint, code=Code.UNKNOWN) from lost
    except Stop as stop:
        raise Stop(*stop.lines, hint, code=Code.UNKNOWN) from stop
    session.hint = ()
    return found


def _poll(session: Session, path: str, note: Callable[[str], None]) -> Answer:
    before, session.api.note = session.api.note, note
    try:
        return session.api.get(path, patience=PATIENCE_SECONDS)
    finally:
        session.api.note = before


@contextlib.contextmanager
def _progress(session: Session) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Give what shows an operation: a bar on a terminal, else a line for each change."""
    began = session.world.clock()
    console = session.err if session.is_data else session.out
    last: tuple[Any, ...] = ()

    def changed(found: Mapping[str, Any]) -> bool:
        nonlocal last
        progress = found["progress"]
        now = (progress["step"], progress["detail"])
        is_new = now != last and any(now)
        last = now
        return is_new

    if not console.is_terminal:

        def line(found: Mapping[str, Any]) -> None:
            if changed(found):
                session.tell(progress_line(found, session.world.clock() - began))

        yield line
        return
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=None)

        def move(found: Mapping[str, Any]) -> None:
            progress = found["progress"]
            if changed(found):
                bar.console.print(progress_line(found, session.world.clock() - began))
            bar.update(
                task,
                description=show.plain(progress["step"], "starting"),
                completed=progress["done"],
                total=progress["planned"],
            )

        yield move


def progress_line(found: Mapping[str, Any], seconds: float) -> Text:
    """Return step and detail of an operation, with the seconds since the following began."""
    progress = found["progress"]
    return Text.assemble(
        (f"{seconds:6.1f} s  ", "dim"),
        f"{show.plain(progress['step'], ''):15}  ",
        (show.plain(progress["detail"], ""), "cyan"),
    )
