"""In-memory fake of AWS Cloud Map."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lifecycle.teardown.discovery import NamedService


@dataclass
class FakeNamespaces:
    """Services by namespace: what Cloud Map lists, instances counted."""

    inside: dict[str, list[NamedService]] = field(default_factory=dict)

    def services(self, namespace: str) -> Sequence[NamedService]:
        """Services in a namespace."""
        return list(self.inside.get(namespace, ()))

    def delete_service(self, identifier: str) -> bool:
        """Delete a service without instances; False for one that has some."""
        for services in self.inside.values():
            for one in services:
                if one.identifier == identifier:
                    if one.instances:
                        return False
                    services.remove(one)
                    return True
        return True
