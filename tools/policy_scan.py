"""Findings of parliament and cloudsplaining; runs in a virtual environment of its own.

Standard input: a JSON object of policy documents by name. Standard output: a JSON list of
findings, each with ``policy``, ``tool``, ``finding`` and ``detail``. `tools.policies` holds them
against their reasons.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

warnings.simplefilter("ignore")


def _parliament(name: str, document: dict[str, Any]) -> list[dict[str, str]]:
    import parliament

    found = parliament.analyze_policy_string(json.dumps(document)).findings
    return [
        {"policy": name, "tool": "parliament", "finding": one.issue, "detail": str(one.detail)}
        for one in found
    ]


def _cloudsplaining(name: str, document: dict[str, Any]) -> list[dict[str, str]]:
    from cloudsplaining.scan.policy_document import PolicyDocument

    policy = PolicyDocument(document)
    kinds: dict[str, Any] = {
        "privilege escalation": policy.allows_privilege_escalation,
        "resource exposure": policy.permissions_management_without_constraints,
        "data exfiltration": policy.allows_data_exfiltration_actions,
        "credentials exposure": policy.credentials_exposure,
        "service wildcard": policy.service_wildcard,
        "infrastructure modification": policy.infrastructure_modification,
    }
    return [
        {
            "policy": name,
            "tool": "cloudsplaining",
            "finding": kind,
            "detail": one if isinstance(one, str) else str(one.get("type", one)),
        }
        for kind, found in kinds.items()
        for one in found
    ]


def main() -> None:
    """Read documents, write findings."""
    documents: dict[str, Any] = json.load(sys.stdin)
    found = [
        finding
        for name, document in documents.items()
        for scan in (_parliament, _cloudsplaining)
        for finding in scan(name, document)
    ]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
