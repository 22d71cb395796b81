"""One instance with fake brokers and one with real ones, for every module that can share them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from local.fargate.programs import EXPORT_VARIABLE
from tests.support.cloud import Cloud, running
from tests.support.ledger import Ledger, listening

if TYPE_CHECKING:
    from local.component import Instance


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running(tmp_path_factory.mktemp("instance"), "127.154") as instance:
        yield instance


@pytest.fixture(scope="session")
def ledger() -> Iterator[Ledger]:
    """Where the real brokers export to."""
    with listening("127.0.0.1") as found, pytest.MonkeyPatch.context() as environment:
        environment.setenv(EXPORT_VARIABLE, found.url)
        yield found


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory, ledger: Ledger) -> Iterator[Instance]:
    """An instance with real brokers, which export to the ledger."""
    del ledger
    with running(tmp_path_factory.mktemp("real"), "127.157", "real") as instance:
        yield instance


@pytest.fixture(scope="module")
def instance(shared: Instance) -> Instance:
    """The shared instance, with the cluster `demo` as it was made at first."""
    Cloud(shared).rest()
    return shared
