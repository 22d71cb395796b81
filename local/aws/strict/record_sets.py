"""Route 53 refuses records that DNS does not allow, and aliases of load balancers that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.cloudformation import extend
from local.aws.emulator import alb, provisioners, route53
from local.aws.strict import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from local.aws.strict import Strictness

    type Record = Mapping[str, Any]

_TYPE: Final = "AWS::Route53::RecordSet"
# Of eu-central-1: https://docs.aws.amazon.com/general/latest/gr/elb.html
ZONES: Final = {"application": "Z215JYRZR1TBD5", "network": "Z3F0SRJ5LGBH90"}


def install(_strictness: Strictness) -> None:
    """Check each change, of people and of CloudFormation, before it is made."""
    route53.change_resource_record_sets = _checked(route53.change_resource_record_sets)
    extend(
        "AWS::ElasticLoadBalancingV2::LoadBalancer",
        lambda arn, _: {"CanonicalHostedZoneID": ZONES[alb.lbs[arn]["Type"]]},
    )
    alb.lb_xml = _with_zone(alb.lb_xml)
    handlers = provisioners.RESOURCE_HANDLERS[_TYPE]
    create, update, delete = (handlers[one] for one in ("create", "update", "delete"))
    handlers |= {
        "create": lambda name, new, *rest: _templated(
            "CREATE", new, lambda: create(name, new, *rest)
        ),
        "update": lambda its, old, new, *rest: _templated(
            "UPSERT", new, lambda: update(its, old, new, *rest)
        ),
        "delete": lambda its, old: _templated("DELETE", old, lambda: delete(its, old)),
    }


def _checked(own: Any) -> Any:
    def act(zone_id: str, body: bytes) -> Any:
        if zone := route53.zones.get(zone_id):
            changes = [
                (str(action.text), route53.parse_record_set(record))
                for change in _elements(route53.parse_body(body), "Change")
                for action in _elements(change, "Action")
                for record in _elements(change, "ResourceRecordSet")
            ]
            refused = refusals(changes, zone["name"], route53.records[zone_id], _balancers())
            if refused:
                message = f"[{', '.join(refused)}]"
                return route53.error_response("InvalidChangeBatch", message)
        return own(zone_id, body)

    return act


def _elements(root: Any, name: str) -> Iterable[Any]:
    return [] if root is None else (one for one in root.iter() if one.tag.endswith(f"}}{name}"))


def _templated(action: str, properties: Mapping[str, Any], change: Callable[[], Any]) -> Any:
    zone_id = provisioners.r53_resolve_hosted_zone_id(properties)
    zone = route53.zones.get(zone_id)
    if zone is None:
        if action == "DELETE":
            return None
        raise ValueError(f"No hosted zone found with ID: {zone_id}")
    record = provisioners.r53_record_set_build_rs(properties)
    present = route53.records[zone_id]
    if action == "DELETE" and not any(_key(one) == _key(record) for one in present):
        # CloudFormation takes what is gone as deleted.
        return None
    if refused := refusals([(action, record)], zone["name"], present, _balancers()):
        raise ValueError(f"[{', '.join(refused)}]")
    return change()


def _with_zone(own: Any) -> Any:
    """Each kind of load balancer has a zone of its own, which the emulator does not know."""

    def xml(record: Mapping[str, Any]) -> str:
        before, _, rest = str(own(record)).partition("<CanonicalHostedZoneId>")
        after = rest.partition("</CanonicalHostedZoneId>")[2]
        zone = ZONES[record["Type"]]
        return f"{before}<CanonicalHostedZoneId>{zone}</CanonicalHostedZoneId>{after}"

    return xml


def _balancers() -> dict[str, str]:
    """Hosted zone of each load balancer, by its DNS name."""
    return {one["DNSName"].lower(): ZONES[one["Type"]] for one in list(alb.lbs.values())}


def _key(record: Record) -> tuple[str, str, str]:
    return record["Name"].lower(), record["Type"], record.get("SetIdentifier", "")


def refusals(
    changes: Iterable[tuple[str, Record]],
    zone: str,
    present: Iterable[Record],
    balancers: Mapping[str, str],
) -> list[str]:
    """Why Route 53 does not make these changes; empty if it does.

    `zone` is its name with a dot, `balancers` are the hosted zones of load balancers by DNS name.
    https://repost.aws/knowledge-center/troubleshoot-route53-resource-record and, for aliases,
    https://github.com/harmony-one/harmony-ops/issues/491
    """
    records = {_key(one): one for one in present}
    found = []
    for action, record in changes:
        name, kind, _ = key = _key(record)
        label = f"RRSet of type {kind} with DNS name {name}"
        if name != zone and not name.endswith(f".{zone}"):
            found.append(f"RRSet with DNS name {name} is not permitted in zone {zone}")
        elif action == "DELETE":
            if key not in records:
                found.append(
                    f"Tried to delete resource record set [name='{name}', type='{kind}']"
                    " but it was not found"
                )
            elif _values(records.pop(key)) != _values(record):
                found.append(
                    f"Tried to delete resource record set [name='{name}', type='{kind}']"
                    " but the values provided do not match the current values"
                )
        elif action == "CREATE" and key in records:
            found.append(
                f"Tried to create resource record set [name='{name}', type='{kind}']"
                " but it already exists"
            )
        else:
            others = {one for one in records if one[0] == name and one[1] != kind}
            if kind == "CNAME" and name == zone:
                found.append(f"{label} is not permitted at apex in zone {zone}")
            elif kind == "CNAME" and others:
                found.append(
                    f"{label} is not permitted as it conflicts with other records with the same"
                    f" DNS name in zone {zone}"
                )
            elif any(one[1] == "CNAME" for one in others):
                found.append(
                    f"{label} is not permitted because a conflicting RRSet of type CNAME with the"
                    f" same DNS name already exists in zone {zone}"
                )
            found += _alias_refusals(record, balancers)
            records[key] = record
    return found


def _alias_refusals(record: Record, balancers: Mapping[str, str]) -> list[str]:
    target = record.get("AliasTarget")
    if not target or ".elb." not in target["DNSName"]:
        return []
    name, zone = target["DNSName"], target["HostedZoneId"]
    # The prefix of Route 53's console: the same load balancer, over IPv6 as well.
    known = balancers.get(name.lower().rstrip(".").removeprefix("dualstack."))
    tried = f"Tried to create an alias that targets {name}, type {record['Type']} in zone {zone}"
    if known is None:
        return [f"{tried}, but that target was not found"]
    if known != zone:
        return [f"{tried}, but the alias target name does not lie within the target zone"]
    return []


def _values(record: Record) -> dict[str, Any]:
    found = {name: one for name, one in record.items() if name != "Name"}
    if "ResourceRecords" in found:
        found["ResourceRecords"] = sorted(found["ResourceRecords"])
    return found


RULE: Final = Rule(
    name="record-sets",
    does="Route 53 refuses a record outside of its zone, one that is there already, a CNAME beside"
    " other records or at the apex, an alias of a load balancer that is not there or has another"
    " hosted zone, and a deletion with other values than the record's; CloudFormation fails then.",
    source="https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html",
    caught="nothing yet.",
    install=install,
)
