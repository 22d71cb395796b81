"""Which image a reference names now: its digest where that is known, else why it is not.

A tag can be moved, so a plan needs the digest. Only private repositories of this account in this
region are queried; what anything else names is unknown.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.cluster.broker_memory import WORKSPACE
from lifecycle.services import images
from lifecycle.services.definition import BROKERS, COLLECTOR, CONNECTORS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from lifecycle.services.ports import Registry

# 123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/camunda:8.9.16, or with the dual-stack host
# 123456789012.dkr-ecr.eu-central-1.on.aws: https://docs.aws.amazon.com/general/latest/gr/ecr.html
_PRIVATE: Final = re.compile(
    r"(?P<account>[0-9]{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\."
    r"(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|on\.aws|on\.amazonwebservices\.com\.cn)/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_PINNED: Final = re.compile(r".+@(sha256:[0-9a-f]{64})")
PREFIX: Final = "ImageRegistryPrefix"
_IMAGES: Final[Mapping[str, str]] = {
    BROKERS: images.BROKERS,
    COLLECTOR: images.COLLECTOR,
    CONNECTORS: images.CONNECTORS,
}
CONTAINERS: Final[Mapping[str, tuple[str, ...]]] = {
    BROKERS: (BROKERS, COLLECTOR),
    CONNECTORS: (CONNECTORS,),
}
"""Containers of each service whose images a plan shows; a service's own is called like it."""
# https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html (image)
_LONGEST: Final = 255
MISSING: Final = ""
"""Stands in a fingerprint for the digest of an image that its repository does not have."""


@dataclass(frozen=True, slots=True)
class PrivateImage:
    """An image in a private repository of ECR. ``digest`` is empty where a tag names it."""

    account: str
    region: str
    repository: str
    tag: str
    digest: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What an image's reference names: ``digest``, or an empty one and the ``reason``.

    ``missing`` when the repository was queried and has no such image.
    """

    digest: str = ""
    reason: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """An image that a service runs, as ECS resolved it; ``reason`` where it gave none."""

    image: str
    digest: str
    reason: str = ""


def references(parameters: Mapping[str, str]) -> dict[str, str]:
    """Reference of each container's image, by the cluster's parameters with their defaults.

    A collector is there only with a workspace, and its image has no prefix.
    """
    prefix = parameters.get(PREFIX, "")
    return {
        container: f"{prefix}/{parameters[name]}"
        if prefix and name in images.IMAGES
        else parameters[name]
        for container, name in _IMAGES.items()
        if container != COLLECTOR or parameters.get(WORKSPACE)
    }


def read_private(image: str) -> PrivateImage | None:
    """Read a reference to a private repository of ECR; None for any other.

    Without tag and digest it is ``latest``, as container runtimes read it.
    """
    found = _PRIVATE.fullmatch(image)
    if found is None:
        return None
    digest = found["digest"] or ""
    tag = found["tag"] or ("" if digest else "latest")
    return PrivateImage(found["account"], found["region"], found["repository"], tag, digest)


def look_up(
    image: str, *, account: str, region: str, query: Callable[[PrivateImage], Digest]
) -> Digest:
    """Return what a reference names now.

    ``query`` is called for repositories of this account and region.
    """
    private = read_private(image)
    if private is not None and (private.account, private.region) == (account, region):
        return query(private)
    pinned = _PINNED.fullmatch(image)
    if pinned:
        return Digest(pinned[1])
    if private is None:
        return Digest(reason="its registry is not queried, only private ones of this account are")
    if private.account != account:
        return Digest(
            reason=(f"its registry belongs to account {private.account} and is not queried")
        )
    return Digest(reason=f"its registry is in {private.region} and is not queried")


def pinned(
    parameters: Mapping[str, str],
    found: Mapping[str, Digest],
    *,
    named: Collection[str],
    defaults: Mapping[str, str],
) -> dict[str, str]:
    """Return ``parameters`` with the digest behind each tag of an image in ``named``.

    ECS runs ``repository:tag@sha256:…`` by the digest, and all tasks of a service by one digest
    (https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerImage.html); but each
    deployment reads a plain tag again. What is not in ``named`` stays as it is, so that a tag that
    was moved replaces no broker unless an image was requested. ``found`` are the digests by
    reference; an image whose digest is not known, or too long for ECS with it, keeps its tag.
    """
    complete = {**defaults, **parameters}
    result = dict(parameters)
    for container, image in references(complete).items():
        name = _IMAGES[container]
        digest = found[image].digest
        fits = len(f"{image}@{digest}") <= _LONGEST
        if name in named and digest and "@" not in image and fits:
            result[name] = f"{complete[name]}@{digest}"
    return result


def to_pin(requested: Collection[str], *, made: bool) -> set[str]:
    """Return the images to pin: those requested, and all of a new cluster.

    Another prefix requests those that have it, a workspace the collector's.
    """
    if not made:
        return set(_IMAGES.values())
    found = set(_IMAGES.values()) & set(requested)
    if PREFIX in requested:
        found.update(images.IMAGES)
    if WORKSPACE in requested:
        found.add(images.COLLECTOR)
    return found


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a cluster's parameters and what they name now.

    ``role`` is any role of this account; ``defaults`` those of the cluster template.
    """

    registry: Registry
    role: str
    region: str
    defaults: Mapping[str, str]

    def digests(
        self, parameters: Mapping[str, str], seen: Mapping[str, str] | None = None
    ) -> dict[str, Digest]:
        """What the images name now, by their references; ``seen`` is what is known already."""
        # arn:aws:iam::123456789012:role/…: the deployment role is of this account.
        account, known_already = self.role.split(":")[4], seen or {}
        return {
            image: Digest(known_already[image])
            if known_already.get(image)
            else look_up(image, account=account, region=self.region, query=self.registry.digest)
            for image in references({**self.defaults, **parameters}).values()
        }

    def pin(
        self, parameters: Mapping[str, str], requested: Collection[str], *, made: bool
    ) -> tuple[dict[str, str], dict[str, Digest]]:
        """Return the parameters with digests, and what was found, by reference with the tag."""
        found = self.digests(parameters)
        named = to_pin(requested, made=made)
        return pinned(parameters, found, named=named, defaults=self.defaults), found


