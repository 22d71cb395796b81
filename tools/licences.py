"""Check the licence of every package in the lock files against ``requirements/licences.toml``.

``make lint`` checks and needs no network; ``make licences`` reads the packages' metadata from the
package index with pip and writes ``requirements/licences.json``. An unknown licence fails. The lock
file of npm and the record of what the console brings name the licences themselves.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from license_expression import ExpressionError, get_spdx_licensing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = ("requirements/*.txt", "layers/*/requirements.txt")
SHIPPED: Final = "layers"
POLICY: Final = ROOT / "requirements" / "licences.toml"
RECORD: Final = ROOT / "requirements" / "licences.json"
NPM: Final = ROOT / "requirements" / "browser" / "package-lock.json"
VENDORED: Final = ROOT / "console" / "vendor" / "vendor.json"

_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==([^ ;\\]+)", re.MULTILINE)
_LICENSING: Final = get_spdx_licensing()
# Spellings in the metadata of packages that are older than License-Expression (PEP 639).
_SPELLED: Final[Mapping[str, str]] = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "the mit license (mit)": "MIT",
    "mit no attribution license (mit-0)": "MIT-0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "psfl": "PSF-2.0",
    "psf license": "PSF-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}


def normalised(name: str) -> str:
    """Name of a package as the index compares it, PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> set[tuple[str, str]]:
    """Return names and versions in a lock file."""
    return {(normalised(name), version) for name, version in _PIN.findall(text)}


def locks(root: Path = ROOT) -> list[Path]:
    """Return every lock file, those of the layers last."""
    return [path for pattern in LOCKS for path in sorted(root.glob(pattern))]


def spdx(licence: str) -> str:
    """SPDX expression of a licence as metadata name it; empty if it is not known."""
    text = " ".join(licence.split())
    text = _SPELLED.get(text.lower(), text)
    if not text or len(text) > 200:
        return ""
    try:
        parsed = _LICENSING.parse(text, validate=True, strict=False)
    except ExpressionError:
        return ""
    return str(parsed) if parsed is not None else ""


def declared(metadata: Mapping[str, Any]) -> str:
    """SPDX expression that a package's metadata declare; empty if none or none that is known.

    ``metadata`` are those of pip's installation report. Several classifiers are all required.
    https://packaging.python.org/en/latest/specifications/core-metadata/
    """
    stated = spdx(metadata.get("license_expression") or "") or spdx(metadata.get("license") or "")
    if stated:
        return stated
    classifiers = [
        spdx(classifier.rsplit(" :: ", 1)[1])
        for classifier in metadata.get("classifier", ())
        if classifier.startswith("License :: OSI Approved :: ")
    ]
    return " AND ".join(sorted(set(classifiers))) if classifiers and all(classifiers) else ""


def allowed(name: str, part: str, policy: Mapping[str, Any]) -> list[str]:
    """Return the licences that the policy accepts for a package in ``part``, tools or shipped."""
    named = policy[part].get("named", {}).get(name)
    return [*policy[part]["allowed"], *([named] if named else [])]


def is_allowed(expression: str, accepted: Iterable[str]) -> bool:
    """Whether an SPDX expression is met by what is accepted: one side of OR, both of AND."""
    if not expression:
        return False
    parsed = _LICENSING.parse(expression)
    symbols = {
        symbol: _LICENSING.TRUE if symbol.key in set(accepted) else _LICENSING.FALSE
        for symbol in parsed.symbols
    }
    return bool(parsed.subs(symbols).simplify() == _LICENSING.TRUE)


def licence_of(pin: str, policy: Mapping[str, Any], record: Mapping[str, str]) -> str:
    """Return the licence of ``name==version``: as the policy states it, else as it declares it."""
    name = pin.partition("==")[0]
    return str(policy["stated"].get(name) or record.get(pin, ""))


def problems(
    locked: Mapping[str, set[tuple[str, str]]],
    policy: Mapping[str, Any],
    record: Mapping[str, str],
) -> list[str]:
    """Return what is wrong with the licences of ``locked``, pins by the path of their lock file.

    ``record`` has the declared expression by ``name==version``.
    """
    wrong: list[str] = []
    for path, found in locked.items():
        part = "shipped" if path.startswith(SHIPPED) else "tools"
        for name, version in sorted(found):
            pin = f"{name}=={version}"
            if pin not in record:
                wrong.append(f"{path}: {pin}: not recorded; run `make licences`")
                continue
            licence = licence_of(pin, policy, record)
            if not is_allowed(licence, allowed(name, part, policy)):
                wrong.append(
                    f"{path}: {pin}: licence {licence or 'unknown'}; allowed are those of "
                    f"[{part}] in requirements/licences.toml"
                )
    used = {f"{name}=={version}" for found in locked.values() for name, version in found}
    wrong += [f"{pin}: recorded, but in no lock file" for pin in sorted(record.keys() - used)]
    return wrong


def named_by_npm(lock: Mapping[str, Any]) -> dict[str, str]:
    """Return the licence of each ``name==version`` in npm's lock file, empty where it names none.

    Its format: npm help package-lock-json.
    """
    return {
        f"{path.rpartition('node_modules/')[2]}=={one['version']}": spdx(one.get("license", ""))
        for path, one in lock["packages"].items()
        if path
    }


def named_problems(
    path: str, part: str, named: Mapping[str, str], policy: Mapping[str, Any]
) -> list[str]:
    """Return the packages whose licence, as a file at ``path`` names it, is not accepted."""
    return [
        f"{path}: {pin}: licence {licence or 'unknown'}; allowed are those of [{part}] in"
        " requirements/licences.toml"
        for pin, licence in sorted(named.items())
        if not is_allowed(licence, policy[part]["allowed"])
    ]


def read_index(wanted: Sequence[str]) -> dict[str, str]:
    """Read the metadata of ``name==version`` from the package index; nothing is installed.

    One call for each version of a name, because pip resolves one of each.
    """
    found: dict[str, str] = {}
    rounds: list[dict[str, str]] = []
    for pin in sorted(wanted):
        name = pin.partition("==")[0]
        free = next((one for one in rounds if name not in one), None)
        if free is None:
            free = {}
            rounds.append(free)
        free[name] = pin
    for one in rounds:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
            command += ["--no-deps", "--quiet", "--disable-pip-version-check", "--report"]
            subprocess.run([*command, str(report), *one.values()], check=True)  # noqa: S603
            installed = json.loads(report.read_text())["install"]
        for package in installed:
            metadata = package["metadata"]
            found[f"{normalised(metadata['name'])}=={metadata['version']}"] = declared(metadata)
    return found


def main(update: bool) -> int:
    """Check, or write the record first; returns 1 with the problems printed."""
    locked = {str(path.relative_to(ROOT)): pins(path.read_text()) for path in locks()}
    policy = tomllib.loads(POLICY.read_text())
    record: dict[str, str] = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    if update:
        used = {f"{name}=={version}" for found in locked.values() for name, version in found}
        record = {pin: licence for pin, licence in record.items() if pin in used}
        record |= read_index(sorted(used - record.keys()))
        RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    wrong = problems(locked, policy, record)
    npm = named_by_npm(json.loads(NPM.read_text()))
    wrong += named_problems(str(NPM.relative_to(ROOT)), "tools", npm, policy)
    for problem in wrong:
        print(problem)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main("--update" in sys.argv[1:]))
