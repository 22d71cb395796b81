from __future__ import annotations

import pytest
from lifecycle.core.freeze import frozen_because, refuse_if_frozen
from lifecycle.core.stack import Stack
from lifecycle.errors import ClusterFrozen


def stack(**tags: str) -> Stack:
    named = {f"camunda:{key}": value for key, value in tags.items()}
    return Stack("control-demo", "arn", "UPDATE_COMPLETE", tags=named)


def test_the_tags_value_is_the_reason() -> None:
    with pytest.raises(ClusterFrozen, match="audit until Friday"):
        refuse_if_frozen(stack(frozen="audit until Friday"))


@pytest.mark.parametrize("value", ["", "  "])
def test_a_tag_without_a_value_freezes_too(value: str) -> None:
    assert frozen_because(stack(frozen=value)) == "no reason given"


def test_other_tags_and_no_stack_freeze_nothing() -> None:
    refuse_if_frozen(None)
    refuse_if_frozen(stack(cluster="demo"))
