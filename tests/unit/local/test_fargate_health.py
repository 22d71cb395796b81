"""Health checks of containers and of targets."""

from __future__ import annotations

import pytest

from local.fargate.health import ContainerHealth, parse_check
from local.proxy.probe import Streak, matches

pytestmark = pytest.mark.unit

CHECK = {
    "command": ["CMD-SHELL", "wget --spider --quiet http://localhost:9600/live || exit 1"],
    "startPeriod": 300,
}


def test_a_command_that_asks_localhost_is_asked_at_the_task_s_address() -> None:
    check = parse_check(CHECK, "127.41.1.10")
    assert check is not None
    assert (check.address, check.port, check.path) == ("127.41.1.10", 9600, "/live")
    assert (check.interval, check.timeout, check.retries, check.start_period) == (30, 5, 3, 300)


@pytest.mark.parametrize("command", [["CMD-SHELL", "true"], ["CMD", "curl", "http://example.org/"]])
def test_any_other_command_is_not_guessed(command: list[str]) -> None:
    assert parse_check({"command": command}, "127.41.1.10") is None


def status(answers: str, *, starting: bool = False) -> str:
    health = ContainerHealth()
    for answer in answers:
        health = health.observe(answer == "+", retries=3, starting=starting)
    return health.status


@pytest.mark.parametrize(
    ("answers", "expected"),
    [("", "UNKNOWN"), ("--", "UNKNOWN"), ("---", "UNHEALTHY"), ("+", "HEALTHY"),
     ("+--", "HEALTHY"), ("+---", "UNHEALTHY"), ("--+--", "HEALTHY"), ("---+", "HEALTHY")],
)  # fmt: skip
def test_a_container_is_unhealthy_after_three_failures_in_a_row(
    answers: str, expected: str
) -> None:
    assert status(answers) == expected


def test_failures_do_not_count_in_the_start_period_until_the_first_success() -> None:
    assert status("-----", starting=True) == "UNKNOWN"
    assert status("--+---", starting=True) == "UNHEALTHY"


@pytest.mark.parametrize(
    ("answers", "expected"),
    [("", "initial"), ("-", "initial"), ("--", "unhealthy"), ("+", "healthy"), ("-+", "healthy"),
     ("+-", "healthy"), ("+-+-", "healthy"), ("+--", "unhealthy"), ("+--+", "unhealthy"),
     ("+--++", "unhealthy"), ("+--+++", "healthy"), ("+--++-++", "unhealthy")],
)  # fmt: skip
def test_a_target_needs_one_success_at_first_and_its_threshold_later(
    answers: str, expected: str
) -> None:
    streak = Streak(healthy_after=3, unhealthy_after=2)
    for answer in answers:
        streak = streak.observe(answer == "+")
    assert streak.state == expected


@pytest.mark.parametrize(
    ("codes", "status", "expected"),
    [("200", 200, True), ("200", 204, False), ("200,204", 204, True), ("200-299", 250, True),
     ("200-299", 301, False)],
)  # fmt: skip
def test_matcher_codes(codes: str, status: int, expected: bool) -> None:
    assert matches(status, codes) is expected
