"""How a cluster is reached and who logs in, as the API returns it in ``access``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from camunda_ecs.show import fields, plain

_TITLES: Final = {"rest": "REST"}


def lines(access: Mapping[str, Any]) -> Iterator[Table | Text]:
    """Show URLs, who logs in, the command that reads the password, and each way."""
    login, grpc = access["login"], access.get("grpc")
    rows: dict[str, object] = {_TITLES.get(name, name): url for name, url in access["urls"].items()}
    if grpc:
        rows["gRPC"] = f"{grpc['endpoint']} {_encryption(grpc)}"
    if login["method"] == "oidc":
        rows["issuer"] = login["issuer"]
        administrators = {"user": login["administrator"], "group": login.get("administratorGroup")}
        rows |= {name: value for name, value in administrators.items() if value}
    else:
        rows["user"] = login["user"]
    rows["balancers"] = plain(access["scheme"], "scheme not known")
    rows["admitted"] = _admitted(access["from"])
    yield fields(rows)
    yield from _password(login)
    for way in access["ways"]:
        yield from _way(way)


def of_result(found: Mapping[str, Any]) -> Iterator[Table | Text]:
    """Show the access that the result of an operation that succeeded holds.

    That of a provisioning, or the way to the management API that was opened or closed.
    """
    result = found.get("result")
    if found["status"] != "SUCCEEDED" or not isinstance(result, Mapping):
        return
    access, way = result.get("access"), result.get("managementAccess")
    if isinstance(access, Mapping):
        yield from lines(access)
    if isinstance(way, Mapping):
        yield from _management(way)


def _management(way: Mapping[str, Any]) -> Iterator[Table | Text]:
    if not way["open"]:
        was = "closed" if way.get("wasOpen") else "not open: nothing was changed"
        yield Text(f"The management API is {was}.")
        return
    sources = ", ".join(way["from"]) or "the range of the VPC"
    yield fields({"url": way["url"], "until": way["until"], "from": sources})
    yield Text(plain(way["warning"]), style="yellow")
    yield Text("Close it before: camunda-ecs close-management")


def _encryption(grpc: Mapping[str, Any]) -> str:
    if not grpc["tls"]:
        return "in clear"
    authority = grpc.get("authority")
    return f"with TLS, certificate of {authority}" if authority else "with TLS"


def _admitted(both: Mapping[str, Any]) -> str:
    web, grpc = (", ".join(both[kind]) or "the range of the VPC" for kind in ("web", "grpc"))
    return web if web == grpc else f"web {web}; gRPC {grpc}"


def _password(login: Mapping[str, Any]) -> Iterator[Text]:
    if login.get("secretCommand"):
        yield Text("User and password, with the AWS CLI alone:")
        yield Text(plain(f"  {login['secretCommand']}"))
    if login.get("passwordCommand"):
        yield Text("The password alone:")
        yield Text(plain(f"  {login['passwordCommand']}"))


def _way(way: Mapping[str, Any]) -> Iterator[Text]:
    yield Text(plain(f"{way['way']}: {way['what']}"))
    for lack in (way.get("missing"), way.get("unknown")):
        if lack:
            yield Text(plain(f"  {lack}"), style="yellow")
    for one in way["forwards"]:
        yield Text(plain(f"  {one['to']}: {one['command']}"))
        yield Text(plain(f"    then {one['url']}"))
        if one.get("hosts"):
            yield Text(plain(f"    line for the hosts file: {one['hosts']}"))
