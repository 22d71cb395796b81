"""Requests of clusters that log in through an identity provider, one for each kind."""

from __future__ import annotations

from typing import Final

SECRET: Final = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
DOMAIN: Final = {
    "DomainName": "camunda.example.com",
    "CertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d-4e5f",
}
COMMON: Final = {
    **DOMAIN,
    "Authentication": "oidc",
    "OidcClientId": "camunda-web",
    "OidcClientSecretArn": f"{SECRET}camunda/web-AbCdEf",
    "OidcConnectorsClientId": "camunda-connectors",
    "OidcConnectorsSecretArn": f"{SECRET}camunda/connectors-AbCdEf",
    "OidcHealthClientId": "camunda-health",
    "OidcHealthSecretArn": f"{SECRET}camunda/health-AbCdEf",
    "OidcAdministrator": "alice@example.com",
}
TENANT: Final = "8a5f1c9e-0d3b-4c67-9b1e-2f6d7a8c9e01"
KEYCLOAK: Final = {
    **COMMON,
    "IdentityProvider": "keycloak",
    "OidcIssuer": "https://login.example.com/realms/camunda",
}
ENTRA: Final = {
    **COMMON,
    "IdentityProvider": "entra",
    "OidcIssuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
}
COGNITO: Final = {
    **COMMON,
    "IdentityProvider": "cognito",
    "OidcIssuer": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab12Cd34E",
    "OidcTokenUrl": "https://example.auth.eu-central-1.amazoncognito.com/oauth2/token",
}
POOL: Final = {
    **DOMAIN,
    "Authentication": "oidc",
    "CognitoUserPool": "create",
    "CognitoAdministratorEmail": "alice@example.com",
}
POOL_RESOLVED: Final = {
    **POOL,
    "IdentityProvider": "cognito",
    "OidcAdministrator": "administrator",
    "OidcUsernameClaim": "username",
    "OidcClientIdClaim": "client_id",
    "OidcPreferUsernameClaim": "true",
    "OidcIdpLogout": "false",
}
"""What the stack gets that makes a user pool."""
GENERIC: Final = {
    **COMMON,
    "OidcIssuer": "https://example.eu.auth0.com/",
    "OidcTokenUrl": "https://example.eu.auth0.com/oauth/token",
    "OidcClientIdClaim": "https://example.com/client_id",
}
KINDS: Final = {"keycloak": KEYCLOAK, "entra": ENTRA, "cognito": COGNITO, "generic": GENERIC}
RESOLVED: Final = {
    **KEYCLOAK,
    "OidcTokenUrl": "https://login.example.com/realms/camunda/protocol/openid-connect/token",
    "OidcUsernameClaim": "preferred_username",
    "OidcClientIdClaim": "client_id",
    "OidcAudiences": "camunda-web",
}
"""What the stack of the cluster with Keycloak gets."""
