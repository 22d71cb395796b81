"""The report of a run, as JSON and Markdown, with the questions that only AWS can answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from acceptance.run import FAILED, NOT_POSSIBLE, OK

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Question:
    """Something that cannot be known without AWS, and the step whose checks answer it, if any.

    ``check`` names the one check that answers, empty stands for all of the step.
    """

    text: str
    step: str = ""
    check: str = ""
    why_not: str = ""


QUESTIONS: Final = (
    Question("The control plane deploys with the permissions of this identity", "deploy"),
    Question("CloudFormation replaces a version whose description changed", "parameter"),
    Question("A deployment after a rollback works", "rollback"),
    Question("A plan whose execution is named by a UUID", "plan"),
    Question(
        "When IAM logins work on a new Aurora, and how long targets of the NLB take (durations of "
        "the steps of provisioning)",
        "provision",
        "provisioning",
    ),
    Question(
        "A stack policy with `NotResource` beside a condition",
        "policy",
        "NotResource beside a condition",
    ),
    Question("127.0.0.x/32 in a prefix list", "provision", "provisioning"),
    Question("Which task ECS stops on a manual count with protected tasks", "scale-in", "tasks"),
    Question("`LastUpdatedTime` after CreateChangeSet", "roll", "a plan does not change the stack"),
    Question(
        "`LastUpdatedTime` after SetStackPolicy",
        "policy",
        "a stack policy does not change the stack",
    ),
    Question(
        "A replacement on a stack that may roll back (not: with rollback off, which no "
        "machine requests on an update)",
        "roll",
        "rolling",
    ),
    Question("An update change set on a stack in CREATE_FAILED", "break", "the same request again"),
    Question(
        "A Distributed Map with the right to StartExecution alone",
        "health",
        "check of all clusters",
    ),
    Question(
        "The control plane deployed again under a name that was deleted",
        "redeploy",
        "sam deploy under the same name",
    ),
    Question(
        "A Step Functions variable named `error`, `since: ''` in Assign",
        why_not="the definitions avoid both",
    ),
)


def answers(state: dict[str, Any]) -> list[dict[str, str]]:
    """Give each question with the answer of this run; on one machine, none has one."""
    told = []
    for question in QUESTIONS:
        answer, seen = "not answered", question.why_not
        step = state["steps"].get(question.step)
        if question.step and state["endpoints"]:
            seen = "the local environment cannot answer it"
        elif question.step:
            checks = [
                one
                for one in (step or {}).get("checks", [])
                if one["result"] != NOT_POSSIBLE and question.check in {"", one["name"]}
            ]
            results = {one["result"] for one in checks}
            # An interrupted step has not answered completely.
            whole = bool(question.check) or (step or {}).get("status") in {OK, FAILED}
            if results and (FAILED in results or whole):
                answer = "it does not work" if FAILED in results else "it works"
                shown = [o for o in checks if o["result"] == FAILED] or checks
                seen = "; ".join(f"{one['name']}: {one['seen']}" for one in shown[:3])
            else:
                seen = f"the step {question.step} was not reached"
        told.append(
            {"question": question.text, "step": question.step, "answer": answer, "seen": seen}
        )
    return told


def document(state: dict[str, Any]) -> dict[str, Any]:
    """Give the report as JSON."""
    steps = state["steps"].values()
    statuses = {step["status"] for step in steps}
    result = (
        FAILED if FAILED in statuses else OK if statuses <= {OK, NOT_POSSIBLE} else "unfinished"
    )
    facts = state["facts"]
    return {
        "runId": state["runId"],
        "target": "one machine" if state["endpoints"] else f"account {facts.get('account')}",
        "region": state["region"],
        "stack": state["stack"],
        "identity": facts.get("identity"),
        "startedAt": state["startedAt"],
        "result": result,
        "seconds": round(sum(step["seconds"] for step in steps), 1),
        "monthlyCost": facts.get("monthlyCost"),
        "provisioningSeconds": facts.get("timeline", {}),
        "steps": state["steps"],
        "onlyAwsKnows": answers(state),
        "awsHolds": facts.get("awsHolds", []),
        "cleaned": bool(facts.get("cleaned")),
    }


def markdown(report: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    lines = [f"# Acceptance run {report['runId']}: {report['result']}", ""]
    lines.append(
        f"On {report['target']} in {report['region']}, control stack `{report['stack']}`, started "
        f"{report['startedAt']}, {_minutes(report['seconds'])} of work."
    )
    if cost := report["monthlyCost"]:
        lines.append(
            f"The trial was planned at {cost} USD a month ({float(cost) / 730:.2f} an hour)."
        )
    lines += ["", "| step | result | duration |", "|---|---|---|"]
    lines += [
        f"| {step['title']} | {step['status']} | {_minutes(step['seconds'])} |"
        for step in report["steps"].values()
    ]
    lines += ["", "## Checks", "", "| step | check | result | expected | seen |"]
    lines.append("|---|---|---|---|---|")
    for name, step in report["steps"].items():
        for one in step["checks"]:
            cells = (name, one["name"], one["result"], one["expected"], one["seen"])
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    if report["provisioningSeconds"]:
        lines += [
            "",
            "## Provisioning time by step",
            "",
            "| step | duration |",
            "|---|---|",
        ]
        for step, seconds in report["provisioningSeconds"].items():
            lines.append(f"| {_cell(step)} | {_minutes(seconds)} |")
    lines += [
        "",
        "## Questions that only AWS can answer",
        "",
        "| question | step | answer | seen |",
    ]
    lines.append("|---|---|---|---|")
    for one in report["onlyAwsKnows"]:
        told = (one["question"], one["step"] or "-", one["answer"], one["seen"])
        lines.append("| " + " | ".join(_cell(cell) for cell in told) + " |")
    lines += ["", "## Remaining resources", ""]
    if not report["cleaned"]:
        lines.append(f"**Not cleaned up.** `CLEAN={report['runId']} make acceptance` does it.")
    lines += [f"- {words}" for words in report["awsHolds"]]
    if report["cleaned"] and not report["awsHolds"]:
        lines.append("Nothing.")
    return "\n".join(lines) + "\n"


def write(state: dict[str, Any], directory: Path) -> Path:
    """Write both files and give the path of the one for people."""
    report = document(state)
    path = directory / f"{state['runId']}.report.md"
    path.with_suffix(".json").write_text(json.dumps(report, indent=2, default=str) + "\n")
    path.write_text(markdown(report))
    return path


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")[:300]
