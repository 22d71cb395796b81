"""Licences of the locked packages, and the notices and bills of materials of what is deployed."""

from __future__ import annotations

import json
import platform
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools import licences, notices

POLICY = tomllib.loads(licences.POLICY.read_text())
RECORD = json.loads(licences.RECORD.read_text())
LOCKED = {
    str(path.relative_to(licences.ROOT)): licences.pins(path.read_text())
    for path in licences.locks()
}
HERE = (platform.system(), platform.machine()) == notices.PLATFORM


def test_every_locked_package_has_an_accepted_licence() -> None:
    assert licences.problems(LOCKED, POLICY, RECORD) == []


def test_every_lock_file_is_looked_at() -> None:
    assert {"requirements/checkov.txt", "layers/postgres/requirements.txt"} < LOCKED.keys()
    assert sorted(licences.ROOT.glob("**/layers/*/requirements.txt")) == [
        licences.ROOT / path for path in LOCKED if path.startswith("layers/")
    ]


@pytest.mark.parametrize(
    ("path", "licence"),
    [
        ("requirements/test.txt", "AGPL-3.0-only"),
        ("requirements/test.txt", "MIT AND AGPL-3.0-only"),
        ("requirements/test.txt", "GPL-3.0-or-later"),
        ("requirements/test.txt", ""),
        ("layers/lifecycle/requirements.txt", "LGPL-3.0-only"),
        ("layers/lifecycle/requirements.txt", "MPL-2.0"),
    ],
)
def test_another_or_unknown_licence_is_a_problem(path: str, licence: str) -> None:
    found = licences.problems({path: {("new", "1.0")}}, POLICY, {"new==1.0": licence})
    assert len(found) == 1
    assert found[0].startswith(f"{path}: new==1.0: licence {licence or 'unknown'};")


def test_a_package_that_is_not_recorded_is_a_problem_and_one_that_is_gone_too() -> None:
    found = licences.problems(
        {"requirements/test.txt": {("new", "1.0")}}, POLICY, {"old==1": "MIT"}
    )
    assert [problem.split("; ")[0] for problem in found] == [
        "requirements/test.txt: new==1.0: not recorded",
        "old==1: recorded, but in no lock file",
    ]


def test_the_lgpl_is_accepted_for_psycopg_only() -> None:
    record = {"psycopg==3": "LGPL-3.0-only", "other==3": "LGPL-3.0-only"}
    locked = {"layers/postgres/requirements.txt": {("psycopg", "3"), ("other", "3")}}
    (problem,) = licences.problems(locked, POLICY, record)
    assert "other==3" in problem


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ("MIT", True),
        ("MIT OR GPL-2.0-only", True),
        ("MIT AND GPL-2.0-only", False),
        ("(MIT OR GPL-2.0-only) AND ISC", True),
        ("GPL-2.0-only", False),
        ("", False),
    ],
)
def test_expressions_are_evaluated(expression: str, met: bool) -> None:
    assert licences.is_allowed(expression, ["MIT", "ISC"]) is met


@pytest.mark.parametrize(
    ("metadata", "expression"),
    [
        ({"license_expression": "Apache-2.0 OR MIT"}, "Apache-2.0 OR MIT"),
        ({"license": "Apache License 2.0"}, "Apache-2.0"),
        ({"classifier": ["License :: OSI Approved :: MIT License"]}, "MIT"),
        ({"license": "UNKNOWN", "classifier": ["License :: OSI Approved :: MIT License"]}, "MIT"),
        (
            {
                "classifier": [
                    "License :: OSI Approved :: MIT License",
                    "License :: OSI Approved :: GNU Affero General Public License v3",
                ]
            },
            "",
        ),
        ({"license": "Proprietary, all rights reserved"}, ""),
        ({"license": "BSD"}, ""),
        ({}, ""),
    ],
)
def test_what_metadata_declare(metadata: dict[str, object], expression: str) -> None:
    assert licences.declared(metadata) == expression


def test_texts_stated_by_hand_are_of_locked_packages() -> None:
    names = {name for found in LOCKED.values() for name, _ in found}
    assert set(POLICY["stated"]) <= names
    assert {name for name in POLICY["shipped"]["named"] if name.startswith("psycopg")} <= names


