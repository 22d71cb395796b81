"""Which image a reference names, who is asked, and what is said where that is not known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.stub import Stubber
from lifecycle.adapters.aws import ecr
from lifecycle.adapters.aws import session as aws
from lifecycle.adapters.aws.ecr import EcrRegistry
from lifecycle.cluster.parameters import cluster_parameters
from lifecycle.services.image_digests import (
    Digest,
    PrivateImage,
    Running,
    differing,
    image_lines,
    known,
    look_up,
    pinned,
    read_private,
    references,
    to_pin,
    warnings,
    with_pinned,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "123456789012"
HOST = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"
ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")
DEFAULTS = {name: str(d.get("default", "")) for name, d in cluster_parameters().items()}


def unexpected(_image: PrivateImage) -> Digest:
    pytest.fail("no registry is to be queried")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (f"{HOST}/camunda:8.9.1", ("camunda", "8.9.1", "")),
        (f"{HOST}/team/camunda", ("team/camunda", "latest", "")),
        (f"{HOST}/team/camunda@{ONE}", ("team/camunda", "", ONE)),
        (f"{HOST}/team/camunda:8.9.1@{ONE}", ("team/camunda", "8.9.1", ONE)),
        (
            f"{ACCOUNT}.dkr-ecr.eu-central-1.on.aws/camunda:8.9.1",
            ("camunda", "8.9.1", ""),
        ),
        (
            f"{ACCOUNT}.dkr.ecr-fips.eu-central-1.amazonaws.com/camunda:8.9.1",
            ("camunda", "8.9.1", ""),
        ),
    ],
)
def test_a_private_repository_is_read_of_its_reference(
    image: str, expected: tuple[str, str, str]
) -> None:
    assert read_private(image) == PrivateImage(ACCOUNT, "eu-central-1", *expected)


@pytest.mark.parametrize(
    "image",
    [
        "camunda/camunda:8.9.1",
        "public.ecr.aws/camunda/camunda:8.9.1",
        "registry.example.com:5000/camunda:8.9.1",
        f"evil.example.com/{HOST}/camunda:8.9.1",
        f"{HOST}.example.com/camunda:8.9.1",
        f"{ACCOUNT}.dkr.ecr.eu-central-1.example.com/camunda:8.9.1",
        f"{HOST}/camunda@sha256:12",
    ],
)
def test_anything_else_is_none(image: str) -> None:
    assert read_private(image) is None


def test_the_repository_of_this_account_is_asked() -> None:
    asked: list[PrivateImage] = []

    def ask(image: PrivateImage) -> Digest:
        asked.append(image)
        return Digest(ONE)

    found = look_up(f"{HOST}/camunda:8.9.1", account=ACCOUNT, region="eu-central-1", query=ask)
    assert found == Digest(ONE)
    assert asked == [PrivateImage(ACCOUNT, "eu-central-1", "camunda", "8.9.1", "")]


@pytest.mark.parametrize(
    ("image", "account", "region", "reason"),
    [
        ("camunda/camunda:8.9.1", ACCOUNT, "eu-central-1", "only private ones of this account"),
        (f"{HOST}/camunda:8.9.1", "210987654321", "eu-central-1", f"belongs to account {ACCOUNT}"),
        (f"{HOST}/camunda:8.9.1", ACCOUNT, "us-east-1", "in eu-central-1"),
    ],
)
def test_others_are_unknown_with_the_reason(
    image: str, account: str, region: str, reason: str
) -> None:
    found = look_up(image, account=account, region=region, query=unexpected)
    assert (found.digest, found.missing) == ("", False)
    assert reason in found.reason


def test_a_reference_by_digest_says_it_itself() -> None:
    image = f"camunda/camunda:8.9.1@{ONE}"
    assert look_up(image, account=ACCOUNT, region="eu-central-1", query=unexpected) == Digest(ONE)


def test_images_are_those_of_the_task_definitions() -> None:
    own = {"OrchestrationImage": "camunda/camunda:8.9.1", "ConnectorsImage": "c/c:8.9.2"}
    assert references({**DEFAULTS, **own}) == {
        "orchestration-cluster": "camunda/camunda:8.9.1",
        "connectors": "c/c:8.9.2",
    }
    mirrored = references({**DEFAULTS, **own, "ImageRegistryPrefix": f"{HOST}/hub"})
    assert mirrored["connectors"] == f"{HOST}/hub/c/c:8.9.2"


WORKSPACE = {"PrometheusWorkspaceArn": "arn:aws:aps:eu-central-1:123456789012:workspace/ws-1"}
COLLECTOR = f"{HOST}/aws-otel-collector:v0.49.0"


def test_a_collector_s_image_is_one_with_a_workspace_and_takes_no_prefix() -> None:
    """ECS starts no broker whose collector it cannot pull."""
    own = {"CollectorImage": COLLECTOR, "ImageRegistryPrefix": f"{HOST}/hub"}
    assert "collector" not in references({**DEFAULTS, **own})
    assert references({**DEFAULTS, **own, **WORKSPACE})["collector"] == COLLECTOR


def test_a_collector_s_tag_gets_its_digest() -> None:
    parameters = {**WORKSPACE, "CollectorImage": COLLECTOR}
    found = {image: Digest(ONE) for image in references({**DEFAULTS, **parameters}).values()}
    named = to_pin(WORKSPACE, made=True)
    result = pinned(parameters, found, named=named, defaults=DEFAULTS)
    assert result == {**WORKSPACE, "CollectorImage": f"{COLLECTOR}@{ONE}"}


def test_a_fingerprint_holds_what_is_known_and_what_is_missing() -> None:
    found = {"a": Digest(ONE), "b": Digest(reason="no", missing=True), "c": Digest(reason="no")}
    assert known(found) == {"a": ONE, "b": ""}


def test_what_differs_is_told() -> None:
    assert differing({"a": ONE}, {"a": ONE}) == []
    assert differing({"a": ONE}, {"a": TWO}) == [f"the image a: planned {ONE}, now {TWO}"]
    assert differing({"a": ""}, {"a": TWO}) == [
        f"the image a: planned not in its repository, now {TWO}"
    ]
    assert differing({"a": ONE}, {}) == [f"the image a: planned {ONE}, now unknown"]


def test_a_missing_image_is_a_warning_and_an_unknown_one_is_none() -> None:
    named = {"orchestration-cluster": "a", "connectors": "b"}
    running = {"connectors": [Running("b", ONE)]}
    found = {"a": Digest(reason="no such tag", missing=True), "b": Digest(reason="not asked")}
    lines = image_lines(named, found, running)
    assert lines[1] == {
        "service": "connectors",
        "image": "b",
        "digest": None,
        "unknown": "not asked",
        "missing": False,
        "running": [{"image": "b", "digest": ONE, "reason": None}],
    }
    (warning,) = warnings(lines)
    assert "orchestration-cluster, a, is not in its repository: no such tag" in warning


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    made = boto3.client(
        "ecr", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    monkeypatch.setattr(ecr, "client", lambda _: made)
    with Stubber(made) as stub:
        yield stub
    stub.assert_no_pending_responses()
    aws.client.cache_clear()


IMAGE = PrivateImage(ACCOUNT, "eu-central-1", "camunda", "8.9.1", "")


@pytest.mark.parametrize(
    ("image", "image_id"),
    [
        (IMAGE, {"imageTag": "8.9.1"}),
        (PrivateImage(ACCOUNT, "eu-central-1", "camunda", "8.9.1", ONE), {"imageDigest": ONE}),
    ],
)
def test_ecr_is_asked_by_tag_or_digest(
    api: Stubber, image: PrivateImage, image_id: dict[str, str]
) -> None:
    expected = {"repositoryName": "camunda", "imageIds": [image_id]}
    api.add_response("describe_images", {"imageDetails": [{"imageDigest": ONE}]}, expected)
    assert EcrRegistry().digest(image) == Digest(ONE)


@pytest.mark.parametrize("code", ["ImageNotFoundException", "RepositoryNotFoundException"])
def test_what_ecr_does_not_have_is_missing(api: Stubber, code: str) -> None:
    api.add_client_error("describe_images", code, "It does not exist.")
    assert EcrRegistry().digest(IMAGE) == Digest(reason="It does not exist", missing=True)


def test_an_answer_without_images_is_missing(api: Stubber) -> None:
    api.add_response("describe_images", {"imageDetails": []})
    assert EcrRegistry().digest(IMAGE).missing


def test_what_may_not_be_read_is_unknown(api: Stubber) -> None:
    api.add_client_error("describe_images", "AccessDeniedException", "Not allowed.")
    found = EcrRegistry().digest(IMAGE)
    assert (found.digest, found.missing) == ("", False)
    assert found.reason == "it may not be read: Not allowed"


def test_any_other_failure_is_raised(api: Stubber) -> None:
    api.add_client_error("describe_images", "ThrottlingException", "Slow down.")
    with pytest.raises(Exception, match="Slow down") as caught:
        EcrRegistry().digest(IMAGE)
    error: Any = caught.value
    assert aws.error_code(error) == "ThrottlingException"


# --- pinning -------------------------------------------------------------------------------------

BROKERS, CONNECTORS = "OrchestrationImage", "ConnectorsImage"


@pytest.mark.parametrize(
    ("requested", "made", "expected"),
    [
        ({BROKERS}, True, {BROKERS}),
        ({"LogRetentionDays"}, True, set()),
        ({"LogRetentionDays"}, False, {BROKERS, CONNECTORS, "CollectorImage"}),
        ({"PrometheusWorkspaceArn"}, True, {"CollectorImage"}),
        ({"CollectorImage"}, True, {"CollectorImage"}),
        ({"ImageRegistryPrefix"}, True, {BROKERS, CONNECTORS}),
    ],
)
def test_what_is_pinned(requested: set[str], made: bool, expected: set[str]) -> None:
    assert to_pin(requested, made=made) == expected


@pytest.mark.parametrize(
    ("image", "digest", "expected"),
    [
        (f"{HOST}/camunda:8.9.1", Digest(ONE), f"{HOST}/camunda:8.9.1@{ONE}"),
        (f"{HOST}/camunda:8.9.1@{TWO}", Digest(TWO), f"{HOST}/camunda:8.9.1@{TWO}"),
        (f"{HOST}/camunda:8.9.1", Digest(reason="denied"), f"{HOST}/camunda:8.9.1"),
        (f"{HOST}/camunda:8.9.1", Digest(missing=True), f"{HOST}/camunda:8.9.1"),
        (f"{HOST}/{'c' * 150}:8.9.1", Digest(ONE), f"{HOST}/{'c' * 150}:8.9.1"),
    ],
)
def test_a_tag_gets_its_digest_where_that_is_known(
    image: str, digest: Digest, expected: str
) -> None:
    parameters = {BROKERS: image, "Brokers": "3"}
    connectors = DEFAULTS[CONNECTORS]
    found = {image: digest, connectors: Digest(reason="not queried")}
    result = pinned(parameters, found, named={BROKERS, CONNECTORS}, defaults=DEFAULTS)
    assert result == {BROKERS: expected, "Brokers": "3"}
    assert pinned(parameters, found, named=set(), defaults=DEFAULTS) == parameters


def test_the_default_images_of_a_mirror_are_pinned() -> None:
    """The digest is of the reference with its prefix, the parameter has none."""
    parameters = {"ImageRegistryPrefix": HOST}
    named = references({**DEFAULTS, **parameters})
    found = {image: Digest(ONE) for image in named.values()}
    result = pinned(parameters, found, named={BROKERS}, defaults=DEFAULTS)
    assert result == {**parameters, BROKERS: f"{DEFAULTS[BROKERS]}@{ONE}"}


def test_what_is_known_of_a_tag_is_known_of_the_pinned_reference() -> None:
    assert with_pinned({"a:1": ONE, "b:1": ""}) == {"a:1": ONE, "b:1": "", f"a:1@{ONE}": ONE}


@pytest.mark.parametrize("name", [BROKERS, CONNECTORS])
def test_a_pinned_reference_is_an_allowed_value(name: str) -> None:
    pattern = str(cluster_parameters()[name]["allowedPattern"])
    assert re.fullmatch(pattern, f"{DEFAULTS[name]}@{ONE}")
