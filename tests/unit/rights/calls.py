"""Which AWS operations a handler can reach, read from the source and not from a run.

The walk starts at every function of ``functions/<folder>/handler.py``, follows wiring into
operations and adapters, and ends at the methods of boto3 clients. It knows types only as far as
the code's own style goes: objects made by naming their class, dataclass fields, parameters,
properties. What it cannot follow it leaves out; ``test_functions.py`` therefore also asserts that
no operation written anywhere in the adapters was left out by all functions together.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import functools
import importlib
import importlib.util
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from lifecycle.adapters.aws import session as aws

ROOT = Path(__file__).parents[3]
PACKAGE = ROOT / "layers" / "lifecycle" / "lifecycle"
NOT_OPERATIONS = {"exceptions", "meta"}

OF_A_VERSION = " of a version"
PRESIGN = "generate_presigned_url"
Operation = tuple[str, str]
"""A boto3 service and the method called: ``("ecs", "update_service")``.

What S3 does with one version of an object is ``("s3", "get_object of a version")``.
"""
Values = tuple[Any, ...]
"""What an expression may be; empty when that is unknown."""


@dataclass(frozen=True)
class Client:
    """A boto3 client."""

    service: str


@dataclass(frozen=True)
class ClientMethod:
    """A method of a boto3 client."""

    service: str
    name: str


@dataclass(eq=False)
class Made:
    """An object of one of the project's classes."""

    kind: type
    fields: Mapping[str, Values] = field(default_factory=dict)


@dataclass(eq=False)
class Table:
    """A dictionary whose values are known."""

    entries: Mapping[Any, Values]

    @property
    def anything(self) -> Values:
        """What any of its values may be."""
        found: Values = ()
        for values in self.entries.values():
            found = _union(found, values)
        return found


@dataclass(eq=False)
class Bound:
    """A function with the object it is a method of, and the variables around it."""

    node: ast.FunctionDef | ast.Lambda
    names: Mapping[str, Any]
    owner: Made | None = None
    around: Mapping[str, Values] = field(default_factory=dict)


def modules_of(folder: str) -> frozenset[str]:
    """The project's modules that the handler can come to import."""
    return frozenset(_walked(folder).modules)


def operations_of(folder: str) -> frozenset[Operation]:
    """Every AWS operation that ``functions/<folder>/handler.py`` can reach."""
    return frozenset(_walked(folder).found)


@functools.cache
def _walked(folder: str) -> _Walk:
    module = _load(ROOT / "functions" / folder / "handler.py")
    walk = _Walk()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef):
            walk.call(Bound(node, vars(module)), {})
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    walk.call(Bound(method, vars(module), Made(getattr(module, node.name))), {})
        else:
            walk.statements([node], {}, vars(module))
    return walk


