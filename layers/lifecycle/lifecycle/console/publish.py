"""Publish the console as a custom resource of CloudFormation, which every request is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lifecycle.console.files import PAGE, SignIn, configuration, published, superseded
from lifecycle.errors import LifecycleError
from lifecycle.observability import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifecycle.console.ports import CustomResources, Website

# With a bundle in the properties, CloudFormation sends an update for each release.
PROPERTIES: Final = (
    "Bucket",
    "Bundle",
    "ApiHost",
    "ApiBase",
    "SignInDomain",
    "ClientId",
    "UserPoolId",
    "IdentityPoolId",
)
_PREFIX: Final = "console:"
_DELETE: Final = "Delete"
_REQUESTS: Final = ("Create", "Update", _DELETE)
# An answer has at most 4,096 bytes in all.
_MOST_CHARACTERS: Final = 600


class Refused(Exception):
    """A request that is no publication; its text is the reason in the stack's events."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishing and its ports. ``files`` reads the console's files of this release by their keys.

    ``translate`` makes one of our errors of one that an AWS client raised, None of any other.
    """

    website: Website
    resources: CustomResources
    files: Callable[[], Mapping[str, bytes]]
    release: str
    region: str
    translate: Callable[[Exception], LifecycleError | None]

    def handle(self, request: Mapping[str, Any]) -> dict[str, str]:
        """Publish, publish again or remove, and answer; returns the answer.

        The answer is sent whatever happens, because CloudFormation would wait for an hour. A
        failure's reason has no URL and, of an error that is not known, only its class. What stays
        is the bucket of the physical id: when a bucket is replaced, CloudFormation deletes the
        resource of the former one. Raises what sending the answer raises: Lambda tries again then.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
        """
        status, reason, physical_id = "SUCCESS", "", _physical_id(request)
        try:
            reason = self._act(request, physical_id)
        except Exception as error:  # noqa: BLE001 - CloudFormation waits for an answer
            status, reason = "FAILED", self._reason(error)
        answer = {
            "Status": status,
            "Reason": reason[:_MOST_CHARACTERS],
            "PhysicalResourceId": physical_id,
            **{one: str(request[one]) for one in ("StackId", "RequestId", "LogicalResourceId")},
        }
        self.resources.respond(str(request["ResponseURL"]), answer)
        return answer

    def _act(self, request: Mapping[str, Any], physical_id: str) -> str:
        kind = request.get("RequestType")
        if kind not in _REQUESTS:
            raise Refused(f"RequestType is {kind!r}; allowed are {', '.join(_REQUESTS)}.")
        if kind == _DELETE:
            # What was never published has another id, which CloudFormation or this answer made.
            bucket = physical_id.removeprefix(_PREFIX) if physical_id.startswith(_PREFIX) else ""
            keys = self.website.keys(bucket) if bucket else []
            self.website.remove(bucket, keys)
            return f"{len(keys)} files removed"
        given = _read(request.get("ResourceProperties") or {})
        files = self.files()
        if PAGE not in files:
            raise Refused(f"This release has no {PAGE}: build it again with the folder console/.")
        release = published(files, self._configuration(given))
        for one in release:
            self.website.put(given["Bucket"], one)
        gone = superseded(self.website.keys(given["Bucket"]), release)
        self.website.remove(given["Bucket"], gone)
        logger.info("Console published", extra={"files": len(release), "removed": len(gone)})
        return f"{len(release)} files published, {len(gone)} removed"

    def _configuration(self, given: Mapping[str, str]) -> bytes:
        return configuration(
            release=self.release,
            region=self.region,
            host=given["ApiHost"],
            base=given["ApiBase"],
            sign_in=SignIn(
                given["SignInDomain"],
                given["ClientId"],
                given["UserPoolId"],
                given["IdentityPoolId"],
            ),
        )

    def _reason(self, error: Exception) -> str:
        if isinstance(error, Refused):
            return str(error)
        known = error if isinstance(error, LifecycleError) else self.translate(error)
        if known is None:
            logger.exception("Unexpected error")
            return f"{type(error).__name__}; the function's log has the details."
        logger.warning(known.message, extra={"error": type(known).__name__})
        return f"{type(known).__name__}: {known.message}"


def _physical_id(request: Mapping[str, Any]) -> str:
    """Return the id of what is published: the bucket, so that another one is another resource."""
    there = str(request.get("PhysicalResourceId") or "")
    if request.get("RequestType") == _DELETE and there:
        return there
    properties = request.get("ResourceProperties")
    bucket = properties.get("Bucket") if isinstance(properties, dict) else None
    if isinstance(bucket, str) and bucket:
        return f"{_PREFIX}{bucket}"
    return there or "not-published"


def _read(given: Mapping[str, Any]) -> dict[str, str]:
    wrong = [one for one in PROPERTIES if not (isinstance(given.get(one), str) and given[one])]
    if wrong:
        named = ", ".join(f"{one} is {given.get(one)!r}"[:60] for one in wrong)
        raise Refused(f"{named}; each has to be a text that is not empty.")
    return {one: given[one] for one in PROPERTIES}
