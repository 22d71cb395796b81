"""Write docs/strict-rules.md from the rules themselves."""

from __future__ import annotations

from local.aws.strict import PENDING, rules
from local.config import REPOSITORY

PAGE = REPOSITORY / "docs" / "strict-rules.md"
_HEAD = """\
# Where the local AWS is made as hard as the real one

Written by `make generate` from `local/aws/strict/`; one module is one rule. A fault that was found
outside becomes a rule before it is mended. A rule that is *pending* is off, because a fault that it
shows is not mended yet; an expected failure in the tests turns it on.
"""


_NATIVE = (
    ("API Gateway answers 403 outside its stage", "tests/e2e/test_api.py"),
    (("S3's names are lower-cased and cut at their greatest length (AWS cuts the stack's part at"
      " about 36 characters already)"), "tests/unit/local/test_physical_names.py"),
    ("Health checks under the service's grace; a task they stop is `ServiceSchedulerInitiated`",
     "tests/integration/test_fargate_tasks.py"),
    (("The circuit breaker's threshold is half of the count, 3 for up to six tasks, and counts"
     " failures in a row"), "tests/unit/local/test_fargate_scheduling.py"),
    ("UpdateService: what deploys and what changes in place, `enableExecuteCommand` among it",
     "tests/unit/local/test_fargate_updates.py"),
    ("What an update replaced is deleted when the update is done",
     "tests/integration/test_strict_control_plane.py"),
    ("Task protection, expiry and `DEPLOYMENT_BLOCKED`; a scale-in stops the least convenient task",
     "tests/integration/test_fargate_tasks.py"),
)  # fmt: skip


def page() -> str:
    """Give the page's text."""
    lines = [_HEAD, "| rule | what AWS does | what it has caught |", "|---|---|---|"]
    for rule in rules():
        state = f" (**pending**: {PENDING[rule.name]})" if rule.name in PENDING else ""
        lines.append(
            f"| `{rule.name}`{state} | {rule.does} [source]({rule.source}) | {rule.caught} |"
        )
    lines += ["", "## What needs no rule", ""]
    lines += ["The emulator, or what stands in beside it, does this as AWS does by itself:", ""]
    lines += [f"- {does} (`{shown}`)" for does, shown in _NATIVE]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
