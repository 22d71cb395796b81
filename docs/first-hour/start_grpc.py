"""Start an instance of `first` by gRPC, with pyzeebe."""

import asyncio
import base64
import os

import grpc
from grpc import aio
from pyzeebe import ZeebeClient

user = f"{os.environ['CAMUNDA_BASIC_AUTH_USERNAME']}:{os.environ['CAMUNDA_BASIC_AUTH_PASSWORD']}"
LOGIN = f"Basic {base64.b64encode(user.encode()).decode()}"


class Login(aio.UnaryUnaryClientInterceptor):
    """Send the login with each call; pyzeebe has none of its own for user and password."""

    async def intercept_unary_unary(self, call, details, request):
        return await call(details._replace(metadata=[("authorization", LOGIN)]), request)


def channel():
    address, name = os.environ["CAMUNDA_GRPC_ADDRESS"], os.environ.get("CAMUNDA_AUTHORITY")
    host = address.partition("://")[2]
    if address.startswith("grpcs://"):
        options = [("grpc.ssl_target_name_override", name)] if name else []
        return aio.secure_channel(host, grpc.ssl_channel_credentials(), options, None, [Login()])
    return aio.insecure_channel(host, interceptors=[Login()])


async def main():
    async with channel() as connected:
        started = await ZeebeClient(connected).run_process("first")
        print("started", started.process_instance_key)


asyncio.run(main())
