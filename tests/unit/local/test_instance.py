"""Which instance runs under a root, and on which addresses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from local.component import Instance
from local.config import LocalConfig
from local.instance import InstanceError, running, served_block
from local.names import replace_json
from local.processes import start_time

if TYPE_CHECKING:
    from pathlib import Path


def written(root: Path, endpoint: str, pid: int) -> None:
    content = {"pid": pid, "started": start_time(pid) or 0, "endpoint": endpoint}
    replace_json(LocalConfig(root).instance_file, content)


def test_what_runs_on_other_addresses_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "http://127.41.0.1:4566", os.getpid())
    found = running(Instance.of(LocalConfig(tmp_path)))
    assert found is not None
    assert found.pid == os.getpid()
    with pytest.raises(InstanceError, match=r"serves http://127\.41\.0\.1:4566, not .*127\.42"):
        running(Instance.of(LocalConfig(tmp_path, "127.42")))


def test_what_ended_is_no_instance(tmp_path: Path) -> None:
    written(tmp_path, "http://127.41.0.1:4566", 2**22 + 1)
    assert running(Instance.of(LocalConfig(tmp_path, "127.42"))) is None


def test_commands_find_the_addresses_that_were_given_at_the_start(tmp_path: Path) -> None:
    assert served_block(tmp_path) == ""
    written(tmp_path, "http://127.240.0.1:4566", os.getpid())
    assert served_block(tmp_path) == "127.240"
