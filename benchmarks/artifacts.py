"""The functions as `sam build` makes them: where their code and layers are, and how big."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.component import Instance
from local.config import REPOSITORY, LocalConfig
from local.deploy import build
from tools.generate_parameters import load_template

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parent / "results"
LIMIT_MB = 60


@dataclass(frozen=True)
class Built:
    """One function: its package, its layers in their order, what its template sets."""

    name: str
    folder: str
    code: Path
    layers: Sequence[Path]

    @property
    def size_mb(self) -> float:
        """Unzipped, with all layers, without compiled files that builds leave; 10^6 bytes."""
        return sum(_size(path) for path in (self.code, *self.layers)) / 1e6


def instance() -> Instance:
    """Where the build's log goes; nothing is started."""
    return Instance.of(LocalConfig(REPOSITORY / ".local-benchmarks"))


def functions() -> list[Built]:
    """Build with the real SAM CLI and give every function."""
    template = build(instance(), REPOSITORY / "template.yaml", REPOSITORY / ".aws-sam" / "build")
    content = load_template(template)
    shared = content["Globals"]["Function"].get("Layers", [])

    def layer(reference: dict[str, str]) -> Path:
        uri: str = content["Resources"][reference["Ref"]]["Properties"]["ContentUri"]
        return (template.parent / uri).resolve()

    return [
        Built(
            name=name,
            folder=_folder(name),
            code=(template.parent / resource["Properties"]["CodeUri"]).resolve(),
            layers=[layer(one) for one in (*shared, *resource["Properties"].get("Layers", []))],
        )
        for name, resource in sorted(content["Resources"].items())
        if resource["Type"] == "AWS::Serverless::Function"
    ]


def _folder(name: str) -> str:
    source = load_template(REPOSITORY / "template.yaml")["Resources"][name]["Properties"]["CodeUri"]
    return str(source).removeprefix("functions/")


def _size(root: Path) -> int:
    return sum(
        path.stat().st_size
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def write(name: str, figures: dict[str, Any], table: str, verb: str = "Measured") -> None:
    """Keep figures as JSON and as a table, with when and on what they were measured.

    ``verb`` for what no clock was held to.
    """
    RESULTS.mkdir(exist_ok=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    measured = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "machine": f"{platform.machine()}, {_processors()} processors, Python {sys.version[:6]}",
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(measured | figures, indent=2) + "\n")
    head = f"{verb} {measured['at']} at {commit} on {measured['machine']}.\n\n"
    (RESULTS / f"{name}.md").write_text(head + table)
    print(head + table)


def _processors() -> int:
    return len(os.sched_getaffinity(0))
