"""What a function loads that is wired: no more than it has layers for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from lifecycle.wiring import provisioning


def test_a_stack_is_changed_without_the_definitions_of_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the functions that change a stack, only those with the layer of services have them."""

    def missing() -> None:
        raise FileNotFoundError

    monkeypatch.setattr(provisioning, "service_definitions", missing)
    monkeypatch.setattr(provisioning, "settings", lambda: SimpleNamespace(control_stack="control"))
    for name in ("stacks", "artifacts", "journal", "cluster_images"):
        monkeypatch.setattr(provisioning, name, lambda: None)
    changer = provisioning.stack_changer()
    with pytest.raises(FileNotFoundError):
        changer.reader()
