"""One instance for every module that can share it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.blocks import block
from tests.support.cloud import Cloud, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.component import Instance


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running(tmp_path_factory.mktemp("instance"), block("shared")) as instance:
        yield instance


@pytest.fixture(scope="module")
def instance(shared: Instance) -> Instance:
    """The shared instance, with the cluster `demo` as it was made at first."""
    Cloud(shared).rest()
    return shared
