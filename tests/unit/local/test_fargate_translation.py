"""Every setting of the deployed brokers is translated or named as absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from local.fargate import translation
from local.fargate.translation import (
    Placement,
    contact_points,
    health_path,
    internal_port,
    translate,
)

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "stacks" / "cluster.yaml"


class TemplateLoader(yaml.SafeLoader):
    """Reads a template and keeps the arguments of its functions."""


def _function(loader: TemplateLoader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_scalar(node)  # type: ignore[arg-type]


TemplateLoader.add_multi_constructor("!", _function)


def declared(value: Any) -> set[str]:
    """Names of every `{Name, Value}` and `{Name, ValueFrom}`, also inside conditions."""
    if isinstance(value, dict):
        own = (
            {value["Name"]} if "Name" in value and {"Value", "ValueFrom"} & value.keys() else set()
        )
        return own.union(*(declared(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(declared(item) for item in value))
    return set()


def broker() -> dict[str, Any]:
    template = yaml.load(TEMPLATE.read_text(), TemplateLoader)  # noqa: S506
    properties = template["Resources"]["OrchestrationTaskDefinition"]["Properties"]
    containers: list[dict[str, Any]] = properties["ContainerDefinitions"]
    return next(one for one in containers if one["Name"] == "orchestration-cluster")


def placement(tmp_path: Path, **aliases: list[str]) -> Placement:
    return Placement(
        node_id=2,
        address="127.41.1.12",
        data=tmp_path / "node-2",
        resolve=lambda name: aliases.get(name.replace("-", "_"), []),
    )


def test_no_setting_of_the_template_is_forgotten(tmp_path: Path) -> None:
    container = broker()
    names = declared(container["Environment"]) | declared(container["Secrets"])
    assert len(names) > 20
    found = translate(dict.fromkeys(names, "x"), placement(tmp_path))
    assert found.unknown == ()


def test_the_sizes_of_the_cluster_arrive_under_the_old_names(tmp_path: Path) -> None:
    declared_settings = {
        "CAMUNDA_CLUSTER_SIZE": "3",
        "CAMUNDA_CLUSTER_PARTITIONCOUNT": "6",
        "CAMUNDA_CLUSTER_REPLICATIONFACTOR": "1",
    }
    found = translate(declared_settings, placement(tmp_path)).environment
    assert found["ZEEBE_BROKER_CLUSTER_CLUSTERSIZE"] == "3"
    assert found["ZEEBE_BROKER_CLUSTER_PARTITIONSCOUNT"] == "6"
    assert found["ZEEBE_BROKER_CLUSTER_REPLICATIONFACTOR"] == "1"
    assert found["ZEEBE_BROKER_CLUSTER_NODEID"] == "2"


def test_every_server_listens_on_the_task_s_own_address(tmp_path: Path) -> None:
    found = translate({}, placement(tmp_path)).environment
    hosts = {name: value for name, value in found.items() if name.endswith(("HOST", "_ADDRESS"))}
    assert len(hosts) == 5
    assert set(hosts.values()) == {"127.41.1.12"}


def test_passwords_do_not_reach_a_broker_that_has_no_use_for_them(tmp_path: Path) -> None:
    name = "CAMUNDA_SECURITY_INITIALIZATION_USERS_0_PASSWORD"
    found = translate({name: "hush"}, placement(tmp_path))
    assert "hush" not in str(found)
    assert found.absent == (name,)


def test_an_unheard_of_setting_is_told(tmp_path: Path) -> None:
    assert translate({"CAMUNDA_NEW_THING": "1"}, placement(tmp_path)).unknown == (
        "CAMUNDA_NEW_THING",
    )


def test_an_alias_becomes_the_addresses_behind_it_and_the_broker_s_own(tmp_path: Path) -> None:
    here = placement(tmp_path, brokers_sc=["127.41.1.10", "127.41.1.12"])
    expected = [f"{one}:{internal_port(one)}" for one in ("127.41.1.10", "127.41.1.12")]
    assert contact_points("brokers-sc:26502", here) == ",".join(expected)


def test_without_anybody_behind_the_alias_a_broker_contacts_itself(tmp_path: Path) -> None:
    own = f"127.41.1.12:{internal_port('127.41.1.12')}"
    assert contact_points("brokers-sc:26502", placement(tmp_path)) == own


def test_no_two_brokers_of_this_machine_gossip_on_one_port(tmp_path: Path) -> None:
    """Its socket is bound to every address: who shares a port gets the others' gossip."""
    # The default instance, and those with real brokers in tests.
    networks = [f"127.{block}.1" for block in (41, 155, 157)]
    addresses = [f"{network}.{host}" for network in networks for host in range(10, 255)]
    ports = [internal_port(one) for one in addresses]
    assert len(set(ports)) == len(ports)
    # Beside the deployed ports, and below those that outgoing connections get.
    assert all(10000 <= port < 26500 for port in ports)
    settings = translate({}, placement(tmp_path)).environment
    assert settings["ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT"] == str(internal_port("127.41.1.12"))


def test_liveness_is_asked_as_startup() -> None:
    assert health_path("/actuator/health/liveness") == "/actuator/health/startup"
    assert health_path("/actuator/health/readiness") == "/actuator/health/readiness"


def test_the_tables_are_in_the_documentation() -> None:
    text = (ROOT / "docs" / "local-broker.md").read_text()
    for table in (translation.RENAMED, translation.REPLACED, translation.ABSENT):
        for name, meaning in table.items():
            assert f"| `{name}` | {meaning}" in text or f"| `{name}` | `{meaning}`" in text
