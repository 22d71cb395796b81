"""What UpdateService does with each of its parameters, as the SDK's own model documents them."""

from __future__ import annotations

import re

import botocore.session
import pytest

from local.fargate.ecs_api import DEPLOYING, IN_PLACE

pytestmark = pytest.mark.unit

DEPLOYS = "This parameter triggers a new service deployment."
STAYS = "This parameter doesn't trigger a new service deployment."
# Not merely stored: each has lines of its own.
OWN_LINES = {"taskDefinition", "desiredCount", "deploymentConfiguration"}


def documented(sentence: str) -> set[str]:
    model = botocore.session.get_session().get_service_model("ecs")
    shape_of_request = model.operation_model("UpdateService").input_shape
    assert shape_of_request is not None
    members = shape_of_request.members
    return {
        name
        for name, shape in members.items()
        if sentence in re.sub(r"<[^>]+>", "", shape.documentation)
    }


def test_a_new_deployment_is_started_by_what_the_api_s_reference_says() -> None:
    assert documented(DEPLOYS) - OWN_LINES == DEPLOYING


def test_everything_else_changes_in_place() -> None:
    assert documented(STAYS) - OWN_LINES == IN_PLACE
