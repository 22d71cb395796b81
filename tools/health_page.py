"""Write ``docs/health.html``: what the dashboard and the message look like, from a local instance.

``python -m tools.health_page [--endpoints FILE]`` reads what ``make up`` left running: the metric
lines of the checks in the functions' log group, and the last report of each cluster. One file, no
scripts, nothing from elsewhere.
"""

from __future__ import annotations

import argparse
import html
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3

TARGET = Path(__file__).resolve().parent.parent / "docs" / "health.html"
COLOURS = {
    "HEALTHY": "#1d8102",
    "DEGRADED": "#d97706",
    "DOWN": "#d13212",
    "UNKNOWN": "#8456ce",
    "NOTE": "#687078",
}
LEVELS = ("HEALTHY", "DEGRADED", "DOWN")
_WIDTH, _HEIGHT, _LEFT = 720, 110, 90

Point = tuple[float, float]


def page(
    verdicts: Mapping[str, Sequence[Point]],
    seconds: Mapping[str, Sequence[Point]],
    reports: Sequence[Mapping[str, Any]],
    message: str,
) -> str:
    """Give the page. Series are (epoch seconds, value) by cluster stack, oldest first."""
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<title>Health of clusters</title><style>",
        "body{font:15px/1.5 system-ui,sans-serif;max-width:860px;margin:2rem auto;padding:0 1rem}",
        "h2{margin-top:2rem}svg{max-width:100%;height:auto}td{padding:.2rem .8rem .2rem 0;",
        "vertical-align:top}pre{background:#f2f3f3;padding:1rem;white-space:pre-wrap}</style>",
        "<h1>Health of clusters</h1>",
        "<p>Made by <code>python -m tools.health_page</code> from an instance on one machine. The",
        "dashboards in CloudWatch draw the same metrics; the message is what SNS sends.</p>",
        "<h2>Verdict as announced</h2>",
        *(_steps(name, points) for name, points in sorted(verdicts.items())),
        "<h2>Seconds of a check</h2>",
        *(_bars(name, points) for name, points in sorted(seconds.items())),
        "<h2>Findings now</h2>",
        *(_report(report) for report in reports),
        "<h2>The last message</h2>",
        f"<pre>{html.escape(message)}</pre></html>",
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
    """Read the instance, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=Path, default=Path(".local") / "endpoints.json")
    found = json.loads(parser.parse_args().endpoints.read_text())
    session: Any = boto3.session.Session(
        aws_access_key_id=found["accessKeyId"],
        aws_secret_access_key=found["secretAccessKey"],
        region_name=found["region"],
    )

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=found["aws"])

    def physical(logical_id: str) -> str:
        detail = client("cloudformation").describe_stack_resource(
            StackName="camunda-lifecycle", LogicalResourceId=logical_id
        )
        return str(detail["StackResourceDetail"]["PhysicalResourceId"])

    verdicts: dict[str, list[Point]] = defaultdict(list)
    seconds: dict[str, list[Point]] = defaultdict(list)
    pages = client("logs").get_paginator("filter_log_events")
    for answer in pages.paginate(logGroupName=physical("FunctionLogs")):
        for event in answer["events"]:
            if event["message"].startswith('{"_aws"'):
                line = json.loads(event["message"])
                at = line["_aws"]["Timestamp"] / 1000
                verdicts[line["Cluster"]].append((at, line["Verdict"]))
                seconds[line["Cluster"]].append((at, line["CheckSeconds"]))
    items = client("dynamodb").scan(TableName=physical("Table"))["Items"]
    reports = [
        json.loads(item["document"]["S"]) for item in items if item["pk"]["S"].startswith("HEALTH#")
    ]
    message = _last_message(client("sqs"))
    TARGET.write_text(
        page(
            {name: sorted(points) for name, points in verdicts.items()},
            {name: sorted(points) for name, points in seconds.items()},
            sorted(reports, key=lambda one: str(one["cluster"])),
            message,
        )
    )


def _last_message(sqs: Any) -> str:
    """What a queue named ``phone``, subscribed to the topic, got last."""
    queue = sqs.get_queue_url(QueueName="phone")["QueueUrl"]
    told: list[str] = []
    while found := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for one in found:
            body = json.loads(one["Body"])
            told.append(f"{body['Subject']}\n\n{body['Message']}")
    return told[-1] if told else "none"


if __name__ == "__main__":
    main()
