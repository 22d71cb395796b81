"""The cluster template's parameters, as generated from ``stacks/cluster.yaml``."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path


@functools.cache
def cluster_parameters() -> Mapping[str, Mapping[str, object]]:
    """Declarations by name: type, default, limits, description, and whether the machine sets it."""
    text = Path(__file__).with_name("cluster_parameters.json").read_text(encoding="utf-8")
    declarations: Mapping[str, Mapping[str, object]] = json.loads(text)
    return declarations