def known(found: Mapping[str, Digest]) -> dict[str, str]:
    """Digests by reference, as a fingerprint holds them: ``MISSING`` where there is no image.

    What is not known is left out.
    """
    return {
        image: digest.digest or MISSING
        for image, digest in found.items()
        if digest.digest or digest.missing
    }


def with_pinned(digests: Mapping[str, str]) -> dict[str, str]:
    """Add to digests by reference those of the same references with the digest in them."""
    pins = {f"{image}@{digest}": digest for image, digest in digests.items() if digest}
    return {**digests, **pins}


def image_lines(
    named: Mapping[str, str],
    found: Mapping[str, Digest],
    running: Mapping[str, Sequence[Running]],
) -> list[dict[str, Any]]:
    """Return what a plan shows of each image; ``service`` is the container, as its service called.

    ``named`` are the references by container, ``found`` what they name by reference, ``running``
    what each container runs; nothing of it where there is none.
    """
    return [
        {
            "service": container,
            "image": image,
            "digest": found[image].digest or None,
            "unknown": found[image].reason or None,
            "missing": found[image].missing,
            "running": [
                {name: value or None for name, value in asdict(one).items()}
                for one in running.get(container, ())
            ],
        }
        for container, image in named.items()
    ]


def warnings(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return which images are not in their repository: no task of them starts.

    A pull through cache has an image only after the first task pulled it, so that this refuses
    nothing: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html
    """
    return [
        f"The image of {line['service']}, {line['image']}, is not in its repository: "
        f"{line['unknown']}. Unless the repository is a pull through cache that has the image in "
        "its upstream registry, tasks do not start (CannotPullContainerError). Push it, then "
        "plan again."
        for line in lines
        if line["missing"]
    ]


def differing(planned: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the images whose digest changed since the plan."""
    return [
        f"the image {image}: planned {_told(planned.get(image))}, now {_told(now.get(image))}"
        for image in sorted({*planned, *now})
        if planned.get(image) != now.get(image)
    ]


def _told(digest: str | None) -> str:
    if digest is None:
        return "unknown"
    return digest if digest != MISSING else "not in its repository"
