"""Write what is derived from the command line and for it.

``cli/src/camunda_ecs/__init__.py`` gets the release, and ``rights.json`` beside it the API's part
of the ready policies, ``sizes.json`` what parameters may be, ``prices.py`` and ``prices.json`` are
copies of the layer's; ``docs/cli.md`` gets the reference of the commands, ``cli/camunda-ecs.1``
their manual page. Run by ``make generate``; a test refuses drift.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
import typer.main
from camunda_ecs.app import EXIT_CODES, app
from camunda_ecs.cost import OPTIONS
from camunda_ecs.rights import ORDER
from lifecycle import __version__
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.provisioning.request import FARGATE_MEMORY, allowed_of, sizes_of

from tools.generate_parameters import load_template

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
VERSION: Final = ROOT / "cli" / "src" / "camunda_ecs" / "__init__.py"
RIGHTS: Final = ROOT / "cli" / "src" / "camunda_ecs" / "rights.json"
SIZES: Final = RIGHTS.with_name("sizes.json")
_PRICES: Final = ROOT / "layers" / "lifecycle" / "lifecycle" / "cluster"
PAGE: Final = ROOT / "docs" / "cli.md"
MANUAL: Final = ROOT / "cli" / "camunda-ecs.1"
BEGIN: Final = "<!-- commands -->"
END: Final = "<!-- end -->"
_RESOURCE: Final = re.compile(r"arn:aws[a-z-]*:execute-api:[^:]*:[^:]*:[^/]+/[^/]+/(.+)")


def version(text: str) -> str:
    """Return the command line's ``__init__.py`` with the release in it."""
    return re.sub(r'(?m)^__version__ = ".*"$', f'__version__ = "{__version__}"', text)


def rights() -> str:
    """Return the paths that each ready policy allows on the API, as JSON."""
    found = {}
    for policy in ORDER:
        document = json.loads((ROOT / "docs" / "policies" / f"{policy}.json").read_text())
        resources = [
            resource
            for statement in document["Statement"]
            if statement["Effect"] == "Allow" and "execute-api:Invoke" in statement["Action"]
            for resource in statement["Resource"]
        ]
        found[policy] = sorted(
            match[1] for resource in resources if (match := _RESOURCE.fullmatch(resource))
        )
    return json.dumps(found, indent=2) + "\n"


def prices() -> dict[Path, str]:
    """Return the copies of the formula and of the prices, by path."""
    mark = "# Copied from layers/lifecycle/lifecycle/cluster by `make generate`: change it there.\n"
    return {
        SIZES.with_name("prices.py"): mark + (_PRICES / "prices.py").read_text(),
        SIZES.with_name("prices.json"): (_PRICES / "prices.json").read_text(),
    }


def sizes() -> str:
    """Return the parameters that decide what is paid for, as JSON: default and what is allowed.

    Texts are those of the API's refusals. ``memory`` has Fargate's sizes in MiB by CPU units.
    """
    declared = {
        **cluster_parameters(),
        "NatGateways": load_template(ROOT / "template.yaml")["Parameters"]["NatGateways"],
    }
    # The template of the control plane is read as CloudFormation writes it.
    network = declared["NatGateways"]
    declared["NatGateways"] = {
        "type": "Number",
        "default": str(network["Default"]),
        "allowedValues": [str(value) for value in network["AllowedValues"]],
    }
    found = {
        name: {
            **{
                key: declared[name][key]
                for key in ("type", "default", "min", "max", "allowedValues", "allowedPattern")
                if key in declared[name]
            },
            "allowed": allowed_of(declared[name]),
        }
        for name in OPTIONS
    }
    memory = {
        str(cpu): {"sizes": list(sizes), "allowed": f"{sizes_of(sizes)} MiB"}
        for cpu, sizes in FARGATE_MEMORY.items()
    }
    return json.dumps({"parameters": found, "memory": memory}, indent=2) + "\n"


def reference() -> str:
    """Return the reference of all commands as Markdown, made by Typer."""
    from typer.cli import get_docs_for_click

    group = _group()
    context = typer.Context(group, info_name=app.info.name)
    text = get_docs_for_click(obj=group, ctx=context, name=str(app.info.name), indent=1)
    # Its headings name the commands; ours has a title of its own.
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def page(text: str) -> str:
    """Return ``docs/cli.md`` with the reference in its place."""
    before, rest = text.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    return f"{before}{BEGIN}\n{reference()}{END}{after}"


def manual() -> str:
    """Return the manual page, in the macros of man(7)."""
    group = _group()
    context = typer.Context(group, info_name=app.info.name)
    name = str(app.info.name)
    lines = [
        f'.TH {name.upper()} 1 "" "{name} {__version__}" "Camunda 8 on Amazon ECS"',
        ".SH NAME",
        f"{name} \\- {_roff(_first(group.help))}",
        ".SH SYNOPSIS",
        f".B {name}",
        ".I command",
        "[options]",
        ".SH OPTIONS",
        *_options(group, context),
        ".SH COMMANDS",
    ]
    for title, one in group.commands.items():
        inner = typer.Context(one, info_name=title, parent=context)
        pieces = " ".join(one.collect_usage_pieces(inner))
        lines += [f".SS {_roff(f'{title} {pieces}')}", *_paragraphs(one.help)]
        lines += _options(one, inner)
    lines += [
        ".SH EXIT STATUS",
        _roff(EXIT_CODES),
        ".SH ENVIRONMENT",
        ".TP",
        ".B CAMUNDA_ECS_API_URL, CAMUNDA_ECS_CLUSTER",
        _roff("Defaults of --api-url and --cluster."),
        ".TP",
        ".B AWS_PROFILE, AWS_REGION, AWS_CA_BUNDLE, HTTPS_PROXY",
        _roff("As AWS's own tools read them."),
        ".TP",
        ".B NO_COLOR",
        "No colours.",
        ".SH FILES",
        ".TP",
        ".I .local/endpoints.json",
        _roff("Endpoints of an instance of `make up`, in this directory or above it."),
    ]
    return "\n".join(lines) + "\n"


def _group() -> Any:
    return typer.main.get_command(app)


def _options(one: Any, context: Any) -> Iterator[str]:
    for parameter in one.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        names, text = record
        yield ".TP"
        yield f".B {_roff(names)}"
        yield _roff(" ".join(str(text).split()))


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        yield _roff(" ".join(paragraph.split()))


def _first(text: str) -> str:
    return " ".join(text.split("\n\n", maxsplit=1)[0].split()).rstrip(".")


def _roff(text: str) -> str:
    """Escape text: hyphens stay hyphens, and no line is a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main() -> None:
    """Write the files."""
    VERSION.write_text(version(VERSION.read_text()))
    RIGHTS.write_text(rights())
    SIZES.write_text(sizes())
    for path, text in prices().items():
        path.write_text(text)
    PAGE.write_text(page(PAGE.read_text()))
    MANUAL.write_text(manual())


if __name__ == "__main__":
    main()
