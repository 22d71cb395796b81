"""How a cluster is reached and who logs in, as a page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lifecycle.pages.markup import Child, Html, joined, tag
from lifecycle.pages.parts import code, command, facts, note, paragraph, steps
from lifecycle.pages.read import part, parts, text, values

if TYPE_CHECKING:
    from collections.abc import Mapping

_URLS: Final = {
    "operate": "Operate",
    "tasklist": "Tasklist",
    "admin": "Admin",
    "rest": "REST",
    "connectors": "Connectors",
}
_PAGES: Final = frozenset({"operate", "tasklist", "admin"})
_WAYS: Final = {
    "internet": "From the internet",
    "network": "From the network",
    "port-forwarding": "By port forwarding",
}
_TO: Final = {"web": "Web applications and REST", "grpc": "gRPC"}


def log_in(access: Mapping[str, Any]) -> Html:
    """Return the box of a cluster's access; nothing where the report has none.

    ``access`` is what ``cluster.access`` returns. It holds the command that reads the password.
    """
    if not access:
        return Html("")
    urls, grpc, login = part(access, "urls"), part(access, "grpc"), part(access, "login")
    return joined(
        (
            facts(
                *((title, _url(name, text(urls, name))) for name, title in _URLS.items()),
                ("gRPC", _grpc(grpc)),
                ("User", _who(login)),
                ("Group", _code(text(login, "administratorGroup"))),
                ("Issuer", _code(text(login, "issuer"))),
                ("Load balancers", text(access, "scheme") or "scheme not known"),
                ("Admitted", _admitted(access)),
            ),
            _password(login),
            [_way(one) for one in parts(access, "ways")],
        )
    )


def management(way: Mapping[str, Any]) -> Html:
    """Return the box of the way to the management API; nothing where none was opened.

    ``way`` is ``managementAccess`` of a report: docs/manage.md.
    """
    if way.get("open") is not True:
        return Html("")
    return joined(
        (
            facts(
                ("URL", _code(text(way, "url"))),
                ("Until", text(way, "until")),
                ("Admitted", ", ".join(values(way, "from")) or "the range of the VPC"),
                ("Close", _code(text(way, "close"))),
            ),
            paragraph(text(way, "warning")),
        )
    )


def _url(name: str, value: str) -> Child:
    if not value:
        return None
    # A page links nothing that would travel in clear.
    if name in _PAGES and value.startswith("https://"):
        return tag("a", value, href=value, rel="noopener noreferrer")
    return code(value)


def _code(value: str) -> Child:
    return code(value) if value else None


def _grpc(grpc: Mapping[str, Any]) -> Child:
    endpoint = text(grpc, "endpoint")
    if not endpoint:
        return None
    authority = text(grpc, "authority")
    verified = f", certificate of {authority}" if authority else ""
    return [code(endpoint), f" with TLS{verified}" if grpc.get("tls") is True else " in clear"]


def _who(login: Mapping[str, Any]) -> Child:
    if text(login, "method") == "oidc":
        return _code(text(login, "administrator"))
    return _code(text(login, "user"))


def _password(login: Mapping[str, Any]) -> Child:
    shown = text(login, "secretCommand")
    if not shown:
        return None
    return [
        paragraph("User and password, with the AWS CLI alone:"),
        command(shown),
        [paragraph("The password alone:"), command(text(login, "passwordCommand"))]
        if text(login, "passwordCommand")
        else None,
    ]


def _admitted(access: Mapping[str, Any]) -> Child:
    both = part(access, "from")
    web, grpc = (", ".join(map(str, values(both, kind))) for kind in ("web", "grpc"))
    web, grpc = (one or "the range of the VPC" for one in (web, grpc))
    return web if web == grpc else f"web: {web}; gRPC: {grpc}"


def _way(way: Mapping[str, Any]) -> Html:
    name = text(way, "way")
    lacks = text(way, "missing") or text(way, "unknown")
    return joined(
        (
            tag("h3", _WAYS.get(name, name)),
            paragraph(text(way, "what")),
            note("info", paragraph(lacks)) if lacks else None,
            steps(
                [
                    [
                        paragraph(_TO.get(text(one, "to"), text(one, "to"))),
                        command(text(one, "command")),
                        paragraph("Then use ", code(text(one, "url"))),
                        paragraph("Line for the hosts file: ", code(text(one, "hosts")))
                        if text(one, "hosts")
                        else None,
                    ]
                ]
                for one in parts(way, "forwards")
            ),
        )
    )
