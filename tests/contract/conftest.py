"""The contract's subjects as fixtures: `quiet…` for cases that only ask, `cluster` for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from tests.contract.subjects import Fake, Live, OverHttp, Recorded, Subject
from tests.support.blocks import block
from tests.support.brokers import Leases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.broker.configuration import Dialect

RECORDED = ["recorded-8.6"]
TWINS = ["fake-8.6", "fake-8.9"]
LIVE = ["broker-8.9", "broker-8.10"]


@pytest.fixture(scope="session")
def leases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leases]:
    """The S3 in which all local brokers of the contract have their node ids."""
    made = Leases(tmp_path_factory.mktemp("leases"), block("contract"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def at_rest(
    tmp_path_factory: pytest.TempPathFactory, leases: Leases
) -> Iterator[Callable[[str], Subject]]:
    """Subjects that no case changes, each made once."""
    made: dict[str, Subject] = {}

    def give(name: str) -> Subject:
        if name not in made:
            made[name] = _subject(name, tmp_path_factory.mktemp(name), leases)
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
def cluster(request: pytest.FixtureRequest, tmp_path: Path, leases: Leases) -> Iterator[Subject]:
    """A cluster that the case may change."""
    subject = _subject(request.param, tmp_path, leases)
    yield subject
    subject.close()


def _subject(name: str, directory: Path, leases: Leases) -> Subject:
    kind, _, dialect = name.partition("-")
    match kind:
        case "recorded":
            return Recorded()
        case "fake":
            return Fake(cast("Dialect", dialect))
        case _:
            return Live(cast("Dialect", dialect), directory, leases)
