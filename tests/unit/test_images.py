from __future__ import annotations

import pytest
from lifecycle.services.images import Versions, is_pre_release, read_version, tag_of, versions


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("camunda/camunda:8.9.22", "8.9.22"),
        ("camunda/camunda:8.9.22@sha256:" + "a" * 64, "8.9.22"),
        ("registry.example.com:5000/camunda", ""),
        ("registry.example.com:5000/camunda:main-42", "main-42"),
        ("camunda/camunda@sha256:" + "a" * 64, ""),
    ],
)
def test_the_tag_of_a_reference(image: str, tag: str) -> None:
    assert tag_of(image) == tag


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("8.9.0-alpha3", True),
        ("8.10.0-rc1", True),
        ("8.10-SNAPSHOT", True),
        ("8.10.0-SNAPSHOT", True),
        ("8.9.22", False),
        ("8.9.22-team-3", False),
        ("latest", False),
    ],
)
def test_pre_releases_by_their_tag(tag: str, *, expected: bool) -> None:
    assert is_pre_release(f"camunda/camunda:{tag}") is expected


@pytest.mark.parametrize("text", ["", "8.9", "8.8.22", "9.0.0", "8.9.22-team", "8.09.1", "latest"])
def test_what_is_no_released_version(text: str) -> None:
    assert read_version(text) is None


@pytest.mark.parametrize(
    ("brokers", "connectors", "given", "expected"),
    [
        ("c:8.9.22", "k:8.9.14", "", Versions((8, 9, 22), (8, 9, 14))),
        ("c:ours", "k:8.9.14", "8.9.22", Versions((8, 9, 22), (8, 9, 14))),
        ("c:ours", "k:ours", "8.10.1", Versions((8, 10, 1), (8, 10, 0))),
        ("c:8.9.22", "k:ours", "8.10.1", Versions((8, 9, 22), (8, 9, 0))),
        ("c:ours", "k:8.9.14", "", Versions(None, (8, 9, 14))),
    ],
)
def test_versions_of_a_cluster(
    brokers: str, connectors: str, given: str, expected: Versions
) -> None:
    parameters = {
        "OrchestrationImage": brokers,
        "ConnectorsImage": connectors,
        "CamundaVersion": given,
    }
    assert versions(parameters) == expected
