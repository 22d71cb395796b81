"""From which registries a cluster may run images, and so to which its credentials may be sent.

The control stack's parameter ``AllowedImageRegistries`` lists them. ECS sends the credentials of
``RegistryCredentialsArn`` to the registry of the image:
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lifecycle.cluster.broker_memory import WORKSPACE
from lifecycle.cluster.checks import Check, Result
from lifecycle.cluster.validation import Problem
from lifecycle.services import images
from lifecycle.services.image_digests import PREFIX, read_private

if TYPE_CHECKING:
    from collections.abc import Mapping

CREDENTIALS: Final = "RegistryCredentialsArn"
PARAMETERS: Final = (
    PREFIX,
    images.BROKERS,
    images.CONNECTORS,
    CREDENTIALS,
    WORKSPACE,
    images.COLLECTOR,
)
NAME: Final = "image registries"
_ECR: Final = "ecr"
_HUB: Final = "docker.io"
# https://github.com/distribution/reference/blob/main/normalize.go
_HUB_HOSTS: Final = frozenset({_HUB, "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True)
class Registries:
    """Allowed registries, each ``host[:port][/path]``, or ``ecr`` for those of ``account``.

    ``account`` and ``region`` are those of the control plane and its clusters.
    """

    allowed: tuple[str, ...]
    account: str
    region: str

    @classmethod
    def read(cls, text: str, account: str, region: str) -> Registries:
        """Read the parameter's value: entries with commas between."""
        allowed = tuple(one for one in (part.strip() for part in text.split(",")) if one)
        return cls(allowed, account, region)

    def allows(self, image: str) -> bool:
        """Whether an image's reference is below an allowed host and path."""
        private = read_private(image)
        if private is not None and private.account == self.account and _ECR in self.allowed:
            return True
        name = f"{normalized(image)}/"
        return any(name.startswith(f"{one}/") for one in self.allowed)

    def refused(self, values: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return parameter and value of each image outside, given all parameters' values."""
        prefix = values.get(PREFIX, "")
        outside = [
            name
            for name in images.IMAGES
            if not self.allows(f"{prefix}/{values[name]}" if prefix else values[name])
        ]
        refused = (
            [(PREFIX, prefix)] if prefix and outside else [(name, values[name]) for name in outside]
        )
        # A whole reference, without the prefix, of what runs only with a workspace.
        collector = values.get(images.COLLECTOR, "")
        if values.get(WORKSPACE) and not self.allows(collector):
            refused.append((images.COLLECTOR, collector))
        return refused

    @property
    def rule(self) -> str:
        """What is allowed, in words."""
        listed = ", ".join(self.allowed) or "none"
        return (
            f"a registry that AllowedImageRegistries of the control stack lists: {listed} "
            f"({_ECR} stands for those of account {self.account})"
        )


def normalized(image: str) -> str:
    """Return host and path of a reference, without tag and digest, as container runtimes read it.

    The first part is a host if it contains a dot or a colon or is ``localhost``; else the image is
    Docker Hub's, below ``library`` if it has one part.
    https://github.com/distribution/reference/blob/main/normalize.go
    """
    path, slash, last = image.partition("@")[0].rpartition("/")
    name = f"{path}{slash}{last.partition(':')[0]}"
    first, _, rest = name.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        host, path = first.lower(), rest
    else:
        host, path = _HUB, name
    if host in _HUB_HOSTS:
        host = _HUB
        path = path if "/" in path else f"library/{path}"
    return f"{host}/{path}"


def registry_problems(
    requested: Mapping[str, str], values: Mapping[str, str], registries: Registries
) -> list[Problem]:
    """Refuse a request for images, or for credentials, of a registry that is not allowed.

    ``values`` are all parameters as they will be.
    """
    if not any(name in requested for name in PARAMETERS):
        return []
    problems = [
        Problem(f"parameters.{name}", given, registries.rule)
        for name, given in registries.refused(values)
    ]
    if given := requested.get(WORKSPACE):
        problems += _workspace_problems(given, registries)
    return problems


def _workspace_problems(arn: str, registries: Registries) -> list[Problem]:
    """Refuse a workspace elsewhere: the collector signs for its own region, as the task's role."""
    # arn:aws:aps:region:account:workspace/ws-…
    region, account = arn.split(":")[3:5]
    if (region, account) == (registries.region, registries.account):
        return []
    return [
        Problem(
            f"parameters.{WORKSPACE}",
            arn,
            f"a workspace in {registries.region} of account {registries.account}, where the "
            "cluster runs",
        )
    ]


def check_registries(
    values: Mapping[str, str], present: Mapping[str, str], registries: Registries
) -> Check:
    """Check the registries of a plan. A cluster that has these images already keeps them."""
    refused = registries.refused(values)
    if not refused:
        return Check(NAME, Result.PASS, "every image is from an allowed registry")
    # A stack from before the workspace has neither, and its collector counts with a workspace only.
    compared = [name for name in PARAMETERS if name != images.COLLECTOR or values.get(WORKSPACE)]
    kept = all(values.get(name, "") == present.get(name, "") for name in compared)
    return Check(
        NAME,
        Result.WARN if kept else Result.FAIL,
        "; ".join(f"{name} is {given}" for name, given in refused),
        f"Specify {registries.rule}, or extend that parameter.",
    )
