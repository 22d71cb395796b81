"""The console's stack: who reads the files, who signs in, and what a user of each group may do."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle.api.routes import ROUTES
from lifecycle.cluster.names import CONSOLE_GROUPS, is_console_role
from lifecycle.console.publish import PROPERTIES

from tests.support.nested import CONTROL
from tests.support.planes import Resource, arn, decide, plane
from tests.unit.rights.test_ready_policies import ROUTES_OF, _up_to
from tests.unit.templates.resolver import Resolved, broken_rules, resolve
from tools import generate_console
from tools.generate_parameters import load_template

if TYPE_CHECKING:
    from collections.abc import Mapping

DOMAIN = "console.example.com"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-4000-8000-000000000000"
WEB_ACL = (
    "arn:aws:wafv2:us-east-1:123456789012:global/webacl/office/00000000-0000-4000-8000-000000000000"
)
SIGN_IN = "https://camunda-console-0f3a1b2c-1111-4222-8333-444455556666.auth.eu-central-1.amazoncognito.com"
EVERYWHERE = "0.0.0.0/0,::/0"


def console(**given: str) -> Resolved:
    values = {
        "ApiId": "a1b2c3",
        "Stage": "v1",
        "LifecycleLayer": "arn:layer:1",
        "FunctionBoundary": "arn:boundary",
        "FunctionLogs": "logs",
        "CodeSigningConfigArn": "",
        "LogLevel": "INFO",
        "DomainName": "",
        "CertificateArn": "",
        "WebAclArn": "",
        "UserEmail": "",
    }
    return resolve("console", **{**values, **given})


def distribution(**given: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = console(**given).properties("Distribution")["DistributionConfig"]
    return found


def behaviours() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Of the files, and of the API."""
    config = distribution()
    (api,) = config["CacheBehaviors"]
    return config["DefaultCacheBehavior"], api


# --- parameters ----------------------------------------------------------------------------------


def rules(**given: str) -> list[str]:
    return broken_rules("../template", **given)


def test_by_default_there_is_no_console() -> None:
    root = load_template(CONTROL)
    assert root["Parameters"]["Console"]["Default"] == "none"
    assert root["Resources"]["WebConsole"]["Condition"] == "HasConsole"
    assert root["Conditions"]["HasConsole"] == {"Fn::Equals": [{"Ref": "Console"}, "cognito"]}
    for name in ("ConsoleUrl", "ConsoleUserPoolId", "ConsoleDistribution"):
        assert root["Outputs"][name]["Condition"] == "HasConsole"
    assert rules() == []


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"ConsoleUserEmail": "ada@example.com"},
        {"ConsoleDomainName": DOMAIN, "ConsoleCertificateArn": CERTIFICATE},
        {"ConsoleWebAclArn": WEB_ACL},
    ],
)
def test_what_belongs_to_the_console_needs_it(given: dict[str, str]) -> None:
    assert rules(Console="cognito", **given) == []
    if given:
        (words,) = rules(**given)
        assert next(iter(given)) in words
        assert "Console=cognito" in words


@pytest.mark.parametrize(
    "given", [{"ConsoleDomainName": DOMAIN}, {"ConsoleCertificateArn": CERTIFICATE}]
)
def test_name_and_certificate_come_together(given: dict[str, str]) -> None:
    (words,) = rules(Console="cognito", **given)
    assert "ConsoleDomainName and ConsoleCertificateArn" in words


def test_with_the_console_the_api_takes_every_address() -> None:
    """It sees those of CloudFront, so that every request of the console would be refused."""
    assert rules(ApiAllowedCidrs="203.0.113.0/24") == []
    (words,) = rules(Console="cognito", ApiAllowedCidrs="203.0.113.0/24")
    assert f"ApiAllowedCidrs must be {EVERYWHERE}" in words
    assert "ConsoleWebAclArn" in words
    assert load_template(CONTROL)["Parameters"]["ApiAllowedCidrs"]["Default"] == EVERYWHERE


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("ConsoleUserEmail", "ada@example.com", "ada"),
        ("ConsoleDomainName", DOMAIN, "Console.example.com"),
        ("ConsoleDomainName", DOMAIN, "https://console.example.com"),
        ("ConsoleDomainName", DOMAIN, "console"),
        ("ConsoleCertificateArn", CERTIFICATE, CERTIFICATE.replace("us-east-1", "eu-central-1")),
        ("ConsoleWebAclArn", WEB_ACL, WEB_ACL.replace("us-east-1", "eu-central-1")),
        ("ConsoleWebAclArn", WEB_ACL, WEB_ACL.replace("global/", "regional/")),
    ],
)
def test_a_value_is_held_to_its_pattern(parameter: str, good: str, bad: str) -> None:
    declared = load_template(CONTROL)["Parameters"][parameter]
    assert re.fullmatch(declared["AllowedPattern"], good)
    assert re.fullmatch(declared["AllowedPattern"], "")
    assert not re.fullmatch(declared["AllowedPattern"], bad)
    assert declared["ConstraintDescription"]


