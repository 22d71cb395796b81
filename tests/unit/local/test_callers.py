"""Who may call the local AWS: keys of an instance, and requests that browsers make for a page."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from local.aws.callers import Callers, refusal
from local.config import LocalConfig
from local.keys import KeysError, root_keys

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.unit
ADDRESS, PORT = "127.41.0.1", 4566


# --- keys ----------------------------------------------------------------------------------------


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_random_and_stay(tmp_path: Path) -> None:
    one, two = root_keys(tmp_path / "one"), root_keys(tmp_path / "two")
    assert one == root_keys(tmp_path / "one")
    assert one.access_key_id != two.access_key_id
    assert one.secret_access_key != two.secret_access_key
    assert (len(one.access_key_id), len(one.secret_access_key)) == (20, 40)


def test_nobody_else_reads_them(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir(mode=0o755)
    root_keys(root)
    assert mode(root) == 0o700
    assert mode(root / "keys.json") == 0o600


def test_keys_that_others_may_have_read_are_refused(tmp_path: Path) -> None:
    root_keys(tmp_path)
    (tmp_path / "keys.json").chmod(0o644)
    with pytest.raises(KeysError, match=r"mode 0644.*allowed is 0600"):
        root_keys(tmp_path)


def test_of_several_that_make_keys_at_once_one_wins(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: root_keys(tmp_path), range(16)))
    assert len(found) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_tools_get_the_keys_of_their_instance(tmp_path: Path) -> None:
    config = LocalConfig(tmp_path)
    given = config.client_environment()
    assert given["AWS_ACCESS_KEY_ID"] == config.keys.access_key_id
    assert given["AWS_SECRET_ACCESS_KEY"] == config.keys.secret_access_key


# --- browsers ------------------------------------------------------------------------------------


def refused(path: str = "/", **headers: str) -> str:
    given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return refusal(given, path, address=ADDRESS, port=PORT)


@pytest.mark.parametrize(
    "host", [f"{ADDRESS}:{PORT}", ADDRESS, f"bucket.{ADDRESS}:{PORT}", f"000000000000.{ADDRESS}"]
)
def test_clients_of_aws_are_served(host: str) -> None:
    assert refused(host=host) == ""
    assert refused(host=host, origin=f"http://{ADDRESS}:{PORT}") == ""


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:4566",
        f"{ADDRESS}.evil.example",
        f"evil{ADDRESS}",
        f"{ADDRESS}:80",
        "localhost:4566",
        "",
    ],
)
def test_a_rebound_name_is_refused(host: str) -> None:
    told = refused(host=host)
    assert told.startswith("Host ")
    assert told.endswith(f"allowed is {ADDRESS}:{PORT}.")


def test_a_request_without_host_or_with_two_is_refused() -> None:
    assert "(none)" in refused()
    twice = [(b"host", f"{ADDRESS}:{PORT}".encode()), (b"Host", b"evil.example")]
    assert refusal(twice, "/", address=ADDRESS, port=PORT).startswith("Host ")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", f"http://{ADDRESS}", "http://127.41.0.4"]
)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    told = refused(host=f"{ADDRESS}:{PORT}", origin=origin)
    assert told.startswith(f"Origin {origin} is refused")


@pytest.mark.parametrize(
    ("path", "served"),
    [
        ("/_ministack/reset", False),
        ("/_ministack/config", False),
        ("/_localstack/health", False),
        ("/_ministack/cfn-response/token", True),
        ("/bucket/_ministack/reset", True),
    ],
)
def test_routes_without_a_signature_are_refused(path: str, served: bool) -> None:
    assert (refused(path, host=f"{ADDRESS}:{PORT}") == "") is served


def test_what_is_refused_never_reaches_the_emulator() -> None:
    sent: list[dict[str, Any]] = []

    async def emulator(*_: Any) -> None:
        pytest.fail("it was reached")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"x", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/", "headers": [(b"host", b"evil.example")]}
    # Nothing here waits, so that it ends without an event loop.
    with pytest.raises(StopIteration):
        Callers(emulator, ADDRESS, PORT)(scope, receive, send).send(None)
    assert sent[0]["status"] == 403
    assert "evil.example" in json.loads(sent[1]["body"])["message"]
