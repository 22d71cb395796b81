"""Basic credentials for a gRPC client: pyzeebe 4.7 has none of its own for this method."""

from __future__ import annotations

import base64
from typing import Any

import grpc.aio


def channel(address: str, user: str, password: str) -> grpc.aio.Channel:
    """Give a channel whose calls carry user and password, as the clients of Camunda send them."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return grpc.aio.insecure_channel(address, interceptors=[_Unary(token), _Stream(token)])


class _Login:
    def __init__(self, token: str) -> None:
        self._metadata = [("authorization", f"Basic {token}")]

    async def _call(self, call: Any, details: Any, request: Any) -> Any:
        return await call(details._replace(metadata=self._metadata), request)


class _Unary(_Login, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc, unused-ignore]
    async def intercept_unary_unary(self, call: Any, details: Any, request: Any) -> Any:
        return await self._call(call, details, request)


class _Stream(_Login, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc, unused-ignore]
    async def intercept_unary_stream(self, call: Any, details: Any, request: Any) -> Any:
        return await self._call(call, details, request)
