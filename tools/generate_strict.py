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


def page() -> str:
    """Give the page's text."""
    lines = [_HEAD, "| rule | what AWS does | what it has caught |", "|---|---|---|"]
    for rule in rules():
        state = f" (**pending**: {PENDING[rule.name]})" if rule.name in PENDING else ""
        lines.append(
            f"| `{rule.name}`{state} | {rule.does} [source]({rule.source}) | {rule.caught} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
