"""Rows under one head: how what a large cluster shows stays within what a state machine carries.

Step Functions carries 256 KiB from state to state
(https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html). What brokers return of
their replicas is thousands of objects with the same few keys, and mostly the names of those keys.
Nothing is lost, and it can be read in the console.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

# No document of Camunda, AWS or ours has such keys.
_COLUMNS: Final = "#columns"
_ROWS: Final = "#rows"
_LEAST: Final = 2


def packed(value: Any) -> Any:
    """Return JSON in which objects of the same keys, in a list or by name, are rows of a table."""
    if isinstance(value, Mapping):
        table = _table(list(value.values()))
        if table is not None:
            columns, rows = table
            return {_COLUMNS: columns, _ROWS: dict(zip(value, rows, strict=True))}
        return {key: packed(one) for key, one in value.items()}
    if isinstance(value, list):
        table = _table(value)
        if table is not None:
            columns, rows = table
            return {_COLUMNS: columns, _ROWS: rows}
        return [packed(one) for one in value]
    return value


def unpacked(value: Any) -> Any:
    """Return what was packed."""
    if isinstance(value, Mapping):
        if value.keys() == {_COLUMNS, _ROWS}:
            columns, rows = value[_COLUMNS], value[_ROWS]
            if isinstance(rows, Mapping):
                return {key: _object(columns, row) for key, row in rows.items()}
            return [_object(columns, row) for row in rows]
        return {key: unpacked(one) for key, one in value.items()}
    if isinstance(value, list):
        return [unpacked(one) for one in value]
    return value


def _table(values: Sequence[Any]) -> tuple[list[str], list[list[Any]]] | None:
    if len(values) < _LEAST or not all(isinstance(one, Mapping) and one for one in values):
        return None
    columns = list(values[0])
    if any(one.keys() != values[0].keys() for one in values):
        return None
    return columns, [[packed(one[column]) for column in columns] for one in values]


def _object(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    return {column: unpacked(one) for column, one in zip(columns, row, strict=True)}


def listed(names: Sequence[object], most: int = 8) -> str:
    """Return names for people, not more than they can read."""
    shown = ", ".join(str(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
