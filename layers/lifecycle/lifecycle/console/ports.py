"""What publishing needs from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.console.files import File


class Website(Protocol):
    """Buckets whose objects a distribution serves."""

    def keys(self, bucket: str) -> list[str]:
        """List the keys of all objects; a bucket that does not exist has none."""
        ...

    def put(self, bucket: str, file: File) -> None:
        """Write an object with its headers."""
        ...

    def remove(self, bucket: str, keys: Sequence[str]) -> None:
        """Delete objects."""
        ...


class CustomResources(Protocol):
    """CloudFormation, which waits for the answer of a custom resource."""

    def respond(self, url: str, answer: Mapping[str, str]) -> None:
        """Send the answer. Raises ``AwsUnavailable`` if it does not arrive."""
        ...
