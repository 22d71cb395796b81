"""The contract's subjects as fixtures: `quiet…` for cases that only ask, `cluster` for others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lifecycle.adapters.management_simulation import Dialect

from tests.contract.subjects import Fake, Live, OverHttp, Recorded, Subject, Twin

RECORDED = ["recorded-8.6"]
TWINS = ["twin-8.6", "twin-8.9"]
LIVE = ["fake-8.6", "fake-8.9"]


@pytest.fixture(scope="module")
def at_rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Subject]]:
    """Subjects that no case changes, each made once."""
    made: dict[str, Subject] = {}

    def give(name: str) -> Subject:
        if name not in made:
            made[name] = _subject(name, tmp_path_factory.mktemp(name))
            made[name].turn_to("fresh")
        return made[name]

    yield give
    for subject in made.values():
        subject.close()


@pytest.fixture(params=[*RECORDED, *TWINS, *LIVE])
def quiet(request: pytest.FixtureRequest, at_rest: Callable[[str], Subject]) -> Subject:
    """A cluster at rest."""
    return at_rest(request.param)


@pytest.fixture(params=[*RECORDED, *LIVE])
def quiet_http(request: pytest.FixtureRequest, at_rest: Callable[[str], Subject]) -> OverHttp:
    """A cluster at rest that speaks HTTP."""
    subject = at_rest(request.param)
    assert isinstance(subject, OverHttp)
    return subject


@pytest.fixture(params=LIVE)
def quiet_live(request: pytest.FixtureRequest, at_rest: Callable[[str], Subject]) -> Live:
    """A cluster at rest, of processes."""
    subject = at_rest(request.param)
    assert isinstance(subject, Live)
    return subject


@pytest.fixture(params=[*RECORDED, *TWINS, *LIVE])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    """A cluster that the case may change."""
    subject = _subject(request.param, tmp_path)
    yield subject
    subject.close()


def _subject(name: str, directory: Path) -> Subject:
    kind, _, dialect = name.partition("-")
    chosen: Dialect = "8.6" if dialect == "8.6" else "8.9"
    match kind:
        case "recorded":
            return Recorded()
        case "twin":
            return Twin(chosen)
        case _:
            return Fake(chosen, directory)
