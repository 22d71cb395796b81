"""What `sam build` makes of the functions: small, and nothing in them but what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.artifacts import LIMIT_MB, Built, functions
from tests.unit.rights.calls import modules_of
from tools.generate_parameters import ROOT, load_template

if TYPE_CHECKING:
    from collections.abc import Sequence

# The field e_machine of an ELF header, by Lambda's name of the architecture.
# https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
MACHINES = {"x86_64": 62, "arm64": 183}


@pytest.fixture(scope="module")
def built() -> Sequence[Built]:
    return functions()


def test_functions_with_their_layers_stay_small(built: Sequence[Built]) -> None:
    assert {one.name: one.size_mb for one in built if one.size_mb > LIMIT_MB} == {}
    assert min(one.size_mb for one in built) > 1, "layers were counted"


def test_a_function_is_its_handler(built: Sequence[Built]) -> None:
    """Third-party packages come with the layers, once for all."""
    extra = {
        one.name: [path.name for path in one.code.iterdir() if path.suffix != ".py"]
        for one in built
    }
    found = {name: paths for name, paths in extra.items() if set(paths) - {"__pycache__"}}
    assert found == {}


def test_only_what_speaks_to_postgres_carries_psycopg(built: Sequence[Built]) -> None:
    carrying = {
        one.name
        for one in built
        if any((layer / "python" / "psycopg").exists() for layer in one.layers)
    }
    assert carrying == {
        one.name
        for one in built
        if "lifecycle.adapters.postgres.database" in modules_of(one.folder)
    }


def test_what_is_compiled_runs_on_the_processor_of_the_functions(built: Sequence[Built]) -> None:
    (declared,) = load_template(ROOT / "template.yaml")["Globals"]["Function"]["Architectures"]
    libraries = {path for one in built for layer in one.layers for path in layer.rglob("*.so*")}
    assert any("psycopg" in path.name for path in libraries)
    machines = {path: int.from_bytes(path.read_bytes()[18:20], "little") for path in libraries}
    assert {path for path in machines if machines[path] != MACHINES[declared]} == set()
