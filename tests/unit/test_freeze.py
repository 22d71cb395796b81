from __future__ import annotations

import pytest
from lifecycle.cluster.freeze import frozen_because, refuse_if_frozen
from lifecycle.errors import ClusterFrozen


def test_the_tags_value_is_the_reason() -> None:
    with pytest.raises(ClusterFrozen, match="audit until Friday") as caught:
        refuse_if_frozen("control-demo", {"camunda:frozen": "audit until Friday"})
    assert "control-demo" in caught.value.message
    assert "camunda:frozen" in caught.value.next_step


@pytest.mark.parametrize("value", ["", "  "])
def test_a_tag_without_a_value_freezes_too(value: str) -> None:
    assert frozen_because({"camunda:frozen": value}) == "no reason was given"


def test_other_tags_freeze_nothing() -> None:
    refuse_if_frozen("control-demo", {"camunda:cluster": "demo"})
