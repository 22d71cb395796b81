"""Write docs/strict-rules.md from the rules."""

from __future__ import annotations

from local.aws.strict import PENDING, rules
from local.config import REPOSITORY

PAGE = REPOSITORY / "docs" / "strict-rules.md"
_HEAD = """\
# Rules that make the local AWS as strict as the real one

`make generate` writes this page from `local/aws/strict/`; each module is one rule. A fault found on
AWS becomes a rule before it is fixed. A *pending* rule is off because a fault that it shows is not
fixed yet; an expected failure in the tests turns it on.
"""


_NATIVE = (
    ("API Gateway returns 403 outside its stage", "tests/e2e/test_api.py"),
    (("S3 bucket names are lower-cased and truncated at the maximum length (AWS truncates the"
      " stack's part at about 36 characters)"), "tests/unit/local/test_physical_names.py"),
    (("Snapshots of Aurora clusters are captured and restored with their data, users and passwords;"
      " a restored cluster has a resource id and an endpoint of its own"),
     "tests/integration/test_database_backups.py"),
    (("A snapshot gets the tags of its request, or else those of a cluster with"
      " `CopyTagsToSnapshot`, and tags need `rds:AddTagsToResource`"),
     "tests/integration/test_database_backups.py"),
    ("Health checks under the service's grace; a task they stop is `ServiceSchedulerInitiated`",
     "tests/integration/test_fargate_tasks.py"),
    (("The circuit breaker's threshold is half of the count, 3 for up to six tasks, and counts"
     " failures in a row"), "tests/unit/local/test_fargate_scheduling.py"),
    ("UpdateService: what deploys and what changes in place, including `enableExecuteCommand`",
     "tests/unit/local/test_fargate_updates.py"),
    ("Replaced resources are deleted when the update is done",
     "tests/integration/test_strict_control_plane.py"),
    ("Task protection, expiry and `DEPLOYMENT_BLOCKED`; a scale-in stops the least convenient task",
     "tests/integration/test_fargate_tasks.py"),
)  # fmt: skip


def page() -> str:
    """Give the page's text."""
    lines = [_HEAD, "| rule | AWS behaviour | faults found |", "|---|---|---|"]
    for rule in rules():
        state = f" (**pending**: {PENDING[rule.name]})" if rule.name in PENDING else ""
        lines.append(
            f"| `{rule.name}`{state} | {rule.does} [source]({rule.source}) | {rule.caught} |"
        )
    lines += ["", "## Behaviour without a rule", ""]
    lines += ["The emulator and its extensions already behave like AWS here:", ""]
    lines += [f"- {does} (`{shown}`)" for does, shown in _NATIVE]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
