"""Basic credentials for a gRPC client: pyzeebe 4.7 has none of its own for this method."""

from __future__ import annotations

import base64
from typing import Any

import grpc.aio


def channel(
    address: str, user: str, password: str, *, name: str = "", root: bytes = b""
) -> grpc.aio.Channel:
    """Give a channel whose calls carry user and password, as the clients of Camunda send them.

    With the `root` of an authority it is one of TLS, verified for `name`.
    """
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return with_header(address, f"Basic {token}", name=name, root=root)


def with_header(
    address: str, header: str, *, name: str = "", root: bytes = b""
) -> grpc.aio.Channel:
    """Give a channel whose calls carry this `authorization`; TLS as for `channel`."""
    login = [_Unary(header), _Stream(header)]
    if not root:
        return grpc.aio.insecure_channel(address, interceptors=login)
    return grpc.aio.secure_channel(
        address,
        grpc.ssl_channel_credentials(root),
        [("grpc.ssl_target_name_override", name), ("grpc.default_authority", name)],
        interceptors=login,
    )


class _Login:
    def __init__(self, header: str) -> None:
        self._metadata = [("authorization", header)]

    async def _call(self, call: Any, details: Any, request: Any) -> Any:
        return await call(details._replace(metadata=self._metadata), request)


class _Unary(_Login, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
    async def intercept_unary_unary(self, call: Any, details: Any, request: Any) -> Any:
        return await self._call(call, details, request)


class _Stream(_Login, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc, unused-ignore]
    async def intercept_unary_stream(self, call: Any, details: Any, request: Any) -> Any:
        return await self._call(call, details, request)