# --- files ---------------------------------------------------------------------------------------


def test_the_bucket_is_private_and_encrypted() -> None:
    bucket = console().properties("ConsoleBucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert "BucketEncryption" in bucket
    assert re.fullmatch(r"[a-z0-9-]{3,63}", bucket["BucketName"])
    longest = console(ControlStack="c" * 32).properties("ConsoleBucket")["BucketName"]
    assert len(longest) <= 63


def test_only_this_distribution_reads_and_only_the_function_writes() -> None:
    policy = console().properties("ConsoleBucketPolicy")["PolicyDocument"]
    by_sid = {one["Sid"]: one for one in policy["Statement"]}
    allowed = [one for one in policy["Statement"] if one["Effect"] == "Allow"]
    (reading,) = allowed
    assert reading["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert (reading["Action"], reading["Resource"]) == ("s3:GetObject", "att(ConsoleBucket.Arn)/*")
    assert reading["Condition"] == {
        "StringEquals": {
            "aws:SourceArn": "arn:aws:cloudfront::123456789012:distribution/ref(Distribution)"
        }
    }
    assert by_sid["OnlyTls"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    writing = by_sid["OnlyTheFunctionWrites"]
    assert {"s3:PutObject", "s3:DeleteObject"} <= set(writing["Action"])
    assert writing["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": "att(PublishConsoleRole.Arn)"}
    }
    access = console().properties("OriginAccess")["OriginAccessControlConfig"]
    assert (access["SigningBehavior"], access["OriginAccessControlOriginType"]) == ("always", "s3")


def test_the_custom_resource_gives_what_the_function_reads() -> None:
    given = console().properties("ConsoleFiles")
    assert set(given) == {*PROPERTIES, "ServiceToken", "ServiceTimeout"}
    assert given["ServiceToken"] == "att(PublishConsole.Arn)"
    assert given["Bundle"] == "ref(ConsoleLayer) arn:layer:1", "each release publishes again"
    assert given["ApiHost"] == "a1b2c3.execute-api.eu-central-1.amazonaws.com"
    assert given["ApiBase"] == "/v1"
    assert given["SignInDomain"] == SIGN_IN
    function = console().properties("PublishConsole")
    assert int(given["ServiceTimeout"]) > 2 * int(function["Timeout"]), "Lambda tries again"


def test_the_function_has_what_the_globals_of_the_root_would_give_it() -> None:
    function = console().properties("PublishConsole")
    root = load_template(CONTROL)["Globals"]["Function"]
    for same in ("Runtime", "Architectures", "Handler", "MemorySize"):
        assert function[same] == root[same]
    assert function["PermissionsBoundary"] == "arn:boundary"
    assert function["LoggingConfig"] == {"LogGroup": "logs"}
    assert "CodeSigningConfigArn" not in function
    signed = console(CodeSigningConfigArn="arn:signing").properties("PublishConsole")
    assert signed["CodeSigningConfigArn"] == "arn:signing"
    assert set(root) - set(signed) == {
        "AutoPublishAlias",
        "AutoPublishAliasAllProperties",
    }


# --- CloudFront ----------------------------------------------------------------------------------


def test_files_are_read_only_and_requests_reach_the_api_as_they_were_signed() -> None:
    files, api = behaviours()
    assert files["TargetOriginId"] == "files"
    assert files["AllowedMethods"] == ["GET", "HEAD"]
    assert files["ViewerProtocolPolicy"] == "redirect-to-https"
    assert api["PathPattern"] == "/v1/*"
    assert set(api["AllowedMethods"]) >= {route.method for route in ROUTES}
    assert api["ViewerProtocolPolicy"] == "https-only"
    # CachingDisabled and AllViewerExceptHostHeader, of AWS.
    assert api["CachePolicyId"] == files["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
    assert api["OriginRequestPolicyId"] == "b689b0a8-53d0-40ab-baf2-68738e2966ac"
    assert "OriginRequestPolicyId" not in files, "S3 takes no Host but its own"
    origin = next(one for one in distribution()["Origins"] if one["Id"] == "api")
    assert origin["DomainName"] == "a1b2c3.execute-api.eu-central-1.amazonaws.com"
    assert "OriginPath" not in origin
    assert origin["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert origin["CustomOriginConfig"]["OriginReadTimeout"] > 29


def test_headers_allow_only_what_the_console_needs() -> None:
    for one in behaviours():
        assert one["ResponseHeadersPolicyId"] == "ref(SecurityHeaders)"
    found = console().properties("SecurityHeaders")["ResponseHeadersPolicyConfig"]
    headers = found["SecurityHeadersConfig"]
    assert {one["Override"] for one in headers.values()} == {True}
    policy = headers["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    directives = dict(one.strip().split(" ", 1) for one in policy.split(";"))
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": f"'self' {SIGN_IN} https://cognito-identity.eu-central-1.amazonaws.com",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31536000
    assert headers["ReferrerPolicy"]["ReferrerPolicy"] == "no-referrer"
    assert "ContentTypeOptions" in headers


def test_the_name_of_the_sign_in_page_is_one() -> None:
    """The bucket of names, the policy and the domain itself each spell it out."""
    made = console()
    prefix = made.properties("UserPoolDomain")["Domain"]
    assert f"https://{prefix}.auth.eu-central-1.amazoncognito.com" == SIGN_IN
    # https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_CreateUserPoolDomain.html
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", prefix)
    assert not re.search("aws|amazon|cognito", prefix)


def test_a_name_of_ones_own_needs_tls_1_2() -> None:
    own = distribution(DomainName=DOMAIN, CertificateArn=CERTIFICATE)
    assert own["Aliases"] == [DOMAIN]
    assert own["ViewerCertificate"] == {
        "AcmCertificateArn": CERTIFICATE,
        "SslSupportMethod": "sni-only",
        "MinimumProtocolVersion": "TLSv1.2_2021",
    }
    assert "Aliases" not in distribution()
    assert distribution()["ViewerCertificate"] == {"CloudFrontDefaultCertificate": True}


def test_a_web_acl_is_attached_by_parameter() -> None:
    assert "WebACLId" not in distribution()
    assert distribution(WebAclArn=WEB_ACL)["WebACLId"] == WEB_ACL


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, "https://att(Distribution.DomainName)"),
        ({"DomainName": DOMAIN, "CertificateArn": CERTIFICATE}, f"https://{DOMAIN}"),
    ],
)
def test_address_sign_in_and_invitation_agree(given: dict[str, str], address: str) -> None:
    made = console(**given)
    assert made.outputs["Url"] == address
    client = made.properties("UserPoolClient")
    assert client["CallbackURLs"] == client["LogoutURLs"] == [f"{address}/"]
    invitation = made.properties("UserPool")["AdminCreateUserConfig"]["InviteMessageTemplate"]
    assert address in invitation["EmailMessage"]
    assert "{username}" in invitation["EmailMessage"]
    assert "{####}" in invitation["EmailMessage"]


# --- sign-in -------------------------------------------------------------------------------------


def test_there_is_no_sign_up_and_each_user_has_a_second_factor() -> None:
    pool = console().properties("UserPool")
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("ON", ["SOFTWARE_TOKEN_MFA"])
    assert "DeviceConfiguration" not in pool, "a remembered device would skip the second factor"
    policy = pool["Policies"]["PasswordPolicy"]
    assert policy["MinimumLength"] >= 12
    assert all(policy[f"Require{one}"] for one in ("Lowercase", "Uppercase", "Numbers", "Symbols"))


def test_the_client_is_public_and_signs_in_by_code_only() -> None:
    client = console().properties("UserPoolClient")
    assert client["GenerateSecret"] is False
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]
    assert "aws.cognito.signin.user.admin" not in client["AllowedOAuthScopes"]
    assert client["EnableTokenRevocation"] is True
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    units = client["TokenValidityUnits"]
    assert (units["AccessToken"], units["IdToken"], units["RefreshToken"]) == (
        "minutes",
        "minutes",
        "hours",
    )
    assert max(client["AccessTokenValidity"], client["IdTokenValidity"]) <= 15
    assert client["RefreshTokenValidity"] <= 12


def test_a_first_user_is_an_administrator() -> None:
    assert not {"FirstUser", "FirstUserIsAdministrator"} & set(console().resources)
    made = console(UserEmail="ada@example.com")
    assert made.properties("FirstUser")["Username"] == "ada@example.com"
    attached = made.properties("FirstUserIsAdministrator")
    assert attached["GroupName"] == "ref(AdministratorGroup)"
    assert "FirstUser" in made.waits_for("FirstUserIsAdministrator")


def test_credentials_are_only_for_users_of_this_pool_and_by_their_group() -> None:
    made = console()
    pool = made.properties("IdentityPool")
    assert pool["AllowUnauthenticatedIdentities"] is False
    assert pool["AllowClassicFlow"] is False, "there a user names the role"
    (provider,) = pool["CognitoIdentityProviders"]
    assert provider == {
        "ClientId": "ref(UserPoolClient)",
        "ProviderName": "att(UserPool.ProviderName)",
        "ServerSideTokenCheck": True,
    }
    attached = made.properties("RolesOfGroups")
    assert attached["Roles"] == {"authenticated": "att(GrouplessRole.Arn)"}
    groupless = made.properties("GrouplessRole")
    assert not {"Policies", "ManagedPolicyArns"} & set(groupless)
    assert not is_console_role(groupless["RoleName"], "control")
    (mapping,) = attached["RoleMappings"].values()
    assert mapping == {
        "IdentityProvider": "cognito-idp.eu-central-1.amazonaws.com/"
        "ref(UserPool):ref(UserPoolClient)",
        "Type": "Token",
        "AmbiguousRoleResolution": "Deny",
    }


# --- groups and roles ----------------------------------------------------------------------------


def test_the_template_has_the_ready_policies_of_today() -> None:
    """Run `make generate`."""
    written = generate_console.TEMPLATE.read_text()
    assert generate_console.generated(written) == written


def test_what_cannot_be_written_is_refused() -> None:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": "execute-api:Invoke"}
    for wrong in (
        {**statement, "Resource": ["arn:aws:execute-api:*:*:*/*/GET/*"]},
        {**statement, "Resource": ["*"]},
        {
            **statement,
            "Resource": ["arn:aws:execute-api:*:*:API_ID/*/GET/*"],
            "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        },
        {
            **statement,
            "Resource": ["arn:aws:execute-api:*:*:API_ID/*/GET/*"],
            "Effect": "Deny",
        },
    ):
        with pytest.raises(ValueError, match="no route"):
            generate_console.routes(wrong)
    with pytest.raises(ValueError, match="marks"):
        generate_console.generated("Resources: {}")


@pytest.mark.parametrize("group", CONSOLE_GROUPS)
def test_a_group_opens_the_routes_of_its_ready_policy_and_nothing_else(group: str) -> None:
    made = console()
    role = made.properties(f"{group.capitalize()}Role")
    (policy,) = role["Policies"]
    opened = set()
    for statement in policy["PolicyDocument"]["Statement"]:
        assert statement["Action"] == "execute-api:Invoke"
        for resource in statement["Resource"]:
            before, found, pattern = resource.partition(":a1b2c3/v1/")
            assert found
            assert before == "arn:aws:execute-api:eu-central-1:123456789012"
            opened |= {
                route.name
                for route in ROUTES
                if fnmatchcase(
                    f"{route.method}{route.resource}".format(name="demo", id="demo.scale.1"),
                    pattern,
                )
            }
    assert opened == _up_to(ROUTES_OF, group)


@pytest.mark.parametrize("group", CONSOLE_GROUPS)
def test_a_role_trusts_this_identity_pool_and_keeps_within_a_boundary(group: str) -> None:
    made = console()
    role = made.properties(f"{group.capitalize()}Role")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust == {
        "Effect": "Allow",
        "Principal": {"Federated": "cognito-identity.amazonaws.com"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {"cognito-identity.amazonaws.com:aud": "ref(IdentityPool)"},
            "ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"},
        },
    }
    assert is_console_role(role["RoleName"], "control"), "the API recognises its users by it"
    assert role["Path"] == "/camunda-console/control/", "where no deployment role changes it"
    assert role["PermissionsBoundary"] == "ref(PeopleBoundary)"
    longest = console(ControlStack="c" * 32).properties(f"{group.capitalize()}Role")["RoleName"]
    assert len(longest) <= 64
    joined = made.properties(f"{group.capitalize()}Group")
    assert (joined["GroupName"], joined["RoleArn"]) == (
        group,
        f"att({group.capitalize()}Role.Arn)",
    )


def test_of_several_groups_the_strongest_counts() -> None:
    """``cognito:preferred_role`` is that of the lowest precedence, and there must be one."""
    made = console()
    order = [made.properties(f"{one.capitalize()}Group")["Precedence"] for one in CONSOLE_GROUPS]
    assert order == sorted(order, reverse=True)
    assert len(set(order)) == len(order)


@pytest.mark.parametrize("group", CONSOLE_GROUPS)
@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("states:StartExecution", arn("states", "stateMachine:camunda-lifecycle-scale")),
        ("s3:GetObject", "arn:aws:s3:::camunda-lifecycle-artifactbucket-1a2b/plans/x"),
        ("execute-api:Invoke", arn("execute-api", "another123/v1/GET/clusters")),
        ("sts:AssumeRole", "arn:aws:iam::123456789012:role/any"),
    ],
)
def test_a_user_reaches_nothing_but_this_api(group: str, action: str, resource: str) -> None:
    own = plane("camunda-lifecycle")
    role = own.roles()[f"{group.capitalize()}Role"]
    assert decide(role, action, Resource(resource)) == "ImplicitDeny"
    api = arn("execute-api", "a1b2c3d4e5/v1/GET/clusters")
    assert decide(role, "execute-api:Invoke", Resource(api)) == "Allow"
