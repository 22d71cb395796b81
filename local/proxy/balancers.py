"""Load balancers appear and disappear with the records of the emulator."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.aws.emulator import acm, alb, responses, route53
from local.aws.strict import Strictness, initial_targets
from local.config import ACCOUNT_ID, REGION
from local.names import bindable_port
from local.proxy import tls
from local.proxy.listener import HttpListener, TcpListener
from local.proxy.records import Follower, Place, places
from local.proxy.targets import TargetHealth, attribute, healthy_targets

if TYPE_CHECKING:
    import ssl

    from local.component import Instance

logger = logging.getLogger(__name__)

_TICK = 0.3
_STICKINESS_SECONDS = "86400"


type _Shape = tuple[int, str, str, str]
"""What a listener that is served cannot change: port, protocol, security policy, ALPN policy."""


@dataclass
class _Balancer:
    name: str
    index: int
    address: str
    listeners: dict[str, HttpListener | TcpListener] = field(default_factory=dict)
    ports: dict[int, int] = field(default_factory=dict)
    """Port on this machine of each port that is served."""
    shapes: dict[str, _Shape] = field(default_factory=dict)
    """Of each listener that is served, or that cannot be, which is logged once."""


class Balancers:
    """Serves every load balancer of the emulator on its own address."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        strictness = Strictness(instance)
        self._health = TargetHealth(
            lambda protocol: (
                initial_targets.registration_seconds(protocol)
                if strictness.on(initial_targets.NAME)
                else 0.0
            )
        )
        self._balancers: dict[str, _Balancer] = {}
        self._records = Follower(instance.names)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="load-balancers", daemon=True)

    def start(self) -> None:
        """Begin to follow the emulator."""
        self._health.start()
        self._thread.start()

    def stop(self) -> None:
        """Close every port."""
        self._stopping.set()
        self._thread.join()
        for balancer in list(self._balancers.values()):
            self._remove(balancer)
        self._records.follow({})
        self._health.stop()

    def _loop(self) -> None:
        while not self._stopping.wait(_TICK):
            try:
                with responses.request_scope(ACCOUNT_ID, REGION):
                    self._follow(dict(alb.lbs.items()), dict(alb.listeners.items()))
                    self._records.follow(places(_records(), self._places()))
            except Exception:
                logger.exception("following load balancers")

    def _follow(self, records: dict[str, Any], listeners: dict[str, Any]) -> None:
        for arn in self._balancers.keys() - records.keys():
            self._remove(self._balancers.pop(arn))
        for arn, record in records.items():
            balancer = self._balancers.get(arn)
            if balancer is None:
                balancer = self._balancers[arn] = self._add(record["DNSName"])
            own = {key: one for key, one in listeners.items() if one["LoadBalancerArn"] == arn}
            shapes = {key: _shape(one) for key, one in own.items()}
            for key in [one for one, had in balancer.shapes.items() if shapes.get(one) != had]:
                port = balancer.shapes.pop(key)[0]
                if key in balancer.listeners:
                    balancer.listeners.pop(key).stop()
                    balancer.ports.pop(port, None)
            for key in own.keys() - balancer.shapes.keys():
                balancer.shapes[key] = shapes[key]
                self._listen(balancer, key, own[key])

    def _places(self) -> dict[str, Place]:
        return {
            one.name.lower(): Place(
                (one.address,),
                {
                    public: (one.address, port)
                    for public, port in one.ports.items()
                    if public != port
                },
            )
            for one in self._balancers.values()
        }

    def _add(self, name: str) -> _Balancer:
        taken = {one.index for one in self._balancers.values()}
        index = next(number for number in range(len(taken) + 1) if number not in taken)
        address = self._instance.config.load_balancer_address(index)
        self._instance.names.set(name, [address])
        return _Balancer(name, index, address)

    def _remove(self, balancer: _Balancer) -> None:
        for listener in balancer.listeners.values():
            listener.stop()
        self._instance.names.remove(balancer.name)

    def _listen(self, balancer: _Balancer, arn: str, record: dict[str, Any]) -> None:
        public_port, protocol = record["Port"], record["Protocol"]
        try:
            port = bindable_port(balancer.address, public_port)
            listener = _listener(balancer, port, arn, record)
        except (OSError, NotImplementedError) as problem:
            logger.error("%s %s:%s: %s", protocol, balancer.name, public_port, problem)  # noqa: TRY400
            return
        listener.start()
        balancer.listeners[arn] = listener
        balancer.ports[public_port] = port
        if port != public_port:
            self._instance.names.map_port(balancer.name, public_port, balancer.address, port)


