"""Write ``THIRD_PARTY_NOTICES.md`` and the bills of materials of what is deployed.

From the lock files of the layers: every package with its version, its hashes and its licence, and
the shared objects that their wheels bring; from ``console/vendor``, what the console brings.
``sbom/<layer>.cdx.json`` and ``sbom/console.cdx.json`` are CycloneDX 1.6
(https://cyclonedx.org/docs/1.6/json/), without serial number and time, so that the same locks give
the same bytes. ``make licences`` writes; ``make lint`` compares (``--check``).
"""

from __future__ import annotations

import ctypes
import fnmatch
import hashlib
import json
import platform
import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from tools.licences import POLICY, RECORD, ROOT, VENDORED, allowed, is_allowed, licence_of, pins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NOTICES: Final = ROOT / "THIRD_PARTY_NOTICES.md"
TEXTS: Final = ROOT / "requirements" / "licences"
BILLS: Final = ROOT / "sbom"
LAYERS: Final = ("lifecycle", "postgres")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_FILE: Final = re.compile(r"\.libs/.+\.so")
# What Lambda runs the layers on (Globals of template.yaml): other wheels bring other files.
PLATFORM: Final = ("Linux", "x86_64")
_HEAD: Final = """\
# Third-party notices

What is deployed with the control plane and is not its own work. Written by `make licences` from the
lock files of the layers and from `console/vendor/vendor.json`; `sbom/` has the same as CycloneDX,
with hashes. Pass this file on with a built layer, and with the console.

Functions, templates and definitions are the project's own, under the licence in `LICENSE`. The
images of Camunda are not part of the project: ECS pulls them from the registry that a cluster
names, under the vendor's own terms. boto3 is part of the Lambda runtime."""
_TERMS: Final = """
## Terms of the LGPL

psycopg, psycopg-binary and the libraries above under the LGPL are used unmodified, as published.

- They are in a layer of their own (`PostgresLayer`), apart from the code that uses them. That code
  imports psycopg, and psycopg loads the libraries, at run time; nothing is linked statically.
- To use another version, also one that you changed: set it in `layers/postgres/requirements.in`,
  run `make lock` and `make build`, deploy. Nothing checks for the version published here.
- The source is at the addresses above, under the tag of the version.
- Changing these libraries for your own use, and reverse engineering to debug such changes, is
  permitted.
- The texts of the licences are below, with that of the GPL, which the LGPL 3 refers to; those of
  the packages are also in the layer, in `python/*.dist-info/licenses`.
"""


@dataclass(frozen=True)
class Library:
    """A library inside a wheel: its files with their SHA-256, and what the policy states of it."""

    name: str
    version: str
    licence: str
    url: str
    copyright: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Package:
    """A locked package of a layer. ``hashes`` are the SHA-256 of its files in the index."""

    name: str
    version: str
    licence: str
    url: str
    hashes: tuple[str, ...]
    texts: tuple[str, ...]
    libraries: tuple[Library, ...]
    kind: str = "pypi"


def locked_hashes(text: str) -> dict[str, tuple[str, ...]]:
    """Return the SHA-256 of each package's files in the index, by its name."""
    found: dict[str, tuple[str, ...]] = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        for name, _ in pins(block):
            found[name] = tuple(sorted(set(_HASH.findall(block))))
    return found


def _url(package: Distribution) -> str:
    """Return where its source is: the first of the addresses that the metadata name for it."""
    named = dict(
        entry.split(", ", 1) for entry in package.metadata.get_all("Project-URL", []) if entry
    )
    for label in ("Source", "Repository", "Code", "Homepage", "Home"):
        if label in named:
            return str(named[label])
    return str(package.metadata["Home-page"])


def _texts(package: Distribution) -> tuple[str, ...]:
    """Return the texts of the licences in the package's metadata directory."""
    found = [
        file.read_text().strip()
        for file in sorted(package.files or [], key=str)
        if ".dist-info/" in str(file) and re.match(r"LICEN[CS]E|NOTICE|COPYING", file.name, re.I)
    ]
    return tuple(text for text in found if text)


