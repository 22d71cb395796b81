"""Policy statements as they stand in the templates, with their lines and the comments beside."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.nested import CONTROL, flattened, in_root, templates
from tools.generate_parameters import ROOT, load_template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPLATES = (CONTROL, *sorted((ROOT / "stacks").glob("*.yaml")))
# Before a wildcard in an ARN, these make it harmless: a name of ours, another resource's own ARN.
_ANCHOR = re.compile(
    r"camunda|\$\{AWS::StackName\}|\$\{[A-Za-z]+\.(Arn|Outputs\.[A-Za-z]+)\}|\$\{[A-Za-z]+\}"
)


@dataclass(frozen=True)
class Statement:
    """One statement: where it stands, whose it is, what it says, what is said about it."""

    template: Path
    line: int
    path: tuple[str, ...]
    content: Any
    comments: str

    @property
    def owner(self) -> str:
        """Logical id of the resource that the statement belongs to."""
        return self.path[1]

    @property
    def allows(self) -> bool:
        return bool(self.content["Effect"] == "Allow")

    @property
    def actions(self) -> list[str]:
        return _listed(self.content.get("Action", self.content.get("NotAction")))

    @property
    def resources(self) -> list[Any]:
        return _listed(self.content.get("Resource", []))

    @property
    def is_of_a_role(self) -> bool:
        """Whether it says what its holder may do; else it guards a resource, which is its `*`."""
        return "Principal" not in self.content

    def __str__(self) -> str:
        return f"{self.template.name}:{self.line} ({self.owner})"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@functools.cache
def content(template: Path = CONTROL) -> Any:
    """Return a template, the control plane's with its nested stacks in it; read-only."""
    return flattened() if template == CONTROL else load_template(template)


@functools.cache
def statements(template: Path) -> tuple[Statement, ...]:
    """Every policy statement of a template, in the order of the text."""
    text = template.read_text()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None
    written = load_template(template)
    lines = text.splitlines()
    return tuple(
        Statement(
            template,
            node.start_mark.line + 1,
            tuple(str(step) for step in path),
            _follow(written, path),
            _comments(lines, node),
        )
        for path, node in _nodes(root, ())
        if isinstance(node, yaml.MappingNode) and "Effect" in {key.value for key, _ in node.value}
    )


def of(logical_id: str, template: Path = CONTROL) -> list[Statement]:
    """Give the statements of one resource, and those of the policies that it attaches.

    Of the control plane, also the resources of its nested stacks, with values as in the root.
    """
    if template != CONTROL:
        return [one for one in statements(template) if one.owner == logical_id]
    resource = content()["Resources"][logical_id]
    properties = resource.get("Properties", {})
    attached = [*properties.get("Policies", []), *properties.get("ManagedPolicyArns", [])]
    owners = [logical_id, *(one["Ref"] for one in attached if "Ref" in one)]
    return [one for owner in owners for one in _of_control_plane() if one.owner == owner]


@functools.cache
def _of_control_plane() -> tuple[Statement, ...]:
    nested = [
        replace(one, content=in_root(one.content, stack))
        for stack, template in templates().items()
        for one in statements(template)
    ]
    return (*statements(CONTROL), *nested)


def _nodes(node: yaml.Node, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], yaml.Node]]:
    yield path, node
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _nodes(value, _step(path, node, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _nodes(value, _step(path, node, index))


def _step(path: tuple[Any, ...], node: yaml.Node, key: Any) -> tuple[Any, ...]:
    # `!If [A, B]` in the text is `{"Fn::If": [A, B]}` where it was read.
    if node.tag.startswith("!"):
        return (*path, f"Fn::{node.tag[1:]}", key)
    return (*path, key)


def _follow(node: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        node = node[step]
    return node


def _comments(lines: list[str], node: yaml.Node) -> str:
    """Comment lines right above a statement, and all comments within it."""
    first = node.start_mark.line
    last = max(
        leaf.end_mark.line for _, leaf in _nodes(node, ()) if isinstance(leaf, yaml.ScalarNode)
    )
    above = first
    while above > 0 and lines[above - 1].lstrip().startswith("#"):
        above -= 1
    found = re.findall(r"(?:^\s*|\s)#\s*(.+)", "\n".join(lines[above : last + 1]), re.MULTILINE)
    return " ".join(found)


def is_open(resource: Any) -> bool:
    """Tell whether a resource has a wildcard that no name of ours comes before."""
    if isinstance(resource, dict):
        ((function, value),) = resource.items()
        if function == "Fn::If":
            return any(is_open(one) for one in value[1:])
        if function != "Fn::Sub":
            return False
        resource = value
    if not isinstance(resource, str):
        return False
    if not resource.startswith("arn:"):
        before, star, _ = resource.partition("*")
        return bool(star) and not _ANCHOR.search(before)
    *_, region, account, named = resource.split(":", 5)
    before, star, _ = named.partition("*")
    return "*" in region + account or (bool(star) and not _ANCHOR.search(before))
