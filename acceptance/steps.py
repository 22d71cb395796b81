"""The steps, in the order of a first hour on an account. Each reads the state before it acts."""

from __future__ import annotations

import json
import time
import urllib.error
import uuid
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from acceptance.camunda import PROCESS, Camunda
from acceptance.clean import clean, retained
from acceptance.control import (
    ask,
    build,
    delete_stack,
    deploy,
    ended,
    operate,
    outputs,
    stack,
    stack_status,
    take_stock,
)
from acceptance.run import CannotGoOn, NotPossible, Run, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

BROKERS: Final = 3
# So many partitions that the broker that is added gets replicas: one without is never ready on 8.9.
PARTITIONS: Final = 2
MEMORY: Final = "4096"
OTHER_MEMORY: Final = "5120"
INSTANCES: Final = 20
_SERVICE: Final = "orchestration-cluster"


def cluster(run: Run) -> str:
    """Name of the run's trial cluster."""
    return f"t{run.id}"


def request(run: Run) -> dict[str, Any]:
    """Request of the trial: small, complete, and removed without a trace."""
    found: dict[str, Any] = {
        "Trial": True,
        "Brokers": BROKERS,
        "Partitions": PARTITIONS,
        "ReplicationFactor": 3,
        "BrokerMemory": MEMORY,
        "AcceptPlaintext": True,
    }
    if cidr := run.state["settings"].get("clientCidr"):
        found |= {"LoadBalancerScheme": "internet-facing", "AllowedCidrs": cidr}
    return found


# --- the control plane -------------------------------------------------------------------------


def deploy_control(run: Run) -> None:
    """`sam build` and `sam deploy`, where no such stack may have been before."""
    account, who = run.target.identity()
    present = stack(run, run.stack)
    if present and present["StackId"] not in run.fact("stackIds", []):
        run.need("no stack of that name", expected="none", seen=present["StackStatus"], ok=False)
    run.remember(account=account, identity=who)
    build(run)
    code = deploy(run, {})
    # Also one that failed: cleaning up has to know that it is the run's own.
    _is_ours(run)
    run.need("sam deploy", expected=0, seen=code)
    status = stack_status(run, run.stack)
    run.need("stack", expected="complete", seen=status, ok=str(status).endswith("E_COMPLETE"))
    _api_answers(run)


def _is_ours(run: Run) -> None:
    found = stack(run, run.stack)
    if found and found["StackId"] not in run.fact("stackIds", []):
        run.remember(stackIds=[*run.fact("stackIds", []), found["StackId"]])


def _api_answers(run: Run) -> None:
    told = ask(run, "GET", "/clusters")
    run.check("API, signed: GET /clusters", expected=(200, []), seen=_listed(told))
    client = run.target.api(outputs(run, run.stack)["ApiUrl"])
    unsigned = type(client)(client.url, client.region, None).ask("GET", "/clusters").status
    run.check("API, unsigned: GET /clusters", expected=403, seen=unsigned)


def _listed(answer: Any) -> tuple[int, Any]:
    return answer.status, answer.document.get("clusters") if answer.status == 200 else None


def _functions(run: Run) -> tuple[int, str]:
    """Version that the probe function's alias names, and its log level."""
    alias = outputs(run, run.stack)["ProbeFunction"]
    found = run.target.client("lambda").get_function_configuration(FunctionName=alias)
    return int(found["Version"]), found["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"]


def change_parameter(run: Run) -> None:
    """`sam deploy` with another LogLevel: new function versions are published."""
    before, _ = _functions(run)
    run.need("sam deploy LogLevel=DEBUG", expected=0, seen=deploy(run, {"LogLevel": "DEBUG"}))
    version, level = _functions(run)
    run.check("log level of the published function", expected="DEBUG", seen=level)
    words, newer = f"version {before} before, {version} now", version > before
    # Taken again after an interruption, the change was made before.
    again = run.record["attempt"] > 1
    run.check("new version published", expected="a higher version", seen=words, ok=newer or again)


