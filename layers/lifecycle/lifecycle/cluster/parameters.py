"""What is generated from ``stacks/cluster.yaml``: its parameters, and the names that it sets."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@functools.cache
def cluster_parameters() -> Mapping[str, Mapping[str, object]]:
    """Declarations by name: type, default, limits, description, and whether the machine sets it."""
    text = Path(__file__).with_name("cluster_parameters.json").read_text(encoding="utf-8")
    declarations: Mapping[str, Mapping[str, object]] = json.loads(text)
    return declarations


@functools.cache
def cluster_environment() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Environment variables and secrets that the template sets, by service and name.

    Each with the parameters that decide its value; none where it is fixed.
    """
    text = Path(__file__).with_name("cluster_environment.json").read_text(encoding="utf-8")
    names: Mapping[str, Mapping[str, Sequence[str]]] = json.loads(text)
    return names
