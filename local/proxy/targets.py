"""Target health: checks every registered target as configured, for DescribeTargetHealth."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from local.aws.emulator import alb, responses
from local.config import ACCOUNT_ID, REGION
from local.proxy.probe import Answer, Streak, ask_http, ask_tcp, matches

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

logger = logging.getLogger(__name__)

Target = dict[str, Any]
_TICK = 0.2
_HELPERS = 8
# The deployed interval is 10 s and more; thresholds stay.
LONGEST_INTERVAL = 2.0

_CHECKING = ("Elb.InitialHealthChecking", "Initial health checks in progress")
_REASONS = {
    "initial": ("Elb.RegistrationInProgress", "Target registration is in progress"),
    "unused": ("Target.NotInUse", "Target group is not configured to receive traffic"),
    "draining": ("Target.DeregistrationInProgress", "Target deregistration is in progress"),
}


@dataclass
class _Asking:
    streak: Streak
    begins: float
    """When the target's registration is complete."""
    asked_at: float = 0.0
    future: Future[Answer] | None = None


class TargetHealth:
    """One thread that keeps `_state` of every target in the emulator current."""

    def __init__(self, registration_seconds: Callable[[str], float] = lambda _: 0.0) -> None:
        """Take how long it takes to register a target, by the protocol of its group."""
        self._registration_seconds = registration_seconds
        self._asking: dict[tuple[str, str, int, str], _Asking] = {}
        self._helpers = ThreadPoolExecutor(_HELPERS, thread_name_prefix="target-health")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="target-health", daemon=True)

    def start(self) -> None:
        """Start the checks, and answer DescribeTargetHealth from now on."""
        alb.describe_target_health = _describe
        alb.ACTION_MAP["DescribeTargetHealth"] = _describe
        self._thread.start()

    def stop(self) -> None:
        """End; targets keep their last state."""
        self._stopping.set()
        self._thread.join()
        self._helpers.shutdown(wait=True, cancel_futures=True)

    def _loop(self) -> None:
        while not self._stopping.wait(_TICK):
            try:
                with responses.request_scope(ACCOUNT_ID, REGION):
                    self._turn(time.monotonic())
            except Exception:
                logger.exception("checking targets")

    def _turn(self, now: float) -> None:
        used = groups_in_use()
        seen = set()
        for group, targets in list(alb.targets.items()):
            settings = alb.tgs.get(group)
            for target in list(targets) if settings else []:
                if target.get("_state") == "draining":
                    continue
                if group not in used:
                    target["_state"] = "unused"
                    continue
                key = (group, target["Id"], _port(target, settings), target.get("_task", ""))
                seen.add(key)
                self._advance(key, target, settings, now)
        self._asking = {key: one for key, one in self._asking.items() if key in seen}

    def _advance(
        self, key: tuple[str, str, int, str], target: Target, settings: dict[str, Any], now: float
    ) -> None:
        one = self._asking.get(key)
        if one is None:
            one = self._asking[key] = _Asking(
                Streak(
                    healthy_after=settings["HealthyThresholdCount"],
                    unhealthy_after=settings["UnhealthyThresholdCount"],
                ),
                begins=now + self._registration_seconds(settings["Protocol"]),
            )
            target["_state"] = "initial"
        if now < one.begins:
            return
        target["_registered"] = True
        interval = min(settings["HealthCheckIntervalSeconds"], LONGEST_INTERVAL)
        if one.future is None:
            if now - one.asked_at >= interval:
                one.asked_at = now
                one.future = self._helpers.submit(_ask, target, settings)
        elif one.future.done():
            answer, one.future = one.future.result(), None
            ok = answer.status is not None and matches(
                answer.status, settings["Matcher"]["HttpCode"]
            )
            one.streak = one.streak.observe(ok)
            target["_answer"] = answer
            target["_state"] = one.streak.state


def healthy_targets(group: str) -> list[tuple[str, int]]:
    """Addresses and ports that a load balancer may send to."""
    settings = alb.tgs.get(group)
    if settings is None:
        return []
    return sorted(
        (target["Id"], _port(target, settings))
        for target in alb.targets.get(group, [])
        if target.get("_state") == "healthy"
    )


def groups_in_use() -> set[str]:
    """Target groups that some listener's rules forward to; others are not checked."""
    return {
        action["TargetGroupArn"]
        for rule in list(alb.rules.values())
        for action in rule["Actions"]
        if action.get("TargetGroupArn")
    }


def attribute(group: str, key: str, default: str) -> str:
    """Value of a target group's attribute."""
    pairs = alb.tg_attrs.get(group) or []
    return next((str(pair["Value"]) for pair in pairs if pair["Key"] == key), default)


def _port(target: Target, settings: dict[str, Any]) -> int:
    return int(target.get("Port") or settings["Port"])


def _ask(target: Target, settings: dict[str, Any]) -> Answer:
    declared = settings["HealthCheckPort"]
    port = _port(target, settings) if declared == "traffic-port" else int(declared)
    timeout = float(settings["HealthCheckTimeoutSeconds"])
    if settings["HealthCheckProtocol"] in {"HTTP", "HTTPS"}:
        return ask_http(target["Id"], port, settings["HealthCheckPath"], timeout)
    return ask_tcp(target["Id"], port, timeout)


def _describe(params: dict[str, Any]) -> Any:
    group = alb.p(params, "TargetGroupArn")
    settings = alb.tgs.get(group)
    if settings is None:
        return alb.error("TargetGroupNotFound", f"Target group '{group}' not found.")
    asked = {target["Id"] for target in alb.parse_targets_param(params)}
    members = "".join(
        _member(target, settings)
        for target in alb.targets.get(group, [])
        if not asked or target["Id"] in asked
    )
    return alb.xml(
        200,
        "DescribeTargetHealth",
        f"<TargetHealthDescriptions>{members}</TargetHealthDescriptions>",
    )


def explain(target: Target) -> tuple[str, str]:
    """Reason code and description of a target's state; both empty when it is healthy."""
    state = target.get("_state", "initial")
    answer: Answer | None = target.get("_answer")
    if state == "initial" and target.get("_registered"):
        return _CHECKING
    if state != "unhealthy" or answer is None:
        return _REASONS.get(state, ("", ""))
    if answer.status is not None:
        description = f"Health checks failed with these codes: [{answer.status}]"
        return "Target.ResponseCodeMismatch", description
    timed_out = "timed out" in answer.problem
    return "Target.Timeout" if timed_out else "Target.FailedHealthChecks", answer.problem


def _member(target: Target, settings: dict[str, Any]) -> str:
    state = target.get("_state", "initial")
    reason, description = explain(target)
    detail = f"<State>{state}</State>"
    if reason:
        detail += f"<Reason>{reason}</Reason><Description>{escape(description)}</Description>"
    health_port = settings["HealthCheckPort"]
    port = _port(target, settings)
    return (
        f"<member><Target><Id>{target['Id']}</Id><Port>{port}</Port></Target>"
        f"<HealthCheckPort>{port if health_port == 'traffic-port' else health_port}"
        f"</HealthCheckPort><TargetHealth>{detail}</TargetHealth></member>"
    )