def roll_back(run: Run) -> None:
    """A deployment that fails is rolled back, and the next one works."""
    level_before = _functions(run)[1]
    code = deploy(run, {"LogLevel": "WARNING"}, fault=True)
    run.check(
        "sam deploy with a fault", expected="a failure", seen=f"exit code {code}", ok=code > 0
    )
    run.check("stack", expected="UPDATE_ROLLBACK_COMPLETE", seen=stack_status(run, run.stack))
    before, level = _functions(run)
    run.check("log level after the rollback", expected=level_before, seen=level)
    run.need("sam deploy without it", expected=0, seen=deploy(run, {"LogLevel": "WARNING"}))
    version, level = _functions(run)
    run.check("stack afterwards", expected="UPDATE_COMPLETE", seen=stack_status(run, run.stack))
    run.check("log level afterwards", expected="WARNING", seen=level)
    words = f"version {before} before, {version} now"
    run.check("new version published", expected="a higher version", seen=words, ok=version > before)
    _api_answers(run)


# --- plan and provision ------------------------------------------------------------------------


def plan_from_console(run: Run) -> None:
    """Start the plan machine as the console does: the execution is named by a UUID."""
    _will_make(run, cluster(run))
    plan = _console_plan(run, cluster(run), request(run))
    run.check("plan", expected="READY", seen=plan["status"])
    text = _stored(run, plan["textKey"])
    for line in text.splitlines()[:12]:
        run.progress(line)
    cost, minutes = plan["cost"]["after"], plan["minutes"]
    known = cost is not None
    hourly = (
        f"{float(cost) / 730:.2f} USD an hour"
        if known
        else "an unknown amount (a price is missing)"
    )
    run.check(
        "the plan shows minutes", expected="least and most", seen=minutes, ok=len(minutes) == 2
    )
    run.check("the plan shows the cost", expected="a sum", seen=f"{cost} a month", ok=known)
    run.remember(plan=plan["apply"]["changeSet"], monthlyCost=cost)
    run.progress(f"the trial costs {hourly} before usage while it exists")


def _will_make(run: Run, name: str) -> None:
    """Record each resource before it is created, so that the clean-up finds it."""
    if name not in run.fact("clusters", []):
        run.remember(clusters=[*run.fact("clusters", []), name])


