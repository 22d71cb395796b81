"""boto3 takes longer to load than all of our code: only who calls AWS pays for it, when it does."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.unit.rights.calls import modules_of
from tools.generate_parameters import ROOT

FOLDERS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
# What costs; the bare package `botocore` costs nothing, and Powertools loads it always.
AWS = ("boto3", "botocore.client")


def _loaded(statements: str) -> set[str]:
    """Which of AWS's packages are loaded after statements ran in a process of their own."""
    script = f"import json, sys\n{statements}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "layers" / "lifecycle",
        env={"AWS_DEFAULT_REGION": "eu-central-1", "PATH": "/usr/bin:/bin"},
    )
    return set(json.loads(done.stdout.splitlines()[-1])) & set(AWS)


def test_no_handler_loads_boto3_when_it_is_imported() -> None:
    imports = "\n".join(
        f"sys.path.insert(0, {str(ROOT / 'functions' / folder)!r}); "
        f"import handler; del sys.modules['handler']; del sys.path[0]"
        for folder in FOLDERS
    )
    assert _loaded(imports) == set(), f"one of {FOLDERS}"


def test_only_a_client_loads_boto3() -> None:
    """Everything that handlers come to import is there, and boto3 is not."""
    modules = sorted(set().union(*(modules_of(folder) for folder in FOLDERS)))
    assert "lifecycle.adapters.aws.ecs" in modules
    assert _loaded(f"import {', '.join(modules)}") == set()


def test_the_check_sees_what_is_loaded() -> None:
    assert _loaded("from lifecycle.adapters.aws.session import client; client('sts')") == set(AWS)


def test_modules_are_followed_through_the_wiring() -> None:
    assert modules_of("read_cluster") >= {
        "lifecycle.wiring.common",
        "lifecycle.provisioning.change_set",
        "lifecycle.adapters.aws.cloudformation",
    }
    assert "lifecycle.adapters.postgres.database" not in modules_of("read_cluster")
