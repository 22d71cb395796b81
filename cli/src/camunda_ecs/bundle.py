"""A support bundle: what the API returns of a cluster, without secrets, in one zip."""

from __future__ import annotations

import json
import os
import platform
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from camunda_ecs import __version__, redact, show
from camunda_ecs.api import segment
from camunda_ecs.ends import Code, Stop, usage
from camunda_ecs.session import Session

OPERATIONS: Final = 20


@dataclass
class Bundle:
    """Files by name, and what could not be read."""

    secrets: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, document: Any) -> None:
        """Add a document without its secrets."""
        clean = redact.redacted(document, secrets=self.secrets)
        self.files[name] = json.dumps(clean, indent=2, ensure_ascii=False) + "\n"


def collect(session: Session) -> Bundle:
    """Read all that the API returns of the cluster. What cannot be read is listed instead.

    A lost connection, and credentials that expire, cost only what is read then.

    Raises ``Stop`` if nothing could be read.
    """
    frozen = session.target.credentials.get_frozen_credentials()
    bundle = Bundle(tuple(one for one in (frozen.secret_key, frozen.token) if one))
    codes: list[Code] = []  # how each reading ended

    def read(name: str, path: str, **options: Any) -> Any:
        # An API that stays out of reach is waited for once, and then tried once for each document.
        if codes[-1:] == [Code.UNKNOWN]:
            options = {**options, "patience": 0.0}
        try:
            answer = session.answered("GET", path, **options)
        except Stop as stop:
            bundle.missing[name] = "\n".join(stop.lines)
            codes.append(stop.code)
            return None
        if not answer.is_good:
            bundle.missing[name] = "\n".join(show.problem(answer, "GET", path))
            codes.append(Code.FAILED)
            return None
        codes.append(Code.DONE)
        if answer.document is None:
            bundle.files[name] = redact.text(answer.text, secrets=bundle.secrets)
        else:
            bundle.put(name, answer.document)
        return answer.document

    read("cluster.json", session.path)
    read("health.json", f"{session.path}/health")
    listed = read("operations.json", "/operations", query={"cluster": session.cluster})
    for one in (listed or {}).get("operations", ())[:OPERATIONS]:
        identifier = str(one["operationId"])
        name = segment(identifier)
        read(f"operations/{name}.json", f"/operations/{name}")
        if one["kind"] == "plan" and one["status"] != "RUNNING":
            read(f"plans/{name}.json", f"/plans/{name}")
            read(f"plans/{name}.txt", f"/plans/{name}", accept="text/plain")
    if not bundle.files:
        raise Stop("Nothing of the cluster could be read.", *bundle.missing.values(), code=codes[0])
    return bundle


def versions(session: Session, at: datetime) -> Mapping[str, Any]:
    """Return what the bundle was made with and from."""
    return {
        "madeAt": at.isoformat(timespec="seconds"),
        "cluster": session.cluster,
        "api": {"url": session.target.url, "region": session.target.region},
        "release": session.api.release,
        "commandLine": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        **{name: version(name) for name in ("botocore", "typer", "rich", "pyyaml")},
    }


def destination(given: Path | None, cluster: str, at: datetime) -> Path:
    """Return the file to write. Raises ``Stop`` (usage) if it exists or its folder does not."""
    path = given or Path(f"camunda-ecs-{cluster}-{at:%Y%m%dT%H%M%SZ}.zip")
    if path.exists():
        raise usage(f"--out: given {path}, which exists; allowed: a new file")
    if not path.parent.is_dir():
        raise usage(f"--out: given {path}; allowed: a file in a folder that exists")
    return path


def write(session: Session, bundle: Bundle, path: Path, at: datetime) -> None:
    """Write the zip, which only the user may read."""
    bundle.put("versions.json", versions(session, at))
    if bundle.missing:
        bundle.put("missing.json", bundle.missing)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        os.fdopen(descriptor, "wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, content in sorted(bundle.files.items()):
            archive.writestr(name, content)


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)