def _console_plan(run: Run, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    states = run.target.client("stepfunctions")
    given = {"clusterName": name, "provision": {"parameters": dict(parameters)}}
    execution = states.start_execution(
        stateMachineArn=outputs(run, run.stack)["PlanMachine"],
        name=str(uuid.uuid4()),
        input=json.dumps(given),
    )["executionArn"]
    found = _followed(run, execution, 900)
    words = _end_of(found)
    run.need("execution named by a UUID", expected="SUCCEEDED", seen=words)
    plan: dict[str, Any] = json.loads(found["output"])["plan"]
    return plan


def _end_of(execution: Mapping[str, Any]) -> str:
    parts = (execution["status"], execution.get("error"), execution.get("cause"))
    return " ".join(filter(None, parts))[:600]


def _followed(run: Run, execution: str, seconds: float) -> dict[str, Any]:
    states = run.target.client("stepfunctions")

    def look() -> dict[str, Any]:
        found: dict[str, Any] = states.describe_execution(executionArn=execution)
        return found

    return run.eventually(look, lambda seen: seen["status"] != "RUNNING", seconds, 0.5)


def _stored(run: Run, key: str) -> str:
    bucket = outputs(run, run.stack)["ArtifactBucketName"]
    body = run.target.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return str(body.decode())


def provision(run: Run) -> None:
    """Apply exactly the reviewed plan."""
    name, plan = cluster(run), run.fact("plan")
    _will_make(run, name)
    reviewed = plan and run.record["attempt"] == 1
    body = {"changeSet": plan} if reviewed else {"parameters": request(run)}
    done = operate(run, "provision", "PUT", f"/clusters/{name}", body)
    take_stock(run)
    run.need("provisioning", expected="SUCCEEDED", seen=ended(done))
    if run.record["attempt"] == 1:  # later ones continue what is there
        run.remember(timeline=_durations(done))
    for step, seconds in run.fact("timeline", {}).items():
        run.progress(f"{seconds:6.0f} s  {step}")
    found = done["result"]["verification"]
    failed = [c["name"] for c in found["checks"] if c["result"] == "FAIL"]
    run.check("verification", expected="PASS", seen=f"{found['result']} {failed or ''}".strip())
    _whole(run, name, BROKERS)


def _durations(operation: dict[str, Any]) -> dict[str, float]:
    from datetime import datetime  # noqa: PLC0415

    entries = operation["progress"]["timeline"]
    last = {"step": "", "at": operation["endedAt"] or entries[-1]["at"]}
    spent: dict[str, float] = {}
    for one, after in pairwise([*entries, last]):
        span = datetime.fromisoformat(after["at"]) - datetime.fromisoformat(one["at"])
        spent[one["step"]] = round(spent.get(one["step"], 0) + span.total_seconds(), 1)
    return spent


def _stack_of(run: Run, name: str) -> str:
    return f"{run.stack}-{name}"


def _whole(run: Run, name: str, brokers: int) -> None:
    def look() -> Any:
        told = ask(run, "GET", f"/clusters/{name}").document
        return told.get("brokers"), told.get("unreachable")

    good: Any = ({"declared": brokers, "running": brokers, "joined": brokers}, [])
    seen = run.eventually(look, lambda seen: seen == good, 120)
    run.check(f"{brokers} brokers declared, running and joined", expected=good, seen=seen)


# --- work on it --------------------------------------------------------------------------------


def _camunda(run: Run) -> Camunda:
    found = outputs(run, _stack_of(run, cluster(run)))
    secret = run.target.client("secretsmanager").get_secret_value(
        SecretId=found["AdminUserSecretArn"]
    )
    user = json.loads(secret["SecretString"])
    url = run.target.reachable(found["RestUrl"])
    return Camunda(url, user["username"], user["password"], forgiving=run.target.local)


def work(run: Run) -> None:
    """Deploy a process, create instances and complete half of their jobs."""
    user = _camunda(run)
    try:
        brokers = len(user.topology()["brokers"])
    except (urllib.error.URLError, TimeoutError) as error:
        raise NotPossible(
            f"{user.url} is not reachable from here ({error}): load balancers are internal. Run "
            "this in the VPC, or start a run with CLIENT_CIDR=<your address>/32."
        ) from None
    run.check("topology through the load balancer", expected=BROKERS, seen=brokers)
    definition = user.deploy(PROCESS)
    made = [user.create(definition, number) for number in range(INSTANCES)]
    run.remember(definition=definition, instances=made)
    run.check("instances created", expected=INSTANCES, seen=len(set(made)))
    done = _complete(run, user, set(made), INSTANCES // 2)
    run.remember(completed=done)
    run.check("jobs completed", expected=INSTANCES // 2, seen=len(done))
    _told(run, user, made, done)


def work_again(run: Run) -> None:
    """Complete the other half, which had to outlive scaling and rolling."""
    if not run.fact("instances"):
        raise NotPossible("no instances were left open before scaling and rolling")
    user, made = _camunda(run), run.fact("instances")
    done = run.fact("completed") + _complete(
        run, user, set(made) - set(run.fact("completed")), INSTANCES
    )
    run.remember(completed=done)
    run.check("every instance had its job once", expected=sorted(made), seen=sorted(done))
    _told(run, user, made, done)


def _complete(run: Run, user: Camunda, open_: set[str], most: int) -> list[str]:
    """Complete jobs of these instances; gives the instances in their order."""
    done: list[str] = []
    # Twice the jobs' time: one that was activated and lost comes again.
    deadline = time.monotonic() + 120
    while len(done) < min(most, len(open_)) and time.monotonic() < deadline:
        for job in user.jobs(most - len(done)):
            user.complete(str(job["jobKey"]))
            if str(job["processInstanceKey"]) in open_:
                done.append(str(job["processInstanceKey"]))
    return done


def _told(run: Run, user: Camunda, made: Sequence[str], done: Sequence[str]) -> None:
    """Secondary storage shows each instance as it is, some seconds later."""
    definition = run.fact("definition")
    good = {key: "COMPLETED" if key in done else "ACTIVE" for key in made}
    seen = run.eventually(lambda: user.states(definition), lambda s: s == good, 90)
    wrong = {key: seen.get(key) for key in made if seen.get(key) != good[key]}
    run.check("instances as the search returns them", expected={}, seen=wrong)


# --- change it ---------------------------------------------------------------------------------


def _tasks(run: Run, name: str) -> dict[str, dict[str, Any]]:
    """Running tasks of the brokers by ARN."""
    ecs, ecs_cluster = run.target.client("ecs"), _stack_of(run, name)
    pages = ecs.get_paginator("list_tasks").paginate(cluster=ecs_cluster, serviceName=_SERVICE)
    arns = [arn for page in pages for arn in page["taskArns"]]
    found = ecs.describe_tasks(cluster=ecs_cluster, tasks=arns)["tasks"] if arns else []
    return {one["taskArn"]: one for one in found if one["lastStatus"] == "RUNNING"}


def scale_out(run: Run) -> None:
    """One broker more."""
    _scale(run, BROKERS + 1, lambda before, after: before <= after)


def scale_in(run: Run) -> None:
    """One broker less: tasks of the brokers that stay are the same afterwards."""
    _scale(run, BROKERS, lambda before, after: after <= before)


def _scale(run: Run, count: int, kept: Any) -> None:
    name = cluster(run)
    before = set(_tasks(run, name))
    done = operate(run, "scale", "PUT", f"/clusters/{name}/brokers", {"count": count})
    run.need("scaling", expected="SUCCEEDED", seen=ended(done))
    found = done["result"]["verification"]
    run.check("verification", expected="PASS", seen=found["result"])
    _whole(run, name, count)
    after = set(_tasks(run, name))
    words = f"{len(before - after)} stopped, {len(after - before)} started"
    expected = "no remaining broker lost its task"
    run.check("tasks", expected=expected, seen=words, ok=kept(before, after))


def roll(run: Run) -> None:
    """A new revision, planned and applied: every broker moves to it, and the cluster is healthy."""
    name = cluster(run)
    before = _tasks(run, name)
    present = {one["memory"] for one in before.values()}
    memory = MEMORY if present == {OTHER_MEMORY} else OTHER_MEMORY
    changed = _changed(run, name)
    given = {"provision": {"parameters": {"BrokerMemory": memory}}}
    planned = operate(run, "plan", "POST", f"/clusters/{name}/plans", given)
    run.need("plan", expected="SUCCEEDED", seen=ended(planned))
    plan = planned["result"]["plan"]
    run.check("plan", expected="READY", seen=plan["status"])
    run.check("a plan does not change the stack", expected=changed, seen=_changed(run, name))
    body = {"changeSet": plan["apply"]["changeSet"]}
    done = operate(run, "roll", "PUT", f"/clusters/{name}", body)
    take_stock(run)
    run.need("rolling", expected="SUCCEEDED", seen=ended(done))
    after = _tasks(run, name)
    run.check("tasks of the old revision", expected=0, seen=len(set(before) & set(after)))
    run.check(
        "memory of the tasks", expected=[memory], seen=sorted({t["memory"] for t in after.values()})
    )
    _whole(run, name, BROKERS)


def _changed(run: Run, name: str) -> datetime | None:
    found = stack(run, _stack_of(run, name)) or {}
    changed: datetime | None = found.get("LastUpdatedTime")
    return changed


def break_and_resume(run: Run) -> None:
    """A second trial whose creation fails midway; a retry of the same request completes it.

    Between its plan and its application another stack takes the name of its namespace.
    """
    name = f"b{run.id}"
    _will_make(run, name)
    given = {"Trial": True, "Connectors": 0, "AcceptPlaintext": True}
    if stack(run, _stack_of(run, name)) is None or run.record["attempt"] == 1:
        plan = _console_plan(run, name, given)
        taken = _take_namespace(run, name)
        body = {"changeSet": plan["apply"]["changeSet"]}
        failed = operate(run, "break", "PUT", f"/clusters/{name}", body)
        take_stock(run)
        run.check(
            "creation that cannot succeed",
            expected="FAILED, naming ServiceConnectNamespace",
            seen=ended(failed),
            ok=failed["status"] == "FAILED" and "ServiceConnectNamespace" in ended(failed),
        )
        status = stack_status(run, _stack_of(run, name))
        run.check("the stack keeps the created resources", expected="CREATE_FAILED", seen=status)
        _free_namespace(run, taken)
    done = operate(run, "resume", "PUT", f"/clusters/{name}", {"parameters": given})
    take_stock(run)
    run.check("the same request again", expected="SUCCEEDED", seen=ended(done))
    if done["status"] == "SUCCEEDED":
        _whole(run, name, 1)
    gone = operate(run, "remove", "DELETE", f"/clusters/{name}", {"confirm": name})
    run.check("its teardown", expected="SUCCEEDED", seen=ended(gone))


def _take_namespace(run: Run, name: str) -> str:
    api, called = run.target.client("servicediscovery"), f"{_stack_of(run, name)}-sc"
    api.create_http_namespace(Name=called)
    run.remember(obstacle=called)
    seen = run.eventually(lambda: _namespace(run, called), bool, 120)
    run.need("name taken", expected="a namespace", seen=seen, ok=bool(seen))
    return called


def _namespace(run: Run, called: str) -> str | None:
    api = run.target.client("servicediscovery")
    pages = api.get_paginator("list_namespaces").paginate()
    found = [n["Id"] for page in pages for n in page["Namespaces"] if n["Name"] == called]
    return found[0] if found else None


def _free_namespace(run: Run, called: str) -> None:
    if found := _namespace(run, called):
        run.target.client("servicediscovery").delete_namespace(Id=found)
    seen = run.eventually(lambda: _namespace(run, called), lambda seen: seen is None, 120)
    run.need("the name is free again", expected=None, seen=seen)
    run.remember(obstacle=None)


# --- health ------------------------------------------------------------------------------------


def health(run: Run) -> None:
    """Healthy; a finding or a note while a task is stopped; healthy again."""
    name = cluster(run)

    def look() -> Any:
        told = ask(run, "GET", f"/clusters/{name}/health?fresh=true").document
        return told.get("verdict"), [one["code"] for one in told.get("findings", [])]

    seen = run.eventually(look, lambda seen: seen[0] == "HEALTHY", 600)
    run.check("before", expected="HEALTHY", seen=seen, ok=seen[0] == "HEALTHY")
    task = min(_tasks(run, name))
    run.target.client("ecs").stop_task(
        cluster=_stack_of(run, name), task=task, reason=f"acceptance {run.id}"
    )
    known = set(seen[1])

    def notices(told: Any) -> bool:
        return bool(told[0] != "HEALTHY" or set(told[1]) - known)

    noticed = run.eventually(look, notices, 300, 0.2)
    run.check(
        "with a stopped task",
        expected="another verdict, or the stop among the findings",
        seen=noticed,
        ok=notices(noticed),
    )
    seen = run.eventually(look, lambda seen: seen[0] == "HEALTHY", 1200)
    run.check("afterwards", expected="HEALTHY", seen=seen, ok=seen[0] == "HEALTHY")
    _whole(run, name, BROKERS)
    states = run.target.client("stepfunctions")
    machine = outputs(run, run.stack)["CheckAllHealthMachine"]
    execution = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    found = _followed(run, execution, 600)
    words = _end_of(found)
    run.check("check of all clusters", expected="SUCCEEDED", seen=words)


def set_policy(run: Run) -> None:
    """A stack policy of the shape that a plan which replaces data needs; it changes no stack.

    A trial is not protected, so it is set here; it forbids no deletion of the stack.
    """
    name = _stack_of(run, cluster(run))
    deny = {
        "Effect": "Deny",
        "Action": ["Update:Replace", "Update:Delete"],
        "Principal": "*",
        "NotResource": ["LogicalResourceId/FileSystem"],
        "Condition": {"StringEquals": {"ResourceType": ["AWS::EFS::FileSystem"]}},
    }
    allow = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}
    policy = {"Statement": [allow, deny]}
    api, before = run.target.client("cloudformation"), _changed(run, cluster(run))
    api.set_stack_policy(StackName=name, StackPolicyBody=json.dumps(policy))
    kept = json.loads(api.get_stack_policy(StackName=name).get("StackPolicyBody") or "{}")
    run.check("NotResource beside a condition", expected=policy, seen=kept)
    seen = _changed(run, cluster(run))
    run.check("a stack policy does not change the stack", expected=before, seen=seen)


# --- remove it ---------------------------------------------------------------------------------


def dry_run(run: Run) -> None:
    """A dry run of the teardown changes nothing."""
    name = cluster(run)
    before = set(_tasks(run, name))
    done = operate(run, "tell", "DELETE", f"/clusters/{name}", {"dryRun": True})
    run.need("dry run", expected="SUCCEEDED", seen=ended(done))
    plan = done["result"]["plan"] if "plan" in done["result"] else done["result"]
    for line in str(plan["text"]).splitlines()[:4]:
        run.progress(line)
    run.check("a trial retains nothing", expected=[], seen=[one["id"] for one in plan["kept"]])
    words = f"{sum(plan['goes'].values())} resources"
    run.check(
        "the report lists what is deleted", expected="resources", seen=words, ok=bool(plan["goes"])
    )
    run.check("nothing changed", expected=sorted(before), seen=sorted(_tasks(run, name)))


def teardown(run: Run) -> None:
    """Remove the trial; only keys in their waiting period remain."""
    name = cluster(run)
    take_stock(run)
    done = operate(run, "teardown", "DELETE", f"/clusters/{name}", {"confirm": name})
    run.need("teardown", expected="SUCCEEDED", seen=ended(done))
    run.check("stack", expected=None, seen=stack_status(run, _stack_of(run, name)))
    run.check("API", expected=404, seen=ask(run, "GET", f"/clusters/{name}").status)
    left = retained(run, _stack_of(run, name))
    paid = [one.words for one in left if not one.until]
    run.check("remaining resources", expected=[], seen=paid)


def delete_and_redeploy(run: Run) -> None:
    """Delete the control stack, and deploy it again under the same name."""
    take_stock(run)
    clusters = [n for n in run.fact("clusters", []) if stack_status(run, _stack_of(run, n))]
    run.need("no cluster exists", expected=[], seen=clusters)
    if not run.fact("deleted"):
        status = delete_stack(run, run.stack)
        run.need("deletion of the control stack", expected="DELETE_COMPLETE", seen=status)
        run.remember(deleted=True)
        kept = {one.type for one in retained(run, run.stack)}
        expected = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Logs::LogGroup"}
        seen = sorted(kept & expected)
        run.check("table, bucket and log groups are kept", expected=sorted(expected), seen=seen)
    code = deploy(run, {})
    _is_ours(run)
    run.need("sam deploy under the same name", expected=0, seen=code)
    _api_answers(run)


def clean_up(run: Run) -> None:
    """Remove the control plane and all that it keeps."""
    if not clean(run):
        raise CannotGoOn("cleaning up")


STEPS: Final[Sequence[Step]] = (
    Step("deploy", "Deploy the control plane", deploy_control, needed=True),
    Step("parameter", "Change a parameter (LogLevel)", change_parameter),
    Step("rollback", "Force a rollback and redeploy", roll_back),
    Step("plan", "Plan a trial as from the console, named by a UUID", plan_from_console),
    Step("provision", "Provision the trial", provision, needed=True),
    Step("work", "Work on it through Camunda's REST", work),
    Step("scale-out", "Scale out", scale_out, needed=True),
    Step("scale-in", "Scale in", scale_in, needed=True),
    Step("roll", "Roll a new revision", roll),
    Step("work-again", "Work on after scaling and rolling", work_again),
    Step("break", "Break a creation and resume it", break_and_resume),
    Step("health", "Health with a stopped task", health),
    Step("policy", "Stack policy", set_policy),
    Step("dry-run", "Teardown, dry run", dry_run),
    Step("teardown", "Teardown", teardown, removes=True),
    Step("redeploy", "Delete the control stack and redeploy it", delete_and_redeploy, removes=True),
    Step("clean", "Clean up", clean_up, removes=True),
)
