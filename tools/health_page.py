"""Write ``docs/health.html``: the dashboard and the messages of a local instance.

``python -m tools.health_page [--endpoints FILE]`` works on what ``make up`` left running. It checks
the cluster a few times, pauses exporting for some checks, and draws the results: the metric
lines of the checks in the functions' log group, the last bad report, and the messages that the
topic sent. One file, no scripts, nothing from elsewhere.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import json
import time
import urllib.request
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.config import CONTROL_STACK
from local.progress import explain
from tools.target import ENDPOINTS, clients, subscribe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

TARGET = Path(__file__).resolve().parent.parent / "docs" / "health.html"
COLOURS = {
    "HEALTHY": "#1d8102",
    "DEGRADED": "#d97706",
    "DOWN": "#d13212",
    "UNKNOWN": "#8456ce",
    "INFO": "#687078",
}
LEVELS = ("HEALTHY", "DEGRADED", "DOWN")
_WIDTH, _HEIGHT, _LEFT = 720, 110, 90
_CHECKS, _BETWEEN = 4, 5.0

Point = tuple[float, float]


def page(
    verdicts: Mapping[str, Sequence[Point]],
    seconds: Mapping[str, Sequence[Point]],
    reports: Sequence[Mapping[str, Any]],
    messages: Sequence[str],
) -> str:
    """Give the page. Series are (epoch seconds, value) by cluster stack, oldest first."""
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<title>Health of clusters</title><style>",
        "body{font:15px/1.5 system-ui,sans-serif;max-width:860px;margin:2rem auto;padding:0 1rem}",
        "h2{margin-top:2rem}svg{max-width:100%;height:auto}td{padding:.2rem .8rem .2rem 0;",
        "vertical-align:top}pre{background:#f2f3f3;padding:1rem;white-space:pre-wrap}</style>",
        "<h1>Health of clusters</h1>",
        "<p>Made by <code>python -m tools.health_page</code> from an instance on one machine; its",
        "exporting was paused for some checks. The dashboards in CloudWatch draw the same metrics;",
        "the messages are what SNS sends.</p>",
        "<h2>Notified verdict</h2>",
        *(_steps(name, points) for name, points in sorted(verdicts.items())),
        "<h2>Seconds of a check</h2>",
        *(_bars(name, points) for name, points in sorted(seconds.items())),
        "<h2>Findings while exporting was paused</h2>",
        *(_report(report) for report in reports),
        "<h2>Messages</h2>",
        *(f"<pre>{html.escape(message)}</pre>" for message in messages),
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _steps(name: str, points: Sequence[Point]) -> str:
    """A line that changes at each check, coloured by level."""
    begin, end = points[0][0], max(points[-1][0], points[0][0] + 1)
    lines = [
        f"<line x1='{_LEFT}' x2='{_WIDTH}' y1='{_y(level)}' y2='{_y(level)}' stroke='#eaeded'/>"
        f"<text x='0' y='{_y(level) + 4}' font-size='12' fill='#687078'>{word}</text>"
        for level, word in enumerate(LEVELS)
    ]
    for (at, value), (until, _) in zip(points, [*points[1:], (end, 0.0)], strict=True):
        colour = COLOURS[LEVELS[int(value)]]
        left, right = _x(at, begin, end), max(_x(until, begin, end), _x(at, begin, end) + 2)
        lines.append(
            f"<line x1='{left:.1f}' x2='{right:.1f}' y1='{_y(value)}' y2='{_y(value)}' "
            f"stroke='{colour}' stroke-width='6'/>"
        )
    return _figure(name, lines, begin, end)


def _bars(name: str, points: Sequence[Point]) -> str:
    begin, end = points[0][0], max(points[-1][0], points[0][0] + 1)
    most = max(value for _, value in points) or 1.0
    lines = [f"<text x='0' y='14' font-size='12' fill='#687078'>{most:.1f} s</text>"]
    for at, value in points:
        height = 80 * value / most
        lines.append(
            f"<rect x='{_x(at, begin, end):.1f}' y='{90 - height:.1f}' width='3' "
            f"height='{height:.1f}' fill='#0073bb'/>"
        )
    return _figure(name, lines, begin, end)


def _figure(name: str, lines: Iterable[str], begin: float, end: float) -> str:
    times = (
        f"<text x='{_LEFT}' y='{_HEIGHT}' font-size='12' fill='#687078'>{_clock(begin)}</text>"
        f"<text x='{_WIDTH}' y='{_HEIGHT}' font-size='12' fill='#687078' text-anchor='end'>"
        f"{_clock(end)}</text>"
    )
    label = html.escape(name)
    return (
        f"<figure><figcaption>{label}</figcaption><svg viewBox='0 0 {_WIDTH} {_HEIGHT + 6}' "
        f"role='img' aria-label='{label}'>{''.join(lines)}{times}</svg></figure>"
    )


def _report(report: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td style='color:{COLOURS[one['severity']]}'>{one['severity']}</td>"
        f"<td><code>{one['code']}</code></td><td>{html.escape(one['seen'])}</td></tr>"
        for one in report["findings"]
    )
    verdict = report["verdict"]
    return (
        f"<p><b>{html.escape(report['cluster'])}</b> "
        f"<b style='color:{COLOURS[verdict]}'>{verdict}</b></p><table>{rows}</table>"
    )


def _x(at: float, begin: float, end: float) -> float:
    return _LEFT + (_WIDTH - _LEFT) * (at - begin) / (end - begin)


def _y(level: float) -> int:
    return int(20 + 30 * level)


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S} UTC"


def main() -> None:
    """Run the scenario on the instance, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=Path, default=ENDPOINTS)
    endpoints: Path = parser.parse_args().endpoints
    found = json.loads(endpoints.read_text())
    client = clients(endpoints)

    def physical(logical_id: str) -> str:
        detail = client("cloudformation").describe_stack_resource(
            StackName=CONTROL_STACK, LogicalResourceId=logical_id
        )
        return str(detail["StackResourceDetail"]["PhysicalResourceId"])

    began = time.time()
    with _listening(client("sqs"), client("sns"), physical("Topic")) as messages:
        states = client("stepfunctions")
        machine = found["stateMachines"]["check_health"]

        def check() -> dict[str, Any]:
            asked = json.dumps({"clusterName": found["clusterName"]})
            answer = states.start_sync_execution(stateMachineArn=machine, input=asked)
            if answer["status"] != "SUCCEEDED":
                raise LookupError(explain(answer))
            return dict(json.loads(answer["output"]))

        bad = _story(found["brokers"][0]["management"], check)
        told = messages()
    verdicts: dict[str, list[Point]] = defaultdict(list)
    seconds: dict[str, list[Point]] = defaultdict(list)
    pages = client("logs").get_paginator("filter_log_events")
    for answer in pages.paginate(
        logGroupName=physical("FunctionLogs"), startTime=int(began * 1000)
    ):
        for event in answer["events"]:
            if event["message"].startswith('{"_aws"'):
                line = json.loads(event["message"])
                at = line["_aws"]["Timestamp"] / 1000
                verdicts[line["Cluster"]].append((at, line["Verdict"][0]))
                seconds[line["Cluster"]].append((at, line["CheckSeconds"][0]))
    TARGET.write_text(
        page(
            {name: sorted(points) for name, points in verdicts.items()},
            {name: sorted(points) for name, points in seconds.items()},
            [bad],
            told,
        )
    )


def _story(management: str, check: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Healthy, exporting paused, healthy again; returns the last report of the bad phase."""

    def several() -> dict[str, Any]:
        for _ in range(_CHECKS):
            report = check()
            time.sleep(_BETWEEN)
        # The notified verdict of an unstable cluster recovers only after six good checks.
        while report["notified"] != report["verdict"]:
            report = check()
            time.sleep(_BETWEEN)
        return report

    def say(what: str) -> None:
        request = urllib.request.Request(f"{management}/actuator/exporting/{what}", method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310
            pass

    several()
    say("pause")
    try:
        bad = several()
    finally:
        say("resume")
    several()
    return bad


@contextlib.contextmanager
def _listening(sqs: Any, sns: Any, topic: str) -> Iterator[Callable[[], list[str]]]:
    """Subscribe a queue to the topic for a while; gives what it got."""
    queue, subscription = subscribe(sqs, sns, topic, "health-page")

    def messages() -> list[str]:
        told = []
        while found := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            for one in found:
                body = json.loads(one["Body"])
                told.append(f"{body['Subject']}\n\n{body['Message']}")
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=one["ReceiptHandle"])
        return told

    try:
        yield messages
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=queue)


if __name__ == "__main__":
    main()