def _owner(file: str, policy: Mapping[str, Any]) -> Mapping[str, Any]:
    for library in policy["libraries"]:
        if any(fnmatch.fnmatchcase(file, f"{start}*") for start in library["files"]):
            return dict(library)
    raise LookupError(f"{file}: no entry of [[libraries]] in {POLICY.name} names it")


def libraries(package: Distribution, policy: Mapping[str, Any]) -> tuple[Library, ...]:
    """Return the libraries that a wheel brings.

    A version is in the wheel's own bill of materials (PEP 770), or in the bytes of the file.
    """
    listed: dict[str, str] = {}
    grouped: dict[str, tuple[Mapping[str, Any], dict[str, str], set[str]]] = {}
    for file in package.files or []:
        if ".dist-info/sboms/" in str(file):
            components = json.loads(file.read_text()).get("components", ())
            listed |= {component["name"]: component["version"] for component in components}
    for file in package.files or []:
        if not _FILE.search(str(file)):
            continue
        owner = _owner(file.name, policy)
        content = file.read_binary()
        _, hashes, versions = grouped.setdefault(owner["name"], (owner, {}, set()))
        hashes[file.name] = hashlib.sha256(content).hexdigest()
        if "version" in owner:
            found = re.search(owner["version"].encode(), content)
            versions |= {found[1].decode()} if found else set()
        if "call" in owner:
            number = getattr(ctypes.CDLL(str(package.locate_file(file))), owner["call"])()
            versions.add(f"{number // 10000}.{number % 10000}")
    return tuple(
        Library(
            name,
            listed.get(name) or " ".join(sorted(versions)),
            owner["licence"],
            owner["url"],
            owner["copyright"],
            tuple(sorted(hashes.items())),
        )
        for name, (owner, hashes, versions) in sorted(grouped.items())
    )


def read(layer: str) -> list[Package]:
    """Read the packages of a layer from its lock file and from what is installed here.

    The installed versions are those of the lock, because the locks constrain each other. Raises
    LookupError for another version, a library without an entry, and a licence not allowed.
    """
    text = (ROOT / "layers" / layer / "requirements.txt").read_text()
    policy = tomllib.loads(POLICY.read_text())
    record = json.loads(RECORD.read_text())
    hashes = locked_hashes(text)
    packages = []
    for name, version in sorted(pins(text)):
        installed = distribution(name)
        if installed.version != version:
            raise LookupError(f"{name}: {version} is locked, {installed.version} is installed")
        package = Package(
            name,
            version,
            licence_of(f"{name}=={version}", policy, record),
            _url(installed),
            hashes[name],
            _texts(installed),
            libraries(installed, policy),
        )
        licences = {part.name: part.licence for part in package.libraries} | {name: package.licence}
        for part, licence in licences.items():
            if not is_allowed(licence, allowed(part, "shipped", policy)):
                raise LookupError(f"{part}: licence {licence or 'unknown'} is not allowed")
        packages.append(package)
    return packages


def vendored() -> list[Package]:
    """Read what the console brings. Raises LookupError for a licence that is not allowed."""
    policy = tomllib.loads(POLICY.read_text())
    found = [
        Package(
            one["name"],
            one["version"],
            one["licence"],
            one["url"],
            (one["sha256"],),
            (VENDORED.with_name(one["text"]).read_text().strip(),),
            (),
            "npm",
        )
        for one in json.loads(VENDORED.read_text())
    ]
    for package in found:
        if not is_allowed(package.licence, allowed(package.name, "shipped", policy)):
            raise LookupError(f"{package.name}: licence {package.licence} is not allowed")
    return found


