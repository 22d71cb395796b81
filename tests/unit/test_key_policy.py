"""What the text of a key policy says for certain, and what it leaves open."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lifecycle.preflight.key_policy import NEEDED, judge

from tests.unit.rights.statements import of
from tests.unit.templates.resolver import resolve

ACCOUNT = "123456789012"
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
DELEGATION = {"Effect": "Allow", "Principal": ROOT, "Action": "kms:*", "Resource": "*"}
# As the console writes it for those who may use a key.
USERS = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/somebody"},
    "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"],
    "Resource": "*",
}
# As AWS writes it for its own keys: for everybody of the account, through one service.
THROUGH_A_SERVICE = {
    **DELEGATION,
    "Principal": {"AWS": "*"},
    "Condition": {
        "StringEquals": {
            "kms:CallerAccount": ACCOUNT,
            "kms:ViaService": "rds.eu-central-1.amazonaws.com",
        }
    },
}
SERVICE = {**DELEGATION, "Principal": {"Service": "rds.amazonaws.com"}}
DENIAL = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


def decides(*statements: dict[str, Any]) -> bool | None:
    found = judge(json.dumps({"Version": "2012-10-17", "Statement": statements}), ACCOUNT)
    assert found.why
    return found.iam_decides


@pytest.mark.parametrize(
    "statements",
    [
        [DELEGATION],
        [DELEGATION, USERS],
        [DELEGATION, THROUGH_A_SERVICE],
        [{**DELEGATION, "Principal": {"AWS": ACCOUNT}}],
        [{**DELEGATION, "Principal": {"AWS": ["arn:aws:iam::999999999999:root", ROOT["AWS"]]}}],
        [{**DELEGATION, "Action": list(NEEDED)}],
        [{**DELEGATION, "Action": one} for one in NEEDED],
        [{**DELEGATION, "Action": "*"}],
        [{**DELEGATION, "Condition": {}}],
    ],
)
def test_iam_decides_where_the_account_is_let_in_without_conditions(
    statements: list[dict[str, Any]],
) -> None:
    assert decides(*statements) is True


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [USERS],
        [SERVICE],
        [{**DELEGATION, "Principal": {"AWS": "arn:aws:iam::999999999999:root"}}],
        [{**DELEGATION, "Action": ["kms:Create*", "kms:Describe*", "kms:Put*"]}],
        [{**DELEGATION, "Action": [one for one in NEEDED if one != "kms:CreateGrant"]}],
    ],
)
def test_no_role_of_a_new_cluster_may_use_a_key_that_only_others_may(
    statements: list[dict[str, Any]],
) -> None:
    assert decides(*statements) is False


@pytest.mark.parametrize(
    "statements",
    [
        [THROUGH_A_SERVICE],
        [DELEGATION, DENIAL],
        [DENIAL],
        [{**DELEGATION, "Principal": "*"}],
        [{**DELEGATION, "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}}],
        [{**DELEGATION, "Resource": "arn:aws:kms:eu-central-1:123456789012:key/other"}],
        [{"Effect": "Allow", "Principal": ROOT, "NotAction": "kms:Delete*", "Resource": "*"}],
        [{"Effect": "Allow", "NotPrincipal": ROOT, "Action": "kms:*", "Resource": "*"}],
        [{**DELEGATION, "Effect": "allow"}],
        [{"Effect": "Allow", "Principal": ROOT, "Resource": "*"}],
        [{**DELEGATION, "Principal": 1}],
    ],
)
def test_what_a_text_leaves_open_is_not_told(statements: list[dict[str, Any]]) -> None:
    assert decides(*statements) is None


@pytest.mark.parametrize(
    "document", ["", "{", "[]", "{}", '{"Statement": 1}', '{"Statement": [1]}']
)
def test_what_is_no_policy_is_open(document: str) -> None:
    assert judge(document, ACCOUNT).iam_decides is None


def test_a_single_statement_needs_no_list() -> None:
    assert judge(json.dumps({"Statement": DELEGATION}), ACCOUNT).iam_decides is True


def test_what_is_needed_is_what_the_deployment_role_and_the_tasks_have() -> None:
    deployment = {
        action
        for statement in of("ClusterDeploymentRole")
        for action in statement.actions
        if action.startswith("kms:")
    }
    assert set(NEEDED) <= deployment
    key = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1"
    roles = resolve("cluster", KmsKeyArn=key).of_type("AWS::IAM::Role").values()
    statements = [
        statement
        for role in roles
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    granted = [one for one in statements if one["Resource"] == key]
    tasks = {action for statement in granted for action in listed(statement["Action"])}
    assert tasks
    assert tasks <= set(NEEDED)


def test_a_policy_may_name_the_deployment_role_for_what_it_alone_needs() -> None:
    """That role is there before any cluster; the tasks' roles are not."""
    tasks = {**DELEGATION, "Action": ["kms:Decrypt", "kms:GenerateDataKey"]}
    deployment = {
        **DELEGATION,
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/deployment"},
        "Action": ["kms:CreateGrant", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"],
    }
    assert decides(tasks, deployment) is None
    assert decides(tasks) is False
    assert decides({**tasks, "Action": "kms:Decrypt"}, deployment) is False
    assert decides({**DELEGATION, "Action": list(NEEDED)}, deployment) is True
