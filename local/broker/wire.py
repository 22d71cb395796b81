"""Communication among brokers: JSON over gRPC, on the deployed ports 26501 and 26502.

Camunda's own protocol (Atomix, SBE) is not performed; nothing outside of the brokers uses it.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from local.broker.configuration import BadRequest, Refusal
from local.broker.gateway_port import OutcomeUnknown, PartitionUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

type Json = dict[str, Any]
type Handler = Callable[[Json], Awaitable[Any]]

COMMAND_PORT = 26501
INTERNAL_PORT = 26502
_SERVICE = "brokers"
_CALL_SECONDS = 15.0
_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.max_receive_message_length", 64 * 2**20),
    ("grpc.max_send_message_length", 64 * 2**20),
]


class PeerUnreachable(Exception):
    """Nothing was sent: no broker listens there."""


class PeerSilent(Exception):
    """The broker did not answer in time, or the connection broke; it may have acted."""


class Wire:
    """This broker's server and its connections to others."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._handlers: dict[str, Handler] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._server = grpc.aio.server(options=_OPTIONS)

    def on(self, name: str, handler: Handler) -> None:
        """Answer calls of a name with what the handler gives for their JSON."""
        self._handlers[name] = handler

    async def start(self) -> None:
        """Listen. Raises OSError when a port is in use."""
        methods = {
            name: grpc.unary_unary_rpc_method_handler(_answering(handler))
            for name, handler in self._handlers.items()
        }
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(_SERVICE, methods),)
        )
        for port in (COMMAND_PORT, INTERNAL_PORT):
            try:
                self._server.add_insecure_port(f"{self._address}:{port}")
            except RuntimeError as error:
                raise OSError(f"{self._address}:{port} cannot be bound") from error
        await self._server.start()

    async def stop(self) -> None:
        """Close everything."""
        await self._server.stop(0.2)
        for channel in self._channels.values():
            await channel.close()

    async def call(self, address: str, name: str, payload: object, seconds: float) -> Any:
        """Call a broker.

        Raises PeerUnreachable, PeerSilent, and what its handler raised: Refusal, BadRequest,
        PartitionUnavailable, OutcomeUnknown.
        """
        channel = self._channels.get(address)
        if channel is None:
            channel = grpc.aio.insecure_channel(f"{address}:{INTERNAL_PORT}", options=_OPTIONS)
            self._channels[address] = channel
        method = channel.unary_unary(f"/{_SERVICE}/{name}")
        try:
            answer = json.loads(await method(json.dumps(payload).encode(), timeout=seconds))
        except grpc.aio.AioRpcError as error:
            refused = "refused" in (error.debug_error_string() or "").lower()
            if error.code() == grpc.StatusCode.UNAVAILABLE and refused:
                raise PeerUnreachable(f"{address}: Connection refused") from error
            raise PeerSilent(f"{address}: {error.code().name}") from error
        if "raised" in answer:
            raise _error(answer["raised"])
        return answer["result"]

    async def forget(self, addresses: set[str]) -> None:
        """Close connections to all but these addresses, once their calls are over."""
        for address in set(self._channels) - addresses:
            closing = asyncio.create_task(self._channels.pop(address).close(_CALL_SECONDS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def _answering(handler: Handler) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def answer(request: bytes, _context: Any) -> bytes:
        try:
            result = {"result": await handler(json.loads(request))}
        except Refusal as error:
            result = {"raised": ["Refusal", error.status, error.message]}
        except BadRequest:
            result = {"raised": ["BadRequest"]}
        except PartitionUnavailable as error:
            result = {"raised": ["PartitionUnavailable", str(error)]}
        except OutcomeUnknown as error:
            result = {"raised": ["OutcomeUnknown", str(error)]}
        return json.dumps(result).encode()

    return answer


def _error(raised: list[Any]) -> Exception:
    match raised:
        case ["Refusal", status, message]:
            return Refusal(status, message)
        case ["PartitionUnavailable", message]:
            return PartitionUnavailable(message)
        case ["OutcomeUnknown", message]:
            return OutcomeUnknown(message)
        case _:
            return BadRequest()
