"""Reads a collector's configuration and rejects what the collector would not start with.

Only the components and keys that are used here are known: a key that is not listed, or a pipeline
that names what is not configured, ends the collector with an error. Sources: `config.go` of each
component in the vendor directory of https://github.com/aws-observability/aws-otel-collector
(v0.49.0), its `pkg/defaultcomponents/defaults.go`, and for `$` the collector's
https://opentelemetry.io/docs/collector/configuration/#environment-variables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

# Sections, in them the components, in these the keys; None takes any scalar or list of them.
_KEYS: Final[dict[str, Any]] = {
    "extensions": {"sigv4auth": {"region": None, "service": None}},
    "receivers": {
        "prometheus": {
            "config": {
                "scrape_configs": [
                    {
                        "job_name": None,
                        "metrics_path": None,
                        "scrape_interval": None,
                        "scrape_timeout": None,
                        "static_configs": [{"targets": None, "labels": dict}],
                    }
                ]
            }
        }
    },
    "processors": {
        "memory_limiter": {"check_interval": None, "limit_mib": None, "spike_limit_mib": None},
        "resource_detection": {"detectors": None, "timeout": None},
        "resource": {
            "attributes": [{"key": None, "pattern": None, "from_attribute": None, "action": None}]
        },
    },
    "exporters": {
        "prometheus_remote_write": {
            "endpoint": None,
            "auth": {"authenticator": None},
            "remote_write_queue": {"enabled": None, "queue_size": None},
            "resource_to_telemetry_conversion": {
                "enabled": None,
                "exclude_service_attributes": None,
            },
            "translation_strategy": None,
            "disable_scope_info": None,
            "target_info": {"enabled": None},
        }
    },
    "service": {
        "extensions": None,
        "pipelines": {"metrics": {"receivers": None, "processors": None, "exporters": None}},
    },
}
_REFERENCE: Final = re.compile(r"\$(\$|\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)\})?")
_SECONDS: Final = re.compile(r"([0-9]+)s")


class ConfigurationError(Exception):
    """The collector would not start; the message names the key."""


@dataclass(frozen=True)
class Configuration:
    """What the one pipeline does."""

    job: str
    target: str
    path: str
    interval: float
    """Seconds between two scrapes."""
    timeout: float
    labels: Mapping[str, str]
    """Of the target."""
    detectors: tuple[str, ...]
    actions: tuple[Mapping[str, str], ...]
    """On the resource's attributes, in turn."""
    converts: bool
    """Whether the resource's attributes become labels."""
    keeps_service: bool
    """Whether `service.name` and the like do, too."""
    endpoint: str
    region: str
    service: str
    """What the requests are signed for."""


def read(text: str, environment: Mapping[str, str]) -> Configuration:
    """Read the value of `AOT_CONFIG_CONTENT`. Raises ConfigurationError."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"no YAML: {error}") from error
    document = _expanded(document, environment)
    _require_known(document, _KEYS, "")
    pipeline = _pipeline(document)
    (scrape,) = document["receivers"]["prometheus"]["config"]["scrape_configs"]
    (static,) = scrape["static_configs"]
    (target,) = static["targets"]
    exporter = document["exporters"]["prometheus_remote_write"]
    signing = document["extensions"]["sigv4auth"]
    if urlsplit(exporter["endpoint"]).scheme != "https":
        raise ConfigurationError("exporters.prometheus_remote_write.endpoint: requires TLS")
    conversion = exporter.get("resource_to_telemetry_conversion", {})
    in_use = {name: document["processors"].get(name, {}) for name in pipeline}
    return Configuration(
        job=scrape["job_name"],
        target=target,
        path=scrape.get("metrics_path", "/metrics"),
        interval=_seconds(scrape, "scrape_interval"),
        timeout=_seconds(scrape, "scrape_timeout"),
        labels=static.get("labels", {}),
        detectors=tuple(in_use.get("resource_detection", {}).get("detectors", ())),
        actions=tuple(in_use.get("resource", {}).get("attributes", ())),
        converts=bool(conversion.get("enabled")),
        keeps_service=not conversion.get("exclude_service_attributes"),
        endpoint=exporter["endpoint"],
        region=signing["region"],
        service=signing["service"],
    )


def _seconds(scrape: Mapping[str, Any], key: str) -> float:
    found = _SECONDS.fullmatch(str(scrape[key]))
    if found is None:
        raise ConfigurationError(f"scrape_configs.{key}: {scrape[key]} is not in seconds")
    return float(found[1])


def _pipeline(document: Mapping[str, Any]) -> list[str]:
    """Processors of the pipeline, once all that it names is there."""
    service = document["service"]
    named = {**service["pipelines"]["metrics"], "extensions": service.get("extensions", [])}
    for section, names in named.items():
        for name in names:
            if name not in document.get(section, {}):
                raise ConfigurationError(f"service: {section} has no {name}")
    authenticator = document["exporters"]["prometheus_remote_write"]["auth"]["authenticator"]
    if authenticator not in named["extensions"]:
        raise ConfigurationError(f"failed to resolve authenticator {authenticator}")
    processors: list[str] = named.get("processors", [])
    return processors


def _expanded(node: Any, environment: Mapping[str, str]) -> Any:
    """Replace `${env:NAME}` by its value and `$$` by `$`; a `$` alone is one that was forgotten."""
    if isinstance(node, dict):
        return {key: _expanded(value, environment) for key, value in node.items()}
    if isinstance(node, list):
        return [_expanded(value, environment) for value in node]
    if not isinstance(node, str):
        return node

    def value(found: re.Match[str]) -> str:
        if found[1] is None:
            raise ConfigurationError(f"a $ has to be written as $$: {node}")
        return "$" if found[1] == "$" else environment.get(found[2], "")

    return _REFERENCE.sub(value, node)


def _require_known(node: Any, known: Any, path: str) -> None:
    if known is dict:
        known = dict.fromkeys(node)
    if known is None:
        items = node if isinstance(node, list) else [node]
        if any(isinstance(one, dict | list) for one in items):
            raise ConfigurationError(f"{path}: expected a scalar or a list of them")
    elif isinstance(known, list):
        if not isinstance(node, list):
            raise ConfigurationError(f"{path}: expected a list")
        for number, one in enumerate(node):
            _require_known(one, known[0], f"{path}[{number}]")
    else:
        if not isinstance(node, dict):
            raise ConfigurationError(f"{path}: expected a map")
        for key, value in node.items():
            where = f"{path}.{key}".lstrip(".")
            if key not in known:
                raise ConfigurationError(f"{where}: has invalid keys, or no such component")
            _require_known(value, known[key], where)
