"""What a scrape becomes: series with the labels that a collector gives them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.collector.configuration import Configuration

_SAMPLE: Final = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)(?: [0-9]+)?")
_LABEL: Final = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
_UNESCAPED: Final = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_]")


def detected(detectors: tuple[str, ...], task: str) -> dict[str, str]:
    """Return what the detector `ecs` finds of a task, by its ARN.

    `processor/resourcedetectionprocessor/internal/aws/ecs/ecs.go` of the collector.
    """
    if "ecs" not in detectors:
        return {}
    region, account, name = task.split(":", 5)[3:]
    _, cluster, number = name.split("/")
    return {
        "aws.ecs.cluster.arn": f"arn:aws:ecs:{region}:{account}:cluster/{cluster}",
        "aws.ecs.launchtype": "fargate",
        "aws.ecs.task.arn": task,
        "aws.ecs.task.id": number,
        "cloud.account.id": account,
        "cloud.platform": "aws_ecs",
        "cloud.provider": "aws",
        "cloud.region": region,
    }


def attributes(configuration: Configuration, task: str) -> dict[str, str]:
    """Return the attributes of the scraped resource after the processors.

    Those of the receiver: `prometheusreceiver/internal/prom_to_otlp.go`.
    """
    host, _, port = configuration.target.partition(":")
    found = {
        "service.name": configuration.job,
        "service.instance.id": configuration.target,
        # A host such as this one is not discernible, and left out.
        **({} if host in {"localhost", "127.0.0.1", "0.0.0.0"} else {"server.address": host}),  # noqa: S104
        "server.port": port,
        "url.scheme": "http",
        **detected(configuration.detectors, task),
    }
    for one in configuration.actions:
        if one["action"] == "insert":
            # Without the attribute that it is taken from, nothing is inserted.
            if one["from_attribute"] in found:
                found.setdefault(one["key"], found[one["from_attribute"]])
        elif one["action"] == "delete":
            found = {
                name: value
                for name, value in found.items()
                if name != one.get("key")
                and ("pattern" not in one or re.search(one["pattern"], name) is None)
            }
        else:
            raise ValueError(f"processors.resource: no such action: {one['action']}")
    return found


def series(configuration: Configuration, task: str, text: str) -> Iterator[dict[str, Any]]:
    """Yield each sample of a scrape: `labels`, with `__name__`, and `value` as text."""
    resource = attributes(configuration, task)
    own = {
        _UNFIT.sub("_", name): value
        for name, value in resource.items()
        if configuration.converts
        and (configuration.keeps_service or not name.startswith("service."))
    }
    for name, origin in (("job", "service.name"), ("instance", "service.instance.id")):
        if origin in resource:
            own[name] = resource[origin]
    for line in text.splitlines():
        found = _SAMPLE.fullmatch(line.strip())
        if found is None or line.startswith("#"):
            continue
        given = {name: _read(value) for name, value in _LABEL.findall(found[2] or "")}
        # A label of the target wins; the scraped one is kept beside it (honor_labels: false).
        labels = {
            f"exported_{name}" if name in configuration.labels else name: value
            for name, value in given.items()
        }
        labels |= {**configuration.labels, **own, "__name__": found[1]}
        yield {"labels": labels, "value": found[3]}


def _read(value: str) -> str:
    return re.sub(r"\\.", lambda found: _UNESCAPED.get(found[0], found[0]), value)
