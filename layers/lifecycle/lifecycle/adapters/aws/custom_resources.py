"""Answers to CloudFormation's requests for custom resources."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Final

from lifecycle.errors import AwsRefused, AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 10.0
_SCHEMES: Final = ("https:", "http:")


class ResponseUrls:
    """The ``CustomResources`` port: CloudFormation names a presigned URL in each request."""

    def respond(self, url: str, answer: Mapping[str, str]) -> None:
        """Put the answer to the URL, which is signed for an empty content type.

        The URL is in no error and no log, because it is all that it takes to answer. Raises
        ``AwsUnavailable`` if the answer does not arrive, ``AwsRefused`` for another URL.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-lambda-function-code-cfnresponsemodule.html
        """
        if not url.startswith(_SCHEMES):
            raise AwsRefused("The request's ResponseURL is no web address.")
        request = urllib.request.Request(  # noqa: S310 - checked above
            url,
            data=json.dumps(answer).encode(),
            headers={"Content-Type": ""},
            method="PUT",
        )
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310 - checked above
                return
        except urllib.error.HTTPError as error:
            status = error.code
            error.close()
        except (OSError, ValueError) as error:
            status = 0
            reason = type(getattr(error, "reason", error)).__name__
        detail = f"HTTP {status}" if status else reason
        raise AwsUnavailable(
            f"CloudFormation did not take the answer: {detail}.",
            next_step="Lambda sends it again.",
        )
