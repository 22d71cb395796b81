"""The options that commands share, and the decorator that adds them to a command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer
from rich.text import Text

from camunda_ecs import show
from camunda_ecs.ends import Code, Stop
from camunda_ecs.session import Output, Session, World

P = ParamSpec("P")
Function = Callable[Concatenate[Session, P], IntEnum | None]

ApiUrl = Annotated[
    str | None,
    typer.Option(
        "--api-url",
        envvar="CAMUNDA_ECS_API_URL",
        show_default=False,
        help="URL of the API, the output ApiUrl of the control stack. Without it, the instance of "
        "`make up` in this directory or above it.",
        rich_help_panel="Target",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        show_default=False,
        help="AWS profile whose credentials sign the requests.",
        rich_help_panel="Target",
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        "--region",
        show_default=False,
        help="AWS region of the API. Needed only if its URL does not contain it.",
        rich_help_panel="Target",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        "-c",
        envvar="CAMUNDA_ECS_CLUSTER",
        show_default=False,
        help="Name of the cluster. There is no default; only an instance of `make up` has one.",
        rich_help_panel="Target",
    ),
]
Format = Annotated[
    Output,
    typer.Option(
        "-o", "--output", help="Format of stdout; with json and yaml, progress goes to stderr."
    ),
]
Yes = Annotated[
    bool,
    typer.Option("--yes", "-y", help="No confirmation. Required without a terminal."),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return when the operation has started.")]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        show_default=False,
        help="Idempotency-Key, also the last part of the operation's id. The same command with "
        "the same key starts one operation. Generated if omitted.",
    ),
]

_TARGET: Final = {"api_url": ApiUrl, "profile": Profile, "region": Region}
_DEFAULTS: Final[dict[str, Any]] = {
    "output": Output.TABLE,
    "yes": False,
    "no_wait": False,
}


def command(
    app: typer.Typer,
    name: str,
    *,
    target: bool = True,
    cluster: bool = False,
    confirmed: bool = False,
    starts: bool = False,
    keyed: bool = False,
) -> Callable[[Function[P]], Callable[..., None]]:
    """Register a command with the options that it shares with others.

    The function gets a ``Session`` first, then its own parameters, and returns the exit code.
    ``target``: it sends requests; ``cluster``: it works on one cluster; ``confirmed``: it asks
    before it acts; ``starts``: it follows an operation; ``keyed``: that operation has an
    Idempotency-Key.
    """
    shared: dict[str, Any] = dict(_TARGET) if target else {}
    if cluster:
        shared["cluster"] = Cluster
    if confirmed:
        shared["yes"] = Yes
    if starts:
        shared["no_wait"] = NoWait
    if keyed:
        shared["key"] = Key
    shared["output"] = Format

    def register(function: Function[P]) -> Callable[..., None]:
        def invoked(ctx: typer.Context, **given: Any) -> None:
            options = {one: given.pop(one) for one in shared}
            session = Session(
                world=ctx.obj if isinstance(ctx.obj, World) else World(),
                api_url=options.get("api_url"),
                profile=options.get("profile"),
                region=options.get("region"),
                output=options["output"],
                named_cluster=options.get("cluster"),
                yes=options.get("yes", False),
                wait=not options.get("no_wait", False),
                given_key=options.get("key"),
            )
            _run(session, partial(function, session, **given))

        # The command line is read from the signature: the function's own parameters, then ours.
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        context = inspect.Parameter(
            "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
        added = [
            inspect.Parameter(
                one,
                inspect.Parameter.KEYWORD_ONLY,
                default=_DEFAULTS.get(one),
                annotation=annotation,
            )
            for one, annotation in shared.items()
        ]
        keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        parameters = [context, *keywords, *added]
        invoked.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        invoked.__annotations__ = {one.name: one.annotation for one in parameters}
        invoked.__doc__ = function.__doc__
        app.command(name)(invoked)
        return invoked

    return register


def _run(session: Session, act: Callable[[], IntEnum | None]) -> None:
    """Run a command to its exit code."""
    try:
        code = act() or Code.DONE
    except Stop as stop:
        first, *others = stop.lines
        session.err.print(Text(show.plain(first), style="bold red"), soft_wrap=True)
        for line in others:
            session.err.print(Text(show.plain(line)), soft_wrap=True)
        code = stop.code
    except (KeyboardInterrupt, typer.Abort):
        for line in ("Interrupted.", *session.hint):
            session.note(line, style="bold yellow")
        code = Code.INTERRUPTED
    raise typer.Exit(int(code))
