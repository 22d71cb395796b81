"""Where a message comes from, and its links: console, API, dashboard, runbook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

# The console's hosts by partition; in another one there are no links to it.
# https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html,
# https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/getting-started-console.html
_CONSOLES: Final = {
    "aws": "https://{region}.console.aws.amazon.com",
    "aws-cn": "https://{region}.console.amazonaws.cn",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
}
_RUNBOOK: Final = "docs/runbook.md"


@dataclass(frozen=True, slots=True)
class Place:
    """A control plane: stack, account and region, and the addresses that messages link to.

    ``runbook_url`` is the address of ``docs/runbook.md`` as people read it, empty if none is set.
    """

    control_stack: str
    partition: str
    account: str
    region: str
    api_url: str
    runbook_url: str = ""

    def execution(self, arn: str) -> str:
        """Address of an execution in the console; the ARN where the console's host is unknown."""
        return self._console(f"states/home?region={self.region}#/v2/executions/details/{arn}", arn)

    def dashboard(self) -> str:
        """Address of the dashboard of all clusters in the console, or its name."""
        name = f"{self.control_stack}-clusters"
        path = f"cloudwatch/home?region={self.region}#dashboards/dashboard/{quote(name)}"
        return self._console(path, name)

    def report(self, operation_id: str) -> str:
        """Address of an operation in the API, which needs signed requests."""
        return f"{self.api_url}/operations/{quote(operation_id, safe='')}"

    def health(self, cluster: str) -> str:
        """Address of a cluster's last check in the API, which needs signed requests."""
        return f"{self.api_url}/clusters/{quote(cluster, safe='')}/health"

    def runbook(self, entry: str = "") -> str:
        """Address of an entry of the runbook; anchors are the headings in lower case."""
        anchor = f"#{entry.lower()}" if entry else ""
        return f"{self.runbook_url or _RUNBOOK}{anchor}"

    def _console(self, path: str, otherwise: str) -> str:
        host = _CONSOLES.get(self.partition)
        return f"{host.format(region=self.region)}/{path}" if host else otherwise