def bill(layer: str, packages: Sequence[Package]) -> str:
    """Return the bill of materials of a layer as CycloneDX 1.6 in JSON."""
    licences = LicenseFactory()
    main = Component(
        name=f"camunda-ecs-lifecycle-{layer}", type=ComponentType.APPLICATION, bom_ref=layer
    )
    bom = Bom()
    bom.metadata.component = main
    direct = []
    for package in packages:
        purl = PackageURL(package.kind, None, package.name, package.version)
        component = Component(
            name=package.name,
            version=package.version,
            type=ComponentType.LIBRARY,
            bom_ref=f"{package.name}=={package.version}",
            purl=purl,
            licenses=[licences.make_from_string(package.licence)],
            external_references=[
                ExternalReference(
                    type=ExternalReferenceType.DISTRIBUTION,
                    url=XsUri(purl.to_string()),
                    hashes=[
                        HashType(alg=HashAlgorithm.SHA_256, content=value)
                        for value in package.hashes
                    ],
                ),
                ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(package.url)),
            ],
        )
        inside = [
            Component(
                name=library.name,
                version=library.version or None,
                type=ComponentType.LIBRARY,
                bom_ref=f"{package.name}/{library.name}",
                licenses=[licences.make_from_string(library.licence)],
                external_references=[
                    ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(library.url))
                ],
                properties=[
                    Property(name=f"file:{file}", value=f"sha256:{digest}")
                    for file, digest in library.files
                ],
            )
            for library in package.libraries
        ]
        bom.components.update({component, *inside})
        bom.register_dependency(component, inside)
        direct.append(component)
    bom.register_dependency(main, direct)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    del document["serialNumber"], document["metadata"]["timestamp"]
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _rows(packages: Iterable[Package]) -> list[str]:
    return [
        f"| [{package.name}]({package.url}) | {package.version} | {package.licence} |"
        for package in packages
    ]


def notices(layers: Mapping[str, Sequence[Package]], console: Sequence[Package]) -> str:
    """Return the text of the notices: lists by layer, how the LGPL is met, texts of licences."""
    lines = [_HEAD]
    inside: dict[str, Library] = {}
    for layer, packages in layers.items():
        lines += ["", f"## Layer {layer}", "", "| package | version | licence |", "|---|---|---|"]
        lines += _rows(packages)
        for package in packages:
            if not package.libraries:
                continue
            lines += [
                "",
                f"In the wheel of {package.name} (`{package.name.replace('-', '_')}.libs`):",
                "",
                "| library | version | licence | files |",
                "|---|---|---|---|",
            ]
            for library in package.libraries:
                inside[library.name] = library
                files = ", ".join(f"`{file}`" for file, _ in library.files)
                lines.append(
                    f"| [{library.name}]({library.url}) | {library.version or 'not stated'} | "
                    f"{library.licence} | {files} |"
                )
    lines += ["", "## Console", "", "Files in `console/vendor`, as published.", ""]
    lines += ["| package | version | licence |", "|---|---|---|", *_rows(console)]
    lines += [
        _TERMS,
        "## Copyright of the libraries",
        "",
        "```text",
        *[f"{library.name}\n{library.copyright}\n" for library in inside.values()],
        "```",
        "",
        "## Texts",
    ]
    for packages in (*layers.values(), console):
        for package in packages:
            for text in package.texts:
                lines += ["", f"### {package.name}", "", "```text", text, "```"]
    needed = {library.licence for library in inside.values()} | {"GPL-3.0-only"}
    for licence in sorted(needed):
        path = ROOT / "LICENSE" if licence == "Apache-2.0" else TEXTS / f"{licence}.txt"
        lines += ["", f"### {licence}", "", "```text", path.read_text().strip("\n"), "```"]
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"


def render() -> dict[Path, str]:
    """Return the contents of every file that is written, by its path."""
    layers = {layer: read(layer) for layer in LAYERS}
    files = {BILLS / f"{layer}.cdx.json": bill(layer, found) for layer, found in layers.items()}
    console = vendored()
    files[BILLS / "console.cdx.json"] = bill("console", console)
    return files | {NOTICES: notices(layers, console)}


def main(check: bool) -> int:
    """Write the files, or compare them; returns 1 with the names of those that differ."""
    if (platform.system(), platform.machine()) != PLATFORM:
        print(f"notices: not compared, because wheels differ here; needs {' '.join(PLATFORM)}")
        return 0
    files = render()
    if not check:
        BILLS.mkdir(exist_ok=True)
        for path, content in files.items():
            path.write_text(content)
        return 0
    stale = [
        path.relative_to(ROOT)
        for path, content in files.items()
        if not path.is_file() or path.read_text() != content
    ]
    for path in stale:
        print(f"{path}: not what the lock files give; run `make licences`")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
