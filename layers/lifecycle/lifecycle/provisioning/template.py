"""The template of a cluster: the one that is shipped, with what a trial and its settings change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lifecycle.cluster.trial import is_trial, retain_nothing
from lifecycle.services import settings as service_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.services.settings import Settings


def effective_template(template: bytes, parameters: Mapping[str, str], settings: Settings) -> bytes:
    """Return the template (JSON) with which a cluster is made and changed.

    ``settings`` are all that the cluster is to have. The same input gives the same bytes.
    """
    data = json.loads(template)
    if is_trial(parameters):
        retain_nothing(data)
    service_settings.put_into(data, settings)
    return json.dumps(data, indent=1).encode()