def written_operations() -> set[Operation]:
    """Every operation that a method of an adapter calls on the client of its class or function."""
    walk = _Walk()
    for module in adapter_modules():
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__:
                for name in vars(kind):
                    if not name.startswith("__"):
                        walk.visit_member(walk.make(kind), name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__:
                walk.call(_bound(getattr(module, name)), {})
    return walk.found


def adapter_modules() -> Iterator[ModuleType]:
    """Modules of ``lifecycle.adapters.aws``."""
    for path in sorted((PACKAGE / "adapters" / "aws").glob("*.py")):
        if path.stem != "__init__":
            yield importlib.import_module(f"lifecycle.adapters.aws.{path.stem}")


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"rights_of_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def _source(function: FunctionType) -> ast.FunctionDef:
    (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(node, ast.FunctionDef)
    return node


def _bound(function: Any, owner: Made | None = None) -> Bound:
    plain = inspect.unwrap(function)
    return Bound(_source(plain), plain.__globals__, owner)


def _is_ours(value: Any) -> bool:
    module = getattr(value, "__module__", None) or ""
    return module.startswith(("lifecycle", "rights_of_"))


class _Walk:
    def __init__(self) -> None:
        self.found: set[Operation] = set()
        self.modules: set[str] = set()
        self._active: set[tuple[Any, ...]] = set()
        self._answers: dict[tuple[Any, ...], Values] = {}

    # --- functions -------------------------------------------------------------------------

    def call(self, function: Bound, given: Mapping[str, Values]) -> Values:
        """Walk through a function; returns what it may return."""
        key = (function.node, _identity(function.owner), _identities(given))
        if key in self._answers or key in self._active:
            return self._answers.get(key, ())
        self._active.add(key)
        self._note(str(function.names.get("__name__", "")))
        local = {**function.around, **given}
        if function.owner is not None and isinstance(function.node, ast.FunctionDef):
            first = function.node.args.args[:1]
            if first and first[0].arg == "self":
                local["self"] = (function.owner,)
        if isinstance(function.node, ast.Lambda):
            answer = self.value(function.node.body, local, function.names)
        else:
            # Twice: a variable may be used in the text before the line that says what it is.
            self.statements(function.node.body, local, function.names)
            answer = self.statements(function.node.body, local, function.names)
        self._active.discard(key)
        self._answers[key] = answer
        return answer

    def visit_member(self, owner: Made, name: str) -> Values:
        """Give an object's field, the value of its property, or one of its methods."""
        if name in owner.fields:
            return owner.fields[name]
        member = inspect.getattr_static(owner.kind, name, None)
        if isinstance(member, property):
            return self.call(_bound(member.fget, owner), {})
        if isinstance(member, functools.cached_property):
            return self.call(_bound(member.func, owner), {})
        if isinstance(member, staticmethod):
            return (_bound(member.__func__),)
        if isinstance(member, classmethod):
            return (_bound(member.__func__),)
        if isinstance(member, FunctionType) and _is_ours(member):
            bound = _bound(member, owner)
            self.call(bound, {})
            return (bound,)
        return ()

    def statements(
        self, body: Iterable[ast.stmt], local: dict[str, Values], names: Mapping[str, Any]
    ) -> Values:
        answer: Values = ()
        for node in body:
            match node:
                case ast.FunctionDef():
                    inner = Bound(node, names, around=local)
                    local[node.name] = (inner,)
                    self.call(inner, {})
                case ast.ImportFrom(module=str(module)):
                    self._note(module)
                    for alias in node.names:
                        value = getattr(importlib.import_module(module), alias.name, None)
                        local[alias.asname or alias.name] = self._known(value)
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self._assign(target, value, local, names)
                case ast.AnnAssign(target=target, value=ast.expr() as value):
                    self._assign(target, value, local, names)
                case ast.Return(value=ast.expr() as value):
                    answer = _union(answer, self.value(value, local, names))
                case _:
                    for child in ast.iter_child_nodes(node):
                        if isinstance(child, ast.stmt):
                            answer = _union(answer, self.statements([child], local, names))
                        else:
                            answer = _union(answer, self._inside(child, local, names))
        return answer

    def _note(self, module: str) -> None:
        if module.startswith("lifecycle"):
            self.modules.add(module)

    def _assign(
        self,
        target: ast.expr,
        value: ast.expr,
        local: dict[str, Values],
        names: Mapping[str, Any],
    ) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, part in zip(target.elts, value.elts, strict=True):
                self._assign(one, part, local, names)
            return
        values = self.value(value, local, names)
        if isinstance(target, ast.Name):
            local[target.id] = _union(local.get(target.id, ()), values)

    def _inside(self, node: ast.AST, local: dict[str, Values], names: Mapping[str, Any]) -> Values:
        """Visit what is neither a statement nor an expression: handlers, cases, with-items."""
        if isinstance(node, ast.expr):
            self.value(node, local, names)
            return ()
        if isinstance(node, ast.withitem):
            values = self.value(node.context_expr, local, names)
            if isinstance(node.optional_vars, ast.Name):
                local[node.optional_vars.id] = values
            return ()
        answer: Values = ()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                answer = _union(answer, self.statements([child], local, names))
            else:
                answer = _union(answer, self._inside(child, local, names))
        return answer

    # --- expressions -----------------------------------------------------------------------

    def value(  # noqa: PLR0912 - one branch per kind of expression
        self, node: ast.expr, local: dict[str, Values], names: Mapping[str, Any]
    ) -> Values:
        """Visit an expression and tell what it may be."""
        match node:
            case ast.Name(id=name):
                if name in local:
                    return local[name]
                return self._known(names.get(name, getattr(builtins, name, None)))
            case ast.Constant(value=value):
                return (value,)
            case ast.Attribute(value=inner, attr=name):
                found: Values = ()
                for owner in self.value(inner, local, names):
                    found = _union(found, self._attribute(owner, name))
                return found
            case ast.Call():
                return self._call(node, local, names)
            case ast.Lambda():
                inner_function = Bound(node, names, around=dict(local))
                self.call(inner_function, {})
                return (inner_function,)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self.value(test, local, names)
                return _union(self.value(body, local, names), self.value(orelse, local, names))
            case ast.BoolOp(values=values):
                answer: Values = ()
                for value in values:
                    answer = _union(answer, self.value(value, local, names))
                return answer
            case ast.Dict(keys=keys, values=values):
                return (
                    Table(
                        {
                            getattr(key, "value", key): self.value(value, local, names)
                            for key, value in zip(keys, values, strict=True)
                        }
                    ),
                )
            case ast.Subscript(value=value, slice=index):
                self.value(index, local, names)
                answer = ()
                for owner in self.value(value, local, names):
                    if isinstance(owner, Table):
                        answer = _union(answer, owner.anything)
                return answer
        for child in ast.iter_child_nodes(node):
            self._inside(child, local, names)
        return ()

    def _known(self, value: Any) -> Values:
        if isinstance(value, (type, FunctionType)) and _is_ours(value):
            return (value,)
        if callable(value) and _is_ours(inspect.unwrap(value)):
            return (inspect.unwrap(value),)
        if isinstance(value, Mapping):
            return (Table({key: self._known(one) for key, one in value.items()}),)
        return ()

    def _attribute(self, owner: Any, name: str) -> Values:
        if isinstance(owner, Client):
            if name in NOT_OPERATIONS:
                return ()
            if name not in {"get_paginator", "get_waiter", PRESIGN}:
                self.found.add((owner.service, name))
            return (ClientMethod(owner.service, name),)
        if isinstance(owner, Made):
            return self.visit_member(owner, name)
        if isinstance(owner, Table) and name == "get":
            return (owner,)
        if isinstance(owner, type) and _is_ours(owner):
            return self.visit_member(Made(owner), name)
        return ()

    def _call(self, node: ast.Call, local: dict[str, Values], names: Mapping[str, Any]) -> Values:
        arguments = [self.value(argument, local, names) for argument in node.args]
        keywords = {
            keyword.arg: self.value(keyword.value, local, names)
            for keyword in node.keywords
            if keyword.arg
        }
        for keyword in node.keywords:
            if keyword.arg is None:
                for table in self.value(keyword.value, local, names):
                    if isinstance(table, Table):
                        keywords |= {str(key): values for key, values in table.entries.items()}
        answer: Values = ()
        before = frozenset(self.found)
        for function in self.value(node.func, local, names):
            of_a_version = isinstance(function, ClientMethod) and "VersionId" in keywords
            if of_a_version and function.service == "s3":
                # Another right: that for the object itself is not needed then.
                self.found -= {(function.service, function.name)} - before
                self.found.add((function.service, f"{function.name}{OF_A_VERSION}"))
            answer = _union(answer, self._called(function, arguments, keywords))
        return answer

    def _called(
        self, function: Any, arguments: list[Values], keywords: dict[str, Values]
    ) -> Values:
        if function is inspect.unwrap(aws.client):
            (service,) = arguments[0]
            return (Client(service),)
        if isinstance(function, Table):  # its method `get`
            return function.anything
        if isinstance(function, ClientMethod):
            if function.name == "get_paginator":
                # Unknown where the name is a parameter; then the callers' walks know it.
                self.found.update((function.service, name) for name in arguments[0])
            elif function.name == PRESIGN:
                # Who follows the link has the rights of who signed it.
                of_a_version = any("VersionId" in table.entries for table in keywords["Params"])
                ending = OF_A_VERSION if of_a_version else ""
                self.found.update((function.service, f"{name}{ending}") for name in arguments[0])
            elif function.name == "get_waiter":
                raise NotImplementedError(f"which operation does waiter {arguments[0]} call?")
            return ()
        if isinstance(function, type):
            return (self._make(function, arguments, keywords),)
        if isinstance(function, FunctionType):
            function = _bound(function)
        if isinstance(function, Bound):
            return self.call(function, _parameters(function, arguments, keywords))
        return ()

    def make(self, kind: type) -> Made:
        """An object of a class whose arguments are unknown."""
        return self._make(kind, [], {})

    def _make(self, kind: type, arguments: list[Values], keywords: dict[str, Values]) -> Made:
        if dataclasses.is_dataclass(kind):
            names = [one.name for one in dataclasses.fields(kind)]
            return Made(kind, dict(zip(names, arguments, strict=False)) | keywords)
        made = Made(kind)
        init = inspect.getattr_static(kind, "__init__", None)
        if isinstance(init, FunctionType):
            bound = _bound(init, made)
            given = _parameters(bound, arguments, keywords)
            self.call(bound, given)
            return Made(kind, self._fields_set_in(bound, given))
        return made

    def _fields_set_in(self, init: Bound, given: Mapping[str, Values]) -> dict[str, Values]:
        return {
            node.targets[0].attr: self.value(node.value, dict(given), init.names)
            for node in ast.walk(init.node)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute)
        }


def _parameters(
    function: Bound, arguments: list[Values], keywords: dict[str, Values]
) -> dict[str, Values]:
    declared = function.node.args
    names = [parameter.arg for parameter in (*declared.posonlyargs, *declared.args)]
    if names[:1] in (["self"], ["cls"]):
        names = names[1:]
    return dict(zip(names, arguments, strict=False)) | keywords


def _union(left: Values, right: Values) -> Values:
    return left + tuple(value for value in right if not any(value is one for one in left))


def _identity(value: Any) -> Any:
    """Equal for objects that are made alike, so that a walk through recursion ends."""
    if isinstance(value, Made):
        return value.kind, _identities(value.fields)
    if isinstance(value, Bound):
        return value.node, _identity(value.owner)
    if isinstance(value, Table):
        return _identities({str(key): values for key, values in value.entries.items()})
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def _identities(given: Mapping[str, Values]) -> Any:
    return tuple(
        (name, tuple(_identity(value) for value in values))
        for name, values in sorted(given.items())
    )
