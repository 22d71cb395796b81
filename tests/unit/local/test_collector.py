"""The stand-in of the collector starts with what the real one does, and labels like it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from local.collector.configuration import Configuration, ConfigurationError, read
from local.collector.series import series
from tests.unit.templates.resolver import resolve
from tests.unit.templates.test_collector import WORKSPACE, collector
from tests.unit.templates.test_services import environment

TASK = "arn:aws:ecs:eu-central-1:123456789012:task/control-demo/0123456789abcdef0123456789abcdef"
SCRAPE = """\
# HELP atomix_role role
# TYPE atomix_role gauge
atomix_role{partition="1",partitionGroupName="raft"} 3.0
zeebe_dropped_request_count_total{cluster="x",partition="1"} 12.0
jvm_info{vendor="a\\"b\\\\c, d"} 1
up 1.0 1700000000
"""


def text() -> str:
    cluster = resolve("cluster", PrometheusWorkspaceArn=WORKSPACE)
    return environment(collector(cluster))["AOT_CONFIG_CONTENT"]


def configuration(**changes: Any) -> Configuration:
    document = yaml.safe_load(text())
    for path, value in changes.items():
        *way, last = path.split("__")
        node = document
        for key in way:
            node = node[key]
        node[last] = value
    return read(yaml.safe_dump(document), {})


def test_labels_are_those_of_the_variables_of_camunda_s_board() -> None:
    found = {one["labels"]["__name__"]: one for one in series(read(text(), {}), TASK, SCRAPE)}
    own = {
        "cluster": "control",
        "namespace": "demo",
        "pod": "0123456789abcdef0123456789abcdef",
        "job": "orchestration-cluster",
        "instance": "localhost:9600",
    }
    assert found["atomix_role"]["labels"] == {
        "__name__": "atomix_role", "partition": "1", "partitionGroupName": "raft", **own
    }  # fmt: skip
    assert found["atomix_role"]["value"] == "3.0"
    dropped = found["zeebe_dropped_request_count_total"]["labels"]
    assert (dropped["cluster"], dropped["exported_cluster"]) == ("control", "x")
    assert found["jvm_info"]["labels"]["vendor"] == 'a"b\\c, d'
    assert len(found) == 4


def test_without_the_detector_there_is_no_pod() -> None:
    plain = configuration(processors__resource_detection={"detectors": []})
    (one, *_) = series(plain, TASK, SCRAPE)
    assert "pod" not in one["labels"]


def test_what_is_not_deleted_from_the_resource_becomes_a_label() -> None:
    kept = configuration(processors__resource={"attributes": []})
    (one, *_) = series(kept, TASK, SCRAPE)
    assert one["labels"]["aws_ecs_task_arn"] == TASK
    assert one["labels"]["server_port"] == "9600"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"exporters__prometheus_remote_write__endpont": "x"}, "prometheus_remote_write.endpont"),
        ({"exporters__awsprometheusremotewrite": {}}, "awsprometheusremotewrite"),
        ({"exporters__prometheus_remote_write__endpoint": "http://aps"}, "requires TLS"),
        ({"exporters__prometheus_remote_write__auth__authenticator": "basicauth"}, "basicauth"),
        ({"service__extensions": []}, "sigv4auth"),
        ({"service__pipelines__metrics__processors": ["batch"]}, "processors has no batch"),
        ({"receivers__prometheus__config": {"scrape_configs": [{"target": "x"}]}}, "target"),
        ({"extensions__sigv4auth__region": "$1"}, "written as $$"),
    ],
)
def test_what_the_collector_does_not_start_with(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        configuration(**changes)
    assert named in str(refused.value)


def test_variables_and_dollars_are_expanded() -> None:
    given = text().replace('region: "eu-central-1"', 'region: "${env:AWS_REGION}"')
    assert read(given, {"AWS_REGION": "eu-west-1"}).region == "eu-west-1"
    given = text().replace('cluster: "control"', 'cluster: "a$$1"')
    assert read(given, {}).labels["cluster"] == "a$1"
