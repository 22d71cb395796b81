"""Ports of this room: what holds data, and what a deletion waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lifecycle.cluster.lifetimes import PresentDatabase
    from lifecycle.cluster.stack import StackResource
    from lifecycle.teardown.discovery import NamedService


class Namespaces(Protocol):
    """Namespaces of Cloud Map, as far as their removal goes."""

    def services(self, namespace: str) -> Sequence[NamedService]:
        """Services in a namespace, by its id; none in one that is gone."""
        ...

    def delete_service(self, identifier: str) -> bool:
        """Delete a service without instances; one that is gone is no error.

        False while Cloud Map finds instances in it: nothing was deleted.
        """
        ...


class Databases(Protocol):
    """Aurora clusters, as far as their removal goes."""

    def protect(self, identifier: str, *, on: bool) -> None:
        """Turn deletion protection on or off; an Aurora cluster that is gone is no error."""
        ...

    def snapshots(self, identifier: str) -> Sequence[str]:
        """Names of the manual snapshots of an Aurora cluster, gone or not, oldest first."""
        ...


class Balancers(Protocol):
    """Load balancers, as far as their removal goes."""

    def unprotect(self, arn: str) -> None:
        """Turn deletion protection off; a load balancer that is gone is no error."""
        ...


class Storage(Protocol):
    """What holds data, whatever service it is of."""

    def size(self, resource: StackResource) -> int | None:
        """Bytes that a resource holds; None when that cannot be known."""
        ...

    def empty_bucket(self, name: str) -> bool:
        """Delete objects and versions for a while; True when nothing was left.

        A bucket that does not exist is empty.
        """
        ...


class WaysBack(Protocol):
    """What a cluster could be made of again."""

    def of(self, cluster: str, bucket: str, present: PresentDatabase) -> Mapping[str, Any]:
        """Judge by the bucket with its backups (empty: none) and its snapshots as they are now.

        ``present`` is its database.

        Gives ``restorable`` (``backup``, ``at``, ``snapshot`` …; None where there is no way back)
        and ``why`` there is none.
        """
        ...


class Health(Protocol):
    """The last verdict on each cluster's health."""

    def forget(self, cluster: str) -> None:
        """Remove what is known of a cluster that is gone."""
        ...
