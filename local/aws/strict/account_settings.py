"""ECS settings accept only certain values, and have AWS's default if none is set."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import ecs, responses
from local.aws.strict import Rule

if TYPE_CHECKING:
    from local.aws.strict import Strictness

RETIREMENT: Final = "fargateTaskRetirementWaitPeriod"
DAYS: Final = ("0", "7", "14")
_DEFAULT: Final = "7"


def refusal(name: str, value: str) -> str:
    """Why a setting cannot have a value; empty if it can."""
    if name == RETIREMENT and value not in DAYS:
        return f"The value of {RETIREMENT} is one of {', '.join(DAYS)}."
    return ""


def install(_: Strictness) -> None:
    """Give the wait of Fargate's task retirement in days."""
    own_list = ecs.ACTION_MAP["ListAccountSettings"]
    own_put = ecs.ACTION_MAP["PutAccountSettingDefault"]

    def list_account_settings(data: dict[str, Any]) -> Any:
        status, headers, body = own_list(data)
        answer = json.loads(body)
        for one in answer["settings"]:
            if one["name"] == RETIREMENT and one["value"] not in DAYS:
                one["value"] = _DEFAULT
        return status, headers, json.dumps(answer).encode()

    def put_account_setting_default(data: dict[str, Any]) -> Any:
        refused = refusal(str(data.get("name")), str(data.get("value")))
        if refused:
            return responses.error_response_json("InvalidParameterException", refused, 400)
        return own_put(data)

    ecs.ACTION_MAP["ListAccountSettings"] = list_account_settings
    ecs.ACTION_MAP["PutAccountSettingDefault"] = put_account_setting_default


RULE: Final = Rule(
    name="account-settings",
    does="The wait before Fargate retires tasks is 0, 7 or 14 days, 7 by default.",
    source="https://docs.aws.amazon.com/AmazonECS/latest/developerguide/prepare-task-retirement.html",
    caught="nothing yet.",
    install=install,
)
