"""Write groups and roles of the console's users into stacks/console.yaml, from docs/policies.

Each group of the user pool has a role, and the role what the ready policy of that name opens in the
REST API; the console is a client of nothing else. Run by ``make generate``; a test refuses drift.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.names import CONSOLE_GROUPS

from tools.generate_parameters import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TEMPLATE: Final = ROOT / "stacks" / "console.yaml"
POLICIES: Final = ROOT / "docs" / "policies"
API: Final = "execute-api:Invoke"
_BEGIN: Final = f"# {'-' * 42} groups and roles: docs/policies, by `make generate`\n"
_END: Final = f"# {'-' * 82} generated\n"
_RESOURCE: Final = re.compile(r"arn:aws:execute-api:\*:\*:API_ID/\*/(?P<route>\S+)")


def statements(group: str) -> Sequence[Mapping[str, Any]]:
    """Give the statements of a ready policy that open routes of the REST API."""
    document = json.loads((POLICIES / f"{group}.json").read_text())
    return [one for one in document["Statement"] if one["Action"] == API]


def routes(statement: Mapping[str, Any]) -> Sequence[str]:
    """Give the routes that a statement opens, as ``GET/*``. Raises ValueError for another one."""
    found = []
    for resource in statement["Resource"]:
        match = _RESOURCE.fullmatch(resource)
        if match is None or statement["Effect"] != "Allow" or "Condition" in statement:
            raise ValueError(f"{resource} is no route that this tool can write")
        found.append(match["route"])
    return found


def written(group: str, precedence: int) -> str:
    """Give the resources of one group as YAML; the lowest precedence counts for a user of several.

    https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-user-groups.html
    """
    name = group.capitalize()
    lines = [
        f"  {name}Group:",
        "    Type: AWS::Cognito::UserPoolGroup",
        "    Properties:",
        "      UserPoolId: !Ref UserPool",
        f"      GroupName: {group}",
        f"      Precedence: {precedence}",
        f"      RoleArn: !GetAtt {name}Role.Arn",
        "",
        f"  {name}Role:",
        "    Type: AWS::IAM::Role",
        "    Properties:",
        f"      Description: Users of the console in the group {group}",
        f"      RoleName: !Sub ${{ControlStack}}_console_{group}",
        "      Path: !Sub /camunda-console/${ControlStack}/",
        "      PermissionsBoundary: !Ref PeopleBoundary",
        "      AssumeRolePolicyDocument:",
        '        Version: "2012-10-17"',
        "        Statement:",
        "          - Effect: Allow",
        "            Principal: {Federated: cognito-identity.amazonaws.com}",
        "            Action: sts:AssumeRoleWithWebIdentity",
        "            Condition:",
        '              StringEquals: {"cognito-identity.amazonaws.com:aud": !Ref IdentityPool}',
        "              ForAnyValue:StringLike:",
        '                "cognito-identity.amazonaws.com:amr": authenticated',
        "      Policies:",
        "        - PolicyName: api",
        "          PolicyDocument:",
        '            Version: "2012-10-17"',
        "            Statement:",
    ]
    for one in statements(group):
        lines += [
            f"              - Sid: {one['Sid']}",
            "                Effect: Allow",
            f"                Action: {API}",
            "                Resource:",
        ]
        lines += [
            "                  - !Sub arn:${AWS::Partition}:execute-api:${AWS::Region}:"
            f"${{AWS::AccountId}}:${{ApiId}}/${{Stage}}/{route}"
            for route in routes(one)
        ]
    lines += [
        "      Tags:",
        '        - {Key: "camunda:control-plane", Value: !Ref ControlStack}',
        "",
    ]
    return "\n".join(lines) + "\n"


def generated(template: str) -> str:
    """Give the template with the groups and roles of today's ready policies."""
    before, begin, rest = template.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{TEMPLATE.name} has lost the marks of what is generated")
    blocks = [
        written(group, precedence) for precedence, group in enumerate(reversed(CONSOLE_GROUPS))
    ]
    return f"{before}{begin}{''.join(blocks)}{end}{after}"


def main() -> None:
    """Write them."""
    TEMPLATE.write_text(generated(TEMPLATE.read_text()))


if __name__ == "__main__":
    main()
