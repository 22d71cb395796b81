"""A missing object is forbidden to callers that may not list its bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.aws.emulator import app, iam_evaluator, router
from local.aws.strict import Rule
from local.config import REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws.strict import Strictness

_SERVICE: Final = "s3"
_DENIED: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)


def install(_strictness: Strictness) -> None:
    """Check S3's responses before they are returned."""
    app.SERVICE_HANDLERS[_SERVICE] = _as_on_aws(app.SERVICE_HANDLERS[_SERVICE])


def _as_on_aws(own: Any) -> Any:
    async def handle(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any
    ) -> Any:
        answer = await own(method, path, headers, body, query)
        bucket, _, key = path.lstrip("/").partition("/")
        absent = answer[0] == 404 and (method == "HEAD" or b"NoSuchKey" in (answer[2] or b""))
        if method not in {"GET", "HEAD"} or not key or not absent:
            return answer
        caller = router.extract_access_key_id(headers, query)
        lists = iam_evaluator.enforce(
            caller, "s3:ListBucket", _SERVICE, REGION, f"arn:aws:s3:::{bucket}"
        )
        if lists is None:
            return answer
        return 403, {"Content-Type": "application/xml"}, b"" if method == "HEAD" else _DENIED

    return handle


RULE: Final = Rule(
    name="absent-objects",
    does="GetObject and HeadObject return 403 for an object that does not exist, as if access were"
    " denied, unless the caller may list the bucket (`s3:ListBucket`).",
    source="https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html",
    caught="a reviewed plan that was never stored failed with AccessDenied instead of"
    " `PlanNotFound`.",
    install=install,
)
