"""The template of a cluster: the one that is shipped, with what a trial and its settings change."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from lifecycle.cluster.trial import is_trial, retain_nothing
from lifecycle.services import settings as service_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.services.settings import Settings


def template_digest(text: str | bytes) -> str:
    """SHA-256 of what a template (JSON) contains, in hexadecimal; its layout does not matter.

    CloudFormation is not documented to return a template byte by byte as it was uploaded. A text
    that is no JSON, or that has a name twice in an object, is compared as a text: no template of
    this application is like that.
    """
    try:
        content = json.loads(text, object_pairs_hook=_each_name_once)
    except ValueError:
        whole = text.encode() if isinstance(text, str) else text
    else:
        whole = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(whole).hexdigest()


def _each_name_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice in an object")
    return found


def effective_template(template: bytes, parameters: Mapping[str, str], settings: Settings) -> bytes:
    """Return the template (JSON) with which a cluster is made and changed.

    ``settings`` are all that the cluster is to have. The same input gives the same bytes.
    """
    data = json.loads(template)
    if is_trial(parameters):
        retain_nothing(data)
    service_settings.put_into(data, settings)
    return json.dumps(data, indent=1).encode()
