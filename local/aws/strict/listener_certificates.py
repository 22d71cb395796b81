"""A listener with TLS takes an issued certificate of its region, and that one cannot be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import acm, alb, provisioners
from local.aws.strict import Rule
from local.proxy import tls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local.aws.strict import Strictness

_LISTENER: Final = "AWS::ElasticLoadBalancingV2::Listener"
_CERTIFICATE: Final = "AWS::CertificateManager::Certificate"
_SECURE: Final = ("HTTPS", "TLS")


def install(_strictness: Strictness) -> None:
    """Check certificates of listeners, keep their ALPN policy, and see what is in use."""
    actions = alb.ACTION_MAP
    for action in ("CreateListener", "ModifyListener"):
        actions[action] = _checked(actions[action])
    alb.listener_xml = _with_alpn(alb.listener_xml)
    handlers = provisioners.RESOURCE_HANDLERS
    listener, certificate = handlers[_LISTENER], handlers[_CERTIFICATE]
    create, update, delete = listener["create"], listener["update"], certificate["delete"]
    listener["create"] = lambda name, new, *rest: _templated(new, lambda: create(name, new, *rest))
    listener["update"] = lambda its, old, new, *rest: _templated(
        new, lambda: update(its, old, new, *rest)
    )
    certificate["delete"] = _kept_while_in_use(delete)
    acm.cert_shape = _with_users(acm.cert_shape)
    acm.delete_certificate = _unused(acm.delete_certificate)


def _present() -> Mapping[str, Mapping[str, Any]]:
    """Certificates of the region, by ARN; listing them issues what waited and is validated now."""
    acm.list_certificates({})
    found: Mapping[str, Mapping[str, Any]] = acm.certificates
    return found


def _checked(own: Any) -> Any:
    def act(params: Mapping[str, Any]) -> Any:
        before = alb.listeners.get(alb.p(params, "ListenerArn")) or {}
        protocol = alb.p(params, "Protocol") or before.get("Protocol", "HTTP")
        arns = alb.parse_certificate_arns(params) or before.get("Certificates", [])
        policy = alb.p(params, "SslPolicy") or before.get("SslPolicy", "")
        alpn = alb.p(params, "AlpnPolicy.member.1")
        if refused := refusal(protocol, arns, policy, alpn, _present()):
            return alb.error(*refused)
        known = set(alb.listeners)
        answer = own(params)
        for arn in [alb.p(params, "ListenerArn")] if before else set(alb.listeners) - known:
            _keep_alpn(arn, protocol, [alpn] if alpn else None)
        return answer

    return act


def _templated(properties: Mapping[str, Any], deploy: Any) -> Any:
    protocol = properties.get("Protocol", "HTTP")
    arns = [one["CertificateArn"] for one in properties.get("Certificates") or ()]
    alpn = list(properties.get("AlpnPolicy") or [""])
    refused = refusal(protocol, arns, str(properties.get("SslPolicy", "")), alpn[0], _present())
    if refused:
        raise ValueError(f"Resource handler returned message: {refused[1]} ({refused[0]})")
    arn, attributes = deploy()
    _keep_alpn(arn, protocol, alpn if alpn[0] else ["None"])
    return arn, attributes


def _keep_alpn(arn: str, protocol: str, alpn: list[str] | None) -> None:
    record = alb.listeners.get(arn)
    if record is None:
        return
    if protocol != "TLS":
        record.pop("AlpnPolicy", None)
    elif alpn:
        record["AlpnPolicy"] = alpn


def _with_alpn(own: Any) -> Any:
    def xml(record: Mapping[str, Any]) -> str:
        found = str(own(record))
        members = "".join(f"<member>{one}</member>" for one in record.get("AlpnPolicy", ()))
        if not members:
            return found
        return found.removesuffix("</member>") + f"<AlpnPolicy>{members}</AlpnPolicy></member>"

    return xml


def users(arn: str) -> list[str]:
    """Load balancers with a listener that has the certificate."""
    found = [
        one["LoadBalancerArn"]
        for one in list(alb.listeners.values())
        if arn in one.get("Certificates", ())
    ]
    return sorted(set(found))


def _with_users(own: Any) -> Any:
    def shape(certificate: Mapping[str, Any]) -> Any:
        found = own(certificate)
        found["InUseBy"] = [*found["InUseBy"], *users(certificate["CertificateArn"])]
        return found

    return shape


def _unused(own: Any) -> Any:
    def delete(data: Mapping[str, Any]) -> Any:
        arn = data.get("CertificateArn", "")
        if users(arn):
            return acm.error_response_json("ResourceInUseException", in_use(arn), 400)
        return own(data)

    return delete


def _kept_while_in_use(own: Any) -> Any:
    def delete(physical_id: str, properties: Any) -> Any:
        if users(physical_id):
            raise ValueError(in_use(physical_id))
        return own(physical_id, properties)

    return delete


def in_use(arn: str) -> str:
    """ACM's words for a certificate that a load balancer has."""
    return f"Certificate {arn} in account {arn.split(':')[4]} is in use."


def refusal(
    protocol: str,
    arns: Sequence[str],
    policy: str,
    alpn: str,
    certificates: Mapping[str, Mapping[str, Any]],
) -> tuple[str, str] | None:
    """Why a listener cannot have these; `certificates` are those of its region, by ARN.

    Messages: https://github.com/hashicorp/terraform/issues/20587 (another region),
    https://github.com/hashicorp/terraform-provider-aws/issues/41789 (not issued yet),
    https://github.com/pulumi/pulumi/issues/15712 (none).
    """
    if alpn and (protocol != "TLS" or alpn not in tls.ALPN):
        return "ALPNPolicyNotSupported", f"ALPN policy '{alpn}' is not supported"
    if protocol not in _SECURE:
        return None
    if not arns:
        return "ValidationError", f"A certificate must be specified for {protocol} listeners"
    if policy and tls.versions(policy) is None:
        return "SSLPolicyNotFound", f"SSL policy '{policy}' not found"
    found = certificates.get(arns[0])
    if found is None:
        return "CertificateNotFound", f"Certificate '{arns[0]}' not found"
    if found["Status"] != "ISSUED":
        return "UnsupportedCertificate", (
            f"The certificate '{arns[0]}' must have a fully-qualified domain name, a supported"
            " signature, and a supported key size."
        )
    return None


RULE: Final = Rule(
    name="listener-certificates",
    does="An HTTPS or TLS listener needs an issued certificate of its own region and a security"
    " policy that exists; ACM names the load balancers that use a certificate and does not delete"
    " it until then.",
    source="https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateListener.html"
    " and https://docs.aws.amazon.com/acm/latest/APIReference/API_DeleteCertificate.html",
    caught="nothing yet.",
    install=install,
)