@pytest.mark.skipif(not HERE, reason="wheels of other platforms bring other files")
def test_notices_and_bills_are_those_of_the_locks() -> None:
    files = notices.render()
    assert {path: path.read_text() == content for path, content in files.items()} == dict.fromkeys(
        files, True
    )


@pytest.mark.parametrize("layer", notices.LAYERS)
def test_a_bill_names_every_locked_package_of_its_layer(layer: str) -> None:
    """On any machine, from the files alone."""
    path = notices.BILLS / f"{layer}.cdx.json"
    document = json.loads(path.read_text())
    lock = (licences.ROOT / "layers" / layer / "requirements.txt").read_text()
    named = {
        (component["name"], component["version"])
        for component in document["components"]
        if component.get("purl")
    }
    assert named == licences.pins(lock)
    assert (document["specVersion"], document["bomFormat"]) == ("1.6", "CycloneDX")
    assert "serialNumber" not in document
    assert "timestamp" not in document["metadata"]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(path.read_text()) is None


def test_the_console_has_a_bill_and_accepted_licences() -> None:
    listed = json.loads(licences.VENDORED.read_text())
    document = json.loads((notices.BILLS / "console.cdx.json").read_text())
    assert {(one["name"], one["version"], one["purl"]) for one in document["components"]} == {
        (one["name"], one["version"], f"pkg:npm/{one['name']}@{one['version']}") for one in listed
    }
    text = notices.NOTICES.read_text()
    for one in listed:
        assert f"| [{one['name']}]({one['url']}) | {one['version']} | {one['licence']} |" in text
        assert f"### {one['name']}\n" in text
    assert notices.vendored()


def test_what_the_console_brings_has_to_be_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = json.loads(licences.VENDORED.read_text())[:1]
    listed[0]["licence"] = "AGPL-3.0-only"
    (tmp_path / "vendor.json").write_text(json.dumps(listed))
    (tmp_path / listed[0]["text"]).write_text("text")
    monkeypatch.setattr(notices, "VENDORED", tmp_path / "vendor.json")
    with pytest.raises(LookupError, match=r"licence AGPL-3\.0-only is not allowed"):
        notices.vendored()


def test_what_npm_installs_has_an_accepted_licence() -> None:
    found = licences.named_by_npm(json.loads(licences.NPM.read_text()))
    assert found["@sparticuz/chromium==153.0.0"] == "MIT"
    assert licences.named_problems("lock", "tools", found, POLICY) == []
    for licence in ("AGPL-3.0-only", "", "SEE LICENSE IN EULA.txt"):
        lock = {"packages": {"": {}, "node_modules/new": {"version": "1.0", "license": licence}}}
        (problem,) = licences.named_problems("lock", "tools", licences.named_by_npm(lock), POLICY)
        assert problem.startswith("lock: new==1.0: licence ")


def test_every_layer_with_requirements_has_a_bill() -> None:
    assert {path.parent.name for path in licences.ROOT.glob("layers/*/requirements.txt")} == set(
        notices.LAYERS
    )


def test_a_library_that_no_entry_names_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "thing-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
    (package / "RECORD").write_text("thing.libs/libnew-1a2b.so.1,,\n")
    (tmp_path / "thing.libs").mkdir()
    (tmp_path / "thing.libs" / "libnew-1a2b.so.1").write_bytes(b"")
    with pytest.raises(LookupError, match=r"libnew-1a2b\.so\.1"):
        notices.libraries(Distribution.at(package), POLICY)


@pytest.mark.skipif(not HERE, reason="wheels of other platforms bring other files")
def test_notices_have_the_terms_and_texts_of_what_is_shipped() -> None:
    text = notices.NOTICES.read_text()
    for heading in ("LGPL-2.1-or-later", "GPL-3.0-only", "Apache-2.0", "psycopg", "openldap"):
        assert heading in text
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in text
    assert "GNU GENERAL PUBLIC LICENSE" in text
    assert "This product includes software developed by Computing Services" in text
