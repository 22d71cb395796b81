"""What the local server of the console answers, and to whom."""

from __future__ import annotations

import json
from email.message import Message
from pathlib import Path

import pytest

from local.config import REPOSITORY
from local.keys import RootKeys
from local.web_console import FILES, POLICY, Console

pytestmark = pytest.mark.unit
ORIGIN = "http://127.41.0.2:8000"
API = "http://127.41.0.1:4566/restapis/ab12/v1/_user_request_"
OWN = {"Host": "127.41.0.2:8000", "Sec-Fetch-Site": "same-origin"}


def console(api: str | None = API, folder: Path = FILES) -> Console:
    return Console(ORIGIN, lambda: api, RootKeys("AKIA", "secret"), folder)


def headers(given: dict[str, str], *more: tuple[str, str]) -> Message:
    message = Message()
    for name, value in [*given.items(), *more]:
        message[name] = value
    return message


@pytest.mark.parametrize("path", ["/", "/app.js", "/config.json", "/credentials", "/restapis/x"])
@pytest.mark.parametrize(
    "hosts", [[], ["evil.example:8000"], ["127.41.0.2"], ["127.41.0.2:8000", "evil.example"]]
)
def test_another_host_is_refused_for_every_path(path: str, hosts: list[str]) -> None:
    given = headers({"Sec-Fetch-Site": "same-origin"}, *(("Host", host) for host in hosts))
    assert "allowed is 127.41.0.2:8000" in console().refusal(given, path)


@pytest.mark.parametrize("path", ["/app.js", "/credentials", "/restapis/ab12/v1/_user_request_/x"])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.41.0.1:4566"])
def test_another_origin_is_refused(path: str, origin: str) -> None:
    assert f"Origin {origin} is refused" in console().refusal(
        headers({**OWN, "Origin": origin}), path
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", None])
def test_keys_are_only_for_a_page_of_this_origin(site: str | None) -> None:
    given = {"Host": OWN["Host"]} | ({"Sec-Fetch-Site": site} if site else {})
    assert "allowed is same-origin" in console().refusal(headers(given), "/credentials")
    assert console().refusal(headers(OWN), "/credentials") == ""


def test_no_other_page_reads_the_api_here_and_a_person_may_come_from_one() -> None:
    cross = headers({**OWN, "Sec-Fetch-Site": "cross-site"})
    assert "Sec-Fetch-Site cross-site is refused" in console().refusal(cross, "/restapis/ab12/v1")
    assert console().refusal(cross, "/") == ""
    assert console().refusal(headers({"Host": OWN["Host"]}), "/restapis/ab12/v1") == ""


def test_keys_are_only_for_the_user_of_the_instance() -> None:
    assert console().answer("GET", "/credentials", local_user=False).status == 403
    given = console().answer("GET", "/credentials", local_user=True)
    assert json.loads(given.body) == {"accessKeyId": "AKIA", "secretAccessKey": "secret"}
    assert console().answer("POST", "/credentials", local_user=True).status == 405


def test_the_configuration_names_the_api_as_it_is_signed_for() -> None:
    found = json.loads(console().answer("GET", "/config.json", local_user=True).body)
    assert found["api"] == {
        "host": "127.41.0.1:4566",
        "base": "/restapis/ab12/v1/_user_request_",
    }
    assert (found["region"], found["signIn"]) == ("eu-central-1", {"kind": "local"})
    assert console(None).answer("GET", "/config.json", local_user=True).status == 503


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml",
        "/%2e%2e/pyproject.toml",
        "/vendor/../../pyproject.toml",
        "//etc/passwd",
        "/vendor",
        "/app.js/",
        "/app.js%00",
        "/.git/config",
    ],
)
def test_only_files_of_the_folder_are_served(path: str) -> None:
    assert console().answer("GET", path, local_user=True).status == 404


def test_every_file_has_its_type(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "keys.pem").write_text("not served")
    served = console(folder=tmp_path)
    assert served.answer("GET", "/keys.pem", local_user=True).status == 404
    given = served.answer("GET", "/", local_user=True)
    assert given.headers == [("Content-Type", "text/html; charset=utf-8")]
    assert given.body == b"<!doctype html>"
    assert {path.suffix for path in FILES.rglob("*") if path.is_file()} == {
        *(".html", ".css", ".js", ".json", ".svg", ".txt")
    }


@pytest.mark.parametrize(
    ("path", "forwarded"),
    [
        ("/restapis/ab12/v1/_user_request_/clusters", True),
        ("/restapis/ab12/v1/_user_request_/clusters/a%2Fb", True),
        ("/restapis/ab12/v1/_user_request_", False),
        ("/restapis/other/v1/_user_request_/clusters", False),
        ("/restapis/ab12/v1/_user_request_/../../../../_ministack/reset", False),
        ("/restapis/ab12/v1/_user_request_/%2e%2e/%2e%2E/x", False),
        ("/_ministack/reset", False),
        ("/", False),
    ],
)
def test_only_what_is_below_the_api_is_forwarded(path: str, forwarded: bool) -> None:
    assert console().is_of_api(path) is forwarded
    assert console(None).is_of_api(path) is False


def test_the_page_names_the_policy_of_the_header_but_for_what_differs() -> None:
    """A page cannot forbid frames by itself, and on AWS it connects to Cognito."""
    page = (REPOSITORY / "console" / "index.html").read_text()
    own = page.split('Content-Security-Policy" content="')[1].split('"')[0]
    connect = "connect-src 'self'"
    assert own.replace(
        f"{connect} https://*.amazoncognito.com https://*.amazonaws.com", connect
    ) == POLICY.replace(" frame-ancestors 'none';", "")