def _records() -> list[dict[str, Any]]:
    """Give the records of every hosted zone: tasks and functions see private ones as well."""
    with route53.lock:
        return [one for zone in route53.records.values() for one in list(zone)]


def _shape(record: dict[str, Any]) -> _Shape:
    alpn = record.get("AlpnPolicy") or ["None"]
    return record["Port"], record["Protocol"], record.get("SslPolicy", ""), alpn[0]


def _listener(
    balancer: _Balancer, port: int, arn: str, record: dict[str, Any]
) -> HttpListener | TcpListener:
    protocol = record["Protocol"]
    match protocol:
        case "HTTP" | "HTTPS":
            return HttpListener(
                balancer.address,
                port,
                public_port=record["Port"],
                rules_now=lambda: _rules(arn),
                healthy=_healthy,
                stickiness=_stickiness,
                secure=(lambda: _context(arn)) if protocol == "HTTPS" else None,
                actual_port=lambda public: balancer.ports.get(public, public),
            )
        case "TCP" | "TLS":
            return TcpListener(
                balancer.address,
                port,
                targets=lambda: _first_targets(arn),
                secure=(lambda: _context(arn)) if protocol == "TLS" else None,
            )
        case other:
            raise NotImplementedError(f"{other} listeners have no stand-in on this machine")


def _context(listener: str) -> ssl.SSLContext:
    """TLS as the listener has it now. Its one certificate is for every name, as on AWS.

    A listener gets more certificates by AddListenerCertificates, which has no stand-in. Raises
    OSError if there is none.
    """
    with responses.request_scope(ACCOUNT_ID, REGION):
        record = alb.listeners.get(listener) or {}
        certificate = acm.certificates.get((record.get("Certificates") or [""])[0])
        if certificate is None:
            raise OSError(f"{listener} has no certificate")
        alpn = (record.get("AlpnPolicy") or ["None"])[0]
        return tls.context(
            tls.Terms(
                f"{certificate['_pem_body']}\n{certificate['_pem_chain']}".encode(),
                certificate["_private_key"].encode(),
                record["SslPolicy"],
                ("http/1.1",) if record["Protocol"] == "HTTPS" else tls.ALPN[alpn],
            )
        )


def _rules(listener: str) -> list[dict[str, Any]]:
    with responses.request_scope(ACCOUNT_ID, REGION):
        return [rule for rule in alb.rules.values() if rule["ListenerArn"] == listener]


def _healthy(group: str) -> list[tuple[str, int]]:
    with responses.request_scope(ACCOUNT_ID, REGION):
        return healthy_targets(group)


def _stickiness(group: str) -> int:
    with responses.request_scope(ACCOUNT_ID, REGION):
        if attribute(group, "stickiness.enabled", "false") != "true":
            return 0
        key = "stickiness.lb_cookie.duration_seconds"
        return int(attribute(group, key, _STICKINESS_SECONDS))


def _first_targets(listener: str) -> list[tuple[str, int]]:
    with responses.request_scope(ACCOUNT_ID, REGION):
        record = alb.listeners.get(listener) or {"DefaultActions": []}
        groups = [action.get("TargetGroupArn") for action in record["DefaultActions"]]
        return healthy_targets(groups[0]) if groups and groups[0] else []
